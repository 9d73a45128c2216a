/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core-TID.img of every thread and zombie. */
#ifndef CR_PARASITE_THREAD_H
#define CR_PARASITE_THREAD_H

#include <stddef.h>

#include "base/err.h"
#include "hold/client.h"
#include "image/manifest.h"
#include "image/stage.h"
#include "kind/parasite.h"

extern const struct para_hook *const para_order[]; /* order.c; NULL-terminated */

struct para_run {
	int img;
	struct hold *hold;
	struct stage_facts *facts;
	struct cr_report *refusals;
	const struct stage_thread *stage; /* by tid */
	size_t nr_stage;
};

/* All tasks of the holder's list: leaders stand before their threads. Return: 0 or -errno with @e. */
int para_dump(struct para_run *r, const struct hold_task *tasks, size_t n, struct cr_err *e);

#endif
