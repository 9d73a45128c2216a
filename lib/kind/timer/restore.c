/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * Images hold how long each timer still has to go; clocks that a program reads go on by the time namespace. Timers are
 * armed as late as possible, by the leader, when all threads exist (SIGEV_THREAD_ID names one). A POSIX timer that has
 * no time to go but an interval was about to fire: it gets one nanosecond, as 0 would disarm it.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "core.pb-c.h"
#include "kind/restore-task.h"

static void itimer(struct rst_prog *p, int which, const ItimerEntry *it)
{
	struct itimerval v = {
		.it_interval = { (time_t)it->isec, (suseconds_t)it->iusec },
		.it_value = { (time_t)it->vsec, (suseconds_t)it->vusec },
	};

	/* Periodic and due when it was dumped (dump.c); setitimer(2) with the value 0 would switch it off. */
	if (!it->vsec && !it->vusec && (it->isec || it->iusec))
		v.it_value.tv_usec = 1;
	if (!it->vsec && !it->vusec && !it->isec && !it->iusec)
		return;
	prog_sys_data(p, "interval timer", 1 << 1, SYS_setitimer, (uint64_t)which, prog_data(p, &v, sizeof(v)), 0);
}

static void posix_timer(struct rst_prog *p, const PosixTimerEntry *t)
{
	struct itimerspec v = {
		.it_interval = { (time_t)t->isec, (long)t->insec },
		.it_value = { (time_t)t->vsec, (long)t->vnsec },
	};
	struct sigevent ev;

	memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = (int)t->it_sigev_notify;
	ev.sigev_signo = (int)t->si_signo;
	ev.sigev_value.sival_ptr = (void *)t->sival_ptr;
	if (t->it_sigev_notify & SIGEV_THREAD_ID)
		ev._sigev_un._tid = t->notify_thread_id;
	prog_op(p, RST_OP_TIMER, "POSIX timer", PROG_ARGS(t->clock_id, prog_data(p, &ev, sizeof(ev)), t->it_id))->nr =
		SYS_timer_create;
	if (!v.it_value.tv_sec && !v.it_value.tv_nsec && (v.it_interval.tv_sec || v.it_interval.tv_nsec))
		v.it_value.tv_nsec = 1;
	if (v.it_value.tv_sec || v.it_value.tv_nsec)
		prog_sys_data(p, "POSIX timer", 1 << 2, SYS_timer_settime, t->it_id, 0, prog_data(p, &v, sizeof(v)), 0);
}

void timer_emit(struct rst_prog *p, const TaskCoreEntry *tc)
{
	const TaskTimersEntry *t = tc->timers;
	const PosixTimerEntry *last = NULL;

	if (!t)
		return;
	itimer(p, ITIMER_REAL, t->real);
	itimer(p, ITIMER_VIRTUAL, t->virt);
	itimer(p, ITIMER_PROF, t->prof);
	/* The kernel counts on from the last id that it gave: make the highest last. Ids are unique (image validator).
	 */
	for (size_t done = 0; done < t->n_posix; done++) {
		const PosixTimerEntry *next = NULL;

		for (size_t i = 0; i < t->n_posix; i++)
			if ((!last || t->posix[i]->it_id > last->it_id) && (!next || t->posix[i]->it_id < next->it_id))
				next = t->posix[i];
		if (!next)
			return;
		posix_timer(p, next);
		last = next;
	}
}
