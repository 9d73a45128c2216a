/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes of namespaces and mounts. All happens in namespaces that end with the probe. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include <linux/openat2.h>

#include "base/fd.h"
#include "features.h"

/* One that has a user in it. */
enum probe_result probe_userns(struct probe *p)
{
	int err;

	if (unshare(CLONE_NEWUSER))
		return errno == ENOSPC || errno == EUSERS
			       ? probe_no(p, "user namespaces are switched off (user.max_user_namespaces)")
			       : probe_failed(p, "a new user namespace");
	err = write_file_at(AT_FDCWD, "/proc/self/setgroups", "deny");
	if (!err)
		err = write_file_at(AT_FDCWD, "/proc/self/uid_map", "0 0 1");
	if (err)
		return probe_error(p, "/proc/self/uid_map", err);
	return getuid() ? probe_no(p, "a mapped user id does not show") : PROBE_YES;
}

enum probe_result probe_cgroupns(struct probe *p)
{
	struct stat before, after;

	if (stat("/proc/self/ns/cgroup", &before))
		return probe_failed(p, "/proc/self/ns/cgroup");
	if (unshare(CLONE_NEWCGROUP) || stat("/proc/self/ns/cgroup", &after))
		return probe_failed(p, "a new cgroup namespace");
	return before.st_ino != after.st_ino ? PROBE_YES : probe_no(p, "the cgroup namespace stays the same");
}

/* The clock of a child jumps by an hour. */
enum probe_result probe_timens(struct probe *p)
{
	enum { NEWTIME = 0x80, JUMP = 3600 };
	struct timespec before, after;
	pid_t pid;
	int err;

	if (unshare(NEWTIME))
		return probe_failed(p, "a new time namespace");
	err = write_file_at(AT_FDCWD, "/proc/self/timens_offsets", "monotonic 3600 0");
	if (err)
		return probe_error(p, "/proc/self/timens_offsets", err);
	/* By system calls: the vDSO's data page of this process may have been moved. */
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before);
	pid = probe_fork();
	if (pid < 0)
		return probe_failed(p, "fork into a time namespace");
	if (!pid) {
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &after);
		_exit(after.tv_sec - before.tv_sec >= JUMP ? 0 : 1);
	}
	return probe_wait(pid) ? probe_no(p, "the clock does not follow its offset") : PROBE_YES;
}

enum probe_result probe_openat2(struct probe *p)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

	fd = (int)syscall(SYS_openat2, root, "..", &how, sizeof(how));
	return fd < 0 ? probe_failed(p, "openat2") : PROBE_YES;
}

/* Two mounts get into one group. Headers before 5.15 do not know the flag. */
enum probe_result probe_move_mount_set_group(struct probe *p)
{
	enum { SET_GROUP = 0x100 };

	if (probe_tmpfs() || mkdir("a", 0700) || mkdir("b", 0700) || mount("none", ".", NULL, MS_PRIVATE, NULL) ||
	    mount("criu-check", "a", "tmpfs", 0, "size=1m") || mount("none", "a", NULL, MS_SHARED, NULL) ||
	    mount("a", "b", NULL, MS_BIND, NULL) || mount("none", "b", NULL, MS_PRIVATE, NULL))
		return probe_failed(p, "mounts of the test");
	if (syscall(SYS_move_mount, AT_FDCWD, "a", AT_FDCWD, "b", SET_GROUP))
		return probe_failed(p, "move_mount MOVE_MOUNT_SET_GROUP");
	return PROBE_YES;
}

/* Does the line of a mapping have the device and inode that fstat(2) gives? */
static enum probe_result same_file(struct probe *p, const char *map, const struct stat *st)
{
	_cleanup_free_ char *text = NULL;
	char want[48], range[40];
	const char *line;
	ssize_t n = read_file_at(AT_FDCWD, "/proc/self/maps", 1 << 20, &text);

	if (n < 0)
		return probe_error(p, "/proc/self/maps", (int)n);
	snprintf(range, sizeof(range), "%lx-", (unsigned long)map);
	snprintf(want, sizeof(want), " %02x:%02x %lu ", major(st->st_dev), minor(st->st_dev),
		 (unsigned long)st->st_ino);
	line = strstr(text, range);
	if (!line)
		return probe_no(p, "the mapping is not in /proc/self/maps");
	line = strtok((char *)line, "\n");
	return strstr(line, want) ? PROBE_YES
				  : probe_no(p, "/proc/self/maps shows another file than the one that was mapped");
}

enum probe_result probe_overlayfs_maps(struct probe *p)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	char *m;

	if (probe_tmpfs() || mkdir("l", 0700) || mkdir("u", 0700) || mkdir("w", 0700) || mkdir("m", 0700))
		return probe_failed(p, "mounts of the test");
	fd = open("l/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 4096))
		return probe_failed(p, "a file of the test");
	if (mount("criu-check", "m", "overlay", 0, "lowerdir=l,upperdir=u,workdir=w"))
		return errno == ENODEV ? PROBE_YES /* nothing to be wrong */ : probe_failed(p, "mount overlay");
	fd_close(fd);
	fd = open("m/file", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return probe_failed(p, "a file of the overlay");
	m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	return m == MAP_FAILED ? probe_failed(p, "mmap") : same_file(p, m, &st);
}

/* The kernel tells the inode of the pipe to the daemon. */
enum probe_result probe_autofs(struct probe *p)
{
	_cleanup_free_ char *text = NULL;
	char options[96];
	int pipe_fd[2];
	ssize_t n;

	if (pipe2(pipe_fd, 0))
		return probe_failed(p, "pipe");
	snprintf(options, sizeof(options), "fd=%d,pgrp=%d,minproto=5,maxproto=5,direct", pipe_fd[1], getpgrp());
	if (probe_tmpfs() || mkdir("a", 0700))
		return probe_failed(p, "mounts of the test");
	if (mount("criu-check-autofs", "a", "autofs", 0, options))
		return probe_failed(p, "mount autofs");
	n = read_file_at(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &text);
	if (n < 0)
		return probe_error(p, "/proc/self/mountinfo", (int)n);
	return strstr(text, "pipe_ino=") ? PROBE_YES
					 : probe_no(p, "mountinfo does not tell the pipe of an autofs mount");
}
