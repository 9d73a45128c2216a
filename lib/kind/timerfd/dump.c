/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: timerfd_create(2)
 *
 * fdinfo tells clock, expirations not read yet, the flags of the last timerfd_settime(), the interval, and what remains
 * until the next expiration: always relative, whatever the flags say.
 */
#include <string.h>

#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"
#include "proc/fdinfo.h"

static bool match(const struct fd_look *l)
{
	return !strcmp(l->link, "anon_inode:[timerfd]");
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	TimerfdEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	struct fdinfo_timerfd t;
	int ret;

	if (!entry)
		return cr_err_nomem(e);
	timerfd_entry__init(entry);
	ret = fdinfo_timerfd(l->fdinfo, &t);
	if (ret < 0)
		return dump_failed(l, -ret, "its fdinfo", e);
	entry->id = fe->id;
	entry->flags = l->flags;
	entry->clockid = t.clockid;
	entry->ticks = t.ticks;
	entry->settime_flags = t.settime_flags;
	entry->vsec = t.value_sec;
	entry->vnsec = t.value_nsec;
	entry->isec = t.interval_sec;
	entry->insec = t.interval_nsec;
	fe->tfd = entry;
	return dump_fown(d, l, &entry->fown, e);
}

const struct fd_dump_ops timerfd_dump_ops = {
	.name = "timerfd", .type = FD_TYPES__TIMERFD, .match = match, .dump = dump
};
