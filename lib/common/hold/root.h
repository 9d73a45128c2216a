/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Can this process be the root of a tree to dump? Looks into /proc only. */
#ifndef CR_HOLD_ROOT_H
#define CR_HOLD_ROOT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * @shell_job: it need not lead a session
 * Return: 0, or -errno with @e: CR_E_NO_TASK, CR_E_THREAD_PID, CR_E_KERNEL_THREAD, CR_E_THREAD_LEADER_DEAD, CR_E_TASK_ENDED,
 *	CR_E_SELF_IN_TREE (of the caller's); CR_E_SESSION_OUTSIDE when all else is well.
 */
int root_check(pid_t pid, bool shell_job, struct cr_err *e);

#endif
