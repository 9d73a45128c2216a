/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz programs share (doc/fuzzing.md). Each defines LLVMFuzzerTestOneInput(); libFuzzer (make fuzz) or
 * replay.c (make test) calls it. Input is bytes whose first ones choose what is tried.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* A property that must hold whatever the input is. */
#define FUZZ_ASSERT(ok)                                                                  \
	do {                                                                             \
		if (!(ok)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #ok); \
			abort();                                                         \
		}                                                                        \
	} while (0)

/* Input that is used up from the front; zeros at its end. */
struct fuzz_in {
	const uint8_t *p;
	size_t left;
};

static inline size_t fuzz_take(struct fuzz_in *in, void *to, size_t len)
{
	size_t n = len < in->left ? len : in->left;

	memset(to, 0, len);
	memcpy(to, in->p, n);
	in->p += n;
	in->left -= n;
	return n;
}

static inline uint8_t fuzz_u8(struct fuzz_in *in)
{
	uint8_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

static inline uint16_t fuzz_u16(struct fuzz_in *in)
{
	uint16_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

static inline uint32_t fuzz_u32(struct fuzz_in *in)
{
	uint32_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

/* The rest, in memory of exactly that size and a NUL behind it: an overrun is found by the sanitizer. */
static inline char *fuzz_text(struct fuzz_in *in, size_t *ret_len)
{
	char *s = malloc(in->left + 1);

	if (!s)
		abort();
	*ret_len = in->left;
	memcpy(s, in->p, in->left);
	s[in->left] = 0;
	in->p += in->left;
	in->left = 0;
	return s;
}

/* An open file with these bytes, at its start: always the same one, not to be closed. */
static inline int fuzz_file(const void *data, size_t len)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, len, 0) != (ssize_t)len || lseek(fd, 0, SEEK_SET))
		abort();
	return fd;
}

static char fuzz_dir_path[64];

static inline int fuzz_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return ftw->level ? remove(path) : 0;
}

/* Empty the program's own directory. */
static inline void fuzz_dir_empty(void)
{
	nftw(fuzz_dir_path, fuzz_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void fuzz_dir_remove(void)
{
	fuzz_dir_empty();
	rmdir(fuzz_dir_path);
}

/* A directory of the program's own, gone when it ends. Return: descriptor. */
static inline int fuzz_dir(void)
{
	static int fd = -1;

	if (fd < 0) {
		snprintf(fuzz_dir_path, sizeof(fuzz_dir_path), "%s/criu-fuzz.XXXXXX",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		if (!mkdtemp(fuzz_dir_path))
			abort();
		atexit(fuzz_dir_remove);
		fd = open(fuzz_dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd;
}

/* A file in it. */
static inline void fuzz_put_file(int dir, const char *name, const void *data, size_t len)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return;
	if (write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

/* Output of what is tried: nowhere. */
static inline int fuzz_null(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return fd;
}

static inline void fuzz_quiet(const char *prog)
{
	cr_log_init(prog, CR_LOG_DEBUG); /* so that log lines are made */
	*cr_log_fd() = fuzz_null();
	if (!freopen("/dev/null", "w", stdout))
		abort();
}

#endif
