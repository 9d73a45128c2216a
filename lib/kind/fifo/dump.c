/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: FIFOs
 *
 * A FIFO is a pipe with a name: a fifo_entry and, for name and flags, a reg_file_entry (regf_id). Its contents go to
 * fifo-data.img under pipe_id, which is the inode number, or the next free one where two file systems meet in 32 bits.
 * Others may come and go by the name, so an end outside of the tree is no reason to refuse, but data that only a
 * reader outside could read is.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"

struct fifo {
	struct fifo *next;
	dev_t dev;
	ino_t ino;
	uint32_t id;
	bool data;   /* written */
	bool unread; /* there is data, but no reader was seen yet */
	struct cr_err refusal;
};

static bool match(const struct fd_look *l)
{
	return S_ISFIFO(l->st.st_mode) && *l->link == '/' && !(l->flags & O_PATH);
}

static uint32_t free_id(const struct fifo *all, uint32_t want)
{
	for (const struct fifo *f = all; f; f = f->next)
		if (f->id == want || !want)
			return free_id(all, want + 1);
	return want;
}

static struct fifo *find(struct dump *d, const struct fd_look *l)
{
	void **state = dump_kind_state(d, &fifo_dump_ops);
	struct fifo *f;

	for (f = *state; f; f = f->next)
		if (f->ino == l->st.st_ino && f->dev == l->st.st_dev)
			return f;
	f = arena_alloc(d->arena, sizeof(*f));
	if (!f)
		return NULL;
	f->dev = l->st.st_dev;
	f->ino = l->st.st_ino;
	f->id = free_id(*state, l->st.st_ino);
	f->next = *state;
	*state = f;
	return f;
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	FifoEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	struct fifo *f = find(d, l);
	int ret, bytes = 0;

	if (!entry || !f)
		return cr_err_nomem(e);
	if (l->flags & O_DIRECT)
		return dump_refuse(l, e, CR_E_PIPE_PACKET, "packet mode (O_DIRECT) is not supported yet");
	fifo_entry__init(entry);
	entry->id = fe->id;
	entry->pipe_id = f->id;
	entry->has_regf_id = true;
	ret = dump_reg_entry(d, l, &entry->regf_id, e);
	if (!ret && !f->data && (l->flags & O_ACCMODE) != O_WRONLY) {
		ret = dump_pipe_data(d, l, IMG_FIFO_DATA, f->id, e);
		f->data = !ret;
	} else if (!ret && !f->data && ioctl(l->lfd, FIONREAD, &bytes) == 0 && bytes > 0) {
		f->unread = true;
		dump_refuse(l, &f->refusal, CR_E_PIPE_END_OUTSIDE,
			    "it holds %d bytes, but its reader is outside of the tree", bytes);
	}
	fe->fifo = entry;
	return ret;
}

static int finish(struct dump *d, struct cr_err *e)
{
	for (const struct fifo *f = *dump_kind_state(d, &fifo_dump_ops); f; f = f->next)
		if (f->unread && !f->data && cr_report_add(d->refusals, &f->refusal) < 0)
			return cr_err_nomem(e);
	return 0;
}

const struct fd_dump_ops fifo_dump_ops = {
	.name = "FIFO",
	.type = FD_TYPES__FIFO,
	.match = match,
	.dump = dump,
	.finish = finish,
};
