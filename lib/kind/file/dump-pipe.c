/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * What is in a pipe (or FIFO) is duplicated by tee(2) from our copy of a read end into a pipe of our own, which needs
 * as many buffers: tee() always starts at the head, so there is no second piece. The task's pipe keeps its data, and
 * nobody waiting on it is woken. Data that only a writer has at hand cannot be read without opening a read end; that
 * would let a blocked open() of a FIFO go on, so it is not done: see the kinds' finish().
 */
#include "kind/file/dump-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"

#include "pipe-data.pb-c.h"

/* A pipe of our own that holds a copy. Return: 0 or -errno with @e. */
static int copy_pipe(const struct fd_look *l, int size, int bytes, int ret[2], struct cr_err *e)
{
	ssize_t n;

	if (pipe2(ret, O_CLOEXEC | O_NONBLOCK) < 0)
		return dump_failed(l, errno, "pipe2", e);
	if (fcntl(ret[1], F_SETPIPE_SZ, size) < 0)
		return dump_failed(l, errno, "a pipe as large as the task's: fcntl(F_SETPIPE_SZ)", e);
	n = tee(l->lfd, ret[1], size, SPLICE_F_NONBLOCK);
	if (n < 0)
		return dump_failed(l, errno, "tee", e);
	if (n != bytes)
		return dump_refuse(l, e, CR_E_UNSUPPORTED, "the pipe holds %d bytes but gives %zd", bytes, n);
	return 0;
}

static int put_pipe(const struct fd_look *l, struct img_writer *w, int fd, size_t bytes, struct cr_err *e)
{
	_cleanup_free_ char *buf = malloc(bytes);
	int ret = buf ? read_full(fd, buf, bytes) : -ENOMEM;

	return ret < 0 ? dump_failed(l, -ret, "reading the copy of the pipe", e) : img_put_bytes(w, buf, bytes, e);
}

int dump_pipe_data(struct dump *d, const struct fd_look *l, enum img_type type, uint32_t pipe_id, struct cr_err *e)
{
	PipeDataEntry row = PIPE_DATA_ENTRY__INIT;
	int copy[2] = { -1, -1 }, size, bytes = 0, ret = 0;
	struct img_writer *w;

	if (d->dry)
		return 0;
	size = fcntl(l->lfd, F_GETPIPE_SZ);
	if (size < 0)
		return dump_failed(l, errno, "fcntl(F_GETPIPE_SZ)", e);
	if ((l->flags & O_ACCMODE) != O_WRONLY) {
		if (ioctl(l->lfd, FIONREAD, &bytes) < 0)
			return dump_failed(l, errno, "ioctl(FIONREAD)", e);
		if (bytes > 0)
			ret = copy_pipe(l, size, bytes, copy, e);
	}
	if (!ret)
		ret = dump_image(d, type, &w, e);
	row.pipe_id = pipe_id;
	row.bytes = bytes;
	row.has_size = true;
	row.size = size;
	if (!ret)
		ret = img_put(w, &row, e);
	if (!ret && bytes > 0)
		ret = put_pipe(l, w, copy[0], bytes, e);
	fd_close(copy[0]);
	fd_close(copy[1]);
	return ret;
}
