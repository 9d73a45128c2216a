/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "proc/mountinfo.h"

int proc_cgroup_next(char **text, struct proc_cgroup *ret)
{
	struct proc_cgroup c = { 0 };
	char *p = *text, *nl, *colon;
	unsigned long id = 0;

	if (!*p)
		return 0;
	nl = strchrnul(p, '\n');
	*text = *nl ? nl + 1 : nl;
	*nl = 0;
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		id = id * 10 + (unsigned long)(*p - '0');
		if (id > INT_MAX)
			return -EINVAL;
	}
	if (*p++ != ':')
		return -EINVAL;
	/* The name of a hierarchy holds no colon; a path may. */
	colon = strchr(p, ':');
	if (!colon || colon[1] != '/')
		return -EINVAL;
	*colon = 0;
	c.hierarchy = (unsigned)id;
	c.controllers = p;
	c.path = colon + 1;
	*ret = c;
	return 1;
}

int proc_cgroup_dir(const char *mounts, const char *name, const char *path, char *ret, size_t size)
{
	_cleanup_free_ char *copy = strdup(mounts), *first = strndup(name, strcspn(name, ","));
	struct proc_mount m;

	if (!copy || !first)
		return -ENOMEM;
	for (char *p = copy; proc_mountinfo_next(&p, &m) == 1;) {
		size_t root = strcmp(m.root, "/") ? strlen(m.root) : 0;

		if (!*first ? strcmp(m.fstype, "cgroup2")
			    : strcmp(m.fstype, "cgroup") || !proc_list_has(m.super, first))
			continue;
		if (strncmp(path, m.root, root) || (path[root] && path[root] != '/'))
			continue;
		return (size_t)snprintf(ret, size, "%s%s", m.mountpoint, path + root) < size ? 0 : -ENAMETOOLONG;
	}
	return -ENOENT;
}
