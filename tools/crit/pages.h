/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pages of a task or segment, wherever in the chain of parents their data is. */
#ifndef CRIT_PAGES_H
#define CRIT_PAGES_H

#include "crit.h"

enum { PAGE_BYTES = 4096 };

struct page_run {
	uint64_t start, pages, offset; /* offset: in the pages file, if present */
	uint32_t flags;		       /* IMG_PE_* */
};

struct pages {
	int dir; /* of these images, borrowed at the first level */
	int fd;	 /* pages-N.img; -1: none */
	struct page_run *run;
	size_t n, at; /* at: where the last one was found */
	struct pages *parent;
};

/*
 * @type: IMG_PAGEMAP or IMG_PAGEMAP_SHMEM
 * Return: 1; 0 there is none; -errno with @e. @p is for pages_close() in any case.
 */
int pages_open(struct pages *p, int dir, enum img_type type, unsigned long id, struct cr_err *e);
void pages_close(struct pages *p);
/*
 * The first address at or above @from that has a page. @ret_pages: how many follow without a gap.
 * Return: false if there are no more
 */
bool pages_next(struct pages *p, uint64_t from, uint64_t *ret, uint64_t *ret_pages);
/*
 * Data of up to @most pages from @addr on, which has a page.
 * Return: pages read; 0: their data is not here (lazy); -errno with @e
 */
ssize_t pages_read(struct pages *p, uint64_t addr, size_t most, void *buf, struct cr_err *e);

#endif
