/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: scheduling belongs to the thread and is asked from outside: policy, real-time priority, nice.
 * The image has no room for the three times of SCHED_DEADLINE, and a thread that lost them would miss its deadlines
 * without notice: refused. (Affinity and the rest of what the image cannot hold is looked after by criu-collect.)
 */
#include "kind/sched/sched-dump.h"

#include <errno.h>
#include <sched.h>
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

static int sched_fill(struct para_thread *t, const struct hold_batch *b, const void *priv, struct cr_err *e)
{
	ThreadCoreEntry *th = t->core->thread_core;
	struct sched_param param = { 0 };
	int policy = (int)syscall(SYS_sched_getscheduler, t->tid);
	char name[128];
	int nice;

	if (policy < 0 || syscall(SYS_sched_getparam, t->tid, &param) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, para_name(t, name), "cannot read its scheduling policy");
	errno = 0;
	nice = getpriority(PRIO_PROCESS, (id_t)t->tid);
	if (nice == -1 && errno)
		return cr_err_set(e, CR_E_SYSTEM, errno, para_name(t, name), "cannot read its nice value");
	if ((policy & ~SCHED_RESET_ON_FORK) == SCHED_DEADLINE) {
		cr_err_set(e, CR_E_UNSUPPORTED, EOPNOTSUPP, "",
			   "it is scheduled by SCHED_DEADLINE, whose times the image cannot hold");
		cr_err_remedy(e, "give it another policy for the dump, for example: chrt --other --pid 0 %d", t->tid);
		return para_refuse(t, e);
	}
	th->has_sched_policy = true;
	th->sched_policy = (uint32_t)policy;
	th->has_sched_nice = true;
	th->sched_nice = nice;
	if (param.sched_priority) {
		th->has_sched_prio = true;
		th->sched_prio = (uint32_t)param.sched_priority;
	}
	return 0;
}

const struct para_hook sched_para_hook = { "sched", NULL, sched_fill, 0, "anywhere" };
