/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends a collector that is blocked for good. */
#ifndef CR_COLLECT_WATCHDOG_H
#define CR_COLLECT_WATCHDOG_H

#include <stdatomic.h>

#include "base/err.h"

struct watchdog {
	_Atomic(const char *) step; /* what is being done; NULL: the work is over; or the watchdog is reporting */
	/*
	 * Called once, on a thread of the watchdog's, when the work is blocked: reports. The process ends behind it;
	 * the main thread, should it go on, waits for that in watchdog_step().
	 */
	void (*blocked)(void *ctx, const struct cr_err *e);
	void *ctx;
	int main_tid;
};

enum { WATCHDOG_SECONDS = 10 };

/* Watch the calling thread. @w: lives as long as the process. Without threads (-EAGAIN) the work goes on unwatched. */
void watchdog_start(struct watchdog *w);
/* Begin a step. @name: NULL: the work is over. Does not return if the watchdog is reporting. */
void watchdog_step(struct watchdog *w, const char *name);

#endif
