/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends a collector that is blocked for good. */
#ifndef CR_COLLECT_WATCHDOG_H
#define CR_COLLECT_WATCHDOG_H

#include <stdatomic.h>

#include "base/err.h"

struct watchdog {
	_Atomic(const char *) step; /* what is being done; NULL: the work is over, do not bark */
	/*
	 * Called once, on a thread of the watchdog's, when the work is blocked: reports, and does not return to it. The
	 * process ends behind it.
	 */
	void (*blocked)(void *ctx, const struct cr_err *e);
	void *ctx;
	int main_tid;
};

enum { WATCHDOG_SECONDS = 10 };

/* Watch the calling thread. @w: lives as long as the process. Without threads (-EAGAIN) the work goes on unwatched. */
void watchdog_start(struct watchdog *w);

#endif
