/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: eventfd(2)
 *
 * The counter stands in fdinfo, in hex. EFD_SEMAPHORE is no file status flag; the image keeps it as bit 0 of `flags`,
 * where eventfd2() wants it. Kernels before 6.5 do not tell it.
 */
#include <string.h>
#include <sys/eventfd.h>

#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"
#include "proc/fdinfo.h"

static bool match(const struct fd_look *l)
{
	return !strcmp(l->link, "anon_inode:[eventfd]");
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	EventfdFileEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	bool semaphore;
	int ret;

	if (!entry)
		return cr_err_nomem(e);
	eventfd_file_entry__init(entry);
	ret = fdinfo_eventfd(l->fdinfo, &entry->counter, &semaphore);
	if (ret < 0)
		return dump_failed(l, -ret, "its fdinfo", e);
	entry->id = fe->id;
	entry->flags = l->flags | (semaphore ? EFD_SEMAPHORE : 0);
	fe->efd = entry;
	return dump_fown(d, l, &entry->fown, e);
}

const struct fd_dump_ops eventfd_dump_ops = {
	.name = "eventfd", .type = FD_TYPES__EVENTFD, .match = match, .dump = dump
};
