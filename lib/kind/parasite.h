/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the dump halves of the kinds share with criu-parasite: a thread whose core image is being made. Each kind asks
 * for system calls in the thread first; all calls of all kinds are made in one batch; then each kind fills its part of
 * the image. tools/criu-parasite/order.c says in which order.
 */
#ifndef CR_KIND_PARASITE_H
#define CR_KIND_PARASITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "hold/batch.h"
#include "hold/client.h"
#include "image/manifest.h"
#include "image/stage.h"
#include "proc/stat.h"
#include "proc/status.h"

struct CoreEntry;
struct xsave_layout;

/* One live process. */
struct para_proc {
	pid_t pid;
	int proc; /* /proc/PID */
	struct hold *hold;
	struct hold_scratch scratch;
	struct arena *arena; /* until the process is done */
	struct stage_facts *facts;
	struct cr_report *refusals; /* a kind adds to it and goes on */
	const struct xsave_layout *xsave;
	struct proc_stat stat;	/* of the leader */
	uint64_t sa_no_restart; /* signals whose handlers end system calls with EINTR; known once the leader is done */
};

/* One of its threads. */
struct para_thread {
	struct para_proc *p;
	pid_t tid;
	bool leader;
	const struct hold_task *task;
	const struct stage_thread *stage; /* NULL: criu-collect left nothing */
	const struct hold_regs *regs;
	const struct proc_status *status;
	const char *comm;
	struct arena *arena;	/* until the thread's image is written */
	struct CoreEntry *core; /* thread_core is there, tc too for the leader */
};

struct para_hook {
	const char *name;
	/* Add calls to @b. @priv: zeroed, @priv_size bytes; for indexes and offsets. NULL: no calls. */
	int (*ask)(struct para_thread *t, struct hold_batch *b, void *priv, struct cr_err *e);
	/* The calls are made: fill t->core. Refusals go to t->p->refusals and are no errors. */
	int (*fill)(struct para_thread *t, const struct hold_batch *b, const void *priv, struct cr_err *e);
	size_t priv_size;
	const char *why_here;
};

/* "task 12 (bash)" or "thread 13 of task 12 (bash)". Return: @buf. */
const char *para_name(const struct para_thread *t, char buf[128]);
/* Note that something of @t cannot be carried: puts its name before @e->object. Return: 0 or -ENOMEM. */
int para_refuse(const struct para_thread *t, struct cr_err *e);

#endif
