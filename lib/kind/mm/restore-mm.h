/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Restore half of memory: mapping, contents, and what the restorer blob has to do about it. */
#ifndef CR_KIND_MM_RESTORE_MM_H
#define CR_KIND_MM_RESTORE_MM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "blob/prog.h"
#include "kind/restore.h"

struct MmEntry;
struct VmaEntry;

enum { MM_PAGE = 4096, MM_VDSO_PARTS = 4 };
#define MM_HUGE	    (2ull << 20)
#define MM_TASK_END 0x7ffffffff000ull /* of 4-level page tables */

/* The kernel's own mappings in this process: [vvar] [vvar_vclock] [vdso], adjacent. */
struct mm_vdso {
	uint64_t start, len; /* 0: none */
	struct {
		uint64_t off, len;
		bool code; /* [vdso] */
	} part[MM_VDSO_PARTS];
	unsigned nr;
};
int mm_vdso_own(struct mm_vdso *ret, struct cr_err *e);

/* Shared anonymous segments of the tree: made and filled once, by the main process; children inherit the descriptors.
 */
struct mm_seg {
	uint32_t id;	  /* memfd file id, or shmid with @anon */
	bool anon;	  /* an ANON_SHARED mapping names it */
	uint64_t pagemap; /* number of its pagemap-shmem image */
	uint64_t size;
	int fd;
};
struct mm_segs {
	struct mm_seg *v;
	size_t n, cap;
};
/* Note the segments that @mm uses. */
int mm_segs_add(struct rst *r, const struct MmEntry *mm, struct mm_segs *s, struct cr_err *e);
/* Make and fill all. @ret_pages: pages written */
int mm_segs_make(struct rst *r, struct mm_segs *s, uint64_t *ret_pages, struct cr_err *e);

/* Can it be restored here? @who: "task 12 (bash)" */
int mm_check(struct rst *r, const struct MmEntry *mm, const struct mm_vdso *own, const char *who, struct cr_err *e);
/*
 * --check-only: the files that are mapped, as id << 32 | open flags.
 * @v: room for as many as there are mappings
 * Return: how many
 */
size_t mm_file_keys(const struct MmEntry *mm, uint64_t *v);
/* Does a thread with this instruction pointer stand in the vdso? */
bool mm_in_vdso(const struct MmEntry *mm, uint64_t ip);
/*
 * Likewise: will this kernel's vdso do? @inside: a thread that stands in the dumped one, 0: none
 * Return: 0 yes; 1 the images do not hold it; -errno with @e.
 */
int mm_check_vdso(struct rst *r, const struct MmEntry *mm, pid_t pid, const struct mm_vdso *own, pid_t inside,
		  struct cr_err *e);
/* Does a child profit from being forked when the parent's memory is filled? */
bool mm_shares(const struct MmEntry *parent, const struct MmEntry *child);

/* What of an address space stands in the calling process. A forked child has what its parent had. */
struct mm_state {
	const struct MmEntry *mm;
	uint64_t *at;			      /* where mapping i is now; 0: nowhere */
	uint8_t *inherited;		      /* mapping i came from the parent, with contents */
	uint64_t gap, gap_end;		      /* address range that is free in the new layout; grows from gap on */
	uint64_t compared, skipped, restored; /* pages */
};

/*
 * Map everything of @mm, reusing what fits of what @s holds (of another task), and fill it from the images.
 * @inside: a thread that stands in the vdso, 0: none
 * Return: 0 or -errno with @e.
 */
int mm_restore(struct rst *r, struct mm_state *s, const struct MmEntry *mm, pid_t pid, const struct mm_segs *segs,
	       const struct mm_vdso *vdso, pid_t inside, struct cr_err *e);
/* What must come after the last fork: advice, locks, guard pages. */
int mm_finish(struct mm_state *s, struct cr_err *e);
/* A range that is free in the old and the new layout. @prot: PROT_NONE to reserve. Return: address or 0 with @e. */
uint64_t mm_reserve(struct mm_state *s, uint64_t len, int prot, struct cr_err *e);

/* Where the mappings of the kernel go for a moment: bytes needed in the area. */
uint64_t mm_park_size(const struct mm_vdso *vdso);
/*
 * Unmap everything but @area and what belongs to the task, move what stands elsewhere, move the vdso.
 * @park: room for mm_park_size() bytes in the area
 */
int mm_emit_layout(struct rst_prog *p, const struct mm_state *s, const struct mm_vdso *vdso, uint64_t area,
		   uint64_t area_len, uint64_t park, struct cr_err *e);
/* Addresses that the kernel keeps: brk, arguments, auxv, exe (from @exe_fd, closed afterwards). */
void mm_emit_addresses(struct rst_prog *p, const struct MmEntry *mm, int exe_fd);

#endif
