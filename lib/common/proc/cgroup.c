/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

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
