/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: who writes into a directory of a FUSE file system waits for its server. If that is a task of the tree,
 * it is stopped, and the dump would wait for ever: the holder as well, which alone could let the tree go. So it is
 * refused before anything is stopped. The server is the task that has /dev/fuse open with the connection of that file
 * system (fdinfo: fuse_connection, seen on Linux 6.18; a kernel that does not tell is believed the worst). Looked at only where
 * the images or the work directory are on FUSE at all.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "base/fd.h"
#include "freeze.h"

enum { CHILDREN_MAX = 1 << 20, DEPTH_MAX = 1000 };

static bool serves_by(pid_t pid, const char *fd, unsigned connection)
{
	char path[64], text[1024], link[PATH_MAX];
	const char *line;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", pid, fd);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 5)
		return false;
	link[n] = 0;
	/* Also as it is called in another mount namespace: /dev/fuse, /host/dev/fuse. */
	if (strcmp(link + n - 5, "/fuse") != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.20s", pid, fd);
	if (read_buf_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return false;
	line = strstr(text, "fuse_connection:");
	return !line || strtoul(line + strlen("fuse_connection:"), NULL, 10) == connection;
}

static bool serves(pid_t pid, unsigned connection)
{
	struct dirent *d;
	bool ret = false;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && !ret && (d = readdir(dir)))
		ret = d->d_name[0] != '.' && serves_by(pid, d->d_name, connection);
	if (dir)
		closedir(dir);
	return ret;
}

/* Return: the task of the tree below @pid that serves the connection, or 0. */
static pid_t server_below(pid_t pid, unsigned connection, unsigned depth)
{
	struct dirent *d;
	char path[64];
	pid_t ret = serves(pid, connection) ? pid : 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = depth < DEPTH_MAX ? opendir(path) : NULL;
	while (dir && !ret && (d = readdir(dir))) {
		_cleanup_free_ char *text = NULL;
		char *next;

		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", pid, d->d_name);
		if (d->d_name[0] == '.' || read_file_at(AT_FDCWD, path, CHILDREN_MAX, &text) <= 0)
			continue;
		for (next = text; !ret;) {
			pid_t child = (pid_t)strtol(next, &next, 10);

			if (child <= 0)
				break;
			ret = server_below(child, connection, depth + 1);
		}
	}
	if (dir)
		closedir(dir);
	return ret;
}

static int check_dir(int dir, const char *what, pid_t root, struct cr_err *e)
{
	struct statfs fs;
	struct stat st;
	pid_t pid;

	if (fstatfs(dir, &fs) || fs.f_type != FUSE_SUPER_MAGIC || fstat(dir, &st))
		return 0;
	pid = server_below(root, minor(st.st_dev), 0);
	if (!pid)
		return 0;
	cr_err_set(e, CR_E_BLOCKED, 0, what, "it lies on a file system (FUSE) that task %d of the tree serves", pid);
	cr_err_remedy(e, "name a directory on another file system");
	return -EBUSY;
}

int served_check(const struct cr_opts *o, int img, struct cr_err *e)
{
	_cleanup_close_ int work = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC); /* where logs and statistics go */
	int err = check_dir(img, "image directory", o->tree, e);

	return err || work < 0 ? err : check_dir(work, "work directory", o->tree, e);
}
