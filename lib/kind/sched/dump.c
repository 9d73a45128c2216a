/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: scheduling belongs to the thread and is asked from outside: policy, real-time priority, nice.
 * The image has no room for the three times of SCHED_DEADLINE, and a thread that lost them would miss its deadlines
 * without notice: refused. (Affinity and the rest of what the image cannot hold is looked after by criu-collect.)
 */
#include "kind/sched/sched-dump.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core.pb-c.h"
#include "kind/parasite.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
#ifndef SCHED_RESET_ON_FORK
#define SCHED_RESET_ON_FORK 0x40000000
#endif

/* struct sched_attr, first version: sched_setattr(2) */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};
enum { ATTR_RESET_ON_FORK = 1 };

static int refuse_deadline(const struct para_thread *t, struct cr_err *e)
{
	cr_err_set(e, CR_E_SCHED_POLICY, 0, "", "it is scheduled by SCHED_DEADLINE, whose times the image cannot hold");
	cr_err_remedy(e, "give it another policy for the dump, for example: chrt --other --pid 0 %d", t->tid);
	return para_refuse(t, e);
}

static int sched_fill(struct para_thread *t, const struct hold_batch *b, const void *priv, struct cr_err *e)
{
	ThreadCoreEntry *th = t->core->thread_core;
	struct attr a = { 0 };
	char name[128];

	if (syscall(SYS_sched_getattr, t->tid, &a, sizeof(a), 0) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, para_name(t, name), "cannot read its scheduling policy");
	if (a.policy == SCHED_DEADLINE)
		return refuse_deadline(t, e);
	if (a.policy == SCHED_FIFO || a.policy == SCHED_RR) { /* has a nice value all the same, for later */
		th->has_sched_prio = true;
		th->sched_prio = a.priority;
		errno = 0;
		a.nice = getpriority(PRIO_PROCESS, (id_t)t->tid);
		if (a.nice == -1 && errno)
			return cr_err_set(e, CR_E_SYSTEM, errno, para_name(t, name), "cannot read its nice value");
	}
	th->has_sched_policy = true;
	th->sched_policy = a.policy | (a.flags & ATTR_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0);
	th->has_sched_nice = true;
	th->sched_nice = a.nice;
	return 0;
}

const struct para_hook sched_para_hook = { "sched", NULL, sched_fill, 0, "anywhere" };
