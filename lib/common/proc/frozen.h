/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frozen cgroups (kernel: cgroup-v2.rst, cgroup.events; cgroup-v1/freezer-subsystem.rst): what is in one makes no step. */
#ifndef CR_PROC_FROZEN_H
#define CR_PROC_FROZEN_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the cgroup @dir (a path below a mount of any hierarchy), or one above it, is frozen. */
bool proc_cgroup_frozen(const char *dir);

/*
 * Is the process frozen?
 * @proc: its directory in /proc
 * @ret: path of the frozen cgroup's directory
 * Return: it is. False also where it cannot be seen (hierarchy not mounted here).
 */
bool proc_frozen(int proc, char *ret, size_t size);

#endif
