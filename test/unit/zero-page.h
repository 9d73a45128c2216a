/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CR_TEST_ZERO_PAGE_H
#define CR_TEST_ZERO_PAGE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Whether pages that were only read share a frame, the zero page: not on every kernel (some paravirtual guests). Told by
 * the frame numbers of two of ours, which root sees.
 */
static inline bool zero_page_shared(void)
{
	volatile char *p = mmap(NULL, 2 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t words[2] = { p[0], p[4096] };
	bool got = pread(fd, words, sizeof(words), (off_t)((uintptr_t)p / 4096 * sizeof(words[0]))) == sizeof(words);

	close(fd);
	munmap((void *)p, 2 * 4096);
	return !got || words[0] == words[1];
}

#endif
