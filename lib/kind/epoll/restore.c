// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: epoll
 *
 * A registration is a pair of a number and a description. The instances are made empty; the registrations come late,
 * when all descriptors stand at their numbers, in the task that owns the instance. An edge-triggered target that is
 * ready gives one event at once: the kernel cannot be told that it was seen before; programs must live with such events
 * anyway (epoll(7)).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "eventpoll.pb-c.h"
#include "fdinfo.pb-c.h"
#include "kind/file/restore-file.h"

static int open_epoll(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? files_failed(r, fe, errno, "epoll_create1", e) : fd;
}

static int add_targets(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e)
{
	struct epoll_event ev;
	size_t i;

	for (i = 0; i < fe->epfd->n_tfd; i++) {
		const EventpollTfdEntry *t = fe->epfd->tfd[i];

		if (!files_at(r, t->tfd))
			return files_refuse(r, fe, CR_E_EPOLL_TARGET, e, "watches descriptor %u, which is closed",
					    t->tfd);
		ev = (struct epoll_event){ .events = t->events, .data.u64 = t->data };
		if (epoll_ctl(fd, EPOLL_CTL_ADD, (int)t->tfd, &ev) == 0)
			continue;
		if (errno == EEXIST)
			return files_refuse(r, fe, CR_E_EPOLL_TARGET, e,
					    "watches descriptor %u twice, once for a file that is closed", t->tfd);
		return files_failed(r, fe, errno, "EPOLL_CTL_ADD", e);
	}
	return 0;
}

const struct fd_rst_ops epoll_rst_ops = {
	.name = "epoll",
	.type = FD_TYPES__EVENTPOLL,
	.open = open_epoll,
	.late = add_targets,
};
