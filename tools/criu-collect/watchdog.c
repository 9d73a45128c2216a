/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a held tree may serve a file system that we look at (FUSE, autofs, fanotify's permission
 * events). It is stopped, so an access of ours would wait for ever, and in a way that no signal but SIGKILL ends. A
 * thread looks once a second at the CPU time of the one that works: if it does not move for ten seconds, the work is
 * blocked. The thread then reports what the main thread was doing and ends the process.
 */
#include "watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* The clock of another thread: clock_getcpuclockid(3) does this for processes. */
static clockid_t thread_clock(int tid)
{
	return (clockid_t)((~(unsigned)tid << 3) | 6); /* CPUCLOCK_SCHED | CPUCLOCK_PERTHREAD_MASK */
}

static const char barked[] = "barked";

void watchdog_step(struct watchdog *w, const char *name)
{
	const char *was = atomic_load(&w->step);

	while (was != barked)
		if (atomic_compare_exchange_weak(&w->step, &was, name))
			return;
	for (;;)
		pause();
}

static void *watch(void *arg)
{
	const struct timespec second = { .tv_sec = 1 };
	struct watchdog *w = arg;
	struct timespec last = { 0 }, now;
	struct cr_err e = { 0 };
	unsigned still = 0;
	const char *step;

	/*
	 * A table of its own: as long as two threads share one, the kernel waits milliseconds (synchronize_rcu) each
	 * time the table grows, and every system call on a descriptor counts references.
	 */
	unshare(CLONE_FILES);
	while (still < WATCHDOG_SECONDS) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &second, NULL);
		if (clock_gettime(thread_clock(w->main_tid), &now))
			return NULL;
		still = now.tv_sec == last.tv_sec && now.tv_nsec == last.tv_nsec ? still + 1 : 0;
		last = now;
	}
	step = atomic_load(&w->step);
	while (step && !atomic_compare_exchange_weak(&w->step, &step, barked))
		;
	if (!step)
		return NULL;
	cr_err_set(&e, CR_E_BLOCKED, ETIMEDOUT, "criu-collect", "step \"%s\" has been blocked for %d seconds", step,
		   WATCHDOG_SECONDS);
	w->blocked(w->ctx, &e);
	_exit(cr_code_exit(CR_E_BLOCKED));
}

void watchdog_start(struct watchdog *w)
{
	pthread_attr_t attr;
	pthread_t t;

	w->main_tid = gettid();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_create(&t, &attr, watch, w);
	pthread_attr_destroy(&attr);
}
