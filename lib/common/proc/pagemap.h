/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/pagemap: which pages of a task hold memory of its own; by PAGEMAP_SCAN (Linux 6.7), or by reading it. */
#ifndef CR_PROC_PAGEMAP_H
#define CR_PROC_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_range {
	uint64_t start, end; /* addresses, end exclusive */
};

enum { PROC_PAGEMAP_VEC = 256 };

struct proc_pagemap {
	int fd;
	bool by_reading;   /* no PAGEMAP_SCAN: gaps between mappings cost time */
	bool no_guard;	   /* the kernel does not know guard regions */
	uint64_t zero_pfn; /* by_reading: 0 unknown */
	uint64_t pos, end; /* what is left to look at */
	size_t next, n;	   /* of vec */
	struct proc_range vec[PROC_PAGEMAP_VEC];
};

/* Open. @proc: /proc/PID. Return: 0 or -errno. */
int proc_pagemap_open(struct proc_pagemap *p, int proc);
void proc_pagemap_close(struct proc_pagemap *p);
/* Look at [start, end) next; multiples of the page size. */
void proc_pagemap_seek(struct proc_pagemap *p, uint64_t start, uint64_t end);
/*
 * The next range of memory of the task's own: anonymous, present or swapped out, without the zero page and guard
 * regions; that is what a private mapping holds beyond its file. Ascending; touching ranges may come in parts.
 * Return: 1 got one; 0 the end; -errno (-EPERM: exited, or no right to ptrace). -EAGAIN, once: the kernel has no
 * PAGEMAP_SCAN, so from @pos on each page is looked at: seek to mappings only, or go on.
 */
int proc_pagemap_next(struct proc_pagemap *p, struct proc_range *ret);

/*
 * Guard regions (MADV_GUARD_INSTALL) in [*start, end). @fd: of /proc/PID/pagemap. Moves *start behind what was looked
 * at. Return: ranges stored, at most @n; -EOPNOTSUPP: this kernel does not tell (before 6.15); -errno.
 */
ssize_t proc_guard_scan(int fd, uint64_t *start, uint64_t end, struct proc_range *ret, size_t n);

#endif
