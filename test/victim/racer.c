/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * racer [ROLE...]: a tree of which every task changes what a dump looks at, as fast as it can: tasks that exec, alone and
 * from a thread that is not the leader; fork, spawn and end, start and join threads, change credentials, close and open,
 * map and unmap, change groups, directories, masks and names, end in all ways. Each checks the result of everything that it does. How often
 * each went round is in the file "ticks" (mapped shared): 8-byte words, [0] failures, [1...] one for each role.
 */
#include "victim.h"
#include <grp.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { PAGE = 4096, MAPS = 16, NR_ROLES = 12 };

static struct ticks {
	atomic_long failures, rounds[NR_ROLES];
} * ticks;
static char exe[4096];

#define always(cond)                                                                                        \
	do {                                                                                                \
		if (!(cond)) {                                                                              \
			ticks->failures++;                                                                  \
			victim_say("FAIL %d line %d: %s (%s)", getpid(), __LINE__, #cond, strerror(errno)); \
		}                                                                                           \
	} while (0)

static void again(int role, int generation, const char *word)
{
	char r[16], g[16], p[16];

	snprintf(r, sizeof(r), "%d", role);
	snprintf(g, sizeof(g), "%d", generation);
	snprintf(p, sizeof(p), "%d", getpid());
	execl(exe, exe, word, r, g, p, (char *)NULL);
	always(!"exec");
	_exit(93);
}

static void do_exec(int role)
{
	again(role, (int)ticks->rounds[role], "again");
}

static void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *exec_here(void *arg)
{
	do_exec((int)(intptr_t)arg);
	return NULL;
}

/* The thread that execs becomes the leader; the old leader and two others vanish. */
static void do_thread_exec(int role)
{
	pthread_t t;

	for (int i = 0; i < 2; i++)
		always(!pthread_create(&t, NULL, idle, NULL));
	always(!pthread_create(&t, NULL, exec_here, (void *)(intptr_t)role));
	idle(NULL);
}

static void *short_life(void *arg)
{
	return arg;
}

static void do_threads(int role)
{
	static char got_ret[4];
	pthread_t t[4];
	void *ret;

	for (int i = 0; i < 4; i++)
		always(!pthread_create(&t[i], NULL, short_life, &got_ret[i]));
	for (int i = 0; i < 4; i++)
		always(!pthread_join(t[i], &ret) && ret == &got_ret[i]);
	(void)role;
}

static void do_forks(int role)
{
	pid_t pid = fork(), child;
	int status = 0;

	always(pid >= 0);
	if (!pid) {
		pthread_t t;

		if (ticks->rounds[role] % 3 == 0)
			pthread_create(&t, NULL, idle, NULL);
		child = fork();
		if (!child)
			_exit(4);
		_exit(child > 0 && waitpid(child, &status, 0) == child && status == 4 << 8 ? 3 : 5);
	}
	always(waitpid(pid, &status, 0) == pid && status == 3 << 8);
}

static void *end_all(void *arg)
{
	_exit((int)(intptr_t)arg);
}

/* By a thread that is not the leader, by a signal of its own, by one from outside; with a second thread in each. */
static void do_ends(int role)
{
	static const int want[] = { 10 << 8, SIGKILL, SIGTERM };
	int how = (int)(ticks->rounds[role] % 3), status = 0;
	pid_t pid = fork();

	always(pid >= 0);
	if (!pid) {
		pthread_t t;

		pthread_create(&t, NULL, how ? idle : end_all, (void *)10);
		if (how == 1)
			raise(SIGKILL);
		idle(NULL);
	}
	if (how == 2)
		always(!kill(pid, SIGTERM));
	always(waitpid(pid, &status, 0) == pid && status == want[how]);
}

static void do_spawn(int role)
{
	char word[] = "quick", *argv[] = { exe, word, NULL };
	int status = 0;
	pid_t pid;

	always(!posix_spawn(&pid, exe, NULL, NULL, argv, environ));
	always(waitpid(pid, &status, 0) == pid && status == 6 << 8);
	(void)role;
}

/* Per thread, as the system calls do it; capabilities come and go with it. */
static void *change_creds(void *arg)
{
	uid_t other = 1000 + (uid_t)(intptr_t)arg, r, e, s;
	gid_t groups[3] = { 5, 6, other };

	always(!syscall(SYS_setgroups, 3, groups));
	always(!syscall(SYS_setresgid, -1, other, -1) && getegid() == other);
	always(!syscall(SYS_setresuid, -1, other, 0));
	always(!getresuid(&r, &e, &s) && r == 0 && e == other && s == 0);
	always(syscall(SYS_setgroups, 0, NULL) < 0 && errno == EPERM);
	always(!syscall(SYS_setresuid, 0, 0, 0) && geteuid() == 0);
	always(!syscall(SYS_setresgid, 0, 0, 0) && getegid() == 0);
	always(getgroups(3, groups) == 3 && groups[2] == other);
	return NULL;
}

static void do_creds(int role)
{
	pthread_t t;

	always(!pthread_create(&t, NULL, change_creds, (void *)1));
	change_creds(NULL);
	always(!pthread_join(t, NULL));
	always(!prctl(PR_SET_DUMPABLE, 1) && prctl(PR_GET_DUMPABLE) == 1);
	(void)role;
}

static void *change_files(void *arg)
{
	int fd[8], p[2], s[2];
	char c = 0;

	for (int i = 0; i < 8; i++)
		always((fd[i] = open(i % 2 ? "ticks" : "/dev/null", O_RDWR | (i % 3 ? O_CLOEXEC : 0))) >= 0);
	always(!pipe2(p, O_CLOEXEC) && !socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	always(write(p[1], "p", 1) == 1 && write(s[0], "s", 1) == 1);
	always(dup2(p[1], fd[0]) == fd[0] && write(fd[0], "q", 1) == 1);
	always(read(p[0], &c, 1) == 1 && c == 'p' && read(p[0], &c, 1) == 1 && c == 'q');
	always(read(s[1], &c, 1) == 1 && c == 's');
	for (int i = 0; i < 8; i++)
		always(!close(fd[i]));
	always(!close(p[0]) && !close(p[1]) && !close(s[0]) && !close(s[1]));
	return arg;
}

static void do_files(int role)
{
	pthread_t t;

	always(!pthread_create(&t, NULL, change_files, NULL));
	change_files(NULL);
	always(!pthread_join(t, NULL));
	(void)role;
}

static void *change_maps(void *arg)
{
	uint32_t seed = 7 + (uint32_t)(intptr_t)arg;
	char *p[MAPS], *q;

	for (int i = 0; i < MAPS; i++) {
		p[i] = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		always(p[i] != MAP_FAILED);
		victim_fill(p[i], 4 * PAGE, seed + (uint32_t)i);
	}
	for (int i = 0; i < MAPS; i++) {
		always(!mprotect(p[i] + PAGE, PAGE, i % 2 ? PROT_READ : PROT_NONE));
		always(!mprotect(p[i] + PAGE, PAGE, PROT_READ | PROT_WRITE));
		always((q = mremap(p[i], 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE)) != MAP_FAILED);
		always(victim_same(q, 4 * PAGE, seed + (uint32_t)i) && q[5 * PAGE] == 0);
		always(!munmap(q, 8 * PAGE));
	}
	return NULL;
}

static void do_maps(int role)
{
	pthread_t t;

	always(!pthread_create(&t, NULL, change_maps, (void *)100));
	change_maps(NULL);
	always(!pthread_join(t, NULL));
	(void)role;
}

static void do_groups(int role)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		if (ticks->rounds[role] % 2)
			_exit(setsid() == getpid() && getsid(0) == getpid() ? 8 : 9);
		_exit(!setpgid(0, 0) && getpgrp() == getpid() && !setpgid(0, getpgid(getppid())) ? 8 : 9);
	}
	always(waitpid(pid, &status, 0) == pid && status == 8 << 8);
}

static void do_where(int role)
{
	char name[16], now[16] = "", dir[4096];

	snprintf(name, sizeof(name), "r%ld", ticks->rounds[role]);
	always(!prctl(PR_SET_NAME, name) && !prctl(PR_GET_NAME, now) && !strcmp(name, now));
	always(umask(0027) == 0022 && umask(0022) == 0027);
	always(!chdir("/") && getcwd(dir, sizeof(dir)) && !strcmp(dir, "/"));
	dir[0] = 0;
	always(!chdir(getenv("RACER_DIR")) && getcwd(dir, sizeof(dir)) && !strcmp(dir, getenv("RACER_DIR")));
}

static volatile sig_atomic_t got;

static void count(int sig)
{
	got += sig == SIGUSR1;
}

static void do_signals(int role)
{
	sigset_t set, pending;
	int before = got;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	always(signal(SIGUSR1, count) != SIG_ERR);
	always(!sigprocmask(SIG_BLOCK, &set, NULL) && !raise(SIGUSR1) && got == before);
	always(!sigpending(&pending) && sigismember(&pending, SIGUSR1) == 1);
	always(!sigprocmask(SIG_UNBLOCK, &set, NULL) && got == before + 1);
	always(signal(SIGUSR1, SIG_IGN) == count && !raise(SIGUSR1) && got == before + 1);
	(void)role;
}

static const struct {
	const char *name;
	void (*round)(int role);
} roles[NR_ROLES] = {
	{ "exec", do_exec },	   { "thread-exec", do_thread_exec },
	{ "threads", do_threads }, { "forks", do_forks },
	{ "spawn", do_spawn },	   { "creds", do_creds },
	{ "files", do_files },	   { "maps", do_maps },
	{ "groups", do_groups },   { "where", do_where },
	{ "signals", do_signals }, { "ends", do_ends },
};

static void *look(void)
{
	int fd = open("ticks", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *p;

	need(fd >= 0 && !ftruncate(fd, PAGE));
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(p != MAP_FAILED);
	close(fd);
	return p;
}

static void play(int role)
{
	while (!victim_go() || ticks->rounds[role] < 10) {
		ticks->rounds[role]++;
		roles[role].round(role);
	}
	_exit(0);
}

static bool chosen(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	int status, started = 0, ended = 0;
	pid_t pid;
	ssize_t n;

	if (argc > 1 && !strcmp(argv[1], "quick"))
		return 6;
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	need(n > 0);
	exe[n] = 0;
	ticks = look();
	if (argc > 4 && !strcmp(argv[1], "again")) {
		always(atoi(argv[3]) == ticks->rounds[atoi(argv[2])] && atoi(argv[4]) == getpid() &&
		       getpid() == gettid());
		play(atoi(argv[2]));
	}
	umask(0022);
	errno = 0;
	need(nice(10) >= 0 || !errno); /* fifteen tasks that never sleep: the tools must get a processor too */
	need(getcwd(exe + n + 1, sizeof(exe) - (size_t)n - 1) && !setenv("RACER_DIR", exe + n + 1, 1));
	for (int i = 0; i < NR_ROLES; i++) {
		if (!chosen(argc, argv, roles[i].name))
			continue;
		started++;
		pid = fork();
		need(pid >= 0);
		if (!pid)
			play(i);
	}
	for (int i = 0; i < NR_ROLES; i++)
		while (chosen(argc, argv, roles[i].name) && ticks->rounds[i] < 2)
			usleep(1000);
	victim_ready();
	victim_wait();
	while ((pid = wait(&status)) > 0) {
		ended++;
		if (status)
			victim_say("FAIL the task %d ended with status 0x%x", pid, status);
	}
	check("tasks", ended == started && ticks->failures == 0);
	return victim_done();
}
