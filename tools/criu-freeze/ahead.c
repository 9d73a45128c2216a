/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stages that are started ahead are children of who holds the lease. One that ended before it could connect (no memory, a
 * configuration file that it alone could not read) would otherwise be waited for until the time is over.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "freeze.h"
#include "holder.h"
#include "proc/stat.h"

bool ahead_lives(pid_t parent, const char *name)
{
	char path[64], list[8192], *p = list, *end;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	if (read_buf_at(AT_FDCWD, path, list, sizeof(list)) <= 0)
		return true; /* it cannot be told */
	for (long pid; (pid = strtol(p, &end, 10)) > 0; p = end) {
		_cleanup_close_ int proc = open_proc_pid((pid_t)pid);
		struct proc_stat st;

		if (proc < 0 || proc_stat_read(proc, "stat", &st) || st.state == 'Z' || st.state == 'X')
			continue;
		/* Another program than ours may be it, before its exec. */
		if (!strcmp(st.comm, name) || strncmp(st.comm, "criu-", 5) != 0)
			return true;
	}
	return false;
}
