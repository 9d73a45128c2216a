/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/PID/maps and /proc/PID/smaps, read as a stream: one call, one mapping. 20,000 mappings are 14 MB of smaps, so
 * the text is never held as a whole.
 */
#ifndef CR_PROC_MAPS_H
#define CR_PROC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* VmFlags of smaps that somebody asks for; proc_pid_smaps(5), fs/proc/task_mmu.c of the kernel. */
enum proc_vmf {
	PVM_MAYWRITE = 1 << 0,	    /* mw */
	PVM_GROWSDOWN = 1 << 1,	    /* gd */
	PVM_PFNMAP = 1 << 2,	    /* pf */
	PVM_LOCKED = 1 << 3,	    /* lo */
	PVM_IO = 1 << 4,	    /* io */
	PVM_SEQ_READ = 1 << 5,	    /* sr */
	PVM_RAND_READ = 1 << 6,	    /* rr */
	PVM_DONTCOPY = 1 << 7,	    /* dc */
	PVM_NORESERVE = 1 << 8,	    /* nr */
	PVM_HUGETLB = 1 << 9,	    /* ht */
	PVM_WIPEONFORK = 1 << 10,   /* wf */
	PVM_DONTDUMP = 1 << 11,	    /* dd */
	PVM_MIXEDMAP = 1 << 12,	    /* mm */
	PVM_HUGEPAGE = 1 << 13,	    /* hg */
	PVM_NOHUGEPAGE = 1 << 14,   /* nh */
	PVM_MERGEABLE = 1 << 15,    /* mg */
	PVM_UFFD_MISSING = 1 << 16, /* um */
	PVM_UFFD_WP = 1 << 17,	    /* uw */
	PVM_UFFD_MINOR = 1 << 18,   /* ui */
	PVM_SHADOW_STACK = 1 << 19, /* ss */
	PVM_DROPPABLE = 1 << 20,    /* dp, Linux 6.11 */
	PVM_SEALED = 1 << 21,	    /* sl, Linux 6.10 */
	PVM_LOCKONFAULT = 1 << 22,  /* lf, newer kernels; older ones do not tell it */
};

struct proc_vma {
	uint64_t start, end, pgoff; /* bytes */
	uint32_t prot;		    /* PROT_* */
	bool shared;
	bool has_flags; /* VmFlags came along: smaps */
	uint32_t dev_major, dev_minor;
	uint64_t ino;
	uint32_t flags;	    /* enum proc_vmf */
	uint64_t rss, swap; /* bytes; smaps */
	/* As the kernel writes it ("\n" is "\012", a deleted file ends with " (deleted)"); valid until the next call.
	 */
	const char *path;
	size_t path_len;
};

enum { PROC_MAPS_BUF = 64 << 10 };

/* @fd: the caller's; borrowed. Initialise with proc_maps_init(). About 68 KiB: not for the stack of a thread. */
struct proc_maps {
	int fd;
	bool eof;
	size_t start, end; /* unread text in buf */
	char path[4096 + 16];
	char buf[PROC_MAPS_BUF];
};

void proc_maps_init(struct proc_maps *m, int fd);
/* The next mapping of a maps or smaps file. Return: 1; 0 at the end; -errno; -EINVAL: this is no such file. */
int proc_maps_next(struct proc_maps *m, struct proc_vma *ret);

/* One head line, without its newline ("start-end perms offset dev inode  path"). Return: 0 or -EINVAL. */
int proc_maps_line(const char *line, size_t len, struct proc_vma *ret);

#endif
