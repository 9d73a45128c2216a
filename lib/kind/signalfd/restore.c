// SPDX-License-Identifier: GPL-2.0-or-later
/* Theory of operation: signalfd4(2) with the mask. The pending signals are the tasks', not the descriptor's. */
#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fdinfo.pb-c.h"
#include "kind/file/restore-file.h"
#include "signalfd.pb-c.h"

static int open_signalfd(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	uint64_t mask = fe->sgfd->sigmask; /* the kernel's sigset_t */
	int fd;

	fd = syscall(SYS_signalfd4, -1, &mask, sizeof(mask), (fe->sgfd->flags & SFD_NONBLOCK) | SFD_CLOEXEC);
	return fd < 0 ? files_failed(r, fe, errno, "signalfd", e) : fd;
}

const struct fd_rst_ops signalfd_rst_ops = {
	.name = "signalfd",
	.type = FD_TYPES__SIGNALFD,
	.open = open_signalfd,
};
