/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * pagemap-PID.img says which pages are in pages-N.img, in order of addresses; the file has them in the same order. Long
 * runs are read straight into place, whole 2 MiB into huge pages and by two threads (restore-bulk.c). Short runs go through
 * a window on the file, so that one read serves many of them.
 *
 * A mapping that may not be written is made writable as a whole while its pages are filled in, and only then protected
 * again. This is also what it went through in its first life (data that is protected after relocation), and it leaves
 * the same trace: a private mapping that has been writable is charged for (VmFlags "ac") and does not merge with a
 * neighbour that has not.
 *
 * In a mapping inherited from the parent, each page is compared first and written only when it differs; pages that the
 * image does not have are given back (the child had dropped or never touched them).
 */
#include "kind/mm/restore-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "kind/mm/mm.h"
#include "pagemap.pb-c.h"

enum { WINDOW = 64 << 10, LONG_RUN = 64 << 10 };

struct filler {
	struct rst *r;
	struct mm_state *s;
	const struct mm_vdso *vdso;
	pid_t inside; /* a thread that stands in the vdso */
	struct img_reader *pagemap;
	int fd; /* pages-N.img */
	char name[IMG_NAME_MAX];
	off_t off; /* in pages-N.img: of the next page */
	size_t hint;
	uint64_t done; /* inherited mappings: up to here pages are accounted for */
	long lifted;   /* number of the mapping that is writable just for now; -1: none */
	int thp;       /* huge pages by MADV_COLLAPSE: 1 yes, 0 no, -1 not known yet */
	off_t win;     /* what buf holds */
	size_t win_len;
	uint8_t buf[WINDOW];
};

static int short_pages(const struct filler *f, int err, struct cr_err *e)
{
	if (err == -ENODATA)
		return cr_err_set(e, CR_E_IMG_TRUNCATED, 0, f->name, "it ends before the pages that the pagemap names");
	return cr_err_set(e, CR_E_SYSTEM, -err, f->name, "cannot be read into memory");
}

/* @len bytes (at most WINDOW) at @off of the pages. @ret: valid until the next call */
static int look(struct filler *f, off_t off, size_t len, const uint8_t **ret, struct cr_err *e)
{
	ssize_t got;

	if (off < f->win || off + (off_t)len > f->win + (off_t)f->win_len) {
		f->win = off;
		f->win_len = 0;
		while (f->win_len < len) {
			got = pread(f->fd, f->buf + f->win_len, sizeof(f->buf) - f->win_len, off + (off_t)f->win_len);
			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0)
				return short_pages(f, got ? -errno : -ENODATA, e);
			f->win_len += (size_t)got;
		}
	}
	*ret = f->buf + (off - f->win);
	return 0;
}

/* A run in pieces of the window. */
static int copy_run(struct filler *f, uint64_t at, uint64_t len, off_t off, struct cr_err *e)
{
	const uint8_t *data;
	size_t part;
	int err;

	for (; len; len -= part, at += part, off += (off_t)part) {
		part = len < WINDOW ? len : WINDOW;
		err = look(f, off, part, &data, e);
		if (err)
			return err;
		memcpy((void *)at, data, part);
	}
	return 0;
}

/* MADV_COLLAPSE works whatever `enabled` says, but "never" is the administrator's word. */
static bool thp_wanted(struct filler *f)
{
	char buf[64];

	if (f->thp < 0)
		f->thp = read_buf_at(AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/enabled", buf, sizeof(buf)) > 0 &&
			 !strstr(buf, "[never]");
	return f->thp;
}

/* A long run: its aligned part may become huge pages. */
static int read_run(struct filler *f, const VmaEntry *v, uint64_t at, uint64_t len, struct cr_err *e)
{
	uint64_t from = (at + MM_HUGE - 1) & ~(MM_HUGE - 1), to = (at + len) & ~(MM_HUGE - 1);
	bool huge;
	int err;

	if (from >= to) {
		err = pread_full(f->fd, (void *)at, len, f->off);
		return err ? short_pages(f, err, e) : 0;
	}
	huge = v->status & MM_ANON_PRIVATE && !(v->has_madv && v->madv >> MADV_NOHUGEPAGE & 1) &&
	       !f->s->mm->thp_disabled && thp_wanted(f);
	err = pread_full(f->fd, (void *)at, from - at, f->off);
	if (!err)
		err = mm_read_bulk(f->r, f->fd, from, to - from, f->off + (off_t)(from - at), huge);
	if (!err)
		err = pread_full(f->fd, (void *)to, at + len - to, f->off + (off_t)(to - at));
	return err ? short_pages(f, err, e) : 0;
}

/* In an inherited mapping, nothing is there from @f->done to @addr: drop what came from the parent. */
static int drop_until(struct filler *f, long i, uint64_t addr, struct cr_err *e)
{
	const VmaEntry *v = f->s->mm->vmas[i];
	uint64_t from = f->done > v->start ? f->done : v->start;

	if (addr > from && madvise((void *)(f->s->at[i] + (from - v->start)), addr - from, MADV_DONTNEED))
		return cr_err_set(e, CR_E_SYSTEM, errno, "address space", "pages at %llx cannot be dropped (madvise)",
				  (unsigned long long)from);
	f->done = addr;
	return 0;
}

/* Inherited mappings that no entry touches, up to number @i. */
static int drop_skipped(struct filler *f, size_t from, size_t to, struct cr_err *e)
{
	int err = 0;

	for (size_t i = from; !err && i < to; i++)
		if (f->s->inherited[i] && f->s->mm->vmas[i]->end > f->done)
			err = drop_until(f, (long)i, f->s->mm->vmas[i]->end, e);
	return err;
}

static int compare_run(struct filler *f, uint8_t *at, uint64_t len, struct cr_err *e)
{
	const uint8_t *data;
	int err;

	for (uint64_t o = 0; o < len; o += MM_PAGE) {
		err = look(f, f->off + (off_t)o, MM_PAGE, &data, e);
		if (err)
			return err;
		f->s->compared++;
		if (!memcmp(at + o, data, MM_PAGE)) {
			f->s->skipped++;
			continue;
		}
		f->s->restored++;
		memcpy(at + o, data, MM_PAGE);
	}
	return 0;
}

/* The task gets ours: will that do? */
static int compare_vdso(struct filler *f, const VmaEntry *v, uint64_t addr, uint64_t len, struct cr_err *e)
{
	_cleanup_free_ uint8_t *dumped = malloc(len), *own = malloc(len);
	int err;

	if (!dumped || !own)
		return cr_err_nomem(e);
	if (len > f->vdso->len || addr != v->start || len != v->end - v->start)
		return cr_err_set(e, CR_E_MEM_LAYOUT, 0, "vdso",
				  "it is not dumped as a whole, or larger than this kernel's");
	err = pread_full(f->fd, dumped, len, f->off);
	if (err)
		return short_pages(f, err, e);
	memcpy(own, (void *)(f->vdso->start + f->vdso->len - len), len);
	return mm_vdso_compare(dumped, own, len, f->inside, e);
}

static int protect(struct filler *f, long i, int prot, struct cr_err *e)
{
	const VmaEntry *v = f->s->mm->vmas[i];

	if (mprotect((void *)f->s->at[i], v->end - v->start, prot))
		return cr_err_set(e, CR_E_SYSTEM, errno, "address space",
				  "the protection at %llx cannot be changed (mprotect)", (unsigned long long)v->start);
	return 0;
}

/* Mapping @i is about to be filled, -1: none is. */
static int lift(struct filler *f, long i, struct cr_err *e)
{
	const int rw = PROT_READ | PROT_WRITE;
	int err = 0;

	if (f->lifted == i)
		return 0;
	if (f->lifted >= 0)
		err = protect(f, f->lifted, (int)f->s->mm->vmas[f->lifted]->prot, e);
	f->lifted = -1;
	if (err || i < 0 || (f->s->mm->vmas[i]->prot & rw) == rw)
		return err;
	f->lifted = i;
	return protect(f, i, rw, e);
}

/* Part of an entry, within mapping @i. */
static int fill_part(struct filler *f, long i, uint64_t addr, uint64_t len, struct cr_err *e)
{
	const VmaEntry *v = f->s->mm->vmas[i];
	uint64_t at = f->s->at[i] + (addr - v->start);
	int err;

	if (mm_is_special(v))
		return v->status & MM_VDSO ? compare_vdso(f, v, addr, len, e) : 0;
	if (!mm_is_private(v))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, f->pagemap->name, "pages at %llx belong to a shared mapping",
				  (unsigned long long)addr);
	err = lift(f, i, e);
	if (err)
		return err;
	if (f->s->inherited[i]) {
		err = drop_until(f, i, addr, e);
		f->done = addr + len;
		return err ? err : compare_run(f, (uint8_t *)at, len, e);
	}
	f->s->restored += len / MM_PAGE;
	return len < LONG_RUN ? copy_run(f, at, len, f->off, e) : read_run(f, v, at, len, e);
}

static int fill_entry(struct filler *f, uint64_t addr, uint64_t pages, struct cr_err *e)
{
	uint64_t len = pages * MM_PAGE, part;
	size_t before;
	int err;
	long i;

	while (len) {
		before = f->hint;
		i = mm_find(f->s->mm, &f->hint, addr);
		if (i < 0 || (!f->s->at[i] && !mm_is_special(f->s->mm->vmas[i])))
			return cr_err_set(e, CR_E_IMG_REF, 0, f->pagemap->name,
					  "pages at %llx lie in no mapping of the mm image", (unsigned long long)addr);
		err = drop_skipped(f, before, f->hint, e);
		part = f->s->mm->vmas[i]->end - addr < len ? f->s->mm->vmas[i]->end - addr : len;
		if (!err)
			err = fill_part(f, i, addr, part, e);
		if (err)
			return err;
		f->off += (off_t)part;
		addr += part;
		len -= part;
	}
	return 0;
}

/* Pages per entry are checked before they are multiplied. Return: 1 an entry, 0 end, -errno. */
static int next_entry(struct img_reader *r, struct arena *a, uint64_t *last, PagemapEntry **ret, uint64_t *pages,
		      struct cr_err *e)
{
	uint32_t flags;
	int got = img_get(r, a, ret, e);

	if (got <= 0)
		return got;
	*pages = img_pagemap_pages(*ret);
	flags = img_pagemap_flags(*ret);
	if (*pages > MM_TASK_END / MM_PAGE || (*ret)->vaddr % MM_PAGE || (*ret)->vaddr > MM_TASK_END ||
	    (*ret)->vaddr < *last)
		return img_bad(r, e, "%llu pages at %llx: out of order or no address", (unsigned long long)*pages,
			       (unsigned long long)(*ret)->vaddr);
	*last = (*ret)->vaddr + *pages * MM_PAGE;
	if (flags & IMG_PE_PARENT)
		return cr_err_set(e, CR_E_IMG_PARENT, 0, r->name,
				  "it refers to a parent image (incremental dump), not supported yet");
	if (!(flags & IMG_PE_PRESENT))
		return cr_err_set(e, CR_E_IMG_LAZY, 0, r->name,
				  "pages are left to a page server (lazy), not supported yet");
	return 1;
}

/* Open the pages file that the head of a pagemap names. Return: fd or -errno. */
static int open_pages(struct rst *r, struct img_reader *rd, struct arena *a, char name[IMG_NAME_MAX], struct cr_err *e)
{
	PagemapHead *head;
	int got;

	got = img_get(rd, a, &head, e);
	if (got <= 0)
		return got ? got : img_bad(rd, e, "it is empty");
	img_name(IMG_PAGES, head->pages_id, name);
	return img_open_file(r->img, name, e);
}

/* Pages that no entry names: a count is wrong, and what followed it went to wrong places. */
static int check_all_used(int fd, const char *name, off_t used, const struct img_reader *pagemap, struct cr_err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return cr_err_set(e, CR_E_SYSTEM, errno, name, "its size cannot be read");
	if (st.st_size != used)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, name, "it has %lld bytes, but %s names %lld bytes of pages",
				  (long long)st.st_size, pagemap->name, (long long)used);
	return 0;
}

static int fill_all(struct filler *f, struct arena *a, struct cr_err *e)
{
	uint64_t last = 0, pages;
	PagemapEntry *entry;
	int got, err = 0;

	while (!err && (got = next_entry(f->pagemap, a, &last, &entry, &pages, e)) != 0) {
		err = got < 0 ? got : fill_entry(f, entry->vaddr, pages, e);
		arena_reset(a);
	}
	if (!err)
		err = lift(f, -1, e);
	if (!err)
		err = drop_skipped(f, f->hint < f->s->mm->n_vmas ? f->hint : 0, f->s->mm->n_vmas, e);
	return err ? err : check_all_used(f->fd, f->name, f->off, f->pagemap, e);
}

int mm_fill(struct rst *r, struct mm_state *s, pid_t pid, const struct mm_vdso *vdso, pid_t inside, struct cr_err *e)
{
	struct img_reader rd;
	struct arena a = {};
	struct filler *f;
	int err;

	err = img_open(r->img, IMG_PAGEMAP, (unsigned long)pid, &rd, e);
	if (err < 0)
		return err;
	f = calloc(1, sizeof(*f)); /* large: from mmap, untouched pages cost nothing */
	if (!f)
		return cr_err_nomem(e);
	f->r = r;
	f->s = s;
	f->vdso = vdso;
	f->inside = inside;
	f->pagemap = &rd;
	f->lifted = f->fd = f->thp = -1;
	if (err) { /* no pagemap: no pages at all */
		err = f->fd = open_pages(r, &rd, &a, f->name, e);
		arena_free(&a);
		if (err >= 0)
			err = fill_all(f, &a, e);
		img_close(&rd);
	}
	arena_free(&a);
	fd_close(f->fd);
	free(f);
	return err;
}

int mm_fill_segment(struct rst *r, const struct mm_seg *seg, void *at, uint64_t *ret_pages, struct cr_err *e)
{
	_cleanup_close_ int fd = -1;
	char name[IMG_NAME_MAX];
	uint64_t last = 0, pages;
	struct img_reader rd;
	PagemapEntry *entry;
	struct arena a = {};
	off_t off = 0;
	int got, err;

	err = img_open(r->img, IMG_PAGEMAP_SHMEM, seg->pagemap, &rd, e);
	if (err <= 0)
		return err;
	err = fd = open_pages(r, &rd, &a, name, e);
	while (err >= 0 && (got = next_entry(&rd, &a, &last, &entry, &pages, e)) != 0) {
		err = got;
		if (got > 0 && last > seg->size)
			err = img_bad(&rd, e, "pages end at %llu in a segment of %llu bytes", (unsigned long long)last,
				      (unsigned long long)seg->size);
		if (err > 0) {
			err = pread_full(fd, (char *)at + entry->vaddr, pages * MM_PAGE, off);
			if (err == -ENODATA)
				err = cr_err_set(e, CR_E_IMG_TRUNCATED, 0, name,
						 "it ends before the pages that %s names", rd.name);
			else if (err)
				err = cr_err_set(e, CR_E_SYSTEM, -err, name, "cannot be read into memory");
		}
		off += (off_t)(pages * MM_PAGE);
		*ret_pages += pages;
		arena_reset(&a);
	}
	arena_free(&a);
	if (err >= 0)
		err = check_all_used(fd, name, off, &rd, e);
	img_close(&rd);
	return err < 0 ? err : 0;
}
