/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard: a child of the main process that cleans up if that is killed, so that a restore leaves all or nothing.
 *
 * Theory of operation: while the tasks are traced with PTRACE_O_EXITKILL, the kernel ends them with the main process. But
 * the threads are let go one after the other, and a main process that is killed in the middle of that would leave a part
 * of the tree. So PTRACE_O_EXITKILL is taken off all threads first, in the same stop, with the guard awake, which holds a
 * pidfd of each task by then: if the main process dies in there, the guard ends all tasks. Then one store says that the restore
 * stands. From there on the death of the main process lets all go, which is what it was about to do.
 *
 *	all stopped ... EXITKILL on	killed: the kernel ends all
 *	EXITKILL comes off		killed: the guard ends all (some ran for the moment that this takes)
 *	guard->stands = 1		killed: the kernel lets all go
 *	detached one by one		killed: the kernel lets the rest go
 *
 * The guard is in a session of its own, so that a kill of the process group does not meet it. It also removes names that the restore
 * made for a moment (the journal) and the pid file. Its own death goes unnoticed: it is a second net.
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "kind/file/restore-file.h"
#include "restore.h"

enum { ASK_MS = 20, READY_S = 2 };

struct guard {
	uint32_t asked, ready; /* to hold all tasks; futexes */
	uint32_t stands;       /* the restore is complete: nothing is to be undone */
	uint32_t pidfile;      /* it was written by us */
};

static void wait_word(uint32_t *word, uint32_t old, long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	syscall(SYS_futex, word, FUTEX_WAIT, old, &ts, NULL, 0);
}

static void set_word(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static bool get_word(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static bool main_died(const struct restore *x, int ms)
{
	struct pollfd p = { x->rst.main_pidfd, POLLIN, 0 };

	return poll(&p, 1, ms) > 0;
}

/* Tasks do not end by themselves while they are stopped, so their pids are theirs when this is asked for. */
static int *hold_tasks(const struct restore *x)
{
	int *fds = calloc(x->plan.nr_images + 1, sizeof(*fds));

	for (size_t i = 0; fds && i < x->plan.nr_images; i++)
		fds[i] = (int)syscall(SYS_pidfd_open, x->plan.tasks[i].pid, 0);
	return fds;
}

static void undo(const struct restore *x, const int *fds)
{
	struct cr_err ignored, killed;

	for (size_t i = 0; fds && i < x->plan.nr_images; i++)
		if (fds[i] >= 0)
			syscall(SYS_pidfd_send_signal, fds[i], SIGKILL, NULL, 0);
	files_journal_undo(&ignored);
	if (get_word(&x->guard->pidfile))
		unlink(x->opts.pidfile);
	cr_err_set(&killed, CR_E_INTERRUPTED, 0, "criu-restore", "it was killed: nothing of the restore is left");
	cr_err_remedy(&killed, "make the restore again");
	log_failure(&killed);
}

static __attribute__((noreturn)) void watch(const struct restore *x)
{
	const struct sched_param first = { .sched_priority = 1 };
	struct rlimit most;
	int *fds = NULL;
	char name[64];
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	/* The sooner it runs, the less those run that the kernel let go. Where it may not be, it is not. */
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		setpriority(PRIO_PROCESS, 0, -20);
	prctl(PR_SET_NAME, "criu-guard");
	if (*cr_log_fd() > STDERR_FILENO && dup2(*cr_log_fd(), STDERR_FILENO) == STDERR_FILENO)
		*cr_log_fd() = STDERR_FILENO;
	syscall(SYS_close_range, 3, x->rst.main_pidfd - 1, 0);
	syscall(SYS_close_range, x->rst.main_pidfd + 1, ~0u, 0);
	if (!getrlimit(RLIMIT_NOFILE, &most)) {
		most.rlim_cur = most.rlim_max;
		setrlimit(RLIMIT_NOFILE, &most);
	}
	while (!get_word(&x->guard->asked) && !main_died(x, 0))
		wait_word(&x->guard->asked, 0, ASK_MS);
	if (get_word(&x->guard->asked)) {
		fds = hold_tasks(x);
		set_word(&x->guard->ready);
		main_died(x, -1);
	}
	if (!get_word(&x->guard->stands))
		undo(x, fds);
	/* What manifest_write() of lib/common/image renames when it is complete. */
	snprintf(name, sizeof(name), ".restore.json.%d", x->rst.main_pid);
	unlink(name);
	_exit(0);
}

int guard_start(struct restore *x, struct cr_err *e)
{
	x->guard = mmap(NULL, sizeof(*x->guard), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (x->guard == MAP_FAILED) {
		x->guard = NULL;
		return cr_err_nomem(e);
	}
	/* Not a pid that the tree wants. */
	x->guard_pid = tree_clone_spare(x, 0);
	if (!x->guard_pid)
		watch(x);
	if (x->guard_pid < 0)
		return cr_err_fork(e, (int)-x->guard_pid, "guard");
	return 0;
}

void guard_wrote_pidfile(struct restore *x)
{
	__atomic_store_n(&x->guard->pidfile, 1, __ATOMIC_SEQ_CST);
}

void guard_hold(struct restore *x)
{
	set_word(&x->guard->asked);
	for (int ms = 0; !get_word(&x->guard->ready) && ms < READY_S * 1000; ms += ASK_MS)
		wait_word(&x->guard->ready, 0, ASK_MS);
}

void guard_stands(struct restore *x)
{
	__atomic_store_n(&x->guard->stands, 1, __ATOMIC_SEQ_CST);
}

void guard_end(struct restore *x)
{
	if (x->guard_pid <= 0)
		return;
	guard_stands(x);
	/* It waits for ever otherwise, and so should we. */
	for (int tries = 0; kill(x->guard_pid, SIGKILL) && tries < 3; tries++)
		;
	while (waitpid(x->guard_pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	x->guard_pid = 0;
}
