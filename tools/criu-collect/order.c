/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In which order the kinds look at the tree; nothing else decides it (of descriptors: order-fd.c). */
#include "order.h"

#include "kind/cgroup/cgroup.h"
#include "kind/dump.h"
#include "kind/extra/extra.h"
#include "kind/file/dump.h"
#include "kind/fs/fs.h"
#include "kind/ids/ids.h"
#include "kind/lsm/lsm.h"
#include "kind/mm/mm.h"
#include "kind/ns/ns.h"
#include "kind/seccomp/seccomp.h"

const struct dump_hook *const collect_order[] = {
	&ns_dump,      &lsm_dump,	&ids_dump, /* namespace ids and table ids: needs ns */
	&mm_dump,			/* before any hook that makes calls in a task: nothing of ours is mapped yet */
	&files_dump,			/* needs ids */
	&fs_dump,      &files_end_dump, /* after the last dump_file_id() */
	&seccomp_dump, &cgroup_dump,	&extra_dump, NULL,
};
