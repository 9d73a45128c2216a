/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Membership in cgroups. */
#ifndef CR_CGROUP_CGROUP_H
#define CR_CGROUP_CGROUP_H

struct dump_hook;

enum { CGROUP_OWN_SET = 1 }; /* inventory.root_cg_set: the cgroups that criu-collect itself is in */

/* Fills cg_set of all threads; writes cgroup.img unless all tasks are in our own cgroups. */
extern const struct dump_hook cgroup_dump;

#endif
