/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of criu-pages. */
#ifndef CR_PAGES_PAGES_H
#define CR_PAGES_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "copy.h"
#include "hold/client.h"
#include "image/image.h"
#include "image/manifest.h"

enum { PAGE_BYTES = 4096 };

/* Facts for stats-dump. Pages of private memory, and of shared segments. */
struct pages_stats {
	uint64_t scanned, written, shared_scanned, shared_written;
};

/* A shared memory segment that a task maps, and where: /proc/PID/map_files/START-END leads to it. */
struct segment {
	uint64_t shmid;
	pid_t pid;
	uint64_t start, end;
};

struct pages_run {
	int img;
	struct hold *hold;
	bool check_only; /* a dry run: which pages there are is written, but not what they hold */
	bool beside;	 /* criu-collect: started ahead, it may not be done when we begin */
	struct stage_facts *facts;
	struct copier *copier;
	struct pages_stats stats;
	uint64_t bytes;	  /* of all pages so far */
	uint32_t next_id; /* pages-N.img */
	int ahead;	  /* a file without a name, allocated while we waited; or -1 */
	struct segment *segments;
	size_t nr_segments, cap_segments;
};

/* ---- out.c: pagemap-*.img with its pages-N.img ---- */
struct pages_out {
	struct pages_run *run;
	struct img_writer map, pages;
	bool ahead;	    /* pages came allocated: cut it at the end */
	uint64_t off;	    /* in pages */
	uint64_t vaddr, nr; /* the entry that grows */
	uint32_t flags;
	char name[IMG_NAME_MAX];
	struct copy_target target;
};

/* Create both files. @o must not move. */
int out_begin(struct pages_out *o, struct pages_run *r, enum img_type type, unsigned long id, bool root,
	      struct cr_err *e);
/* Copy @nr pages at @at of @src; they are the pages at @vaddr of the pagemap. Ascending. */
int out_pages(struct pages_out *o, const struct copy_source *src, enum copy_how how, uint64_t at, uint64_t vaddr,
	      uint64_t nr, uint32_t flags, struct cr_err *e);
/* Wait for the copies and put both files in place. */
int out_finish(struct pages_out *o, struct cr_err *e);
/* Remove what was not finished. */
void out_abandon(struct pages_out *o);

/* ---- task.c ---- */
/* Private memory of a live task; notes its shared segments. @root: of the tree */
int pages_task(struct pages_run *r, pid_t pid, bool root, struct cr_err *e);

/* ---- shmem.c ---- */
/* Remember the anonymous shared segment of a mapping. */
int segment_note(struct pages_run *r, const struct segment *s, struct cr_err *e);
/* Each segment once: those that criu-collect left word of (memory files), then those that were noted. */
int pages_shmem(struct pages_run *r, struct cr_err *e);

/* ---- ahead.c ---- */
/*
 * Before the tree is stopped: make a file and allocate as much of it as the root task has anonymous memory, so that
 * this part of the work is not done while the tree stands still. It has no name: if we are killed, nothing is left.
 * Return: descriptor, or -1: not worth it, or not possible.
 */
int ahead_begin(int img, pid_t root);

#endif
