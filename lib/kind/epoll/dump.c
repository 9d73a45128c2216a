/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: epoll(7)
 *
 * fdinfo lists the targets by the numbers they were added by. The key in the kernel is the pair of description and
 * number, and the number may meanwhile be closed or stand for something else: kcmp(KCMP_EPOLL_TFD) tells whether a
 * descriptor of the task is the target. If it is not, another descriptor of the same inode may be (dup); then the image
 * has that number. A target that the task has closed while someone else keeps it open cannot be added again: refused.
 *
 * One number can be there more than once, when it was closed, opened again and added again: `toff` counts them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/kcmp.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"
#include "proc/fdinfo.h"

enum { TARGETS_MAX = 1 << 20 };

static bool match(const struct fd_look *l)
{
	return !strcmp(l->link, "anon_inode:[eventpoll]");
}

/* Is descriptor @fd of the task the target? Return: 1, 0, -errno. */
static int is_target(const struct fd_look *l, int fd, uint32_t tfd, uint32_t toff)
{
	struct kcmp_epoll_slot slot = { .efd = l->fd, .tfd = tfd, .toff = toff };
	long ret = syscall(SYS_kcmp, l->task->pid, l->task->pid, KCMP_EPOLL_TFD, fd, &slot);

	if (ret < 0)
		return errno == EBADF ? 0 : -errno;
	return ret == 0;
}

/* @ret_socket: it is one, and a socket has one description only. Return: 1, 0, -errno. */
static int same_inode(const struct fd_look *l, int fd, const struct fdinfo_epoll *t, bool *ret_socket)
{
	_cleanup_close_ int copy = syscall(SYS_pidfd_getfd, l->task->pidfd, fd, 0);
	struct stat st;

	if (copy < 0)
		return errno == EBADF ? 0 : -errno;
	if (fstat(copy, &st) < 0)
		return -errno;
	*ret_socket = S_ISSOCK(st.st_mode);
	return st.st_ino == t->ino && dump_kdev(st.st_dev) == t->dev;
}

/* Another number of the same description. Return: fd, -ENOENT, -errno. */
static int find_copy(const struct fd_look *l, const struct fdinfo_epoll *t, uint32_t toff)
{
	int fd = openat(l->task->proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = -ENOENT;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool socket = false;
	struct dirent *de;

	if (!dir) {
		ret = -errno;
		fd_close(fd);
		return ret;
	}
	while (ret == -ENOENT && (errno = 0, de = readdir(dir))) {
		int n = *de->d_name == '.' ? -1 : atoi(de->d_name), same;

		if (n < 0 || n == (int)t->fd)
			continue;
		same = same_inode(l, n, t, &socket);
		if (same > 0 && !socket)
			same = is_target(l, n, t->fd, toff);
		if (same)
			ret = same < 0 ? same : n;
	}
	if (ret == -ENOENT && errno && !de)
		ret = -errno;
	closedir(dir);
	return ret;
}

static int resolve(const struct fd_look *l, const struct fdinfo_epoll *t, uint32_t toff, uint32_t *ret,
		   struct cr_err *e)
{
	bool socket = false;
	int n = same_inode(l, t->fd, t, &socket);

	/* kcmp() walks the whole list of targets for each: not for sockets, of which there can be thousands. */
	if (n > 0 && !socket)
		n = is_target(l, t->fd, t->fd, toff);
	if (n > 0) {
		*ret = t->fd;
		return 0;
	}
	if (!n)
		n = find_copy(l, t, toff);
	if (n == -ENOENT)
		return dump_refuse(l, e, CR_E_EPOLL_TARGET,
				   "it watches what was descriptor %u; the task has closed it, but others keep it open",
				   t->fd);
	if (n < 0)
		return dump_failed(l, -n, "to find what it watches (pidfd_getfd, kcmp)", e);
	*ret = n;
	return 0;
}

/* How often each number came: the kernel counts in the order of fdinfo. A hash table. */
struct seen {
	uint32_t fd, n;
};

static uint32_t count_number(struct seen *seen, size_t size, uint32_t fd)
{
	size_t at = fd & (size - 1);

	while (seen[at].n && seen[at].fd != fd)
		at = (at + 1) & (size - 1);
	seen[at].fd = fd;
	return seen[at].n++;
}

static size_t count_targets(const char *text)
{
	struct fdinfo_epoll t;
	size_t n = 0;

	while (n < TARGETS_MAX && fdinfo_epoll_next(&text, &t) > 0)
		n++;
	return n;
}

static int dump_targets(const struct fd_look *l, EventpollFileEntry *entry, struct cr_err *e)
{
	size_t n = count_targets(l->fdinfo), size = 16;
	EventpollTfdEntry *rows = arena_calloc(l->scratch, n + 1, sizeof(*rows));
	_cleanup_free_ struct seen *seen = NULL;
	const char *pos = l->fdinfo;
	struct fdinfo_epoll t;
	int ret = 0;

	while (size < n * 2)
		size *= 2;
	seen = calloc(size, sizeof(*seen));
	entry->tfd = arena_calloc(l->scratch, n + 1, sizeof(*entry->tfd));
	if (!rows || !seen || !entry->tfd)
		return cr_err_nomem(e);
	while (entry->n_tfd < n && !ret && (ret = fdinfo_epoll_next(&pos, &t)) > 0) {
		EventpollTfdEntry *row = &rows[entry->n_tfd];

		eventpoll_tfd_entry__init(row);
		ret = resolve(l, &t, count_number(seen, size, t.fd), &row->tfd, e);
		if (ret < 0)
			return ret;
		row->id = entry->id;
		row->events = t.events;
		row->data = t.data;
		row->has_dev = row->has_inode = row->has_pos = true;
		row->dev = t.dev;
		row->inode = t.ino;
		row->pos = t.pos;
		entry->tfd[entry->n_tfd++] = row;
	}
	return ret < 0 ? dump_failed(l, -ret, "its fdinfo", e) : 0;
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	EventpollFileEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	int ret;

	if (!entry)
		return cr_err_nomem(e);
	eventpoll_file_entry__init(entry);
	entry->id = fe->id;
	entry->flags = l->flags;
	fe->epfd = entry;
	ret = dump_fown(d, l, &entry->fown, e);
	return ret < 0 ? ret : dump_targets(l, entry, e);
}

const struct fd_dump_ops epoll_dump_ops = {
	.name = "epoll", .type = FD_TYPES__EVENTPOLL, .match = match, .dump = dump
};
