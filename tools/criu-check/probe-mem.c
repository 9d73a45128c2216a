/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes of memory: dirty tracking, page maps, the vDSO, userfaultfd. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/aio_abi.h>
#include <linux/userfaultfd.h>

#include "bare/uapi.h"
#include "base/fd.h"
#include "features.h"

enum { PAGE = 4096 };
#define SOFT_DIRTY (1ull << 55)

static volatile char *new_page(void)
{
	char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return m == MAP_FAILED ? NULL : m;
}

static int page_entry(const volatile char *at, uint64_t *ret)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : pread_full(fd, ret, sizeof(*ret), (off_t)((uintptr_t)at / PAGE * sizeof(*ret)));
}

/* In this process, which is thrown away: clearing the bits makes its writes slower, and nobody else's. */
enum probe_result probe_mem_dirty_track(struct probe *p)
{
	volatile char *m = new_page();
	uint64_t before = 0, after = 0;
	int err;

	if (!m)
		return probe_failed(p, "mmap");
	*m = 1;
	err = write_file_at(AT_FDCWD, "/proc/self/clear_refs", "4");
	if (!err)
		err = page_entry(m, &before);
	*m = 2;
	if (!err)
		err = page_entry(m, &after);
	if (err)
		return probe_error(p, "/proc/self/clear_refs, pagemap", err);
	if (before & SOFT_DIRTY || !(after & SOFT_DIRTY))
		return probe_no(p, "the soft-dirty bit does not follow writes");
	return PROBE_YES;
}

/* Which categories the page at @m has. Return: 0, or -1 with errno. */
static int scan(const volatile char *m, uint64_t want, uint64_t *ret)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct cr_page_region region = { 0 };
	struct cr_pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)m,
		.end = (uintptr_t)m + PAGE,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_anyof_mask = want,
		.return_mask = want,
	};

	if (fd < 0 || ioctl(fd, CR_PAGEMAP_SCAN, &arg) < 0)
		return -1;
	*ret = region.categories;
	return 0;
}

enum probe_result probe_pagemap_scan(struct probe *p)
{
	volatile char *m = new_page();
	uint64_t categories;

	if (!m)
		return probe_failed(p, "mmap");
	*m = 1;
	if (scan(m, CR_PAGE_IS_PRESENT | CR_PAGE_IS_SWAPPED, &categories))
		return probe_failed(p, "PAGEMAP_SCAN");
	return categories ? PROBE_YES : probe_no(p, "PAGEMAP_SCAN does not find a page");
}

enum probe_result probe_pagemap_scan_guard_pages(struct probe *p)
{
	enum { GUARD_INSTALL = 102 }; /* MADV_GUARD_INSTALL, 6.13 */
	volatile char *m = new_page();
	uint64_t categories;

	if (!m)
		return probe_failed(p, "mmap");
	if (madvise((void *)m, PAGE, GUARD_INSTALL))
		return probe_failed(p, "MADV_GUARD_INSTALL");
	if (scan(m, CR_PAGE_IS_GUARD, &categories))
		return probe_failed(p, "PAGEMAP_SCAN of guard pages");
	return categories & CR_PAGE_IS_GUARD ? PROBE_YES : probe_no(p, "PAGEMAP_SCAN does not find a guard page");
}

/* ---- asynchronous I/O: the ring can be moved, and is found by its new address then ---- */

static bool aio_works(aio_context_t ctx)
{
	_cleanup_close_ int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	char buf[8];
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PREAD,
			   .aio_fildes = (uint32_t)fd,
			   .aio_buf = (uintptr_t)buf,
			   .aio_nbytes = sizeof(buf) },
		    *list = &cb;
	struct timespec limit = { .tv_sec = 5 };
	struct io_event ev;

	return fd >= 0 && syscall(SYS_io_submit, ctx, 1L, &list) == 1 &&
	       syscall(SYS_io_getevents, ctx, 1L, 1L, &ev, &limit) == 1;
}

enum probe_result probe_aio_remap(struct probe *p)
{
	aio_context_t ctx = 0;
	void *to;

	if (syscall(SYS_io_setup, 1, &ctx))
		return probe_failed(p, "io_setup");
	to = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED || mremap((void *)ctx, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
		return probe_failed(p, "mremap of an AIO ring");
	return aio_works((uintptr_t)to) ? PROBE_YES : probe_no(p, "an AIO ring does not work after it was moved");
}

/* ---- the vDSO ---- */

static bool next_map(char **line, unsigned long *start, unsigned long *end, bool *ours)
{
	char *nl = *line ? strchr(*line, '\n') : NULL;

	if (!nl)
		return false;
	*nl = 0;
	*ours = sscanf(*line, "%lx-%lx", start, end) == 2 && (strstr(*line, "[vdso]") || strstr(*line, "[vvar"));
	*line = nl + 1;
	return true;
}

/* All parts keep their distance: the code finds its data by it. No call into the C library in between. */
enum probe_result probe_vdso_mremap(struct probe *p)
{
	_cleanup_free_ char *text = NULL;
	unsigned long start, end, low = ~0ul, high = 0;
	ssize_t n = read_file_at(AT_FDCWD, "/proc/self/maps", 1 << 20, &text);
	char *line, *to;
	bool ours;

	if (n < 0)
		return probe_error(p, "/proc/self/maps", (int)n);
	for (line = text; next_map(&line, &start, &end, &ours); line[-1] = '\n') {
		if (!ours)
			continue;
		low = start < low ? start : low;
		high = end > high ? end : high;
	}
	if (!high)
		return probe_no(p, "there is no vDSO");
	to = mmap(NULL, high - low, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED)
		return probe_failed(p, "mmap");
	for (line = text; next_map(&line, &start, &end, &ours);)
		if (ours && mremap((void *)start, end - start, end - start, MREMAP_MAYMOVE | MREMAP_FIXED,
				   to + (start - low)) == MAP_FAILED)
			return probe_failed(p, "mremap of the vDSO");
	return PROBE_YES;
}

enum { MAP_VDSO_32 = 0x2002, MAP_VDSO_64 = 0x2003 }; /* ARCH_MAP_VDSO_* of arch_prctl(2) */

/* A process has one vDSO: with its own in place the kernel says EEXIST if it knows the request. */
static enum probe_result map_vdso(struct probe *p, int which)
{
	if (!syscall(SYS_arch_prctl, which, 0) || errno == EEXIST)
		return PROBE_YES;
	return probe_failed(p, "arch_prctl ARCH_MAP_VDSO");
}

enum probe_result probe_can_map_vdso(struct probe *p)
{
	return map_vdso(p, MAP_VDSO_64);
}

static void no_32_bit(int sig)
{
	_exit(1);
}

enum probe_result probe_compat_cr(struct probe *p)
{
	pid_t pid = probe_fork();
	int status;

	if (pid < 0)
		return probe_failed(p, "fork");
	if (!pid) {
		/* getpid of the 32-bit table; SIGSEGV where there is none, of which nobody need hear but us. */
		long ret;

		signal(SIGSEGV, no_32_bit);
		__asm__ volatile("int $0x80" : "=a"(ret) : "0"(20L) : "memory", "r8", "r9", "r10", "r11");
		_exit(ret > 0 ? 0 : 1);
	}
	status = probe_wait(pid);
	if (status)
		return probe_no(p, "32-bit system calls do not work");
	return map_vdso(p, MAP_VDSO_32);
}

enum probe_result probe_memfd_hugetlb(struct probe *p)
{
	_cleanup_close_ int fd = memfd_create("criu-check", MFD_CLOEXEC | MFD_HUGETLB);

	return fd < 0 ? probe_failed(p, "memfd_create MFD_HUGETLB") : PROBE_YES;
}

/* ---- userfaultfd ---- */

static enum probe_result uffd_has(struct probe *p, uint64_t want)
{
	_cleanup_close_ int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_api api = { .api = UFFD_API };

	if (fd < 0)
		return probe_failed(p, "userfaultfd");
	if (ioctl(fd, UFFDIO_API, &api))
		return probe_failed(p, "UFFDIO_API");
	if ((api.features & want) != want)
		return probe_no(p, "userfaultfd lacks features %#llx", (unsigned long long)(want & ~api.features));
	return PROBE_YES;
}

enum probe_result probe_uffd(struct probe *p)
{
	return uffd_has(p, 0);
}

enum probe_result probe_uffd_noncoop(struct probe *p)
{
	return uffd_has(p, UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE |
				   UFFD_FEATURE_EVENT_UNMAP);
}

/* The piece that lies across two pages comes out as one. */
enum probe_result probe_vmsplice_unaligned(struct probe *p)
{
	char *m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), got[8];
	struct iovec iov = { m + PAGE - 4, sizeof(got) };
	int pipe_fd[2];

	if (m == MAP_FAILED || pipe2(pipe_fd, O_CLOEXEC))
		return probe_failed(p, "pipe");
	memcpy(iov.iov_base, "unaligne", sizeof(got));
	if (vmsplice(pipe_fd[1], &iov, 1, SPLICE_F_GIFT | SPLICE_F_NONBLOCK) != (ssize_t)sizeof(got))
		return probe_failed(p, "vmsplice");
	if (read(pipe_fd[0], got, sizeof(got)) != (ssize_t)sizeof(got) || memcmp(got, "unaligne", sizeof(got)) != 0)
		return probe_no(p, "vmsplice of unaligned memory gives other bytes");
	return PROBE_YES;
}
