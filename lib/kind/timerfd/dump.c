/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: timerfd_create(2)
 *
 * fdinfo tells clock, expirations not read yet, the flags of the last timerfd_settime(), the interval, and what remains
 * until the next expiration: always relative, whatever the flags say.
 */
#include <errno.h>
#include <fcntl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"
#include "proc/fdinfo.h"

static bool match(const struct fd_look *l)
{
	return !strcmp(l->link, "anon_inode:[timerfd]");
}

/*
 * A periodic timer that has expired stands still until somebody reads it: fdinfo tells one tick and no time that is
 * left. timerfd_gettime(2), which changes nothing that a reader could see, counts what has passed and winds it up.
 */
static int facts(const struct fd_look *l, struct fdinfo_timerfd *ret)
{
	struct itimerspec now;
	char path[64], text[1024];
	int err = fdinfo_timerfd(l->fdinfo, ret);

	if (err < 0 || !ret->ticks || !(ret->interval_sec || ret->interval_nsec))
		return err;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", l->lfd);
	if (timerfd_gettime(l->lfd, &now) < 0)
		return -errno;
	err = read_buf_at(AT_FDCWD, path, text, sizeof(text));
	return err < 0 ? err : fdinfo_timerfd(text, ret);
}

static int catch_up(const struct fd_look *l, struct fdinfo_timerfd *t, struct cr_err *e)
{
	char path[48], text[1024];
	struct itimerspec left;
	ssize_t n;

	if (!t->ticks || t->value_sec || t->value_nsec || !(t->interval_sec || t->interval_nsec))
		return 0;
	if (timerfd_gettime(l->lfd, &left) < 0)
		return dump_failed(l, errno, "timerfd_gettime", e);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", l->lfd);
	n = read_buf_at(AT_FDCWD, path, text, sizeof(text));
	if (n >= 0)
		n = fdinfo_timerfd(text, t);
	if (n < 0)
		return dump_failed(l, -n, "its fdinfo", e);
	/* A fast one may have expired again meanwhile. */
	t->value_sec = left.it_value.tv_sec;
	t->value_nsec = left.it_value.tv_nsec;
	return 0;
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	TimerfdEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	struct fdinfo_timerfd t;
	int ret;

	if (!entry)
		return cr_err_nomem(e);
	timerfd_entry__init(entry);
	ret = facts(l, &t);
	if (ret < 0)
		return dump_failed(l, -ret, "its fdinfo", e);
	ret = catch_up(l, &t, e);
	if (ret < 0)
		return ret;
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
