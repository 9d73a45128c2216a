/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Letting a tree go: thaw, leave stopped, kill.
 *
 * Order of a thaw: what clients parked is undone, our memory is taken out of the tasks, interrupted calls that the stop
 * alone would turn into EINTR are rewound, stop signals are queued (for -s, and those that came while a thread worked
 * for us), then all are detached. A task that was stopped before falls back into its stop by itself: the kernel
 * remembers it for the process.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "holder.h"
#include "proc/stat.h"
#include "restart.h"
#include "trace/trace.h"

enum { KILL_TRIES = 3, KILL_WAIT_MS = 10000, REAP_WAIT_US = 400, REAP_LOOK_US = 100, UNMAP_STEP = 64 };

static bool stands(const struct hthread *t)
{
	return t->state == TH_HELD || t->state == TH_STOPPED;
}

void release_seized(struct holder *h)
{
	for (uint32_t i = 0; i < h->nr_threads; i++)
		if (h->thread[i].state != TH_ZOMBIE && h->thread[i].state != TH_GONE) {
			struct trace_event ev = { 0 };
			pid_t tid = h->thread[i].r.tid;

			/* One that has not stopped yet cannot be detached: our exit does it. */
			if (h->thread[i].state == TH_PENDING &&
			    (trace_wait(tid, true, &ev) || ev.kind == TRACE_RUNNING))
				continue;
			/* On its way to the stop: a signal that it was about to take stays its own. */
			trace_detach(tid, ev.kind == TRACE_SIGNAL ? ev.sig : 0);
		}
}

/* The thread that is to unmap our area; NULL: none stands, or one of them waits in a call of ours and will come back to it. */
static struct hthread *who_unmaps(struct holder *h, const struct hproc *p)
{
	struct hthread *first = NULL;

	for (uint32_t k = p->leader; k != NO_INDEX; k = h->thread[k].next) {
		struct hthread *t = &h->thread[k];

		if (!stands(t))
			continue;
		if (remote_home(&h->proc[t->proc].r, &t->r) == -ETIMEDOUT)
			return NULL;
		if (!first)
			first = t;
	}
	return first;
}

static void unmap_all(struct holder *h)
{
	struct remote_batch b[UNMAP_STEP];
	size_t n = 0;

	for (uint32_t i = 0; i < h->nr_order; i++) {
		struct hproc *p = &h->proc[h->order[i]];
		struct hthread *t = p->r.map ? who_unmaps(h, p) : NULL;

		if (!t)
			continue;
		b[n++] = (struct remote_batch){ .p = &p->r, .t = &t->r };
		if (n == UNMAP_STEP) {
			remote_unmap(b, n);
			n = 0;
		}
	}
	remote_unmap(b, n);
}

/* Is a signal pending that the thread would take? */
static bool has_signal(const struct remote_thread *t)
{
	siginfo_t q[32];

	for (int shared = 0; shared < 2; shared++) {
		ssize_t n = trace_peek_siginfo(t->tid, shared, 0, q, 32);

		for (ssize_t i = 0; i < n; i++)
			if (q[i].si_signo > 0 && !(t->sigmask & 1ull << (q[i].si_signo - 1)))
				return true;
	}
	return false;
}

/* epoll_wait(2) and its like show EINTR at a mere stop. The kernel restarts the others by itself. */
static void rewind_call(struct remote_thread *t)
{
	uint64_t gpr[GPR_COUNT];

	if (!t->loaded || (int64_t)t->home.rax != -K_EINTR || (int64_t)t->home.orig_rax < 0 ||
	    !restart_plain_eintr(t->home.orig_rax) || has_signal(t))
		return;
	memcpy(gpr, &t->home, sizeof(gpr));
	if (!restart_fix_up(gpr, RESTART_NO_HANDLER))
		return;
	memcpy(&t->home, gpr, sizeof(gpr));
	trace_set_regs(t->tid, &t->home);
}

static void queue_stops(struct holder *h, bool all)
{
	for (uint32_t i = 0; i < h->nr_order; i++) {
		struct hproc *p = &h->proc[h->order[i]];
		bool stop = all && h->thread[p->leader].state == TH_HELD;

		if (p->zombie)
			continue;
		for (uint32_t k = p->leader; k != NO_INDEX && !stop; k = h->thread[k].next)
			stop = h->thread[k].r.restop;
		if (stop)
			kill(p->pid, SIGSTOP);
	}
}

void release_thaw(struct holder *h, bool stopped, struct release *ret)
{
	for (unsigned c = 0; c < HOLDER_CLIENTS; c++)
		verb_unpark(h, c);
	unmap_all(h);
	for (uint32_t i = 0; i < h->nr_listed; i++)
		if (stands(&h->thread[h->list[i]]))
			rewind_call(&h->thread[h->list[i]].r);
	queue_stops(h, stopped);
	for (uint32_t i = 0; i < h->nr_listed; i++)
		if (stands(&h->thread[h->list[i]]))
			trace_detach(h->thread[h->list[i]].r.tid, 0);
	h->end_ns = holder_now();
	h->held = false;
	*ret = (struct release){ .frozen_ns = h->end_ns - h->first_ns };
}

/* SIGCHLD is blocked: one that came before this call ends it at once. */
static void await_child(long us)
{
	struct timespec ts = { 0, us * 1000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &ts);
}

/* Until all threads have died: the tracer hears of it before the parents do. */
static void reap_tracees(void)
{
	uint64_t end = holder_now() + KILL_WAIT_MS * 1000000ull;

	for (;;) {
		pid_t pid = waitpid(-1, NULL, __WALL | WNOHANG);

		if (pid < 0)
			return; /* ECHILD: none is left */
		if (pid)
			continue;
		if (holder_now() > end)
			return;
		/* An end is never missed by more than this, whatever becomes of the signal. */
		await_child(1000);
	}
}

static int32_t reaper_of(pid_t pid)
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_stat st;

	return proc < 0 || proc_stat_read(proc, "stat", &st) ? 0 : st.ppid;
}

/* One that lived on beside its checkpoint would be there twice. */
static void end_task(pid_t pid)
{
	for (int tries = KILL_TRIES; kill(pid, SIGKILL) && errno != ESRCH && tries; tries--)
		;
}

void release_kill(struct holder *h, struct release *ret)
{
	uint64_t end;

	for (unsigned c = 0; c < HOLDER_CLIENTS; c++)
		verb_unpark(h, c);
	for (uint32_t i = 0; i < h->nr_order; i++)
		if (!h->proc[h->order[i]].zombie)
			end_task(h->proc[h->order[i]].pid);
	h->end_ns = holder_now();
	h->held = false;
	reap_tracees();
	*ret = (struct release){ .frozen_ns = h->end_ns - h->first_ns };
	/*
	 * A parent that reaps at all has been woken by now. One that does not (a zombie of a program that ignores its
	 * children, a process 1 that looks now and then) is not worth a longer wait: criu-restore has patience.
	 */
	end = holder_now() + REAP_WAIT_US * 1000ull;
	for (;;) {
		pid_t first = 0;

		ret->unreaped = 0;
		for (uint32_t i = 0; i < h->nr_order; i++)
			if (!kill(h->proc[h->order[i]].pid, 0)) {
				ret->unreaped++;
				first = first ? first : h->proc[h->order[i]].pid;
			}
		if (!first)
			return;
		if (holder_now() > end) {
			ret->reaper = reaper_of(first);
			return;
		}
		await_child(REAP_LOOK_US);
	}
}
