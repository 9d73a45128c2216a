/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/cgroup (cgroups(7)): "ID:CONTROLLERS:PATH" lines. */
#ifndef CR_PROC_CGROUP_H
#define CR_PROC_CGROUP_H

#include <stddef.h>

/* The strings point into the text. */
struct proc_cgroup {
	unsigned hierarchy;	 /* 0: the unified one */
	const char *controllers; /* "cpu,cpuacct", "name=systemd"; "" for cgroup2 */
	const char *path;	 /* as seen from the reader's cgroup namespace */
};

/*
 * Parse the line at *@text and go on to the next. The text is changed (NULs at the ends).
 * @text: NUL-terminated
 * Return: 1; 0 at the end; -EINVAL.
 */
int proc_cgroup_next(char **text, struct proc_cgroup *ret);

/*
 * The directory of a cgroup, where its hierarchy is mounted.
 * @mounts: text of mountinfo
 * @name: controllers of the hierarchy (the first counts: each is in one only), "" for cgroup2
 * Return: 0; -ENOENT: not mounted here; -ENAMETOOLONG; -ENOMEM
 */
int proc_cgroup_dir(const char *mounts, const char *name, const char *path, char *ret, size_t size);

#endif
