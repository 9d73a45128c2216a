/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors of memory files; the inodes: lib/kind/file/dump-memfd.c, which mappings need too. */
#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"

static bool match(const struct fd_look *l)
{
	return dump_memfd_name(l, NULL, 0);
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	MemfdFileEntry *m = arena_alloc(l->scratch, sizeof(*m));
	int ret;

	if (!m)
		return cr_err_nomem(e);
	memfd_file_entry__init(m);
	m->id = fe->id;
	m->flags = l->flags;
	m->pos = l->pos;
	fe->memfd = m;
	ret = dump_fown(d, l, &m->fown, e);
	return ret < 0 ? ret : dump_memfd_inode(d, l, &m->inode_id, e);
}

const struct fd_dump_ops memfd_dump_ops = { .name = "memfd", .type = FD_TYPES__MEMFD, .match = match, .dump = dump };
