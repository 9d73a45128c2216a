// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: FIFOs
 *
 * A FIFO is opened by the name and flags of its reg_file_entry. The data lives as long as any description is open, so
 * all descriptions of one inode (pipe_id) are a group, made by one task. A description for both ways is opened first:
 * with it no other open blocks, and by it the data is written back; it is closed at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "fifo.pb-c.h"
#include "kind/file/restore-file.h"
#include "regfile.pb-c.h"

struct fifo_data {
	size_t n;
	struct files_blob *v;
};

static const RegFileEntry *reg_of(const struct rst *r, const struct FileEntry *fe)
{
	const FileEntry *reg = files_by_id(r, fe->fifo->has_regf_id ? fe->fifo->regf_id : fe->id, FD_TYPES__REG);

	return reg ? reg->reg : NULL;
}

static int check(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	void **slot = files_kind_data(r, FD_TYPES__FIFO);
	struct fifo_data *d = *slot;
	ssize_t n;

	if (!d) {
		d = arena_alloc(r->arena, sizeof(*d));
		if (!d)
			return cr_err_nomem(e);
		n = files_pipe_data(r, IMG_FIFO_DATA, &d->v, e);
		if (n < 0)
			return n;
		d->n = n;
		*slot = d;
	}
	if (!reg_of(r, fe))
		return files_refuse(r, fe, CR_E_IMG_REF, e, "files.img does not hold its name (file %u)",
				    fe->fifo->regf_id);
	return files_join(r, fe, fe->fifo->pipe_id, e);
}

static int open_one(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	return files_open_path(r, reg_of(r, fe), -1, e);
}

static int open_fifo(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const struct fifo_data *d = *files_kind_data(r, FD_TYPES__FIFO);
	_cleanup_close_ int both = -1;
	const struct FileEntry *m;
	struct stat st;
	int fd, ret;

	both = files_open_path(r, reg_of(r, fe), O_RDWR | O_NONBLOCK, e);
	if (both < 0)
		return both;
	if (fstat(both, &st) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, reg_of(r, fe)->name, "cannot be looked at");
	if (!S_ISFIFO(st.st_mode))
		return files_refuse(r, fe, CR_E_FILE_CHANGED, e, "%s is no FIFO any more", reg_of(r, fe)->name);
	ret = files_lift(r, &both, e);
	if (!ret)
		ret = files_fill_pipe(r, fe, both, IMG_FIFO_DATA, files_find_blob(d->v, d->n, fe->fifo->pipe_id), e);
	for (m = files_group_next(r, fe); !ret && m != fe; m = files_group_next(r, m)) {
		fd = open_one(r, m, e);
		ret = fd < 0 ? fd : files_publish(r, m, fd, e);
	}
	return ret < 0 ? ret : open_one(r, fe, e);
}

/* The name; and with a pipe of our own, as nobody must see the FIFO open: may it have its size, are its data whole? */
static int precheck(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const struct fifo_data *d = *files_kind_data(r, FD_TYPES__FIFO);
	const struct files_blob *b = files_find_blob(d->v, d->n, fe->fifo->pipe_id);
	int ret = files_check_path(r, reg_of(r, fe), -1, e);

	return ret || !b ? ret : files_try_pipe(r, fe, IMG_FIFO_DATA, b, e);
}

const struct fd_rst_ops fifo_rst_ops = {
	.name = "FIFO",
	.type = FD_TYPES__FIFO,
	.check = check,
	.open = open_fifo,
	.precheck = precheck,
};
