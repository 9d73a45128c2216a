/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CR_KIND_CGROUP_RESTORE_CGROUP_H
#define CR_KIND_CGROUP_RESTORE_CGROUP_H

#include "kind/restore.h"

/* --check-only: room for so many tasks and bytes of memory, from the directory of @procs (a cgroup.procs) upwards. */
int cgroup_check_room(struct rst *r, const char *procs, uint64_t tasks, uint64_t bytes, struct cr_err *e);

#endif
