/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/frozen.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "proc/cgroup.h"
#include "proc/mountinfo.h"

enum { MOUNTS_MAX = 16 << 20, CGROUP_MAX = 1 << 16 };

static bool file_says(const char *dir, const char *file, const char *word)
{
	char path[4200], buf[256];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, file) >= sizeof(path))
		return false;
	return read_buf_at(AT_FDCWD, path, buf, sizeof(buf)) > 0 && strstr(buf, word);
}

bool proc_cgroup_frozen(const char *dir)
{
	return file_says(dir, "cgroup.events", "frozen 1") || file_says(dir, "freezer.state", "FR");
}

bool proc_frozen(int proc, char *ret, size_t size)
{
	_cleanup_free_ char *mounts = NULL, *groups = NULL;
	struct proc_cgroup line;

	if (read_file_at(proc, "cgroup", CGROUP_MAX, &groups) < 0 ||
	    read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTS_MAX, &mounts) < 0)
		return false;
	for (char *p = groups; proc_cgroup_next(&p, &line) == 1;)
		if ((!line.hierarchy || proc_list_has(line.controllers, "freezer")) &&
		    !proc_cgroup_dir(mounts, line.controllers, line.path, ret, size) && proc_cgroup_frozen(ret))
			return true;
	return false;
}
