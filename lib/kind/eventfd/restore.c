// SPDX-License-Identifier: GPL-2.0-or-later
/* Theory of operation: eventfd(2) takes 32 bits of the counter at most; the rest of the 64 is written. */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "eventfd.pb-c.h"
#include "fdinfo.pb-c.h"
#include "kind/file/restore-file.h"

static int check(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	if (fe->efd->counter == UINT64_MAX)
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "counter %llu", (unsigned long long)fe->efd->counter);
	return 0;
}

static int open_eventfd(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	/* O_RDWR stands in the flags; EFD_SEMAPHORE has the value of O_WRONLY, which no eventfd has. */
	int fd = eventfd(0, (fe->efd->flags & (EFD_SEMAPHORE | EFD_NONBLOCK)) | EFD_CLOEXEC);

	if (fd < 0)
		return files_failed(r, fe, errno, "eventfd", e);
	if (fe->efd->counter && write(fd, &fe->efd->counter, sizeof(uint64_t)) < 0) {
		int err = errno;

		close(fd);
		return files_failed(r, fe, err, "write", e);
	}
	return fd;
}

const struct fd_rst_ops eventfd_rst_ops = {
	.name = "eventfd",
	.type = FD_TYPES__EVENTFD,
	.check = check,
	.open = open_eventfd,
};
