/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * killat [OPTION...] -- COMMAND [ARG...]: run a command in a session of its own and kill it, or one of the programs that it
 * starts, at an exact system call. The kill sweep's knife (kill.py): nothing of it is in the tools.
 *
 * Theory of operation. The command and all that it forks are traced (PTRACE_O_TRACEFORK ...); each process has a role: the
 * name of its program, with the verb of criu-freeze ("criu-freeze-end"), and "criu-holder" once it calls itself so. The
 * processes of one role stop at every entry of a system call: the n-th call of a number, whose detail begins as asked
 * for, is the step. A SIGKILL in the stop at the entry skips the call (kernel/entry: it looks for fatal signals behind the
 * stop), one at the exit comes after it.
 *
 *   --record FILE        write all calls of all roles, "ROLE NR DETAIL" a line; kill nobody
 *   --role R             whose calls are counted (or who is killed by --after)
 *   --nr N --detail D    system call number; what its detail begins with (path, ptrace request, prctl option)
 *   --count K            the K-th such call (1)
 *   --exit               behind the call, not before it
 *   --after US           at that time instead, microseconds after the start
 *   --scope self|group|all   the process; its process group, i.e. all but the holder; all that are traced
 *   --pid P              kill that process instead
 *   --follow 0           trace the command alone (criu-restore: what it makes is traced by itself)
 *
 * When the command has ended, so does killat; what still runs is detached. The last line says what was killed, "missed" if
 * the step did not come, and how the command ended. Exit code 0, or 100 for a wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TASKS = 512, NAME = 48, DETAIL = 128, TRAP_SYSCALL = SIGTRAP | 0x80, AT_EXIT = 0x40 };

enum scope { SELF, GROUP, ALL };

struct task {
	pid_t tid; /* 0: free */
	char role[NAME];
	bool inside, matched;
};

struct run {
	struct task task[TASKS];
	const char *role, *detail;
	FILE *record;
	long nr, count, after_us;
	pid_t command, pid;
	enum scope scope;
	bool at_exit, follow, done;
	int status;
	char what[2 * DETAIL];
};

static volatile sig_atomic_t alarmed;

static void on_alarm(int sig)
{
	(void)sig;
	alarmed = 1;
}

static struct task *find(struct run *r, pid_t tid, bool add)
{
	struct task *free_slot = NULL;

	for (int i = 0; i < TASKS; i++) {
		if (r->task[i].tid == tid)
			return &r->task[i];
		if (!r->task[i].tid && !free_slot)
			free_slot = &r->task[i];
	}
	if (!add || !free_slot)
		return NULL;
	memset(free_slot, 0, sizeof(*free_slot));
	free_slot->tid = tid;
	return free_slot;
}

static size_t slurp(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

/* After an exec or a new name. */
static void learn_role(struct task *t)
{
	char comm[32], cmd[512];
	size_t n = slurp(t->tid, "comm", comm, sizeof(comm)), first;

	if (n && comm[n - 1] == '\n')
		comm[n - 1] = 0;
	snprintf(t->role, sizeof(t->role), "%s", comm);
	if (strcmp(comm, "criu-freeze"))
		return;
	n = slurp(t->tid, "cmdline", cmd, sizeof(cmd));
	first = strlen(cmd) + 1;
	if (first < n && cmd[first] && cmd[first] != '-')
		snprintf(t->role, sizeof(t->role), "criu-freeze-%.20s", cmd + first);
}

/* ---- what a call is about ---- */

static void get_path(pid_t tid, unsigned long addr, char *buf)
{
	struct iovec here = { buf, DETAIL - 1 }, there = { (void *)addr, 64 };
	ssize_t n;

	here.iov_len = there.iov_len;
	n = process_vm_readv(tid, &here, 1, &there, 1, 0);
	buf[n > 0 ? n : 0] = 0;
	for (char *p = buf; *p; p++)
		if (*p < ' ')
			*p = '?';
}

static void detail(pid_t tid, const struct user_regs_struct *u, char *buf)
{
	unsigned long addr = 0;
	unsigned word = 0;
	struct iovec here = { &word, sizeof(word) }, there;

	buf[0] = 0;
	switch (u->orig_rax) {
	case SYS_ptrace:
		snprintf(buf, DETAIL, "%#llx", u->rdi);
		return;
	case SYS_prctl:
	case SYS_wait4:
		snprintf(buf, DETAIL, "%lld", u->rdi);
		return;
	case SYS_kill:
	case SYS_futex:
		snprintf(buf, DETAIL, "%lld", u->rsi);
		return;
	case SYS_openat:
	case SYS_unlinkat:
	case SYS_mkdirat:
		addr = u->rsi;
		break;
	case SYS_renameat:
	case SYS_renameat2:
		addr = u->r10;
		break;
	case SYS_rename:
	case SYS_link:
		addr = u->rsi;
		break;
	case SYS_execve:
	case SYS_open:
	case SYS_unlink:
		addr = u->rdi;
		break;
	case SYS_sendmsg:
	case SYS_sendto:
		/* A request to the holder begins with its verb. */
		addr = u->rsi;
		if (u->orig_rax == SYS_sendmsg) {
			unsigned long iov[2] = { 0 };

			if (process_vm_readv(tid, &(struct iovec){ iov, sizeof(iov) }, 1,
					     &(struct iovec){ (void *)(addr + 16), sizeof(iov) }, 1, 0) < 0 ||
			    process_vm_readv(tid, &(struct iovec){ iov, sizeof(iov) }, 1,
					     &(struct iovec){ (void *)iov[0], sizeof(iov) }, 1, 0) < 0)
				return;
			addr = iov[0];
		}
		there = (struct iovec){ (void *)addr, sizeof(word) };
		if (process_vm_readv(tid, &here, 1, &there, 1, 0) == sizeof(word))
			snprintf(buf, DETAIL, "%u", word);
		return;
	default:
		return;
	}
	get_path(tid, addr, buf);
}

/* ---- the kill ---- */

static void strike(struct run *r, pid_t tid, const char *how)
{
	const struct task *t = find(r, tid, false);
	pid_t whom = r->pid ? r->pid : tid;

	r->done = true;
	snprintf(r->what, sizeof(r->what), "killed %s %s", t ? t->role : "-", how);
	if (r->scope == SELF || r->pid) {
		kill(whom, SIGKILL);
		return;
	}
	if (r->scope == GROUP)
		kill(-r->command, SIGKILL);
	for (int i = 0; r->scope == ALL && i < TASKS; i++)
		if (r->task[i].tid)
			kill(r->task[i].tid, SIGKILL);
}

static void strike_late(struct run *r)
{
	for (int i = 0; i < TASKS; i++)
		if (r->task[i].tid && (r->scope != SELF || r->pid || !strcmp(r->task[i].role, r->role))) {
			strike(r, r->task[i].tid, "at a time");
			return;
		}
}

static bool is_step(struct run *r, const struct task *t, const struct user_regs_struct *u)
{
	char text[DETAIL];

	if (r->record) {
		detail(t->tid, u, text);
		fprintf(r->record, "%s\t%lld\t%s\n", t->role, u->orig_rax, text);
		return false;
	}
	if (r->done || (long)u->orig_rax != r->nr || strcmp(t->role, r->role))
		return false;
	if (*r->detail) {
		detail(t->tid, u, text);
		if (strncmp(text, r->detail, strlen(r->detail)))
			return false;
	}
	return --r->count == 0;
}

static void at_syscall(struct run *r, struct task *t)
{
	struct user_regs_struct u;

	t->inside = !t->inside;
	if (ptrace(PTRACE_GETREGS, t->tid, 0, &u))
		return;
	if (t->inside) {
		t->matched = is_step(r, t, &u);
		if (t->matched && !r->at_exit)
			strike(r, t->tid, "before the call");
		return;
	}
	if (t->matched && r->at_exit && !r->done)
		strike(r, t->tid, "behind the call");
	if (u.orig_rax == SYS_prctl)
		learn_role(t);
}

/* ---- the loop ---- */

static bool counted(const struct run *r, const struct task *t)
{
	if (r->record)
		return true;
	/* A new name is told by a call, so those who are not yet what we look for are watched too. */
	return !r->done && !r->after_us &&
	       (!strcmp(t->role, r->role) || (!strcmp(r->role, "criu-holder") && !strcmp(t->role, "criu-freeze")));
}

static void one_stop(struct run *r, pid_t tid, int status)
{
	struct task *t = find(r, tid, true);
	int event = status >> 16, sig = WSTOPSIG(status), pass = 0;
	unsigned long child;

	if (!t)
		return;
	if (!t->role[0])
		learn_role(t);
	if (sig == TRAP_SYSCALL) {
		at_syscall(r, t);
	} else if (event == PTRACE_EVENT_EXEC) {
		learn_role(t);
		t->inside = true; /* the exit of execve comes */
	} else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
		if (!ptrace(PTRACE_GETEVENTMSG, tid, 0, &child))
			find(r, (pid_t)child, true);
	} else if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) {
		ptrace(PTRACE_LISTEN, tid, 0, 0);
		return;
	} else if (!event) {
		pass = sig;
	}
	ptrace(counted(r, t) ? PTRACE_SYSCALL : PTRACE_CONT, tid, 0, pass);
}

static void loop(struct run *r)
{
	int status;
	pid_t tid;

	for (;;) {
		if (alarmed && !r->done) {
			alarmed = 0;
			strike_late(r);
		}
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			return;
		if (WIFSTOPPED(status)) {
			one_stop(r, tid, status);
			continue;
		}
		if (find(r, tid, false))
			find(r, tid, false)->tid = 0;
		if (tid == r->command) {
			r->status = status;
			return;
		}
	}
}

static void start(struct run *r, char **argv)
{
	unsigned long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
	int go[2];
	char c;

	if (pipe2(go, O_CLOEXEC))
		exit(111);
	r->command = fork();
	if (!r->command) {
		close(go[1]);
		setsid();
		if (read(go[0], &c, 1) == 1)
			execv(argv[0], argv);
		_exit(127);
	}
	if (r->follow)
		options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
	if (r->command < 0 || ptrace(PTRACE_SEIZE, r->command, 0, options)) {
		perror("killat");
		exit(111);
	}
	find(r, r->command, true);
	if (r->record || !r->after_us) {
		/* So that system calls are seen from the first one on. */
		ptrace(PTRACE_INTERRUPT, r->command, 0, 0);
	} else {
		struct itimerval it = { { 0, 5000 }, { r->after_us / 1000000, r->after_us % 1000000 } };

		sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
		setitimer(ITIMER_REAL, &it, NULL);
	}
	if (write(go[1], "", 1) != 1)
		exit(111);
	close(go[0]);
	close(go[1]);
}

int main(int argc, char **argv)
{
	static struct run r = { .role = "", .detail = "", .count = 1, .follow = true };
	static const struct option options[] = { { "record", 1, NULL, 'r' },
						 { "role", 1, NULL, 'R' },
						 { "nr", 1, NULL, 'n' },
						 { "detail", 1, NULL, 'd' },
						 { "count", 1, NULL, 'c' },
						 { "exit", 0, NULL, 'x' },
						 { "after", 1, NULL, 'a' },
						 { "scope", 1, NULL, 's' },
						 { "pid", 1, NULL, 'p' },
						 { "follow", 1, NULL, 'f' },
						 {} };
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1)
		switch (c) {
		case 'r':
			r.record = fopen(optarg, "we");
			break;
		case 'R':
			r.role = optarg;
			break;
		case 'n':
			r.nr = atol(optarg);
			break;
		case 'd':
			r.detail = optarg;
			break;
		case 'c':
			r.count = atol(optarg);
			break;
		case 'x':
			r.at_exit = true;
			break;
		case 'a':
			r.after_us = atol(optarg);
			break;
		case 's':
			r.scope = *optarg == 'g' ? GROUP : *optarg == 'a' ? ALL : SELF;
			break;
		case 'p':
			r.pid = atoi(optarg);
			break;
		case 'f':
			r.follow = atoi(optarg);
			break;
		default:
			return 100;
		}
	if (optind >= argc)
		return 100;
	start(&r, argv + optind);
	loop(&r);
	if (r.record)
		fclose(r.record);
	printf("%s\t%d\n", r.done ? r.what : "missed",
	       WIFEXITED(r.status) ? WEXITSTATUS(r.status) : 128 + WTERMSIG(r.status));
	return 0;
}
