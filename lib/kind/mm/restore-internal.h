/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CR_KIND_MM_RESTORE_INTERNAL_H
#define CR_KIND_MM_RESTORE_INTERNAL_H

#include "kind/mm/restore-mm.h"
#include "mm.pb-c.h"

/* No mapping of the task's own: the kernel makes it, or it is a pseudo entry. */
bool mm_is_special(const VmaEntry *v);
bool mm_is_private(const VmaEntry *v);
/* How the file of a mapping is opened for it. */
int mm_open_flags(const VmaEntry *v);
/* The mapping of @mm that holds @addr, looking from *@hint on (addresses come in order); -1: none. */
long mm_find(const MmEntry *mm, size_t *hint, uint64_t addr);
/* Fill @s->mm from pagemap-PID.img and pages-N.img. */
int mm_fill(struct rst *r, struct mm_state *s, pid_t pid, const struct mm_vdso *vdso, pid_t inside, struct cr_err *e);
/*
 * Read @len bytes at @off of @fd to @at; both ends of the range are multiples of 2 MiB. @huge: into huge pages.
 * Return: 0, -errno, -ENODATA: the file ends before.
 */
int mm_read_bulk(struct rst *r, int fd, uint64_t at, uint64_t len, off_t off, bool huge);
/*
 * Can a task that had the one vdso go on with the other? Both buffers are changed.
 * @inside: a thread that stands in it, 0: none
 * Return: 0 or -errno with @e
 */
int mm_vdso_compare(uint8_t *dumped, uint8_t *own, size_t len, pid_t inside, struct cr_err *e);
/* Fill a shared segment that is mapped at @at. */
int mm_fill_segment(struct rst *r, const struct mm_seg *seg, void *at, uint64_t *ret_pages, struct cr_err *e);

#endif
