/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of an images directory as such, whatever is in them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fd.h"
#include "image/image.h"

enum { SUM_PIECE = 64 << 10 };

/*
 * A directory of images may come from anywhere: links that lead out of it are not followed (openat2(2), Linux 5.6; before
 * that no link is). Without O_NONBLOCK a FIFO of that name would be waited for; it means nothing for regular files.
 */
static int open_beneath(int dir, const char *name)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));

	if (fd < 0 && errno == ENOSYS)
		fd = openat(dir, name, (int)how.flags | O_NOFOLLOW);
	return (int)fd;
}

int img_open_file(int dir, const char *name, struct cr_err *e)
{
	_cleanup_close_ int fd = open_beneath(dir, name);
	struct stat st;

	if (fd < 0 && (errno == EXDEV || errno == ELOOP)) {
		cr_err_set(e, CR_E_IMG_CORRUPT, 0, name, "it is a link that leads out of the directory");
		cr_err_remedy(e, "put the file itself there");
		return -EINVAL;
	}
	if (fd < 0 && errno == ENOENT)
		return cr_err_set(e, CR_E_IMG_MISSING, ENOENT, name, "cannot be opened");
	if (fd < 0 || fstat(fd, &st))
		return cr_err_set(e, CR_E_SYSTEM, errno, name, "cannot be opened");
	if (!S_ISREG(st.st_mode))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, name, "it is no regular file");
	return TAKE_FD(fd);
}

int img_sum(int fd, uint64_t *ret_size, uint32_t *ret_sum)
{
	_cleanup_free_ uint8_t *buf = malloc(SUM_PIECE);
	uint32_t sum = 0;
	off_t pos = 0;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	while ((n = pread(fd, buf, SUM_PIECE, pos)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			sum = crc32c(sum, buf, (size_t)n);
			pos += n;
		}
	}
	*ret_size = (uint64_t)pos;
	*ret_sum = sum;
	return 0;
}
