/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a mapping is. The kernel has no one place that tells: names in brackets, the device of its internal shared
 * memory, prefixes of names there and VmFlags together do. What is not recognised is refused: guessing "anonymous"
 * would lose somebody's memory.
 */
#include "kind/mm/mm.h"

#include <string.h>
#include <sys/mman.h>

#include "proc/maps.h"

static bool starts(const struct proc_vma *v, const char *with)
{
	return !strncmp(v->path, with, strlen(with));
}

static bool is(const struct proc_vma *v, const char *name)
{
	return !strcmp(v->path, name);
}

/* Flags of mmap(2) and advice of madvise(2) that stick to a mapping. */
static void traits(const struct proc_vma *v, struct mm_kind *k)
{
	static const struct {
		uint32_t flag;
		int advice;
	} advice[] = {
		{ PVM_RAND_READ, MADV_RANDOM },	 { PVM_SEQ_READ, MADV_SEQUENTIAL },
		{ PVM_DONTCOPY, MADV_DONTFORK }, { PVM_MERGEABLE, MADV_MERGEABLE },
		{ PVM_HUGEPAGE, MADV_HUGEPAGE }, { PVM_NOHUGEPAGE, MADV_NOHUGEPAGE },
		{ PVM_DONTDUMP, MADV_DONTDUMP }, { PVM_WIPEONFORK, MADV_WIPEONFORK },
	};

	k->flags = v->flags & PVM_DROPPABLE ? MM_DROPPABLE : v->shared ? MAP_SHARED : MAP_PRIVATE;
	if (v->flags & PVM_LOCKED)
		k->flags |= MAP_LOCKED;
	if (v->flags & PVM_NORESERVE)
		k->flags |= MAP_NORESERVE;
	if (v->flags & PVM_GROWSDOWN)
		k->flags |= MAP_GROWSDOWN;
	for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
		if (v->flags & advice[i].flag)
			k->madv |= 1ull << advice[i].advice;
}

/* Mappings that the kernel made. Return: whether it is one. */
static bool of_kernel(const struct proc_vma *v, bool uprobes, struct mm_kind *k)
{
	uint32_t status = 0;

	if (is(v, "[vdso]"))
		status = MM_REGULAR | MM_VDSO;
	else if (is(v, "[vvar]") || is(v, "[vvar_vclock]"))
		status = MM_REGULAR | MM_VVAR;
	else if (is(v, "[vsyscall]"))
		status = MM_VSYSCALL;
	else if (is(v, "[uprobes]"))
		status = MM_REGULAR | MM_UPROBES;
	if (!status)
		return false;
	k->status = status | MM_ANON_PRIVATE;
	k->flags = MAP_PRIVATE | MAP_ANONYMOUS;
	k->madv = v->flags & PVM_DONTDUMP ? 1ull << MADV_DONTDUMP : 0;
	if (status & MM_UPROBES && !uprobes)
		k->refused = "it is the page of the kernel's uprobes (pass --allow-uprobes to leave it out)";
	return true;
}

static const char *by_flags(const struct proc_vma *v)
{
	if (v->flags & (PVM_IO | PVM_PFNMAP))
		return "it maps a device";
	if (v->flags & (PVM_UFFD_MISSING | PVM_UFFD_WP | PVM_UFFD_MINOR))
		return "a userfaultfd watches it";
	if (v->flags & PVM_HUGETLB)
		return "huge pages of hugetlbfs are not supported yet";
	if (v->flags & PVM_SHADOW_STACK)
		return "it is a shadow stack";
	return NULL;
}

/* Files that have no name in any file system. */
static const char *by_name(const struct proc_vma *v)
{
	static const struct {
		const char *prefix, *why;
	} names[] = {
		{ "anon_inode:[io_uring]", "it is a ring of io_uring" },
		{ "anon_inode:[perf_event]", "it is a buffer of perf events" },
		{ "anon_inode:", "it belongs to an anonymous inode" },
		{ "/[aio]", "it is a ring of asynchronous I/O (io_setup), which is not supported yet" },
		{ "socket:[", "it is the ring of a packet socket, which is not supported yet" },
		{ "/secretmem", "it is secret memory (memfd_secret), which nobody else can read" },
		{ "/anon_hugepage", "huge pages of hugetlbfs are not supported yet" },
		{ "pipe:[", "it maps a pipe" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (starts(v, names[i].prefix) && (names[i].prefix[0] != '/' || v->dev_major == 0))
			return names[i].why;
	return NULL;
}

static bool is_deleted(const struct proc_vma *v)
{
	static const char tail[] = " (deleted)";

	return v->path_len >= sizeof(tail) && !strcmp(v->path + v->path_len - (sizeof(tail) - 1), tail);
}

/* The kernel's own shared memory. */
static void shmem(const struct proc_vma *v, struct mm_kind *k)
{
	if (starts(v, "/memfd:")) {
		k->file = true;
		k->status |= MM_MEMFD | (v->shared ? MM_FILE_SHARED : MM_FILE_PRIVATE);
	} else if (starts(v, "/SYSV")) {
		k->refused = "shared memory of System V is not supported yet";
	} else if (v->shared && (starts(v, "/dev/zero") || starts(v, "[anon_shmem:"))) {
		k->shm = true;
		k->status |= MM_ANON_SHARED;
		k->flags |= MAP_ANONYMOUS;
	} else {
		k->refused = "it maps shared memory of a driver";
	}
}

struct mm_kind mm_classify(const struct proc_vma *v, uint32_t shm_major, uint32_t shm_minor, bool uprobes)
{
	struct mm_kind k = { .status = MM_REGULAR };

	if (of_kernel(v, uprobes, &k))
		return k;
	traits(v, &k);
	k.refused = by_flags(v);
	if (!k.refused)
		k.refused = by_name(v);
	if (k.refused)
		return k;
	if (v->ino && v->dev_major == shm_major && v->dev_minor == shm_minor && (is_deleted(v) || v->path[0] == '[')) {
		shmem(v, &k);
	} else if (v->path[0] == '/') {
		k.file = true;
		k.status |= v->shared ? MM_FILE_SHARED : MM_FILE_PRIVATE;
	} else if (v->ino || v->shared) {
		k.refused = "it maps an object without a name";
	} else if (!v->path_len || is(v, "[heap]") || starts(v, "[stack") || starts(v, "[anon:")) {
		k.status |= MM_ANON_PRIVATE | (is(v, "[heap]") ? MM_HEAP : 0);
		k.flags |= MAP_ANONYMOUS;
	} else {
		k.refused = "it is a special mapping of the kernel that is not known";
	}
	return k;
}
