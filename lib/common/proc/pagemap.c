/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PAGEMAP_SCAN walks page tables in the kernel and returns ranges: 18 ms for 1 GiB of dense memory, next to nothing
 * where there is none, also across gaps (measured). Reading the file costs 8 bytes a page whether there is one or not,
 * so callers ask for mappings only. A page of the zero page needs no room in an image: PAGEMAP_SCAN has a category for
 * it, in the file it is known by its frame number, which only CAP_SYS_ADMIN sees; unknown, it is taken for memory.
 */
#include "proc/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bare/uapi.h"
#include "base/fd.h"

enum { PAGE = 4096, WORDS = 512 };
#define PM_PRESENT (1ull << 63)
#define PM_SWAP	   (1ull << 62)
#define PM_FILE	   (1ull << 61)
#define PM_PFN	   ((1ull << 55) - 1)

/*
 * The frame of the zero page: that of two pages of ours that were only read. A kernel without a shared zero page (some
 * paravirtual guests) gives each a frame of its own, which a task may have after us.
 */
static uint64_t zero_frame(void)
{
	volatile char *pages = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t words[2] = { 0 };

	if (pages == MAP_FAILED)
		return 0;
	if (fd >= 0 && !(pages[0] | pages[PAGE]) &&
	    pread_full(fd, words, sizeof(words), (off_t)((uintptr_t)pages / PAGE * sizeof(words[0]))))
		words[0] = 0;
	munmap((void *)pages, 2 * PAGE);
	return words[0] & PM_PRESENT && words[0] == words[1] ? words[0] & PM_PFN : 0;
}

int proc_pagemap_open(struct proc_pagemap *p, int proc)
{
	p->fd = openat(proc, "pagemap", O_RDONLY | O_CLOEXEC);
	if (p->fd < 0)
		return -errno;
	p->by_reading = p->no_guard = false;
	p->zero_pfn = 0;
	p->pos = p->end = 0;
	p->next = p->n = 0;
	return 0;
}

void proc_pagemap_close(struct proc_pagemap *p)
{
	p->fd = fd_close(p->fd);
}

void proc_pagemap_seek(struct proc_pagemap *p, uint64_t start, uint64_t end)
{
	p->pos = start;
	p->end = end;
	p->next = p->n = 0;
}

static int scan_ioctl(int fd, struct cr_pm_scan_arg *arg, uint64_t start, uint64_t end, struct proc_range *ret,
		      size_t n)
{
	struct cr_page_region out[PROC_PAGEMAP_VEC];
	int got;

	arg->size = sizeof(*arg);
	arg->start = start;
	arg->end = end;
	arg->vec = (uintptr_t)out;
	arg->vec_len = n < PROC_PAGEMAP_VEC ? n : PROC_PAGEMAP_VEC;
	got = ioctl(fd, CR_PAGEMAP_SCAN, arg);
	if (got < 0)
		return -errno;
	for (int i = 0; i < got; i++)
		ret[i] = (struct proc_range){ out[i].start, out[i].end };
	return got;
}

/* Return: ranges in vec, or -errno. */
static int scan(struct proc_pagemap *p)
{
	struct cr_pm_scan_arg arg = { 0 };
	int n;

	arg.category_inverted = CR_PAGE_IS_FILE | CR_PAGE_IS_PFNZERO | (p->no_guard ? 0 : CR_PAGE_IS_GUARD);
	arg.category_mask = arg.category_inverted;
	arg.category_anyof_mask = CR_PAGE_IS_PRESENT | CR_PAGE_IS_SWAPPED;
	arg.return_mask = CR_PAGE_IS_FILE; /* the same for all: ranges are not split by what does not matter */
	n = scan_ioctl(p->fd, &arg, p->pos, p->end, p->vec, PROC_PAGEMAP_VEC);
	if (n >= 0)
		p->pos = arg.walk_end;
	return n;
}

ssize_t proc_guard_scan(int fd, uint64_t *start, uint64_t end, struct proc_range *ret, size_t n)
{
	struct cr_pm_scan_arg arg = { .category_mask = CR_PAGE_IS_GUARD, .return_mask = CR_PAGE_IS_GUARD };
	int got = scan_ioctl(fd, &arg, *start, end, ret, n);

	if (got >= 0)
		*start = arg.walk_end;
	return got == -ENOTTY || got == -EINVAL ? -EOPNOTSUPP : got;
}

static bool own(const struct proc_pagemap *p, uint64_t word)
{
	if (!(word & (PM_PRESENT | PM_SWAP)) || word & PM_FILE)
		return false;
	return !(word & PM_PRESENT && p->zero_pfn && (word & PM_PFN) == p->zero_pfn);
}

/* The same by reading. */
static int by_words(struct proc_pagemap *p)
{
	uint64_t words[WORDS];
	int n = 0;

	while (p->pos < p->end && !n) {
		uint64_t left = (p->end - p->pos) / PAGE;
		size_t want = left < WORDS ? (size_t)left : WORDS;
		ssize_t got = pread(p->fd, words, want * sizeof(words[0]), (off_t)(p->pos / PAGE * sizeof(words[0])));

		if (got < 0)
			return -errno;
		if (got < (ssize_t)sizeof(words[0])) { /* above the end of user memory */
			p->pos = p->end;
			break;
		}
		for (size_t i = 0; i < (size_t)got / sizeof(words[0]); i++) {
			uint64_t at = p->pos + i * PAGE;

			if (!own(p, words[i]))
				continue;
			if (n && p->vec[n - 1].end == at)
				p->vec[n - 1].end += PAGE;
			else
				p->vec[n++] = (struct proc_range){ at, at + PAGE };
		}
		p->pos += (uint64_t)got / sizeof(words[0]) * PAGE;
	}
	return n;
}

static int refill(struct proc_pagemap *p)
{
	int n;

	if (!p->by_reading) {
		n = scan(p);
		if (n == -EINVAL && !p->no_guard) { /* the category is unknown: before 6.15 */
			p->no_guard = true;
			n = scan(p);
		}
		if (n != -ENOTTY)
			return n;
		p->by_reading = true;
		p->zero_pfn = zero_frame();
		return -EAGAIN;
	}
	return by_words(p);
}

int proc_pagemap_next(struct proc_pagemap *p, struct proc_range *ret)
{
	int n;

	while (p->next == p->n) {
		if (p->pos >= p->end)
			return 0;
		n = refill(p);
		if (n < 0)
			return n;
		p->next = 0;
		p->n = (size_t)n;
	}
	*ret = p->vec[p->next++];
	return 1;
}
