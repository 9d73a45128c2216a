/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pagemap is held as runs of 32 bytes; page data is read as it is asked for. */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "pagemap.pb-c.h"

enum { PARENTS_MOST = 4096 };

static int add_run(struct pages *p, const PagemapEntry *m, uint64_t *offset, size_t *cap, struct cr_err *e)
{
	struct page_run r = { m->vaddr, img_pagemap_pages(m), *offset, img_pagemap_flags(m) };

	if (p->n == *cap) {
		struct page_run *more = realloc(p->run, (*cap = 2 * *cap + 64) * sizeof(*more));

		if (!more)
			return cr_err_nomem(e);
		p->run = more;
	}
	if (p->n && r.start < p->run[p->n - 1].start + p->run[p->n - 1].pages * PAGE_BYTES) {
		cr_err_set(e, CR_E_IMG_CORRUPT, 0, "pagemap", "its entries are not in order");
		return -EINVAL;
	}
	if (r.flags & IMG_PE_PRESENT)
		*offset += r.pages * PAGE_BYTES;
	p->run[p->n++] = r;
	return 0;
}

static int read_runs(struct pages *p, struct img_reader *r, struct cr_err *e)
{
	const PagemapHead *head = NULL;
	const PagemapEntry *m = NULL;
	struct arena a = { 0 };
	uint64_t offset = 0;
	char name[IMG_NAME_MAX];
	size_t cap = 0;
	int ret;

	ret = img_get(r, &a, &head, e);
	if (ret > 0) {
		p->fd = img_open_file(p->dir, img_name(IMG_PAGES, head->pages_id, name), e);
		if (p->fd < 0 && p->fd != -ENOENT)
			ret = p->fd;
	}
	while (ret > 0) {
		arena_reset(&a);
		ret = img_get(r, &a, &m, e);
		if (ret > 0 && add_run(p, m, &offset, &cap, e) < 0)
			ret = -EINVAL;
	}
	arena_free(&a);
	return ret < 0 ? ret : 1;
}

static bool in_parent(const struct pages *p)
{
	for (size_t k = 0; k < p->n; k++)
		if (p->run[k].flags & IMG_PE_PARENT)
			return true;
	return false;
}

static int open_level(struct pages *p, int dir, enum img_type type, unsigned long id, int level, struct cr_err *e)
{
	struct img_reader r;
	int ret, parent;

	*p = (struct pages){ .dir = dir, .fd = -1 };
	ret = img_open(dir, type, id, &r, e);
	if (ret > 0)
		ret = read_runs(p, &r, e);
	img_close(&r);
	if (ret <= 0 || !in_parent(p))
		return ret;
	parent = openat(dir, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0 || level == PARENTS_MOST) {
		fd_close(parent);
		cr_err_set(e, CR_E_IMG_MISSING, 0, "parent", parent < 0 ? "cannot be opened" : "leads back to itself");
		return -ENOENT;
	}
	p->parent = calloc(1, sizeof(*p->parent));
	if (!p->parent)
		return fd_close(parent), cr_err_nomem(e);
	ret = open_level(p->parent, parent, type, id, level + 1, e);
	return ret < 0 ? ret : 1;
}

int pages_open(struct pages *p, int dir, enum img_type type, unsigned long id, struct cr_err *e)
{
	return open_level(p, dir, type, id, 0, e);
}

void pages_close(struct pages *p)
{
	if (p->parent) {
		fd_close(p->parent->dir);
		pages_close(p->parent);
		free(p->parent);
	}
	fd_close(p->fd);
	free(p->run);
	*p = (struct pages){ .dir = -1, .fd = -1 };
}

/* The first run that ends behind @addr; NULL if there is none. Mostly the last one or the next. */
static const struct page_run *find(struct pages *p, uint64_t addr)
{
	size_t low = 0, high = p->n;

	if (p->at < p->n && p->run[p->at].start <= addr) {
		low = p->at;
		high = p->at + 2 < p->n && p->run[p->at + 1].start + p->run[p->at + 1].pages * PAGE_BYTES > addr
			       ? p->at + 2
			       : p->n;
	}
	while (low < high) {
		size_t mid = (low + high) / 2;

		if (p->run[mid].start + p->run[mid].pages * PAGE_BYTES <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	p->at = low;
	return low < p->n ? &p->run[low] : NULL;
}

bool pages_next(struct pages *p, uint64_t from, uint64_t *ret, uint64_t *ret_pages)
{
	const struct page_run *r = find(p, from);

	if (!r)
		return false;
	*ret = r->start > from ? r->start : from;
	*ret_pages = r->pages - (*ret - r->start) / PAGE_BYTES;
	for (const struct page_run *next = r + 1;
	     next < p->run + p->n && next->start == next[-1].start + next[-1].pages * PAGE_BYTES; next++)
		*ret_pages += next->pages;
	return true;
}

ssize_t pages_read(struct pages *p, uint64_t addr, size_t most, void *buf, struct cr_err *e)
{
	const struct page_run *r = find(p, addr);
	uint64_t skip;
	int ret;

	if (!r || r->start > addr)
		return 0;
	skip = (addr - r->start) / PAGE_BYTES;
	if (most > r->pages - skip)
		most = r->pages - skip;
	if (r->flags & IMG_PE_PARENT)
		return p->parent ? pages_read(p->parent, addr, most, buf, e) : 0;
	if (!(r->flags & IMG_PE_PRESENT))
		return 0;
	ret = p->fd < 0 ? -ENOENT : pread_full(p->fd, buf, most * PAGE_BYTES, r->offset + skip * PAGE_BYTES);
	if (ret < 0)
		return cr_err_set(e, CR_E_IMG_TRUNCATED, -ret, "pages file", "has no page for address %#llx",
				  (unsigned long long)addr);
	return most;
}
