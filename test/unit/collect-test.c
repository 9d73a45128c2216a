/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pure parts of criu-collect. LIBS: kind-dump kind-image */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>

#include "kind/dump.h"
#include "kind/ids/ids.h"
#include "kind/mm/mm.h"
#include "kind/ns/ns.h"
#include "kind/seccomp/seccomp.h"
#include "proc/maps.h"
#include "tap.h"

/* criu-collect's tables are not linked here. */
const struct fd_dump_ops *const dump_fd_order[] = { NULL };

enum { SHM_MINOR = 1 };

static struct mm_kind classify(const char *line, uint32_t flags)
{
	static char text[256];
	struct proc_vma v;

	snprintf(text, sizeof(text), "%s", line);
	if (proc_maps_line(text, strlen(text), &v))
		return (struct mm_kind){ .refused = "bad line" };
	v.flags = flags;
	v.has_flags = true;
	return mm_classify(&v, 0, SHM_MINOR, false);
}

#define STATUS(line, flags, want) \
	ok(classify(line, flags).status == (want) && !classify(line, flags).refused, "%s", line)
#define REFUSED(line, flags) ok(classify(line, flags).refused != NULL, "refused: %s", line)

static void test_classify(void)
{
	struct mm_kind k;

	STATUS("1000-2000 rw-p 0 00:00 0", 0, MM_REGULAR | MM_ANON_PRIVATE);
	STATUS("1000-2000 rw-p 0 00:00 0   [heap]", 0, MM_REGULAR | MM_HEAP | MM_ANON_PRIVATE);
	STATUS("1000-2000 r--p 0 00:00 0   [vvar]", PVM_PFNMAP | PVM_IO, MM_REGULAR | MM_VVAR | MM_ANON_PRIVATE);
	STATUS("1000-2000 r--p 0 00:00 0   [vvar_vclock]", PVM_PFNMAP, MM_REGULAR | MM_VVAR | MM_ANON_PRIVATE);
	STATUS("1000-2000 r-xp 0 00:00 0   [vdso]", 0, MM_REGULAR | MM_VDSO | MM_ANON_PRIVATE);
	STATUS("1000-2000 --xp 0 00:00 0   [vsyscall]", 0, MM_VSYSCALL | MM_ANON_PRIVATE);
	STATUS("1000-2000 rw-p 0 00:00 0   [anon:glibc: malloc]", 0, MM_REGULAR | MM_ANON_PRIVATE);
	STATUS("1000-2000 r-xp 0 fe:00 12  /bin/cat", 0, MM_REGULAR | MM_FILE_PRIVATE);
	STATUS("1000-2000 rw-s 0 fe:00 12  /x (deleted)", 0, MM_REGULAR | MM_FILE_SHARED);
	STATUS("1000-2000 rw-s 0 00:01 12  /dev/zero (deleted)", 0, MM_REGULAR | MM_ANON_SHARED);
	STATUS("1000-2000 rw-s 0 00:01 12  /memfd:a b (deleted)", 0, MM_REGULAR | MM_MEMFD | MM_FILE_SHARED);
	STATUS("1000-2000 rw-p 0 00:01 12  /memfd: (deleted)", 0, MM_REGULAR | MM_MEMFD | MM_FILE_PRIVATE);
	STATUS("1000-2000 rw-p 0 00:05 4   /dev/zero", 0, MM_REGULAR | MM_FILE_PRIVATE);
	STATUS("1000-2000 rw-p 0 00:1a 4   /memfd:x (deleted)", 0, MM_REGULAR | MM_FILE_PRIVATE);
	STATUS("1000-2000 rw-p 0 fe:00 4   /SYSV0 (deleted)", 0, MM_REGULAR | MM_FILE_PRIVATE);
	REFUSED("1000-2000 rw-s 0 00:01 9  /SYSV00000000 (deleted)", 0);
	REFUSED("1000-2000 rw-s 0 00:01 9  /i915 (deleted)", 0);
	REFUSED("1000-2000 rw-s 0 00:0f 9  anon_inode:[io_uring]", 0);
	REFUSED("1000-2000 rw-s 0 00:0f 9  anon_inode:[perf_event]", PVM_DONTDUMP);
	REFUSED("1000-2000 rw-s 0 00:08 9  socket:[9]", 0);
	REFUSED("1000-2000 rw-p 0 00:10 9  /[aio] (deleted)", 0);
	REFUSED("1000-2000 rw-s 0 00:11 9  /secretmem (deleted)", PVM_LOCKED);
	REFUSED("1000-2000 r--p 0 00:00 0  [uprobes]", 0);
	REFUSED("1000-2000 r--p 0 00:00 0  [something new]", 0);
	REFUSED("1000-2000 rw-s 0 00:00 0", 0);
	REFUSED("1000-2000 rw-s 0 fe:00 9  /dev/mem", PVM_IO | PVM_PFNMAP);
	REFUSED("1000-2000 rw-p 0 00:00 0", PVM_UFFD_MISSING);
	REFUSED("1000-2000 rw-p 0 00:00 0", PVM_UFFD_WP);
	REFUSED("1000-2000 rw-p 0 00:00 0", PVM_HUGETLB);
	REFUSED("1000-2000 rw-p 0 00:00 0", PVM_SHADOW_STACK);
	k = classify("1000-2000 rw-p 0 00:00 0 [stack]", PVM_GROWSDOWN | PVM_LOCKED | PVM_NORESERVE);
	ok(k.flags == (MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE), "flags");
	k = classify("1000-2000 rw-p 0 00:00 0", PVM_DROPPABLE);
	ok(k.flags == (MM_DROPPABLE | MAP_ANONYMOUS), "droppable is a type of its own");
	k = classify("1000-2000 rw-p 0 00:00 0",
		     PVM_HUGEPAGE | PVM_DONTDUMP | PVM_DONTCOPY | PVM_SEQ_READ | PVM_WIPEONFORK);
	ok(k.madv == (1u << MADV_HUGEPAGE | 1u << MADV_DONTDUMP | 1u << MADV_DONTFORK | 1u << MADV_SEQUENTIAL |
		      1u << MADV_WIPEONFORK),
	   "advice");
	k = classify("1000-2000 rw-s 0 00:01 12 /dev/zero (deleted)", 0);
	ok(k.shm && !k.file && k.flags == (MAP_SHARED | MAP_ANONYMOUS), "shared memory has no file");
}

static int by_value(void *ctx, size_t i, size_t j)
{
	const int *v = ctx;

	if (v[i] < 0)
		return -EPERM;
	return v[i] == v[j] ? 0 : v[i] < v[j] ? 1 : 2;
}

static void test_ids(void)
{
	int v[] = { 5, 3, 5, 9, 1, 3, 9, 9 }, bad[] = { 1, -1 }, many[300];
	uint32_t id[8], big[300];
	bool good = true;

	ok(!ids_sort_out(8, by_value, v, 2, id), "eight things");
	ok(id[0] == 2 && id[1] == 3 && id[2] == 2 && id[3] == 4 && id[4] == 5 && id[5] == 3 && id[6] == 4 && id[7] == 4,
	   "equal things have equal ids, counted as they come");
	ok(ids_sort_out(2, by_value, bad, 2, id) == -EPERM, "a comparison that fails");
	ok(!ids_sort_out(0, by_value, v, 2, id), "nothing");
	for (int i = 0; i < 300; i++)
		many[i] = i * 7919 % 101;
	ids_sort_out(300, by_value, many, 1, big);
	for (int i = 0; i < 300; i++)
		for (int j = 0; j < 300; j++)
			good = good && (many[i] == many[j]) == (big[i] == big[j]);
	ok(good, "300 things");
}

static void test_clock(void)
{
	ok(ns_clock(5000000000, 0, 0, 0, 0) == 5000000000, "no offsets");
	ok(ns_clock(5000000000, 10, 500, 0, 0) == 15000000500, "their offset");
	ok(ns_clock(5000000000, -3, 999999999, 1, 0) == 1999999999, "negative, and ours");
	ok(ns_clock(5, -10, 0, 0, 0) == 0, "never below zero");
	ok(ns_clock(5, INT64_MAX, 0, INT64_MIN, 0) == INT64_MAX, "no overflow");
}

static void test_seccomp(void)
{
	struct sock_filter allow[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
				       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x7fc00000, 0, 1),
				       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
				       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1) };
	struct sock_filter notify[] = { BPF_STMT(BPF_RET | BPF_K, 0x7fc00000) };
	struct sock_filter computed[] = { BPF_STMT(BPF_LD | BPF_IMM, 0x7fc00000), BPF_STMT(BPF_RET | BPF_A, 0) };
	struct sock_filter harmless[] = { BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_A, 0) };

	ok(!seccomp_can_notify(allow, 4), "a comparison with the number is none");
	ok(seccomp_can_notify(notify, 1), "returned");
	ok(seccomp_can_notify(computed, 2), "computed");
	ok(!seccomp_can_notify(harmless, 2), "something else computed");
}

int main(void)
{
	test_classify();
	test_ids();
	test_clock();
	test_seccomp();
	return tap_done();
}
