/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address space of a process: mappings, and the addresses that the kernel keeps for it. */
#ifndef CR_MM_MM_H
#define CR_MM_MM_H

#include <stdbool.h>
#include <stdint.h>

struct dump_hook;
struct proc_vma;

/* Writes mm-PID.img. */
extern const struct dump_hook mm_dump;

/* vma_entry.status: bits of the image format. */
enum mm_status {
	MM_REGULAR = 1u << 0,
	MM_STACK = 1u << 1,
	MM_VSYSCALL = 1u << 2,
	MM_VDSO = 1u << 3,
	MM_HEAP = 1u << 5,
	MM_FILE_PRIVATE = 1u << 6,
	MM_FILE_SHARED = 1u << 7,
	MM_ANON_SHARED = 1u << 8,
	MM_ANON_PRIVATE = 1u << 9,
	MM_SYSVIPC = 1u << 10,
	MM_SOCKET = 1u << 11,
	MM_VVAR = 1u << 12,
	MM_AIORING = 1u << 13,
	MM_MEMFD = 1u << 14,
	MM_SHSTK = 1u << 15,
	MM_GUARD = 1u << 16, /* no mapping: a range of guard pages */
	MM_UPROBES = 1u << 17,
};

#define MM_DROPPABLE 0x08 /* MAP_DROPPABLE, Linux 6.11: in place of MAP_SHARED and MAP_PRIVATE */

/* What a mapping is, by what smaps tells of it. */
struct mm_kind {
	uint32_t status, flags; /* enum mm_status; MAP_* */
	uint64_t madv;		/* bit n: MADV_n */
	bool file;		/* backed by a file that needs an id (a memfd too) */
	bool shm;		/* anonymous shared memory: the inode is the id */
	const char *refused;	/* why it cannot be carried, or NULL */
};

/*
 * Classify. Pure: needs nothing but the mapping.
 * @shm_major, @shm_minor: device of the kernel's own shared memory (memfd, anonymous shared, SysV)
 * @uprobes: --allow-uprobes
 */
struct mm_kind mm_classify(const struct proc_vma *v, uint32_t shm_major, uint32_t shm_minor, bool uprobes);

#endif
