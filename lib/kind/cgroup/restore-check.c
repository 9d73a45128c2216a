/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is there room in a cgroup, and in all above it up to the mount: tasks (pids.max) and memory (memory.max, in the old
 * hierarchies memory.limit_in_bytes)? "max" and files that are not there are no limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "kind/cgroup/restore-cgroup.h"
#include "kind/restore-check.h"

/* A number in a file of the directory. Return: -1: none. */
static long long number(const char *dir, const char *file)
{
	char path[PATH_MAX], buf[64], *end;
	long long v;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path) ||
	    read_buf_at(AT_FDCWD, path, buf, sizeof(buf)) <= 0)
		return -1;
	v = strtoll(buf, &end, 10);
	return end == buf ? -1 : v;
}

static int room_for_tasks(struct rst *r, const char *dir, uint64_t need, struct cr_err *e)
{
	long long limit = number(dir, "pids.max"), used = number(dir, "pids.current");

	if (limit < 0 || used < 0 || (uint64_t)used + need <= (uint64_t)limit)
		return 0;
	cr_err_set(e, CR_E_LIMIT, 0, dir, "pids.max is %lld, %lld are used, the tree takes %llu more", limit, used,
		   (unsigned long long)need);
	cr_err_remedy(e, "raise pids.max of this cgroup");
	return rst_found(r, -EAGAIN, e);
}

/* What is used may be cache that is given back: only more than the whole is certain to fail. */
static int room_for_memory(struct rst *r, const char *dir, const char *max, const char *now, uint64_t need,
			   struct cr_err *e)
{
	long long limit = number(dir, max), used = number(dir, now);
	int err = 0;

	if (limit < 0 || used < 0 || (uint64_t)used + need <= (uint64_t)limit)
		return 0;
	cr_err_set(e, CR_E_MEMORY_SHORT, 0, dir, "%s is %lld MiB, %lld MiB are used, the images fill %llu MiB", max,
		   limit >> 20, used >> 20, (unsigned long long)need >> 20);
	cr_err_remedy(e, "raise %s of this cgroup", max);
	if (need > (uint64_t)limit)
		err = rst_found(r, -ENOMEM, e);
	else
		rst_doubt(r, e);
	return err;
}

int cgroup_check_room(struct rst *r, const char *procs, uint64_t tasks, uint64_t bytes, struct cr_err *e)
{
	char dir[PATH_MAX], file[PATH_MAX + 16], *slash;
	int err = 0;

	snprintf(dir, sizeof(dir), "%s", procs);
	while (!err && (slash = strrchr(dir, '/')) && slash != dir) {
		*slash = 0;
		snprintf(file, sizeof(file), "%s/cgroup.procs", dir);
		if (access(file, F_OK))
			break;
		err = room_for_tasks(r, dir, tasks, e);
		if (!err)
			err = room_for_memory(r, dir, "memory.max", "memory.current", bytes, e);
		if (!err)
			err = room_for_memory(r, dir, "memory.limit_in_bytes", "memory.usage_in_bytes", bytes, e);
	}
	return err;
}
