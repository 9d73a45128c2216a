/* SPDX-License-Identifier: GPL-2.0-or-later */
/* signalfd(2): the mask stands in fdinfo; the signals themselves are the task's, not the descriptor's. */
#include <string.h>

#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"
#include "proc/fdinfo.h"

static bool match(const struct fd_look *l)
{
	return !strcmp(l->link, "anon_inode:[signalfd]");
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	SignalfdEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	int ret;

	if (!entry)
		return cr_err_nomem(e);
	signalfd_entry__init(entry);
	ret = fdinfo_signalfd(l->fdinfo, &entry->sigmask);
	if (ret < 0)
		return dump_failed(l, -ret, "its fdinfo", e);
	entry->id = fe->id;
	entry->flags = l->flags;
	fe->sgfd = entry;
	return dump_fown(d, l, &entry->fown, e);
}

const struct fd_dump_ops signalfd_dump_ops = {
	.name = "signalfd", .type = FD_TYPES__SIGNALFD, .match = match, .dump = dump
};
