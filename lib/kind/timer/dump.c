/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * Timers belong to the process. Interval timers are asked in the task (getitimer(2) of another task does not exist).
 * POSIX timers are listed by /proc/PID/timers with all that timer_create(2) was given; what is left of them and their
 * overruns is asked in the task, in batches of their own, as there can be many. All times are what is left, so the
 * clock goes on where it stopped. An expired timer whose signal is pending has its siginfo in the queue (kind `sig`).
 */
#include "kind/timer/timer-dump.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "kind/parasite.h"
#include "proc/timers.h"

enum { ITIMERS = 3, PER_BATCH = 64 }; /* 64 results of 32 bytes fit into a batch */
#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif

struct kernel_interval {
	int64_t interval[2], value[2]; /* seconds, then micro- or nanoseconds */
};

struct timer_priv {
	size_t call[ITIMERS], room[ITIMERS];
};

static int timer_ask(struct para_thread *t, struct hold_batch *b, void *priv, struct cr_err *e)
{
	struct timer_priv *k = priv;

	if (!t->leader)
		return 0;
	for (unsigned i = 0; i < ITIMERS; i++) { /* ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF */
		uint64_t at;

		k->room[i] = hold_batch_room(b, sizeof(struct kernel_interval), &at);
		k->call[i] = hold_batch_add(b, SYS_getitimer, i, at, 0, 0);
	}
	return 0;
}

static int failed(const struct para_thread *t, int64_t ret, const char *what, struct cr_err *e)
{
	char name[128];

	return cr_err_set(e, CR_E_SYSTEM, (int)-ret, para_name(t, name), "%s failed in it", what);
}

static void put_posix(PosixTimerEntry *p, const struct proc_timer *pt, const struct kernel_interval *left,
		      int64_t overrun)
{
	posix_timer_entry__init(p);
	p->it_id = (uint32_t)pt->id;
	p->clock_id = (uint32_t)pt->clock;
	p->si_signo = (uint32_t)pt->signal;
	p->it_sigev_notify = (uint32_t)pt->notify;
	p->sival_ptr = pt->value;
	p->overrun = overrun > 0 ? (uint32_t)overrun : 0;
	p->isec = (uint64_t)left->interval[0];
	p->insec = (uint64_t)left->interval[1];
	p->vsec = (uint64_t)left->value[0];
	p->vnsec = (uint64_t)left->value[1];
	if (pt->notify & SIGEV_THREAD_ID) {
		p->has_notify_thread_id = true;
		p->notify_thread_id = pt->tid;
	}
}

/* Timers @pt[0..n) to @ret, by one batch. */
static int posix_batch(struct para_thread *t, struct hold_batch *b, const struct proc_timer *pt, size_t n,
		       PosixTimerEntry *ret, struct cr_err *e)
{
	struct para_proc *p = t->p;
	size_t room[PER_BATCH];
	int err;

	hold_batch_begin(b, p->hold, p->pid, p->pid, &p->scratch);
	for (size_t i = 0; i < n; i++) {
		uint64_t at;

		room[i] = hold_batch_room(b, sizeof(struct kernel_interval), &at);
		hold_batch_add(b, SYS_timer_gettime, (uint64_t)pt[i].id, at, 0, 0);
		hold_batch_add(b, SYS_timer_getoverrun, (uint64_t)pt[i].id, 0, 0, 0);
	}
	err = hold_batch_run(b, e);
	for (size_t i = 0; i < n && !err; i++) {
		struct kernel_interval left;

		if (b->calls[2 * i].ret < 0)
			return failed(t, b->calls[2 * i].ret, "timer_gettime", e);
		memcpy(&left, b->data + room[i], sizeof(left));
		put_posix(&ret[i], &pt[i], &left, b->calls[2 * i + 1].ret);
	}
	return err;
}

static int posix_timers(struct para_thread *t, TaskTimersEntry *tt, struct cr_err *e)
{
	_cleanup_free_ struct proc_timer *pt = NULL;
	_cleanup_free_ struct hold_batch *b = NULL;
	ssize_t n = proc_timers_read(t->p->proc, &pt);
	PosixTimerEntry *v;
	char name[128];
	int err = 0;

	if (n == 0 || n == -ENOENT)
		return 0;
	if (n < 0)
		return cr_err_set(e, CR_E_SYSTEM, (int)-n, para_name(t, name), "cannot read its list of POSIX timers");
	b = malloc(sizeof(*b));
	v = arena_calloc(t->arena, (size_t)n, sizeof(*v));
	tt->posix = arena_calloc(t->arena, (size_t)n, sizeof(PosixTimerEntry *));
	if (!b || !v || !tt->posix)
		return cr_err_nomem(e);
	for (ssize_t i = 0; i < n && !err; i += PER_BATCH)
		err = posix_batch(t, b, pt + i, n - i < PER_BATCH ? (size_t)(n - i) : PER_BATCH, v + i, e);
	for (ssize_t i = 0; i < n; i++)
		tt->posix[i] = &v[i];
	tt->n_posix = (size_t)n;
	return err;
}

static int timer_fill(struct para_thread *t, const struct hold_batch *b, const void *priv, struct cr_err *e)
{
	const struct timer_priv *k = priv;
	TaskTimersEntry *tt;
	ItimerEntry *v;

	if (!t->leader)
		return 0;
	tt = arena_alloc(t->arena, sizeof(*tt));
	v = arena_calloc(t->arena, ITIMERS, sizeof(*v));
	if (!tt || !v)
		return cr_err_nomem(e);
	task_timers_entry__init(tt);
	for (unsigned i = 0; i < ITIMERS; i++) {
		struct kernel_interval left;

		if (b->calls[k->call[i]].ret < 0)
			return failed(t, b->calls[k->call[i]].ret, "getitimer", e);
		memcpy(&left, b->data + k->room[i], sizeof(left));
		itimer_entry__init(&v[i]);
		v[i].isec = (uint64_t)left.interval[0];
		v[i].iusec = (uint64_t)left.interval[1];
		v[i].vsec = (uint64_t)left.value[0];
		v[i].vusec = (uint64_t)left.value[1];
		/*
		 * A periodic ITIMER_REAL that is due is started again when its SIGALRM is taken (it_real_fn(),
		 * dequeue_signal() of Linux), and reads as 0 until then. An interval with the value 0 would be a timer
		 * that is off: it is due now.
		 */
		if ((v[i].isec || v[i].iusec) && !v[i].vsec && !v[i].vusec)
			v[i].vusec = 1;
	}
	tt->real = &v[0];
	tt->virt = &v[1];
	tt->prof = &v[2];
	t->core->tc->timers = tt;
	return posix_timers(t, tt, e);
}

const struct para_hook timer_para_hook = { "timer", timer_ask, timer_fill, sizeof(struct timer_priv), "anywhere" };
