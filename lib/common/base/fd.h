/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ownership of descriptors and memory, and reads and writes that do not stop half-way. */
#ifndef CR_BASE_FD_H
#define CR_BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

/* Close unless negative, keep errno. Return: -1, so that `fd = fd_close(fd)` forgets it. */
int fd_close(int fd);

static inline void fd_cleanup(int *fd)
{
	fd_close(*fd);
}
static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}
#define _cleanup_close_ __attribute__((cleanup(fd_cleanup)))
#define _cleanup_free_	__attribute__((cleanup(free_cleanup)))

/* The value of a variable whose ownership passes on. */
#define TAKE_FD(fd)             \
	({                      \
		int fd_ = (fd); \
		(fd) = -1;      \
		fd_;            \
	})
#define TAKE_PTR(p)                     \
	({                              \
		__typeof__(p) p_ = (p); \
		(p) = NULL;             \
		p_;                     \
	})

/* All of @len bytes. Return: 0, -errno, or -ENODATA when the file ends before. EINTR is tried again. */
int read_full(int fd, void *buf, size_t len);
int pread_full(int fd, void *buf, size_t len, off_t off);
int write_full(int fd, const void *buf, size_t len);
int pwrite_full(int fd, const void *buf, size_t len, off_t off);

/*
 * A whole small file (of /proc, say) as a string.
 * @max: refuse more bytes than this with -EFBIG
 * @ret: malloc'ed, with a NUL behind its end; owned by the caller
 * Return: length, or -errno
 */
ssize_t read_file_at(int dirfd, const char *path, size_t max, char **ret);
/* The same of an open file. */
ssize_t read_file_fd(int fd, size_t max, char **ret);
/* The same into a buffer of the caller; cut and NUL-terminated at @size - 1. Return: length, or -errno. */
ssize_t read_buf_at(int dirfd, const char *path, char *buf, size_t size);
/* readlinkat() with a NUL; -ENAMETOOLONG when it does not fit. Return: length, or -errno. */
ssize_t readlink_at(int dirfd, const char *path, char *buf, size_t size);
/* Write a string to an existing file of /proc, /sys or a cgroup, which takes it by one write or not at all. Return: 0 or -errno. */
int write_file_at(int dirfd, const char *path, const char *text);
/* A descriptor on /proc/PID (O_DIRECTORY). Return: fd or -errno. */
int open_proc_pid(pid_t pid);

#endif
