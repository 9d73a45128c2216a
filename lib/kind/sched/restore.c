/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scheduling policy, real-time priority and nice value of a thread (sched(7)). */
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "core.pb-c.h"
#include "kind/restore-task.h"

enum { CR_SCHED_BATCH = 3, CR_SCHED_IDLE = 5 };

int sched_check(const ThreadCoreEntry *th, const char *who, struct cr_err *e)
{
	uint32_t policy = th->has_sched_policy ? th->sched_policy : SCHED_OTHER;

	if (policy != SCHED_OTHER && policy != SCHED_FIFO && policy != SCHED_RR && policy != CR_SCHED_BATCH &&
	    policy != CR_SCHED_IDLE)
		return cr_err_set(e, CR_E_SCHED_POLICY, 0, who, "scheduling policy %u cannot be restored", policy);
	return 0;
}

void sched_emit(struct rst_prog *p, const struct rst_own *own, const ThreadCoreEntry *th)
{
	int policy = th->has_sched_policy ? (int)th->sched_policy : SCHED_OTHER;
	int nice = th->has_sched_nice ? th->sched_nice : 0;
	struct sched_param sp = { .sched_priority = th->has_sched_prio ? (int)th->sched_prio : 0 };

	if (policy != own->policy || sp.sched_priority)
		prog_sys_data(p, "scheduling policy", 1 << 2, SYS_sched_setscheduler, 0, (uint64_t)policy,
			      prog_data(p, &sp, sizeof(sp)));
	if (nice != own->nice)
		prog_sys(p, "nice value", SYS_setpriority, PRIO_PROCESS, 0, (uint64_t)(int64_t)nice);
}
