/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the dump halves of all kinds of descriptors need: naming the object, and who gets its signals. */
#include "kind/file/dump-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "base/fd.h"

#include "fdinfo.pb-c.h"

/* F_GETOWNER_UIDS: older headers keep it to the kernel. */
#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

const char *dump_object(const struct fd_look *l, char buf[DUMP_OBJECT])
{
	char comm[64] = "";
	ssize_t n = read_buf_at(l->task->proc, "comm", comm, sizeof(comm));

	if (n > 0 && comm[n - 1] == '\n')
		comm[n - 1] = 0;
	n = snprintf(buf, DUMP_OBJECT, n > 0 ? "task %d (%s)" : "task %d", l->task->pid, comm);
	if (l->fd >= 0)
		n += snprintf(buf + n, DUMP_OBJECT - n, ", fd %d", l->fd);
	if (l->link && *l->link && n > 0 && n < DUMP_OBJECT)
		snprintf(buf + n, DUMP_OBJECT - n, l->fd >= 0 ? " (%s)" : ", %s", l->link);
	return buf;
}

int dump_failed(const struct fd_look *l, int err, const char *call, struct cr_err *e)
{
	char object[DUMP_OBJECT];

	return cr_err_set(e, cr_code_of_task(err), err, dump_object(l, object), "%s failed", call);
}

int dump_refuse(const struct fd_look *l, struct cr_err *e, enum cr_code code, const char *fmt, ...)
{
	char object[DUMP_OBJECT], why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	cr_err_set(e, code, 0, dump_object(l, object), "%s", why);
	return -EPERM;
}

void dump_warn(struct dump *d, const struct fd_look *l, enum cr_code code, const char *fmt, ...)
{
	char object[DUMP_OBJECT], why[256];
	struct cr_err e = { 0 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	cr_err_set(&e, code, 0, dump_object(l, object), "%s", why);
	stage_warn(d->facts, &e);
}

static bool in_tree(const struct dump *d, int type, pid_t pid)
{
	for (size_t i = 0; i < d->nr_tasks; i++) {
		const struct dump_task *t = &d->tasks[i];

		if (type == F_OWNER_PGRP || t->pid == pid)
			return true;
		for (size_t k = 0; type == F_OWNER_TID && k < t->nr_threads; k++)
			if (t->threads[k].tid == pid)
				return true;
	}
	return false;
}

int dump_fown(struct dump *d, const struct fd_look *l, FownEntry **ret, struct cr_err *e)
{
	FownEntry *fown = arena_alloc(l->scratch, sizeof(*fown));
	struct f_owner_ex owner = { 0 };
	uint32_t uids[2] = { 0 };
	int sig;

	if (!fown)
		return cr_err_nomem(e);
	fown_entry__init(fown);
	*ret = fown;
	/* An O_PATH description has no owner, and a mapping's file none that anyone could ask for. */
	if (l->fd < 0 || (l->flags & O_PATH))
		return 0;
	if (l->ahead && l->ahead->owner_known) {
		sig = l->ahead->sig;
		owner = (struct f_owner_ex){ l->ahead->owner_type, l->ahead->owner };
	} else {
		sig = fcntl(l->lfd, F_GETSIG);
		if (sig < 0 || fcntl(l->lfd, F_GETOWN_EX, &owner) < 0)
			return dump_failed(l, errno, "fcntl(F_GETSIG, F_GETOWN_EX)", e);
	}
	fown->signum = sig;
	if (!owner.pid)
		return 0;
	if (!in_tree(d, owner.type, owner.pid)) {
		dump_warn(d, l, CR_E_NOT_CARRIED, "signals of the descriptor go to task %d, which is not in the tree",
			  owner.pid);
		return 0;
	}
	if (fcntl(l->lfd, F_GETOWNER_UIDS, uids) < 0)
		return dump_failed(l, errno, "fcntl(F_GETOWNER_UIDS)", e);
	fown->uid = uids[0];
	fown->euid = uids[1];
	fown->pid_type = owner.type;
	fown->pid = owner.pid;
	return 0;
}

int dump_getsockopt(int fd, int level, int name, int *ret)
{
	socklen_t len = sizeof(*ret);

	*ret = 0;
	return getsockopt(fd, level, name, ret, &len) < 0 ? -errno : 0;
}

uint32_t dump_kdev(dev_t dev)
{
	return major(dev) << 20 | (minor(dev) & 0xfffff);
}
