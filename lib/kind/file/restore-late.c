// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * After all tasks have their descriptors: registrations that name other descriptors, owners of signals, and the end of
 * what was only kept for others. Runs in the owner of each description, still with the credentials of the restore.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/restore-internal.h"

static const FownEntry *fown_of(const FileEntry *fe, uint32_t *ret_flags)
{
#define OF(TYPE, part)                        \
	case FD_TYPES__##TYPE:                \
		*ret_flags = fe->part->flags; \
		return fe->part->fown
	switch (fe->type) {
		OF(REG, reg);
		OF(PIPE, pipe);
		OF(INETSK, isk);
		OF(UNIXSK, usk);
		OF(EVENTFD, efd);
		OF(EVENTPOLL, epfd);
		OF(SIGNALFD, sgfd);
		OF(TTY, tty);
		OF(TIMERFD, tfd);
		OF(MEMFD, memfd);
	default:
		*ret_flags = 0;
		return NULL;
	}
#undef OF
}

/*
 * fcntl(F_SETOWN_EX) notes the caller's uid and euid, against which the kernel checks later whether the signal may be
 * sent: so it is done under those. A change of euid makes the task undumpable and clears the parent death signal
 * (commit_creds()): both are put back. The saved uid stays 0, so that the capabilities come back with the euid.
 */
static int set_owner_as(int fd, const struct f_owner_ex *own, uint32_t uid, uint32_t euid)
{
	int err = 0, pdeath = 0;

	if (!uid && !euid)
		return fcntl(fd, F_SETOWN_EX, own) < 0 ? -errno : 0;
	prctl(PR_GET_PDEATHSIG, &pdeath);
	if (syscall(SYS_setresuid, uid, euid, 0) < 0)
		return -errno;
	if (fcntl(fd, F_SETOWN_EX, own) < 0)
		err = -errno;
	if (syscall(SYS_setresuid, 0, 0, 0) < 0 && !err)
		err = -errno;
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, pdeath);
	return err;
}

int files_set_owner(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e)
{
	uint32_t flags;
	const FownEntry *own;
	struct f_owner_ex ex;
	int ret;

	if (fe->type == FD_TYPES__FIFO) {
		fe = files_by_id(r, fe->fifo->has_regf_id ? fe->fifo->regf_id : fe->id, FD_TYPES__REG);
		if (!fe)
			return 0;
	}
	own = fown_of(fe, &flags);
	if (own && own->signum && fcntl(fd, F_SETSIG, (int)own->signum) < 0)
		return files_failed(r, fe, errno, "F_SETSIG", e);
	if (own && own->pid) {
		ex = (struct f_owner_ex){ .type = own->pid_type, .pid = own->pid };
		ret = set_owner_as(fd, &ex, own->uid, own->euid);
		if (ret == -ESRCH)
			return files_refuse(r, fe, CR_E_UNSUPPORTED, e,
					    "signals are to go to %s %d, which is not there yet",
					    ex.type == F_OWNER_TID    ? "thread"
					    : ex.type == F_OWNER_PGRP ? "group"
								      : "task",
					    ex.pid);
		if (ret < 0)
			return files_failed(r, fe, -ret, "F_SETOWN_EX", e);
	}
	if (flags & O_ASYNC) {
		int now = fcntl(fd, F_GETFL);

		if (now < 0 || fcntl(fd, F_SETFL, now | O_ASYNC) < 0)
			return files_failed(r, fe, errno, "F_SETFL", e);
	}
	return 0;
}

static int late_one(struct rst *r, struct file_desc *d, struct cr_err *e)
{
	int ret;

	ret = files_set_owner(r, d->fe, d->here, e);
	if (!ret && d->ops->late)
		ret = d->ops->late(r, d->fe, d->here, e);
	return ret;
}

int files_restore_late(struct rst *r, uint32_t files_id, struct cr_err *e)
{
	struct files_plan *p = r->files;
	size_t i;
	int ret = 0;

	if (p->table == FILES_NONE || p->tables[p->table].id != files_id)
		return cr_err_set(e, CR_E_SYSTEM, 0, "descriptors", "table %u was not restored in this task", files_id);
	for (i = 0; i < p->nr_descs && !ret; i++) {
		struct file_desc *d = &p->descs[i];

		if (d->owner == p->table && d->here_table == p->table && d->here >= 0)
			ret = late_one(r, d, e);
	}
	for (i = 0; !ret && p->table == 0 && rst_fd_order[i]; i++)
		if (rst_fd_order[i]->last)
			ret = rst_fd_order[i]->last(r, e);
	if (!ret && p->table == 0)
		ret = files_remap_last(r, e);
	for (i = 0; i < p->nr_descs; i++) {
		struct file_desc *d = &p->descs[i];

		if (d->here_table == p->table && d->spare && d->here >= 0)
			d->here = fd_close(d->here);
	}
	return ret;
}

int files_open_id(struct rst *r, uint32_t id, int flags, struct cr_err *e)
{
	static const int types[] = { FD_TYPES__REG, FD_TYPES__MEMFD };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const FileEntry *fe = files_by_id(r, id, types[i]);
		struct file_desc *d = fe ? files_desc(r, fe) : NULL;

		if (d && d->ops->open_as)
			return d->ops->open_as(r, fe, flags, e);
	}
	return cr_err_set(e, CR_E_IMG_REF, 0, "files.img", "file %u is needed and not there", id);
}
