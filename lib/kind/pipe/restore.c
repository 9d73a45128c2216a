// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: pipes
 *
 * All descriptions of one pipe (equal pipe_id) are a group: pipe2(2) makes the two ends, further descriptions are
 * opened through /proc/self/fd, which works for pipes as for named FIFOs. An end that no description has is closed when
 * the data is written back; its reader then sees the end of file, its writer SIGPIPE, as before. Capacity first: data
 * may need it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/restore-file.h"
#include "pipe.pb-c.h"

struct pipe_data {
	size_t n;
	struct files_blob *v;
};

static int check(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	void **slot = files_kind_data(r, FD_TYPES__PIPE);
	const struct files_blob *b;
	struct pipe_data *d = *slot;
	ssize_t n;

	if (!d) {
		d = arena_alloc(r->arena, sizeof(*d));
		if (!d)
			return cr_err_nomem(e);
		n = files_pipe_data(r, IMG_PIPES_DATA, &d->v, e);
		if (n < 0)
			return n;
		d->n = n;
		*slot = d;
	}
	b = files_find_blob(d->v, d->n, fe->pipe->pipe_id);
	if (fe->pipe->flags & O_DIRECT && b && b->bytes)
		return files_refuse(r, fe, CR_E_PIPE_PACKET, e, "a packet pipe (O_DIRECT) with data");
	return files_join(r, fe, fe->pipe->pipe_id, e);
}

/* One more description of an end. */
static int again(int end, uint32_t flags)
{
	return files_reopen(end, flags & (O_ACCMODE | O_NONBLOCK));
}

/* @mine: which end @fe takes for itself (the description that pipe2() made), set to -1; else another description. */
static int take_end(struct rst *r, const struct FileEntry *fe, int ends[2], bool taken[2], struct cr_err *e)
{
	uint32_t flags = fe->pipe->flags;
	int i = (flags & O_ACCMODE) == O_WRONLY, fd, ret;

	if (taken[i] || (flags & O_ACCMODE) == O_RDWR) {
		fd = again(ends[i], flags);
		if (fd < 0)
			return files_failed(r, fe, -fd, "opening a pipe again", e);
	} else {
		fd = fcntl(ends[i], F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return files_failed(r, fe, errno, "F_DUPFD", e);
		taken[i] = true;
	}
	ret = files_set_flags(fd, flags);
	if (ret < 0) {
		close(fd);
		return files_failed(r, fe, -ret, "F_SETFL", e);
	}
	return fd;
}

static int open_pipe(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const struct pipe_data *d = *files_kind_data(r, FD_TYPES__PIPE);
	_cleanup_close_ int rd = -1, wr = -1;
	const struct FileEntry *m;
	bool taken[2] = { false, false };
	int ends[2], fd, ret;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return files_failed(r, fe, errno, "pipe2", e);
	rd = ends[0];
	wr = ends[1];
	ret = files_lift(r, &rd, e);
	if (!ret)
		ret = files_lift(r, &wr, e);
	if (!ret)
		ret = files_fill_pipe(r, fe, wr, IMG_PIPES_DATA, files_find_blob(d->v, d->n, fe->pipe->pipe_id), e);
	if (ret < 0)
		return ret;
	ends[0] = rd;
	ends[1] = wr;
	for (m = files_group_next(r, fe); m != fe; m = files_group_next(r, m)) {
		fd = take_end(r, m, ends, taken, e);
		ret = fd < 0 ? fd : files_publish(r, m, fd, e);
		if (ret < 0)
			return ret;
	}
	return take_end(r, fe, ends, taken, e);
}

static int precheck(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const struct pipe_data *d = *files_kind_data(r, FD_TYPES__PIPE);
	const struct files_blob *b = files_find_blob(d->v, d->n, fe->pipe->pipe_id);

	return b ? files_try_pipe(r, fe, IMG_PIPES_DATA, b, e) : 0;
}

const struct fd_rst_ops pipe_rst_ops = {
	.name = "pipe",
	.type = FD_TYPES__PIPE,
	.check = check,
	.open = open_pipe,
	.precheck = precheck,
};
