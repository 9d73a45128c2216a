/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts that criu-pages relies on: what PAGEMAP_SCAN says of private file pages, of the zero page and of guard regions;
 * what reads a page without PROT_READ; where SEEK_DATA finds the data of shared anonymous memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bare/uapi.h"
#include "tap.h"
#include "zero-page.h"

enum { PAGE = 4096, GUARD_INSTALL = 102 };

/* Categories of one page; -1: no PAGEMAP_SCAN; 0: nothing matches. */
static int64_t categories(const void *page, uint64_t which)
{
	struct cr_page_region r = { 0 };
	struct cr_pm_scan_arg a = { .size = sizeof(a),
				    .start = (uintptr_t)page,
				    .end = (uintptr_t)page + PAGE,
				    .vec = (uintptr_t)&r,
				    .vec_len = 1,
				    .category_anyof_mask = which,
				    .return_mask = which };
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), n = ioctl(fd, CR_PAGEMAP_SCAN, &a);

	close(fd);
	return n < 0 ? -1 : n ? (int64_t)r.categories : 0;
}

static void private_file(void)
{
	const uint64_t all = CR_PAGE_IS_FILE | CR_PAGE_IS_PRESENT | CR_PAGE_IS_PFNZERO;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	volatile char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	volatile char *z = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char c = p[0], d = z[0];

	(void)c, (void)d;
	if (categories((void *)p, all) < 0) {
		tap_skip("no PAGEMAP_SCAN");
		return;
	}
	ok(categories((void *)p, all) == (CR_PAGE_IS_FILE | CR_PAGE_IS_PRESENT),
	   "a private page that was only read is the file's");
	p[PAGE] = 1;
	ok(categories((void *)(p + PAGE), all) == CR_PAGE_IS_PRESENT, "one that was written is not");
	if (zero_page_shared())
		ok(categories((void *)z, CR_PAGE_IS_PFNZERO) == CR_PAGE_IS_PFNZERO, "the zero page has a category");
	else
		tap_skip("this kernel has no zero page");
	close(fd);
}

static void guard(void)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (madvise(p, PAGE, GUARD_INSTALL)) {
		tap_skip("no guard regions");
		return;
	}
	if (categories(p, CR_PAGE_IS_GUARD) < 0) {
		tap_skip("guard regions have no category");
		return;
	}
	ok(categories(p, CR_PAGE_IS_GUARD) == CR_PAGE_IS_GUARD, "a guard region has a category");
	ok(categories(p + PAGE, CR_PAGE_IS_GUARD) == 0, "its neighbour has not");
}

static void no_access(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), buf[PAGE] = "";
	struct iovec here = { buf, PAGE }, there = { p, PAGE };
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	strcpy(p, "hidden");
	mprotect(p, PAGE, PROT_NONE);
	ok(process_vm_readv(getpid(), &here, 1, &there, 1, 0) < 0 && errno == EFAULT,
	   "process_vm_readv() does not read PROT_NONE");
	ok(pread(mem, buf, PAGE, (off_t)(uintptr_t)p) == PAGE && !strcmp(buf, "hidden"), "/proc/PID/mem does");
	close(mem);
}

static void shared(void)
{
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), path[96];
	int fd;

	p[3 * PAGE] = 1;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)p, (unsigned long)p + 8 * PAGE);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ok(fd >= 0, "map_files leads to shared anonymous memory");
	ok(lseek(fd, 0, SEEK_DATA) == 3 * PAGE && lseek(fd, 3 * PAGE, SEEK_HOLE) == 4 * PAGE,
	   "SEEK_DATA finds its pages");
	close(fd);
}

static void no_name(void)
{
	int fd = open("/dev/shm", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0) {
		tap_skip("no O_TMPFILE in /dev/shm");
		return;
	}
	ok(!fallocate(fd, 0, 0, 16 * PAGE), "a file without a name can be allocated");
	close(fd);
}

int main(void)
{
	private_file();
	guard();
	no_access();
	shared();
	no_name();
	return tap_done();
}
