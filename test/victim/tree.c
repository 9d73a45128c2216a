/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task identity (A2-A11): pids, parents, groups, sessions, zombies, a stopped task, comm, subreaper, parent death
 * signal, personality. The root makes:
 *
 *	a  in the root's session and group          c  session of its own, with a child e in a group of its own
 *	b  leader of a group, with a child d in it  z7 zombie, exit code 7      z9 zombie, killed by SIGKILL
 *	s  stopped by SIGSTOP                       o  orphan of a dead session leader, adopted by the root (subreaper)
 *	p  in the group of b, which is not its parent
 *
 * Each writes what it is to shared memory once, and again after "go"; the root compares.
 */
#include "victim.h"
#include <sys/personality.h>

enum who { ROOT, A, B, C, D, ENODE, Z7, Z9, S, O, P, NODES };

struct ident {
	pid_t pid, ppid, pgid, sid;
	char comm[16];
	int pdeath, subreaper, persona;
	bool there;
};

static struct {
	struct ident before[NODES], after[NODES];
	int round;
} * shared;

static void identify(struct ident *i)
{
	i->pid = getpid();
	i->ppid = getppid();
	i->pgid = getpgrp();
	i->sid = getsid(0);
	prctl(PR_GET_NAME, i->comm);
	prctl(PR_GET_PDEATHSIG, &i->pdeath);
	prctl(PR_GET_CHILD_SUBREAPER, &i->subreaper);
	i->persona = personality(0xffffffff);
	__atomic_store_n(&i->there, true, __ATOMIC_SEQ_CST);
}

/* The life of every node but the root: say who it is, wait for "go", say it again, wait to be killed. */
static void live(enum who me)
{
	identify(&shared->before[me]);
	victim_wait();
	identify(&shared->after[me]);
	for (;;)
		pause();
}

static void name(const char *comm)
{
	prctl(PR_SET_NAME, comm);
}

static void wait_for(struct ident *i)
{
	for (int n = 0; n < 1000 && !__atomic_load_n(&i->there, __ATOMIC_SEQ_CST); n++)
		usleep(5000);
	need(i->there);
}

static pid_t spawn(enum who me, void (*setup)(void))
{
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid) {
		if (setup)
			setup();
		live(me);
	}
	wait_for(&shared->before[me]);
	return pid;
}

static void setup_a(void)
{
	name("node (a) x");
	prctl(PR_SET_PDEATHSIG, SIGUSR2);
	signal(SIGUSR2, SIG_IGN);
}

static void setup_b(void)
{
	name("b");
	setpgid(0, 0);
	spawn(D, NULL);
}

static void setup_e(void)
{
	setpgid(0, 0);
}

static void setup_c(void)
{
	need(setsid() == getpid());
	personality(ADDR_NO_RANDOMIZE | SHORT_INODE);
	spawn(ENODE, setup_e);
}

static void spawn_orphan(void)
{
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid) {
		need(setsid() == getpid());
		if (!fork())
			live(O);
		_exit(0);
	}
	need(waitpid(pid, NULL, 0) == pid);
	wait_for(&shared->before[O]);
	shared->before[O].ppid = getpid(); /* adopted by now: we are the subreaper */
}

static bool same_ident(enum who i)
{
	struct ident *b = &shared->before[i], *a = &shared->after[i];

	for (int n = 0; n < 500 && !__atomic_load_n(&a->there, __ATOMIC_SEQ_CST); n++)
		usleep(10000);
	/* The root's parent is no part of the tree; it may end while we start. */
	return a->there && a->pid == b->pid && (i == ROOT || a->ppid == b->ppid) && a->pgid == b->pgid &&
	       a->sid == b->sid && !strcmp(a->comm, b->comm) && a->pdeath == b->pdeath &&
	       a->subreaper == b->subreaper && a->persona == b->persona;
}

static char state_of(pid_t pid)
{
	char path[64], text[512], *p;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	p = strrchr(text, ')');
	return p ? p[2] : 0;
}

static bool dies_with(pid_t pid, int want)
{
	int status = -1;

	return waitpid(pid, &status, 0) == pid && status == want;
}

int main(void)
{
	pid_t a, b, c, s, z7, z9, p, stopped;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(shared != MAP_FAILED);
	need(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	name("the root");
	identify(&shared->before[ROOT]);
	a = spawn(A, setup_a);
	b = spawn(B, setup_b);
	c = spawn(C, setup_c);
	spawn_orphan();
	p = fork();
	if (!p) {
		need(!setpgid(0, b));
		live(P);
	}
	wait_for(&shared->before[P]);
	s = spawn(S, NULL);
	kill(s, SIGSTOP);
	need(waitpid(s, NULL, WUNTRACED) == s);
	z7 = fork();
	if (!z7)
		_exit(7);
	z9 = fork();
	if (!z9)
		raise(SIGKILL);
	while (state_of(z7) != 'Z' || state_of(z9) != 'Z')
		usleep(1000);

	victim_ready();
	victim_wait();

	identify(&shared->after[ROOT]);
	check("root", same_ident(ROOT));
	check("child in our group", same_ident(A));
	check("group leader", same_ident(B));
	check("its child", same_ident(D));
	check("session leader", same_ident(C));
	check("its child in a group of its own", same_ident(ENODE));
	check("orphan of a dead session leader", same_ident(O));
	check("member of a sibling's group", same_ident(P));
	check("stopped task is stopped", state_of(s) == 'T');
	kill(s, SIGCONT);
	check("stopped task goes on", same_ident(S));
	check("zombie with exit code", state_of(z7) == 'Z' && dies_with(z7, 7 << 8));
	check("zombie killed by a signal", state_of(z9) == 'Z' && dies_with(z9, SIGKILL));
	stopped = waitpid(-1, NULL, WNOHANG);
	check("no other child has died", stopped == 0);
	kill(shared->before[D].pid, SIGKILL);
	kill(shared->before[ENODE].pid, SIGKILL);
	pid_t all[] = { a, b, c, s, p, shared->before[O].pid };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		kill(all[i], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	return victim_done();
}
