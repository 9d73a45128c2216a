/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: pipes
 *
 * A pipe has an inode number, which is pipe_id and joins its ends. Its contents are written when the first description
 * comes by that can read. In the end each pipe must have both of its ends in the tree, or its other end must be closed:
 * poll(2) of a read end shows POLLHUP when no writer is left, of a write end POLLERR when no reader is. That others
 * hold more copies of the same end cannot be seen from here. A pipe that nobody can read any more has no contents:
 * the entry is there for its size.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"

struct pipe {
	struct pipe *next;
	uint32_t id;
	bool reader, writer;	      /* in the tree */
	bool data;		      /* written */
	bool alone;		      /* the other end is closed */
	const struct dump_task *task; /* who has it, to say so */
	int fd;
};

enum { BUCKETS = 256 };
struct pipes {
	struct pipe *bucket[BUCKETS];
};

static bool match(const struct fd_look *l)
{
	return !strncmp(l->link, "pipe:[", 6);
}

static int find(struct dump *d, const struct fd_look *l, struct pipe **ret, struct cr_err *e)
{
	void **state = dump_kind_state(d, &pipe_dump_ops);
	struct pipes *all = *state;
	struct pipe *p;

	if (!all)
		*state = all = arena_alloc(d->arena, sizeof(*all));
	if (!all)
		return cr_err_nomem(e);
	for (p = all->bucket[l->st.st_ino % BUCKETS]; p; p = p->next)
		if (p->id == l->st.st_ino)
			break;
	if (!p) {
		p = arena_alloc(d->arena, sizeof(*p));
		if (!p)
			return cr_err_nomem(e);
		p->id = l->st.st_ino;
		p->next = all->bucket[p->id % BUCKETS];
		all->bucket[p->id % BUCKETS] = p;
	}
	*ret = p;
	return 0;
}

static bool other_end_closed(const struct fd_look *l)
{
	struct pollfd pfd = { .fd = l->lfd };

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLHUP | POLLERR));
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	PipeEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	uint32_t mode = l->flags & O_ACCMODE;
	struct pipe *p = NULL;
	int ret = entry ? find(d, l, &p, e) : cr_err_nomem(e);

	if (ret < 0)
		return ret;
	p->reader |= mode != O_WRONLY;
	p->writer |= mode != O_RDONLY;
	p->alone |= other_end_closed(l);
	if (!p->task) {
		p->task = l->task;
		p->fd = l->fd;
	}
	if (l->flags & O_DIRECT)
		return dump_refuse(l, e, CR_E_PIPE_PACKET, "packet pipes (O_DIRECT) are not supported yet");
	if (!p->data && (mode != O_WRONLY || p->alone)) {
		ret = dump_pipe_data(d, l, IMG_PIPES_DATA, p->id, e);
		if (ret < 0)
			return ret;
		p->data = true;
	}
	pipe_entry__init(entry);
	entry->id = fe->id;
	entry->pipe_id = p->id;
	entry->flags = l->flags;
	fe->pipe = entry;
	return dump_fown(d, l, &entry->fown, e);
}

static int refuse_outside(struct dump *d, const struct pipe *p, struct cr_err *e)
{
	struct fd_look l = { .task = p->task, .fd = p->fd, .lfd = -1 };
	struct cr_err why = { 0 };
	char link[32];

	snprintf(link, sizeof(link), "pipe:[%u]", p->id);
	l.link = link;
	dump_refuse(&l, &why, CR_E_PIPE_END_OUTSIDE, "its %s end is open outside of the tree",
		    p->writer ? "read" : "write");
	return cr_report_add(d->refusals, &why) < 0 ? cr_err_nomem(e) : 0;
}

static int finish(struct dump *d, struct cr_err *e)
{
	struct pipes *all = *dump_kind_state(d, &pipe_dump_ops);
	int ret = 0;

	for (size_t i = 0; all && i < BUCKETS; i++)
		for (const struct pipe *p = all->bucket[i]; p && !ret; p = p->next)
			if (!(p->reader && p->writer) && !p->alone)
				ret = refuse_outside(d, p, e);
	return ret;
}

const struct fd_dump_ops pipe_dump_ops = {
	.name = "pipe",
	.type = FD_TYPES__PIPE,
	.match = match,
	.dump = dump,
	.finish = finish,
};
