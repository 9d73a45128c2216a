/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory: mappings, pagemaps against them, sizes of pages files, pages that are said to be in the parent. Pagemaps are
 * read once more, entry by entry, since all of them together need not fit into memory.
 */
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "ipc-shm.pb-c.h"
#include "memfd.pb-c.h"
#include "mm.pb-c.h"
#include "pagemap.pb-c.h"
#include "verify-file-internal.h"
#include "verify-mem.h"

/* Bits of vma_entry.status. */
enum {
	REGULAR = 1 << 0,
	FILE_PRIVATE = 1 << 6,
	FILE_SHARED = 1 << 7,
	ANON_SHARED = 1 << 8,
	ANON_PRIVATE = 1 << 9,
	SYSVIPC = 1 << 10,
	SOCKET = 1 << 11,
	AIORING = 1 << 13,
	MEMFD = 1 << 14,
	GUARD = 1 << 16,
	EXT_PLUGIN = 1 << 27,
	KNOWN = 0x3ffff & ~(1 << 4),
	BACKINGS = FILE_PRIVATE | FILE_SHARED | ANON_SHARED | ANON_PRIVATE | SOCKET | GUARD | EXT_PLUGIN,
};

bool ranges_add(struct ranges *r, uint64_t start, uint64_t end)
{
	if (r->n && start <= r->v[r->n - 1].end && start >= r->v[r->n - 1].start) {
		if (end > r->v[r->n - 1].end)
			r->v[r->n - 1].end = end;
		return true;
	}
	if (r->n == r->cap) {
		struct range *more = realloc(r->v, (r->cap = 2 * r->cap + 64) * sizeof(*more));

		if (!more)
			return false;
		r->v = more;
	}
	r->v[r->n++] = (struct range){ start, end };
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

void ranges_join(struct ranges *r)
{
	size_t n = 0;

	if (!r->n)
		return;
	qsort(r->v, r->n, sizeof(*r->v), by_start);
	for (size_t k = 1; k < r->n; k++) {
		if (r->v[k].start > r->v[n].end)
			r->v[++n] = r->v[k];
		else if (r->v[k].end > r->v[n].end)
			r->v[n].end = r->v[k].end;
	}
	r->n = n + 1;
}

bool ranges_hold(const struct ranges *r, uint64_t start, uint64_t end)
{
	size_t low = 0, high = r->n;

	while (low < high) { /* the first that ends behind start */
		size_t mid = (low + high) / 2;

		if (r->v[mid].end <= start)
			low = mid + 1;
		else
			high = mid;
	}
	return low < r->n && r->v[low].start <= start && end <= r->v[low].end;
}

void ranges_free(struct ranges *r)
{
	free(r->v);
	*r = (struct ranges){ 0 };
}

static void check_backing(struct verify *v, const char *name, const VmaEntry *a, const char *what)
{
	struct walk w = v_walk(v, IMG_IPCNS_SHM);
	const IpcShmEntry *s;
	char image[IMG_NAME_MAX];
	bool known = false;

	if (a->status & (FILE_PRIVATE | FILE_SHARED)) {
		verify_ref(v, name, 0, (uint32_t)a->shmid, a->status & MEMFD ? FILE_BIT(MEMFD) : FILE_BIT(REG), what);
		v_expect(v, a->shmid <= UINT32_MAX, name, 0, "%s: file id %" PRIu64, what, a->shmid);
		v_expect(v, a->pgoff % v->page == 0, name, 0, "%s: pgoff %#" PRIx64, what, a->pgoff);
	} else if (a->status & SOCKET) {
		verify_ref(v, name, 0, (uint32_t)a->shmid, FILE_BIT(PACKETSK), what);
	} else if (a->status & SYSVIPC) {
		while ((s = v_next(&w)))
			known = known || s->desc->id == a->shmid;
		v_expect(v, known, name, 0, "%s: no IPC segment has id %" PRIu64, what, a->shmid);
	} else if (a->status & ANON_SHARED) {
		v_seen(v, &v->segments, a->shmid);
		v_expect(v, v_image(v, IMG_PAGEMAP_SHMEM, a->shmid), name, 0, "%s: no %s", what,
			 img_name(IMG_PAGEMAP_SHMEM, a->shmid, image));
	}
}

static bool map_type(uint32_t flags)
{
	flags &= 15; /* shared, private, shared and validated, droppable */
	return (flags >= 1 && flags <= 3) || flags == 8;
}

static void check_vma(struct verify *v, const char *name, const VmaEntry *a, const char *what)
{
	int kinds = __builtin_popcount(a->status & BACKINGS);

	v_expect(v, a->start < a->end && (a->start | a->end) % v->page == 0, name, 0, "%s is empty or not aligned",
		 what);
	v_expect(v, kinds == 1 || a->status & AIORING, name, 0, "%s: status %#x has %d backings", what, a->status,
		 kinds);
	if (a->status & ~(KNOWN | EXT_PLUGIN))
		v_warn(v, name, 0, "%s: status %#x", what, a->status);
	if (a->fd != -1)
		v_warn(v, name, 0, "%s: fd %" PRId64, what, a->fd);
	check_backing(v, name, a, what);
}

/* @vmas: in mm, or in an image of their own */
static void check_vmas(struct verify *v, const char *name, VmaEntry *const *vmas, size_t n)
{
	bool guards = false;
	uint64_t end = 0;
	char what[80];

	for (size_t k = 0; k < n; k++) {
		const VmaEntry *a = vmas[k];
		bool guard = a->status & GUARD;

		snprintf(what, sizeof(what), "vma %zu (%" PRIx64 "-%" PRIx64 ")", k, a->start, a->end);
		guards = guards || guard; /* they stand behind all others, and inside of these */
		v_expect(v, guards == guard, name, 0, "%s comes after the guard entries", what);
		v_expect(v, guards || a->start >= end, name, 0, "%s is out of order or overlaps", what);
		v_expect(v, guards || map_type(a->flags), name, 0, "%s: flags %#x are not shared or private", what,
			 a->flags);
		if (!guards)
			end = a->end;
		check_vma(v, name, a, what);
	}
}

static void check_mm(struct verify *v, const struct vimage *i, const MmEntry *mm)
{
	const struct {
		const char *low, *high;
		uint64_t from, to;
	} pairs[] = {
		{ "mm_start_code", "mm_end_code", mm->mm_start_code, mm->mm_end_code },
		{ "mm_start_data", "mm_end_data", mm->mm_start_data, mm->mm_end_data },
		{ "mm_start_brk", "mm_brk", mm->mm_start_brk, mm->mm_brk },
		{ "mm_arg_start", "mm_arg_end", mm->mm_arg_start, mm->mm_arg_end },
		{ "mm_env_start", "mm_env_end", mm->mm_env_start, mm->mm_env_end },
	};
	size_t rings = 0;

	check_vmas(v, i->name, mm->vmas, mm->n_vmas);
	for (size_t k = 0; k < mm->n_vmas; k++)
		rings += mm->vmas[k]->status & AIORING ? 1 : 0;
	v_expect(v, rings == mm->n_aios, i->name, 0, "%zu AIO ring mappings, %zu in aios", rings, mm->n_aios);
	v_expect(v, mm->n_vmas || v_image(v, IMG_VMAS, i->id), i->name, 0, "no mappings");
	for (size_t k = 0; k < sizeof(pairs) / sizeof(pairs[0]); k++)
		v_expect(v, pairs[k].from <= pairs[k].to, i->name, 0, "%s is above %s", pairs[k].low, pairs[k].high);
	v_expect(v, mm->mm_start_stack, i->name, 0, "no start of the stack");
	v_expect(v, mm->n_mm_saved_auxv >= 2 && mm->n_mm_saved_auxv % 2 == 0, i->name, 0, "%zu words of auxv",
		 mm->n_mm_saved_auxv);
	verify_ref(v, i->name, 0, mm->exe_file_id, FILE_BIT(REG), "exe");
}

/* Where the pages of a task may be. Return: false: nobody can tell. */
static bool task_areas(const struct verify *v, unsigned long pid, struct ranges *ret)
{
	const MmEntry *mm = v_one(v, IMG_MM, pid);
	const struct vimage *old = v_image(v, IMG_VMAS, pid);

	if (!mm)
		return false;
	for (size_t k = 0; k < mm->n_vmas; k++)
		if (!(mm->vmas[k]->status & GUARD))
			ranges_add(ret, mm->vmas[k]->start, mm->vmas[k]->end);
	for (size_t k = 0; !mm->n_vmas && old && k < old->n; k++) {
		const VmaEntry *a = old->entry[k];

		if (a)
			ranges_add(ret, a->start, a->end);
	}
	ranges_join(ret);
	return true;
}

/* Of a shared segment: below its size, if the images tell it. */
static bool segment_area(const struct verify *v, unsigned long id, struct ranges *ret)
{
	struct walk memfds = v_walk(v, IMG_MEMFD_INODE), segments = v_walk(v, IMG_IPCNS_SHM);
	const MemfdInodeEntry *m;
	const IpcShmEntry *s;
	bool known = false;
	uint64_t most = 0;

	while ((m = v_next(&memfds)))
		if (m->shmid == id) {
			known = true;
			most = m->size > most ? m->size : most;
		}
	while ((s = v_next(&segments)))
		if (s->desc->id == id) {
			known = true;
			most = s->size > most ? s->size : most;
		}
	most = (most + v->page - 1) & ~(v->page - 1);
	return known && v->page == 4096 && !v->predump && ranges_add(ret, 0, most);
}

/* Entries of a pagemap again, without its head. Return: whether it is there. */
static bool pagemap_open(const struct verify *v, const struct vimage *i, struct img_reader *r)
{
	struct cr_err e;
	const uint8_t *data;
	size_t len;

	*r = (struct img_reader){ 0 };
	return img_open(v->dir, i->type, i->id, r, &e) > 0 && img_get_packed(r, &data, &len, &e) > 0;
}

static const PagemapEntry *pagemap_next(struct verify *v, struct img_reader *r)
{
	PagemapEntry *p = NULL;
	struct cr_err e;

	arena_reset(&v->scratch);
	r->lenient = true;
	while (img_get(r, &v->scratch, &p, &e) > 0)
		return p;
	return NULL;
}

/* What the parent has of this address space. */
static void parent_ranges(struct verify *parent, const struct vimage *i, struct ranges *ret)
{
	const struct vimage *theirs = v_image(parent, i->type, i->id);
	const PagemapEntry *p;
	struct img_reader r;

	if (!theirs)
		return;
	if (pagemap_open(parent, theirs, &r))
		while ((p = pagemap_next(parent, &r)))
			ranges_add(ret, p->vaddr, p->vaddr + img_pagemap_pages(p) * parent->page);
	img_close(&r);
	ranges_join(ret);
}

struct pagemap_check {
	const struct vimage *image;
	struct ranges areas, parent;
	bool has_areas, has_parent;
	uint64_t end, present;
};

static void check_in_parent(struct verify *v, struct pagemap_check *c, long n, uint64_t start, uint64_t end)
{
	const char *name = c->image->name;

	if (!v->parent) {
		v_error(v, name, n, "%" PRIx64 "-%" PRIx64 " is in the parent, but %s", start, end,
			v->parent_loop ? "parent leads back here" : "there is no parent directory");
		return;
	}
	if (!c->has_parent) {
		parent_ranges(v->parent, c->image, &c->parent);
		c->has_parent = true;
	}
	v_expect(v, ranges_hold(&c->parent, start, end), name, n, "%" PRIx64 "-%" PRIx64 " is not in the parent's %s",
		 start, end, name);
}

static void check_pages(struct verify *v, struct pagemap_check *c, long n, const PagemapEntry *p)
{
	uint64_t pages = img_pagemap_pages(p), end = p->vaddr + pages * v->page;
	uint32_t flags = img_pagemap_flags(p);
	const char *name = c->image->name;

	v_expect(v, pages, name, n, "no pages");
	v_expect(v, !p->has_nr_pages || !p->compat_nr_pages || p->compat_nr_pages == pages, name, n,
		 "nr_pages %" PRIu64 " and compat_nr_pages %u differ", pages, p->compat_nr_pages);
	v_expect(v, p->vaddr % v->page == 0, name, n, "vaddr %#" PRIx64 " is not aligned", p->vaddr);
	v_expect(v, p->vaddr >= c->end, name, n, "vaddr %#" PRIx64 " is out of order or overlaps", p->vaddr);
	v_expect(v, flags && flags != (IMG_PE_PARENT | IMG_PE_LAZY) && flags < 7 && flags != 5, name, n, "flags %#x",
		 flags);
	v_expect(v, end >= p->vaddr && (!c->has_areas || ranges_hold(&c->areas, p->vaddr, end)), name, n,
		 "%" PRIx64 "-%" PRIx64 " is in no mapping", p->vaddr, end);
	c->end = end;
	if (flags & IMG_PE_PRESENT)
		c->present += pages;
	if (flags & IMG_PE_PARENT)
		check_in_parent(v, c, n, p->vaddr, end);
}

static uint64_t pages_size(const struct verify *v, const struct vimage *i)
{
	const PagemapHead *head = i->n ? i->entry[0] : NULL;
	const struct vimage *pages = head ? v_image(v, IMG_PAGES, head->pages_id) : NULL;

	return pages ? pages->size : 0;
}

static void check_pagemap(struct verify *v, const struct vimage *i)
{
	const PagemapHead *head = i->n ? i->entry[0] : NULL;
	struct pagemap_check c = { .image = i };
	const PagemapEntry *p;
	struct img_reader r;
	bool there;

	if (!head)
		return;
	c.has_areas = i->type == IMG_PAGEMAP ? task_areas(v, i->id, &c.areas) : segment_area(v, i->id, &c.areas);
	v_expect(v, c.has_areas || i->type != IMG_PAGEMAP || !v_image(v, IMG_MM, i->id), i->name, -1,
		 "its mappings are not known: mm-%lu.img is unreadable", i->id);
	if (pagemap_open(v, i, &r)) {
		for (long n = 1; (p = pagemap_next(v, &r)); n++)
			check_pages(v, &c, n, p);
		there = v_expect(v, !c.present || v_image(v, IMG_PAGES, head->pages_id), i->name, -1,
				 "pages-%u.img, with %" PRIu64 " pages, is missing", head->pages_id, c.present);
		v_expect(v, !there || c.present * v->page == pages_size(v, i), i->name, -1,
			 "pages-%u.img has %" PRIu64 " bytes, %" PRIu64 " pages are %" PRIu64, head->pages_id,
			 pages_size(v, i), c.present, c.present * v->page);
	}
	img_close(&r);
	ranges_free(&c.areas);
	ranges_free(&c.parent);
}

static uint64_t count_present(struct verify *v, const struct vimage *i)
{
	const PagemapEntry *p;
	struct img_reader r;
	uint64_t n = 0;

	if (pagemap_open(v, i, &r))
		while ((p = pagemap_next(v, &r)))
			n += img_pagemap_flags(p) & IMG_PE_PRESENT ? img_pagemap_pages(p) : 0;
	img_close(&r);
	return n;
}

/* No image says how large a page is. Where the architecture leaves it open, it is the size that fits all files. */
static void find_page_size(struct verify *v)
{
	static const enum img_type types[] = { IMG_PAGEMAP, IMG_PAGEMAP_SHMEM };
	struct walk w = v_walk(v, IMG_CORE);
	bool open = true, fits;
	const struct vimage *i;
	const CoreEntry *c;

	while ((c = v_next(&w)))
		open = open && c->mtype != CORE_ENTRY__MARCH__X86_64 && c->mtype != CORE_ENTRY__MARCH__S390 &&
		       c->mtype != CORE_ENTRY__MARCH__RISCV64;
	for (uint64_t page = 4096; open && page <= 65536; page *= 4) {
		fits = true;
		for (size_t t = 0; t < 2; t++)
			for (size_t n = v_images(v, types[t], &i); n; n--, i++)
				fits = fits && count_present(v, i) * page == pages_size(v, i);
		if (fits) {
			v->page = page;
			return;
		}
	}
}

static void check_pagemaps(struct verify *v, enum img_type type, struct idmap *ids)
{
	const struct vimage *i;

	for (size_t n = v_images(v, type, &i); n; n--, i++) {
		const PagemapHead *head = i->n ? i->entry[0] : NULL;

		if (head)
			v_expect(v, !v_seen(v, ids, head->pages_id), i->name, 0,
				 "pages_id %u is that of another pagemap", head->pages_id);
		check_pagemap(v, i);
	}
}

static void check_segments(struct verify *v)
{
	struct walk memfds = v_walk(v, IMG_MEMFD_INODE), segments = v_walk(v, IMG_IPCNS_SHM);
	const MemfdInodeEntry *m;
	const struct vimage *i;
	const IpcShmEntry *s;

	while ((m = v_next(&memfds)))
		v_seen(v, &v->segments, m->shmid);
	while ((s = v_next(&segments)))
		v_seen(v, &v->segments, s->desc->id);
	for (size_t n = v_images(v, IMG_PAGEMAP_SHMEM, &i); n; n--, i++)
		v_expect(v, idmap_has(&v->segments, i->id), i->name, -1,
			 "no mapping, memfd or IPC segment has this id");
}

void verify_memory(struct verify *v)
{
	struct walk w = v_walk(v, IMG_MM);
	struct idmap ids = { 0 };
	const struct vimage *i;
	const MmEntry *mm;

	find_page_size(v);
	while ((mm = v_next(&w)))
		check_mm(v, w.image, mm);
	for (size_t n = v_images(v, IMG_VMAS, &i); n; n--, i++)
		for (size_t k = 0; k < i->n; k++)
			if (!i->entry[k])
				break;
			else if (k + 1 == i->n)
				check_vmas(v, i->name, (VmaEntry *const *)i->entry, i->n);
	check_pagemaps(v, IMG_PAGEMAP, &ids);
	check_pagemaps(v, IMG_PAGEMAP_SHMEM, &ids);
	for (size_t n = v_images(v, IMG_PAGES, &i); n; n--, i++)
		v_expect(v, idmap_has(&ids, i->id), i->name, -1, "no pagemap has this pages_id");
	if (!v->predump)
		check_segments(v);
}
