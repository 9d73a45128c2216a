/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In which order the kinds fill a core image; nothing else decides it. */
#include "thread.h"

#include "kind/core/core-dump.h"
#include "kind/cred/cred-dump.h"
#include "kind/sched/sched-dump.h"
#include "kind/sig/sig-dump.h"
#include "kind/task/task-dump.h"
#include "kind/timer/timer-dump.h"

const struct para_hook *const para_order[] = {
	&task_para_hook,
	&sig_para_hook,
	&core_para_hook, /* needs the handlers */
	&cred_para_hook,
	&sched_para_hook,
	&timer_para_hook, /* makes batches of its own, last */
	NULL,
};
