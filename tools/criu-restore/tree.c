/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * Each task is made by clone3 with its own pid (set_tid), as the plan says by whom. Tasks are plain forks of this
 * program: they have the plan by copy-on-write. What must not survive the restore's death is tied to it twice: each
 * task asks for SIGKILL when its parent dies, and the root is seized at once with PTRACE_O_EXITKILL, so a killed main
 * process takes the root along and the root all others.
 *
 * Signals are blocked from before the first clone to the last moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "core.pb-c.h"
#include "restore.h"
#include "trace/trace.h"

/* Return: pid in the creator, 0 in the new task, -errno. @tid 0: any. */
static pid_t clone_task(pid_t tid, uint64_t flags)
{
	struct clone_args ca = {
		.flags = flags,
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD, /* a sibling has its creator's: SIGCHLD as well */
		.set_tid = (uintptr_t)&tid,
		.set_tid_size = tid ? 1 : 0,
	};
	long ret = syscall(SYS_clone3, &ca, sizeof(ca));

	return ret < 0 ? -errno : (pid_t)ret;
}

static int clone_failed(pid_t pid, int err, struct cr_err *e)
{
	char what[32];

	if (err == -EEXIST)
		return pid_taken(pid, e);
	snprintf(what, sizeof(what), "pid %d", pid);
	if (err == -EAGAIN)
		return cr_err_fork(e, -err, what);
	if (err == -EINVAL)
		return cr_err_set(e, CR_E_PID_MAX, -err, what,
				  "clone3 does not take this pid; is it above /proc/sys/kernel/pid_max?");
	return cr_err_set(e, CR_E_SYSTEM, -err, what, "clone3 with a chosen pid");
}

pid_t tree_spare_pid(struct rst *r)
{
	struct restore *x = (struct restore *)((char *)r - offsetof(struct restore, rst));
	char buf[32];

	if (!x->spare) {
		x->spare = 32768;
		if (read_buf_at(AT_FDCWD, "/proc/sys/kernel/pid_max", buf, sizeof(buf)) > 0)
			x->spare = atoi(buf);
	}
	while (--x->spare > 1 && plan_find(&x->plan, x->spare) != PLAN_NONE)
		;
	return x->spare;
}

pid_t tree_clone_spare(struct restore *x, uint64_t flags)
{
	pid_t ret;

	x->spare = 0;
	do {
		ret = clone_task(tree_spare_pid(&x->rst), flags);
	} while (ret == -EEXIST && x->spare > 1);
	return ret;
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

/* The task is born by a process that is gone at once, so that it falls to its reaper, its parent from then on. */
static int create_orphan(struct restore *x, const struct plan_create *c, struct cr_err *e)
{
	const struct plan_task *t = &x->plan.tasks[c->task];
	pid_t between = tree_clone_spare(x, 0), pid;

	if (between < 0)
		return clone_failed(t->pid, between, e);
	if (!between) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		pid = clone_task(t->pid, 0);
		if (!pid)
			task_run(x, c->task, x->plan.tasks[t->parent].pid, true);
		if (pid < 0) {
			clone_failed(t->pid, pid, e);
			rst_fail(&x->rst, e);
		}
		__atomic_store_n(&x->slots[c->task].created, 1, __ATOMIC_RELEASE);
		_exit(0);
	}
	return reap(between) ? -ECANCELED : 0;
}

static int create(struct restore *x, const struct plan_create *c, struct cr_err *e)
{
	const struct plan_task *t = &x->plan.tasks[c->task];
	uint64_t flags = 0;
	pid_t pid;

	if (c->how == PLAN_ORPHAN)
		return create_orphan(x, c, e);
	if (c->how == PLAN_SIBLING)
		flags |= CLONE_PARENT;
	if (c->how == PLAN_FORK && t->files_first != c->task)
		flags |= CLONE_FILES;
	if (c->how == PLAN_FORK && t->fs_first != c->task)
		flags |= CLONE_FS;
	pid = clone_task(t->pid, flags);
	if (!pid)
		task_run(x, c->task, x->plan.tasks[t->parent].pid, false);
	if (pid < 0)
		return clone_failed(t->pid, pid, e);
	__atomic_store_n(&x->slots[c->task].created, 1, __ATOMIC_RELEASE);
	return 0;
}

static bool wants(const struct restore *x, const struct plan_create *c, bool before_setsid, bool cow)
{
	return c->before_setsid == before_setsid && (x->plan.tasks[c->task].cow && c->how == PLAN_FORK) == cow;
}

int tree_create(struct restore *x, bool before_setsid, bool cow, struct cr_err *e)
{
	const struct plan_task *t = &x->plan.tasks[x->me];
	int err = 0;

	for (size_t i = 0; !err && i < t->nr_creates; i++)
		if (wants(x, &t->creates[i], before_setsid, cow))
			err = create(x, &t->creates[i], e);
	return err;
}

bool tree_has(const struct restore *x, bool before_setsid, bool cow)
{
	const struct plan_task *t = &x->plan.tasks[x->me];

	for (size_t i = 0; i < t->nr_creates; i++)
		if (wants(x, &t->creates[i], before_setsid, cow))
			return true;
	return false;
}

int tree_make(struct restore *x, struct cr_err *e)
{
	const struct plan_task *t = &x->plan.tasks[0];
	bool sibling = x->opts.restore_sibling;
	const ThreadCoreEntry *th = t->core->thread_core;
	unsigned options = TRACE_O_EXITKILL;
	pid_t parent = sibling ? getppid() : x->rst.main_pid, pid;
	sigset_t all, old;
	int err;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	x->fork_us = clock_us();
	pid = clone_task(t->pid, sibling ? CLONE_PARENT : 0);
	if (!pid)
		task_run(x, 0, parent, false);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return clone_failed(t->pid, pid, e);
	__atomic_store_n(&x->slots[0].created, 1, __ATOMIC_RELEASE);
	if (th->has_seccomp_mode && th->seccomp_mode)
		options |= TRACE_O_SUSPEND_SECCOMP;
	err = trace_seize(pid, options);
	if (err) {
		char who[64];

		return cr_err_set(e, CR_E_PRIVILEGE, -err, plan_who(t, who, sizeof(who)), "cannot be traced");
	}
	x->root_traced = true;
	__atomic_store_n(&x->slots[0].traced, 1, __ATOMIC_RELEASE);
	return 0;
}

static void reap_killed(pid_t pid)
{
	int status;
	pid_t got;

	do {
		got = waitpid(pid, &status, __WALL);
		if (got > 0 && WIFSTOPPED(status))
			kill(got, SIGKILL);
	} while ((got > 0 && WIFSTOPPED(status)) || (got < 0 && errno == EINTR));
}

void tree_kill(struct restore *x)
{
	for (size_t i = 0; i < x->plan.nr; i++)
		if (__atomic_load_n(&x->slots[i].created, __ATOMIC_ACQUIRE))
			kill(x->plan.tasks[i].pid, SIGKILL);
	/* We are their reaper (PR_SET_CHILD_SUBREAPER) and the tracer of some. Parents come first, so the rest falls to
	 * us. */
	for (size_t i = 0; i < x->plan.nr; i++) {
		const struct plan_task *t = &x->plan.tasks[i];

		if (!__atomic_load_n(&x->slots[i].created, __ATOMIC_ACQUIRE))
			continue;
		/* A leader is not dead before its threads, and theirs the tracer has to take note of. */
		for (size_t k = 1; k < t->nr_threads; k++)
			reap_killed(t->threads[k].tid);
		reap_killed(t->pid);
	}
}
