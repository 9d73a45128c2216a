/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of a core file. A page comes from, in this order: the task's own pages; the pages of the shared segment; the file
 * that is mapped, if it is there; else it is zero. Where a file is not to be had, only runs of pages that the images have
 * are segments with contents: of the rest the debugger is told the addresses, and the file by NT_FILE.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "core.h"
#include "fdinfo.pb-c.h"
#include "memfd.pb-c.h"
#include "mm.pb-c.h"

enum {
	VSYSCALL = 1 << 2,
	FILE_PRIVATE = 1 << 6,
	FILE_SHARED = 1 << 7,
	ANON_SHARED = 1 << 8,
	SYSVIPC = 1 << 10,
	SOCKET = 1 << 11,
	VVAR = 1 << 12,
	MEMFD = 1 << 14,
	GUARD = 1 << 16,
	CHUNK = 64, /* pages */
};

/* What lies behind a mapping. */
struct backing {
	struct pages shared; /* of a segment */
	bool has_shared;
	int fd; /* of a file; -1: none */
	uint64_t file_size;
};

static const MemfdInodeEntry *memfd_of(struct core_task *t, const VmaEntry *v)
{
	const MemfdFileEntry *f = checkpoint_file(t->c, FD_TYPES__MEMFD, (uint32_t)v->shmid);
	MemfdInodeEntry **list;
	size_t n = f ? checkpoint_read(t->c, IMG_MEMFD_INODE, 0, &list) : 0;

	for (size_t k = 0; k < n; k++)
		if (list[k]->inode_id == f->inode_id)
			return list[k];
	return NULL;
}

/* The file as it was: a regular one of the same size. Opened without waiting: it could be anything by now. */
static int open_file(struct core_task *t, const VmaEntry *v)
{
	const RegFileEntry *reg = checkpoint_file(t->c, FD_TYPES__REG, (uint32_t)v->shmid);
	struct stat st;
	int fd;

	if (!reg || reg->name[0] != '/' || lstat(reg->name, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (reg->has_size && (uint64_t)st.st_size != reg->size))
		return -1;
	fd = open(reg->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd;
}

static int backing_open(struct core_task *t, const VmaEntry *v, struct backing *b, struct cr_err *e)
{
	const MemfdInodeEntry *m;
	unsigned long id = v->shmid;
	struct stat st;
	int ret;

	*b = (struct backing){ .fd = -1, .shared.fd = -1 };
	if (v->status & MEMFD) {
		m = memfd_of(t, v);
		if (!m)
			return 0;
		id = m->shmid;
	} else if (v->status & (FILE_PRIVATE | FILE_SHARED)) {
		b->fd = open_file(t, v);
		if (b->fd >= 0 && !fstat(b->fd, &st))
			b->file_size = (uint64_t)st.st_size;
		return 0;
	} else if (!(v->status & (ANON_SHARED | SYSVIPC))) {
		return 0;
	}
	ret = pages_open(&b->shared, t->c->dir, IMG_PAGEMAP_SHMEM, id, e);
	b->has_shared = ret > 0;
	return ret < 0 ? ret : 0;
}

static void backing_close(struct backing *b)
{
	pages_close(&b->shared);
	b->fd = fd_close(b->fd);
}

static int add_segment(struct segments *s, uint64_t start, uint64_t end, const VmaEntry *v, bool filled,
		       struct cr_err *e)
{
	if (start == end)
		return 0;
	if (s->n == s->cap) {
		struct segment *more = realloc(s->v, (s->cap = 2 * s->cap + 64) * sizeof(*more));

		if (!more)
			return cr_err_nomem(e);
		s->v = more;
	}
	s->v[s->n++] = (struct segment){ start, end, v, filled };
	return 0;
}

/* Runs of own pages and what is between them. */
static int split(struct core_task *t, const VmaEntry *v, struct segments *s, struct cr_err *e)
{
	uint64_t at = v->start, start, pages;
	int ret = 0;

	while (!ret && at < v->end && pages_next(&t->pages, at, &start, &pages) && start < v->end) {
		uint64_t end = start + pages * PAGE_BYTES;

		end = end < v->end ? end : v->end;
		ret = add_segment(s, at, start, v, false, e);
		if (!ret)
			ret = add_segment(s, start, end, v, true, e);
		at = end;
	}
	return ret ? ret : add_segment(s, at, v->end, v, false, e);
}

int core_segments(struct core_task *t, struct segments *ret, struct cr_err *e)
{
	enum { ADDRESS_BITS = 57 };
	uint64_t last = 0;
	int err = 0;

	for (size_t k = 0; !err && k < t->n_vmas; k++) {
		const VmaEntry *v = t->vmas[k];

		if (v->status & GUARD) /* inside of mappings, behind them all */
			break;
		if (v->start < last || v->start >= v->end || (v->start | v->end) % PAGE_BYTES ||
		    ((v->end - 1) >> ADDRESS_BITS && !(v->status & VSYSCALL)))
			return cr_err_set(e, CR_E_IMG_CORRUPT, 0, "mappings", "number %zu (%llx-%llx) cannot be", k,
					  (unsigned long long)v->start, (unsigned long long)v->end);
		last = v->end;
		if (v->status & (FILE_PRIVATE | FILE_SHARED) && !(v->status & MEMFD)) {
			int fd = open_file(t, v);

			err = fd < 0 ? split(t, v, ret, e) : add_segment(ret, v->start, v->end, v, true, e);
			fd_close(fd);
		} else {
			err = add_segment(ret, v->start, v->end, v, !(v->status & (VSYSCALL | VVAR | SOCKET)), e);
		}
	}
	return err;
}

/* Up to @most pages at @addr from @p. Return: pages, 0: it does not have the first one, -errno with @e */
static ssize_t from_pages(struct core_task *t, struct pages *p, uint64_t addr, size_t most, void *buf, struct cr_err *e)
{
	uint64_t start, pages;
	ssize_t got;

	if (!pages_next(p, addr, &start, &pages) || start != addr)
		return 0;
	got = pages_read(p, addr, most, buf, e);
	if (got)
		return got;
	t->lazy++;
	memset(buf, 0, PAGE_BYTES);
	return 1;
}

/* How far it is to the next page of @p, at most @most. */
static size_t gap(struct pages *p, uint64_t addr, size_t most)
{
	uint64_t start, pages;

	if (!pages_next(p, addr, &start, &pages) || (start - addr) / PAGE_BYTES >= most)
		return most;
	return (start - addr) / PAGE_BYTES;
}

static ssize_t some_pages(struct core_task *t, const VmaEntry *v, struct backing *b, uint64_t addr, size_t most,
			  void *buf, bool *ret_zero, struct cr_err *e)
{
	uint64_t offset = addr - v->start + v->pgoff;
	ssize_t got = from_pages(t, &t->pages, addr, most, buf, e);

	*ret_zero = false;
	if (got)
		return got;
	most = gap(&t->pages, addr, most);
	if (b->has_shared) {
		got = from_pages(t, &b->shared, offset, most, buf, e);
		if (got)
			return got;
		most = gap(&b->shared, offset, most);
	}
	memset(buf, 0, most * PAGE_BYTES);
	if (b->fd >= 0) {
		if (pread_full(b->fd, buf, most * PAGE_BYTES, (off_t)offset) == -EIO)
			memset(buf, 0, most * PAGE_BYTES);
	} else {
		*ret_zero = true;
	}
	return most;
}

/* How many pages nobody has, from @addr on: mappings can be as large as the address space. */
static size_t hole(struct core_task *t, const VmaEntry *v, struct backing *b, uint64_t addr, size_t most)
{
	uint64_t offset = addr - v->start + v->pgoff;

	if (b->fd >= 0 && offset < b->file_size)
		return 0;
	most = gap(&t->pages, addr, most);
	return b->has_shared ? gap(&b->shared, offset, most) : most;
}

int core_write(struct core_task *t, const struct segment *s, int fd, bool sparse, struct cr_err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK * PAGE_BYTES);
	struct backing b;
	int ret;

	if (!buf)
		return cr_err_nomem(e);
	ret = backing_open(t, s->vma, &b, e);
	for (uint64_t at = s->start; !ret && at < s->end;) {
		uint64_t left = (s->end - at) / PAGE_BYTES;
		size_t most = left < CHUNK ? left : CHUNK;
		bool zero = false;
		ssize_t got;

		if (sparse) { /* long holes at once */
			size_t skip = hole(t, s->vma, &b, at, left);

			if (skip && lseek(fd, (off_t)skip * PAGE_BYTES, SEEK_CUR) < 0)
				ret = cr_err_set(e, CR_E_SYSTEM, errno, "core file", "cannot be made");
			at += skip * PAGE_BYTES;
			if (skip)
				continue;
		}
		got = some_pages(t, s->vma, &b, at, most, buf, &zero, e);
		if (got < 0)
			ret = (int)got;
		else if (zero && sparse)
			ret = lseek(fd, got * PAGE_BYTES, SEEK_CUR) < 0 ? -errno : 0;
		else
			ret = write_full(fd, buf, got * PAGE_BYTES);
		if (ret < 0 && got >= 0)
			cr_err_set(e, CR_E_SYSTEM, -ret, "core file", "cannot be written");
		at += got > 0 ? (uint64_t)got * PAGE_BYTES : 0;
	}
	backing_close(&b);
	return ret;
}

size_t core_peek(struct core_task *t, uint64_t addr, void *buf, size_t len)
{
	unsigned long lazy = t->lazy;
	uint8_t page[PAGE_BYTES];
	size_t done = 0;
	struct cr_err e;

	while (done < len) {
		uint64_t at = (addr + done) & -(uint64_t)PAGE_BYTES;
		size_t skip = addr + done - at, n = PAGE_BYTES - skip;

		if (from_pages(t, &t->pages, at, 1, page, &e) <= 0)
			break;
		n = n < len - done ? n : len - done;
		memcpy((char *)buf + done, page + skip, n);
		done += n;
	}
	t->lazy = lazy; /* core_write() reads the page as well, and counts it */
	return done;
}
