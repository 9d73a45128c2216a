/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the main process while tasks restore themselves, and the end.
 *
 * Tasks report by a counter in shared memory; the one that completes a stage wakes us. A task that dies without a word
 * is found by looking, once in a while that nothing happens.
 *
 * When all threads exist, each is seized with PTRACE_O_EXITKILL (they die with us from then on) and, where it has
 * filters, PTRACE_O_SUSPEND_SECCOMP. When all are parked, each is stopped, the leader unmaps the blob's area by a last
 * system call, and gets its registers and signal mask by ptrace: no signal frame is needed, and restarts of system
 * calls come out as the image has them. Then all are let go.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "bare/arch/x86_64/restart.h"
#include "core.pb-c.h"
#include "proc/stat.h"
#include "restore.h"
#include "trace/trace.h"

enum { LOOK_MS = 100, RSEQ_CS_OFFSET = 8 };

static enum cr_code code_of(const struct rst_blob_fail *f)
{
	if (f->nr == SYS_clone3 && f->ret == -EEXIST)
		return CR_E_PID_TAKEN;
	if (f->nr == SYS_clone3 && f->ret == -EAGAIN)
		return CR_E_LIMIT_PROCESSES;
	return f->ret == -ENOMEM ? CR_E_NOMEM : f->ret == -EPERM ? CR_E_PRIVILEGE : CR_E_RESTORE_TASK;
}

static int blob_failure(const struct restore *x, struct cr_err *e)
{
	const struct rst_blob_fail *f = &x->rst.sync->fail;
	int k = plan_find(&x->plan, f->pid);
	char who[128], task[64] = "a task";

	if (k != PLAN_NONE)
		plan_who(&x->plan.tasks[k], task, sizeof(task));
	if (f->tid != f->pid)
		snprintf(who, sizeof(who), "%s, thread %d", task, f->tid);
	else
		snprintf(who, sizeof(who), "%s", task);
	return cr_err_set(e, code_of(f), (int)-f->ret, who, "%s (system call %u, arguments %#llx %#llx %#llx)",
			  (const char *)f->label, f->nr, (unsigned long long)f->a[0], (unsigned long long)f->a[1],
			  (unsigned long long)f->a[2]);
}

/* Has anybody told of a failure? The teller needs a moment to fill the record. */
static int failure(struct restore *x, struct cr_err *e)
{
	const struct timespec moment = { 0, 1000000 };

	if (!__atomic_load_n(&x->rst.sync->failed, __ATOMIC_ACQUIRE))
		return 0;
	for (int i = 0; i < 1000; i++) {
		if (__atomic_load_n(&x->rst.sync->fail.set, __ATOMIC_ACQUIRE))
			return blob_failure(x, e);
		if (__atomic_load_n(&x->rst.shared->ready, __ATOMIC_ACQUIRE)) {
			*e = x->rst.shared->err;
			return e->err ? -e->err : -EINVAL;
		}
		nanosleep(&moment, NULL);
	}
	return cr_err_set(e, CR_E_RESTORE_TASK, 0, "a task", "it failed without saying why");
}

static bool is_live(const struct plan_task *t)
{
	return t->state == PLAN_LIVE || t->state == PLAN_STOPPED;
}

/* What /proc says of a task that has ended. Any other error tells nothing: it is looked at again soon. */
static bool is_gone(int err)
{
	return err == -ENOENT || err == -ESRCH;
}

/*
 * What somebody's SIGSTOP stopped under our trace goes on: nobody else can let it, and the others wait for it. It stops when
 * we let go of it.
 */
static void pass_stops(void)
{
	struct trace_event ev;
	pid_t tid;

	while (trace_next_stop(&tid, &ev) && !trace_cont(tid, ev.kind == TRACE_SIGNAL ? ev.sig : 0))
		;
}

/* A task that is gone, or a zombie though it should live. */
static int look(struct restore *x, struct cr_err *e)
{
	char who[64];

	/* Until all have joined their groups, none may end; then those do that are to be zombies, and helpers. */
	bool all = __atomic_load_n(&x->rst.sync->stage, __ATOMIC_ACQUIRE) < STAGE_JOINED;

	for (size_t i = 0; i < (all ? x->plan.nr : x->plan.nr_images); i++) {
		const struct plan_task *t = &x->plan.tasks[i];
		_cleanup_close_ int proc = -1;
		struct proc_stat st = {};
		int err;

		if ((!all && !is_live(t)) || !__atomic_load_n(&x->slots[i].created, __ATOMIC_ACQUIRE))
			continue;
		proc = open_proc_pid(t->pid);
		err = proc < 0 ? proc : proc_stat_read(proc, "stat", &st);
		if (err ? !is_gone(err) : st.state != 'Z' && st.state != 'X')
			continue;
		if (failure(x, e))
			return -EINVAL;
		plan_who(t, who, sizeof(who));
		if (st.exit_code & 0x7f)
			return cr_err_set(e, CR_E_RESTORE_TASK, 0, who,
					  "it was killed by signal %d while it was restored", st.exit_code & 0x7f);
		return cr_err_set(e, CR_E_RESTORE_TASK, 0, who, "it ended with status %d while it was restored",
				  st.exit_code >> 8 & 0xff);
	}
	return 0;
}

void resume_stage(struct restore *x, uint32_t stage, uint32_t n)
{
	static const char *const reached[] = {
		[STAGE_CREATED] = "all tasks are made",
		[STAGE_JOINED] = "all tasks are in their process groups",
		[STAGE_FILES] = "all descriptors are in place",
		[STAGE_THREADS] = "all threads are made and traced",
	};

	log_debug("%s; the next step is done by %u tasks", reached[stage], n);
	__atomic_store_n(&x->rst.sync->count, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&x->rst.sync->target, n, __ATOMIC_RELEASE);
	rst_wake(&x->rst.sync->stage, stage);
}

int resume_wait(struct restore *x, uint32_t n, struct cr_err *e)
{
	const struct timespec look_after = { 0, LOOK_MS * 1000000l };
	uint32_t now;
	int err;

	while ((now = __atomic_load_n(&x->rst.sync->count, __ATOMIC_ACQUIRE)) < n) {
		if (failure(x, e))
			return -EINVAL;
		if (syscall(SYS_futex, &x->rst.sync->count, FUTEX_WAIT, now, &look_after, NULL, 0) &&
		    errno == ETIMEDOUT) {
			pass_stops();
			err = look(x, e);
			if (err)
				return err;
		}
	}
	return failure(x, e);
}

static int trace_failed(const struct plan_task *t, pid_t tid, int err, const char *what, struct cr_err *e)
{
	char who[64], object[128];

	snprintf(object, sizeof(object), "%s, thread %d", plan_who(t, who, sizeof(who)), tid);
	return cr_err_set(e, CR_E_RESTORE_TASK, -err, object, "%s", what);
}

/* Calls @f for every thread until one fails. Leaders come last: a leader that has died is not seen before its threads. */
static int each_thread(struct restore *x,
		       int (*f)(struct restore *, size_t, const struct plan_thread *, struct cr_err *),
		       struct cr_err *e)
{
	int err = 0;

	for (size_t i = 0; !err && i < x->plan.nr_images; i++)
		for (size_t k = is_live(&x->plan.tasks[i]) ? x->plan.tasks[i].nr_threads : 0; !err && k-- > 0;)
			err = f(x, i, &x->plan.tasks[i].threads[k], e);
	return err;
}

static unsigned seccomp_option(const struct plan_thread *th)
{
	const ThreadCoreEntry *tc = th->core->thread_core;

	return tc->has_seccomp_mode && tc->seccomp_mode ? TRACE_O_SUSPEND_SECCOMP : 0;
}

static int seize_one(struct restore *x, size_t i, const struct plan_thread *th, struct cr_err *e)
{
	int err;

	if (i == 0 && th->tid == x->plan.tasks[0].pid && x->root_traced)
		return 0;
	err = trace_seize(th->tid, TRACE_O_EXITKILL | seccomp_option(th));
	return err ? trace_failed(&x->plan.tasks[i], th->tid, err, "cannot be traced", e) : 0;
}

int resume_seize(struct restore *x, struct cr_err *e)
{
	return each_thread(x, seize_one, e);
}

static int interrupt_one(struct restore *x, size_t i, const struct plan_thread *th, struct cr_err *e)
{
	int err = trace_interrupt(th->tid);

	return err ? trace_failed(&x->plan.tasks[i], th->tid, err, "cannot be stopped", e) : 0;
}

/*
 * The next stop of a thread, or its end. The end of a leader is not told before its other threads, which we trace, have
 * been waited for: so it is looked for.
 */
static int wait_stop(pid_t tid, struct trace_event *ev)
{
	const struct timespec moment = { 0, LOOK_MS * 1000000l };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (;;) {
		int err = trace_wait(tid, true, ev);
		_cleanup_close_ int proc = -1;
		struct proc_stat st;

		if (err || ev->kind != TRACE_RUNNING)
			return err;
		if (sigtimedwait(&set, NULL, &moment) >= 0 || errno != EAGAIN)
			continue;
		proc = open_proc_pid(tid);
		err = proc < 0 ? proc : proc_stat_read(proc, "stat", &st);
		if (err ? is_gone(err) : st.state == 'Z' || st.state == 'X')
			return -ESRCH;
	}
}

/* A signal on the way to the stop is taken as if we were not there: the interrupt that was asked for comes behind it. */
static int stop_one(struct restore *x, size_t i, const struct plan_thread *th, struct cr_err *e)
{
	struct trace_event ev;
	int err = wait_stop(th->tid, &ev);

	while (!err && ev.kind != TRACE_STOP && ev.kind != TRACE_GROUP) {
		err = ev.kind == TRACE_DEAD ? -ESRCH : trace_cont(th->tid, ev.kind == TRACE_SIGNAL ? ev.sig : 0);
		if (!err)
			err = wait_stop(th->tid, &ev);
	}
	return err ? trace_failed(&x->plan.tasks[i], th->tid, err, "does not stop", e) : 0;
}

/* The last call of a leader: unmap the area that it stands in. @step: 0 up to the call, 1 into it, 2 its result */
static int unmap_step(struct restore *x, size_t i, int step)
{
	const struct task_slot *s = &x->slots[i];
	pid_t pid = x->plan.tasks[i].pid;
	struct user_regs_struct r;
	struct trace_event ev;
	int err;

	if (step) {
		err = wait_stop(pid, &ev);
		/* It was stopped by a signal, too, and the interrupt is told once more. */
		while (!err && (ev.kind == TRACE_STOP || ev.kind == TRACE_GROUP)) {
			err = trace_cont_syscall(pid);
			if (!err)
				err = wait_stop(pid, &ev);
		}
		if (err || ev.kind != TRACE_SYSCALL)
			return err ? err : -ESRCH;
		if (step == 1)
			return trace_cont_syscall(pid);
		err = trace_get_regs(pid, &r);
		return err ? err : (int)r.rax;
	}
	err = trace_get_regs(pid, &r);
	if (err)
		return err;
	r.rip = s->insn;
	r.rax = SYS_munmap;
	r.orig_rax = (unsigned long long)-1; /* no restart of the wait that it was parked in */
	r.rdi = s->area;
	r.rsi = s->area_len;
	err = trace_set_regs(pid, &r);
	return err ? err : trace_cont_syscall(pid);
}

/* All tasks go through it side by side. They stay in the stop at the exit of the call, where registers can be set. */
static int unmap_areas(struct restore *x, struct cr_err *e)
{
	int err = 0;

	for (int step = 0; step < 3; step++)
		for (size_t i = 0; i < x->plan.nr_images; i++) {
			const struct plan_task *t = &x->plan.tasks[i];

			if (is_live(t) && (err = unmap_step(x, i, step)))
				return trace_failed(t, t->pid, err, "the last call (munmap)", e);
		}
	return 0;
}

static uint64_t mask_of(const struct plan_task *t, const CoreEntry *core)
{
	if (core->thread_core->has_blk_sigset)
		return core->thread_core->blk_sigset;
	return core->tc ? core->tc->blk_sigset : t->core->tc->blk_sigset;
}

/* In a restartable sequence: the kernel shall find that, and abort it, when the thread runs. */
static int poke_rseq(const struct plan_thread *th)
{
	const RseqEntry *r = th->core->thread_core->rseq_entry;
	struct iovec from, to;

	if (!r || !r->has_rseq_cs_pointer || !r->rseq_cs_pointer)
		return 0;
	from = (struct iovec){ (void *)&r->rseq_cs_pointer, sizeof(r->rseq_cs_pointer) };
	to = (struct iovec){ (void *)(r->rseq_abi_pointer + RSEQ_CS_OFFSET), sizeof(r->rseq_cs_pointer) };
	return process_vm_writev(th->tid, &from, 1, &to, 1, 0) < 0 ? -errno : 0;
}

static int set_one(struct restore *x, size_t i, const struct plan_thread *th, struct cr_err *e)
{
	static uint8_t xsave[XSAVE_MAX] __attribute__((aligned(64)));
	struct user_regs_struct regs;
	uint64_t gpr[27];
	int err;

	_Static_assert(sizeof(regs) == sizeof(gpr), "user_regs_struct");
	if (x->xsave.size > sizeof(xsave))
		return cr_err_set(e, CR_E_CPU, 0, "extended CPU state",
				  "that of this CPU takes %u bytes, more than is known here", x->xsave.size);
	err = core_regs_from_image(th->core->thread_info, &x->xsave, gpr, xsave, sizeof(xsave), e);
	if (err)
		return err;
	gpr[GPR_ORIG_RAX] = (uint64_t)-1; /* in no system call: nothing to restart */
	memcpy(&regs, gpr, sizeof(regs));
	err = trace_set_regs(th->tid, &regs);
	if (!err)
		err = trace_set_xstate(th->tid, xsave, x->xsave.size);
	if (!err)
		err = trace_set_sigmask(th->tid, mask_of(&x->plan.tasks[i], th->core));
	if (!err)
		err = poke_rseq(th);
	return err ? trace_failed(&x->plan.tasks[i], th->tid, err, "its registers cannot be set", e) : 0;
}

int resume_prepare(struct restore *x, struct cr_err *e)
{
	struct sigaction hear = { .sa_handler = SIG_DFL }, old_action;
	sigset_t set, old;
	bool changed;
	int err;

	/* Every stop sends one: wait_stop(). */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	changed = !sigaction(SIGCHLD, &hear, &old_action);
	err = each_thread(x, interrupt_one, e);
	if (!err)
		err = each_thread(x, stop_one, e);
	if (!err)
		err = unmap_areas(x, e);
	if (!err)
		err = each_thread(x, set_one, e);
	if (changed)
		sigaction(SIGCHLD, &old_action, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return err;
}

/* The thread outlives us from now on. */
static int keep_one(struct restore *x, size_t i, const struct plan_thread *th, struct cr_err *e)
{
	int err = trace_set_options(th->tid, seccomp_option(th));

	return err ? trace_failed(&x->plan.tasks[i], th->tid, err, "it died before it could run", e) : 0;
}

/* A thread that was let go before may have ended the process already; its end is seen by the tracer first. */
static int detach_one(struct restore *x, size_t i, const struct plan_thread *th, struct cr_err *e)
{
	int err = trace_detach(th->tid, 0);
	struct trace_event ev;

	if (err && err != -ESRCH)
		return trace_failed(&x->plan.tasks[i], th->tid, err, "cannot be let go", e);
	/* The root's end is for whoever waits for it. */
	if (err && th->tid != x->plan.tasks[0].pid)
		trace_wait(th->tid, false, &ev);
	return 0;
}

/* Until a task that was sent SIGSTOP stands: "stopped" shall be true when the restore returns. */
static void await_stop(pid_t pid)
{
	const struct timespec moment = { 0, 500000 };
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_stat st;

	for (int i = 0; i < 2000 && proc >= 0 && !proc_stat_read(proc, "stat", &st) && st.state != 'T'; i++)
		nanosleep(&moment, NULL);
}

int resume_go(struct restore *x, struct cr_err *e)
{
	int err;

	for (size_t i = 0; i < x->plan.nr_images; i++) {
		const struct plan_task *t = &x->plan.tasks[i];

		/* It waits for the thread to come out of its trace stop, before any instruction of the program. */
		if (is_live(t) && (t->state == PLAN_STOPPED || x->opts.leave_stopped))
			kill(t->pid, SIGSTOP);
	}
	guard_hold(x);
	err = each_thread(x, keep_one, e);
	if (err)
		return err;
	guard_stands(x);
	err = each_thread(x, detach_one, e);
	for (size_t i = 0; !err && x->opts.leave_stopped && i < x->plan.nr_images; i++)
		if (is_live(&x->plan.tasks[i]))
			await_stop(x->plan.tasks[i].pid);
	return err;
}
