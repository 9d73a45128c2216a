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
#include "tasks.h"

const struct dump_hook *const collect_order[] = {
	&ns_dump,	    /* cheap refusals first */
	&lsm_dump,	    /* likewise */
	&seccomp_dump,	    /* needs nothing */
	&cgroup_dump,	    /* needs nothing */
	&threads_hand_over, /* criu-parasite waits for it: needs seccomp and cgroup */
	&ids_dump,	    /* ids of namespaces and tables go into one image: needs ns */
	&mm_dump,	    /* the program's file gets the first id */
	&mm_hand_over,	    /* criu-pages waits for it */
	&files_dump,	    /* needs the ids of tables */
	&fs_dump,	    /* names files */
	&files_end_dump,    /* after the last that names files */
	&extra_dump,	    /* needs nothing */
	NULL,
};

/* seccomp, extra: what they see, the holder or the tasks tell. */
const struct dump_hook *const dry_order[] = {
	&ns_dump, &lsm_dump, &cgroup_dump, &ids_dump, &mm_dump, &files_dump, &fs_dump, &files_end_dump, NULL,
};
