/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory (D1, D2, D4-D10, D12, D14-D16, D20): every ordinary sort of mapping, each with a pattern. /proc/self/maps and
 * the VmFlags of smaps are compared line by line with what they were before.
 */
#include "victim.h"
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/time.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

enum { PAGE = 4096, N = 16 };

static char *map(size_t pages, int prot, int flags, int fd, off_t off)
{
	char *p = mmap(NULL, pages * PAGE, prot, flags, fd, off);

	need(p != MAP_FAILED);
	return p;
}

static char *anon(size_t pages)
{
	/* A hole on either side, so that the kernel does not merge neighbours. */
	char *p = map(pages + 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	munmap(p, PAGE);
	munmap(p + (pages + 1) * PAGE, PAGE);
	need(mmap(p + PAGE, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	     MAP_FAILED);
	return p + PAGE;
}

static int file_with(const char *path, size_t pages, unsigned seed)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char buf[PAGE];

	need(fd >= 0);
	for (size_t i = 0; i < pages; i++) {
		victim_fill(buf, PAGE, seed + (unsigned)i);
		need(write(fd, buf, PAGE) == PAGE);
	}
	return fd;
}

/* Memory files and deleted files are made anew: their inode numbers, behind the colon of the device, are no state. */
static void blank_inode(char *colon)
{
	for (char *p = strchr(colon, ' '); p && *++p >= '0' && *p <= '9';)
		*p = '#';
}

/* The lines of smaps that are state: ranges, permissions, names and VmFlags. */
static char *layout(void)
{
	static char line[1024];
	char *out = NULL, *end;
	size_t len = 0;
	FILE *f = fopen("/proc/self/smaps", "r"), *m = open_memstream(&out, &len);

	need(f && m);
	while (fgets(line, sizeof(line), f)) {
		bool head = line[0] >= '0' && line[0] <= '9' ? true : line[0] >= 'a' && line[0] <= 'f';

		if (head && strstr(line, "[heap]"))
			continue; /* this very function may grow it */
		if (head && strchr(line, ':'))
			blank_inode(strchr(line, ':'));
		if (head || !strncmp(line, "VmFlags", 7)) {
			if ((end = strstr(line, " sd")))
				memmove(end, end + 3, strlen(end + 3) + 1);
			fputs(line, m);
		}
	}
	fclose(f);
	fclose(m);
	return out;
}

static void say_layout_diff(char *a, char *b)
{
	char *pa, *pb, *la = strtok_r(a, "\n", &pa), *lb = strtok_r(b, "\n", &pb);

	for (int shown = 0; (la || lb) && shown < 6;) {
		if (!la || !lb || strcmp(la, lb)) {
			victim_say("# was: %s", la ? la : "-");
			victim_say("# is:  %s", lb ? lb : "-");
			shown++;
		}
		la = la ? strtok_r(NULL, "\n", &pa) : NULL;
		lb = lb ? strtok_r(NULL, "\n", &pb) : NULL;
	}
}

static bool guarded(char *p)
{
	int fds[2];
	bool bad;

	need(!pipe(fds));
	bad = write(fds[1], p, 1) == -1 && errno == EFAULT;
	close(fds[0]);
	close(fds[1]);
	return bad;
}

static char *sparse, *readonly, *none, *exec_page, *priv, *priv_cow, *shared_file, *shared_anon, *huge, *locked, *grows,
	*guard, *dontfork, *random_access, *droppable, *memfd_shared, *memfd_private, *deleted_file, *wx_none, *zeros,
	*shared_none;

static void make_anonymous(void)
{
	sparse = anon(64);
	for (int i = 0; i < 64; i += 3)
		victim_fill(sparse + i * PAGE, PAGE, 100 + (unsigned)i);
	readonly = anon(N);
	victim_fill(readonly, N * PAGE, 2);
	need(!mprotect(readonly, 4 * PAGE, PROT_READ));
	none = anon(N);
	victim_fill(none, N * PAGE, 3);
	need(!mprotect(none, N * PAGE, PROT_NONE));
	wx_none = anon(N);
	victim_fill(wx_none, N * PAGE, 33);
	need(!mprotect(wx_none, N * PAGE, PROT_WRITE | PROT_EXEC));
	exec_page = anon(1);
	memcpy(exec_page, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42, %eax; ret */
	need(!mprotect(exec_page, PAGE, PROT_READ | PROT_EXEC));
	zeros = anon(N);
	for (int i = 0; i < N; i++)
		((volatile char *)zeros)[i * PAGE] = 0;
	locked = anon(N);
	victim_fill(locked, N * PAGE, 4);
	need(!mlock(locked, 4 * PAGE));
	dontfork = anon(N);
	victim_fill(dontfork, N * PAGE, 5);
	need(!madvise(dontfork, 2 * PAGE, MADV_DONTFORK) && !madvise(dontfork + 4 * PAGE, 2 * PAGE, MADV_DONTDUMP) &&
	     !madvise(dontfork + 8 * PAGE, 2 * PAGE, MADV_WIPEONFORK));
	guard = anon(N);
	victim_fill(guard, N * PAGE, 6);
	if (madvise(guard + 4 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL))
		guard = NULL;
	droppable = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	if (droppable != MAP_FAILED)
		victim_fill(droppable, N * PAGE, 7);
	grows = mmap(anon(64) + 32 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	need(grows != MAP_FAILED);
	victim_fill(grows, 8 * PAGE, 8);
}

static void make_huge(void)
{
	char *p = map(6 * 512, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	huge = (char *)(((uintptr_t)p + (2 << 20) - 1) & ~(uintptr_t)((2 << 20) - 1));
	need(!madvise(huge, 4 << 20, MADV_HUGEPAGE));
	victim_fill(huge, 4 << 20, 9);
	need(!madvise(huge + (4 << 20), 2 << 20, MADV_NOHUGEPAGE));
	victim_fill(huge + (4 << 20), 2 << 20, 10);
}

static void make_files(void)
{
	int fd = file_with("private.bin", N, 200);

	priv = map(N, PROT_READ, MAP_PRIVATE, fd, 0);
	priv_cow = map(N - 2, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 2 * PAGE);
	victim_fill(priv_cow + 3 * PAGE, PAGE, 11);
	random_access = map(N, PROT_READ, MAP_PRIVATE, fd, 0);
	need(!madvise(random_access, 4 * PAGE, MADV_RANDOM) &&
	     !madvise(random_access + 8 * PAGE, 4 * PAGE, MADV_SEQUENTIAL));
	close(fd);
	fd = file_with("shared.bin", N, 300);
	shared_file = map(N, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	victim_fill(shared_file + PAGE, PAGE, 12);
	close(fd);
	fd = file_with("deleted.bin", N, 400);
	deleted_file = map(N, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(!unlink("deleted.bin"));
	close(fd);
}

static void make_shared(void)
{
	int fd = memfd_create("victim memory", MFD_CLOEXEC);

	shared_anon = map(64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 64; i += 5)
		victim_fill(shared_anon + i * PAGE, PAGE, 500 + (unsigned)i);
	shared_none = map(N, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	victim_fill(shared_none, N * PAGE, 16);
	need(!mprotect(shared_none, N * PAGE, PROT_NONE));
	need(fd >= 0 && !ftruncate(fd, N * PAGE));
	memfd_shared = map(N, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	victim_fill(memfd_shared, N * PAGE, 13);
	memfd_private = map(N, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	victim_fill(memfd_private + PAGE, PAGE, 14);
	close(fd);
}

static void check_anonymous(void)
{
	bool ok = true;

	for (int i = 0; i < 64; i++)
		ok &= i % 3 ? sparse[i * PAGE] == 0 : victim_same(sparse + i * PAGE, PAGE, 100 + (unsigned)i);
	check("sparse memory", ok);
	check("read-only memory", victim_same(readonly, N * PAGE, 2));
	check("PROT_NONE is PROT_NONE", guarded(none));
	need(!mprotect(none, N * PAGE, PROT_READ) && !mprotect(wx_none, N * PAGE, PROT_READ));
	check("PROT_NONE memory", victim_same(none, N * PAGE, 3));
	check("write-only memory", victim_same(wx_none, N * PAGE, 33));
	check("code", ((int (*)(void))exec_page)() == 42);
	check("zeros", !zeros[0] && !zeros[N * PAGE - 1]);
	check("locked memory", victim_same(locked, N * PAGE, 4));
	check("advised memory", victim_same(dontfork, N * PAGE, 5));
	if (guard) {
		check("guard region",
		      guarded(guard + 4 * PAGE) && guarded(guard + 5 * PAGE) && !guarded(guard + 6 * PAGE));
		check("around the guard region", victim_same(guard, 4 * PAGE, 6));
	}
	if (droppable != MAP_FAILED)
		check("droppable memory", victim_same(droppable, N * PAGE, 7) || droppable[0] == 0);
	check("memory that grows down", victim_same(grows, 8 * PAGE, 8));
	grows[-100] = 1;
	check("it still grows", grows[-100] == 1);
	check("huge pages", victim_same(huge, 4 << 20, 9));
	check("no huge pages", victim_same(huge + (4 << 20), 2 << 20, 10));
}

static void check_files(void)
{
	bool ok = true;

	for (unsigned i = 0; i < N; i++)
		ok &= victim_same(priv + i * PAGE, PAGE, 200 + i) &&
		      victim_same(random_access + i * PAGE, PAGE, 200 + i);
	check("private file mapping", ok);
	check("page of its own", victim_same(priv_cow + 3 * PAGE, PAGE, 11) && victim_same(priv_cow, PAGE, 202));
	check("shared file mapping", victim_same(shared_file + PAGE, PAGE, 12) && victim_same(shared_file, PAGE, 300));
	ok = true;
	for (unsigned i = 0; i < N; i++)
		ok &= victim_same(deleted_file + i * PAGE, PAGE, 400 + i);
	check("mapping of a deleted file", ok);
	check("it stays deleted", access("deleted.bin", F_OK) == -1);
}

static void check_shared(int to_child, int from_child)
{
	bool ok = true;
	char byte = 1;

	for (int i = 0; i < 64; i++)
		ok &= i % 5 ? shared_anon[i * PAGE] == 0 : victim_same(shared_anon + i * PAGE, PAGE, 500 + (unsigned)i);
	check("shared anonymous memory", ok);
	victim_fill(shared_anon, PAGE, 15);
	need(write(to_child, &byte, 1) == 1 && read(from_child, &byte, 1) == 1);
	check("the child shares it", byte == 42);
	need(!mprotect(shared_none, N * PAGE, PROT_READ));
	check("shared PROT_NONE memory", victim_same(shared_none, N * PAGE, 16));
	check("memfd mapping", victim_same(memfd_shared, N * PAGE, 13));
	check("private memfd mapping",
	      victim_same(memfd_private + PAGE, PAGE, 14) && !memcmp(memfd_private, memfd_shared, PAGE));
	memfd_shared[0]++;
	check("it is the same memfd", memfd_private[0] == memfd_shared[0]);
}

int main(int argc, char **argv)
{
	static char big_bss[1 << 20];
	int to[2], from[2];
	void *brk_end;
	char *before, *after, *heap, link[4096] = "";
	unsigned long entry = getauxval(AT_ENTRY), vdso = getauxval(AT_SYSINFO_EHDR), rnd = getauxval(AT_RANDOM);
	pid_t child;

	heap = malloc(100000);
	victim_fill(heap, 100000, 20);
	victim_fill(big_bss, sizeof(big_bss), 21);
	make_anonymous();
	make_huge();
	make_files();
	make_shared();
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	need(!pipe(to) && !pipe(from));
	need((child = fork()) >= 0);
	if (!child) {
		char byte;

		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		if (read(to[0], &byte, 1) == 1) {
			byte = victim_same(shared_anon, PAGE, 15) && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1 &&
					       victim_same(sparse, PAGE, 100) &&
					       victim_same(big_bss, sizeof(big_bss), 21)
				       ? 42
				       : 43;
			need(write(from[1], &byte, 1) == 1);
		}
		_exit(0);
	}
	sbrk(12345);
	brk_end = sbrk(0);
	before = layout();
	victim_ready();
	victim_wait();
	after = layout();
	check("layout and VmFlags", !strcmp(before, after));
	if (strcmp(before, after))
		say_layout_diff(before, after);
	check("brk", sbrk(0) == brk_end && (sbrk(4096) == brk_end));
	check("heap", victim_same(heap, 100000, 20));
	check("bss", victim_same(big_bss, sizeof(big_bss), 21));
	check_anonymous();
	check_files();
	check_shared(to[1], from[0]);
	check("auxv",
	      getauxval(AT_ENTRY) == entry && getauxval(AT_SYSINFO_EHDR) == vdso && getauxval(AT_RANDOM) == rnd);
	check("exe", readlink("/proc/self/exe", link, sizeof(link) - 1) > 0 && strstr(link, "memory"));
	check("arguments", argc == 2 && !strcmp(argv[1], "argument"));
	check("environment", getenv("VICTIM") && !strcmp(getenv("VICTIM"), "environment"));
	struct timeval tv;
	check("clock of the vDSO", !gettimeofday(&tv, NULL) && tv.tv_sec > 1600000000);
	waitpid(child, NULL, 0);
	return victim_done();
}
