/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: .stage/ is removed at the seal, so its files need no format that lasts: rows as they are in
 * memory, of the same build of the tools. They are still checked as input, since anybody may have put them there.
 */
#include "image/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "image/manifest.h"

enum { THREADS_MAX = 4 << 20 }; /* PID_MAX_LIMIT of the kernel */

int stage_write_image(struct stage_facts *f, int img, enum img_type type, unsigned long id, const void *message,
		      struct cr_err *e)
{
	char name[IMG_NAME_MAX];
	struct img_writer w;
	int ret = img_create(img, type, id, &w, e);

	if (ret < 0)
		return ret;
	ret = img_put(&w, message, e);
	if (!ret)
		ret = img_finish(&w, e);
	if (!ret)
		stage_wrote(f, img_name(type, id, name), w.bytes);
	img_abandon(&w);
	return ret;
}

int stage_write_file(int img, const char *name, const void *data, size_t len, struct cr_err *e)
{
	_cleanup_close_ int fd = -1;
	int ret;

	/* criu-freeze makes the directory, and removes it when the tree goes on: it shall not come again. */
	fd = openat(img, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return cr_err_write(e, errno, name, "cannot be created");
	ret = write_full(fd, data, len);
	return ret < 0 ? cr_err_write(e, -ret, name, "cannot be written") : 0;
}

int stage_write_threads(int img, const struct stage_thread *v, size_t n, struct cr_err *e)
{
	return stage_write_file(img, STAGE_THREADS, v, n * sizeof(*v), e);
}

ssize_t stage_read_threads(int img, struct stage_thread **ret, struct cr_err *e)
{
	_cleanup_close_ int fd = openat(img, STAGE_THREADS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ struct stage_thread *v = NULL;
	struct stat st;
	size_t n;
	int r;

	if (fd < 0 || fstat(fd, &st)) {
		int err = errno;

		cr_err_set(e, CR_E_SYSTEM, err, STAGE_THREADS, "cannot be opened");
		if (err == ENOENT)
			cr_err_remedy(e, "run criu-collect first");
		return -err;
	}
	n = (size_t)st.st_size / sizeof(*v);
	if (!S_ISREG(st.st_mode) || st.st_size % (off_t)sizeof(*v) || n > THREADS_MAX)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, STAGE_THREADS, "has a size of %lld bytes",
				  (long long)st.st_size);
	v = malloc(n ? n * sizeof(*v) : 1);
	if (!v)
		return cr_err_nomem(e);
	r = pread_full(fd, v, n * sizeof(*v), 0);
	if (r < 0)
		return cr_err_set(e, CR_E_IMG_TRUNCATED, -r, STAGE_THREADS, "cannot be read");
	for (size_t i = 0; i < n; i++)
		if (v[i].tid <= 0 || v[i].pid <= 0 || v[i].seccomp_mode > 2)
			return cr_err_set(e, CR_E_IMG_CORRUPT, 0, STAGE_THREADS, "row %zu makes no sense", i);
	*ret = TAKE_PTR(v);
	return (ssize_t)n;
}

ssize_t stage_read_shmem(int img, struct stage_shmem **ret, struct cr_err *e)
{
	_cleanup_close_ int fd = openat(img, STAGE_SHMEM, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ struct stage_shmem *v = NULL;
	struct stat st;
	size_t n;
	int r;

	*ret = NULL;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st))
		return cr_err_set(e, CR_E_SYSTEM, errno, STAGE_SHMEM, "cannot be opened");
	n = (size_t)st.st_size / sizeof(*v);
	if (!S_ISREG(st.st_mode) || st.st_size % (off_t)sizeof(*v) || n > THREADS_MAX)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, STAGE_SHMEM, "has a size of %lld bytes",
				  (long long)st.st_size);
	v = malloc(n ? n * sizeof(*v) : 1);
	if (!v)
		return cr_err_nomem(e);
	r = pread_full(fd, v, n * sizeof(*v), 0);
	if (r < 0)
		return cr_err_set(e, CR_E_IMG_TRUNCATED, -r, STAGE_SHMEM, "cannot be read");
	for (size_t i = 0; i < n; i++)
		if (v[i].pid <= 0 || v[i].fd < -1 || (v[i].fd < 0 && v[i].start >= v[i].end))
			return cr_err_set(e, CR_E_IMG_CORRUPT, 0, STAGE_SHMEM, "row %zu makes no sense", i);
	*ret = TAKE_PTR(v);
	return (ssize_t)n;
}
