// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: memory files (memfd_create(2)), and shared anonymous memory as CRIU 4.2 writes it
 *
 * The inode and its contents (memfd.img, pagemap-shmem-N.img) are made once, by the main process before any task
 * exists; it keeps a descriptor, of which tasks take a copy and open it again through /proc/self/fd, each at its own
 * flags. Seals are set when the contents are there: F_SEAL_WRITE cannot be set any more when a mapping exists that
 * could become writable. F_SEAL_FUTURE_WRITE is the opposite: mappings from before the seal may write, so it is set
 * last, and with it F_SEAL_SEAL, after which there are no others. F_SEAL_SEAL alone is what a memfd without
 * MFD_ALLOW_SEALING has.
 *
 * An inode named "/dev/zero" is shared anonymous memory, which the mm kind makes; here it is only refused as a
 * descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/restore-file.h"
#include "memfd.pb-c.h"
#include "pagemap.pb-c.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20 /* Linux 6.3 */
#endif

enum { KNOWN_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC };

struct segment {
	const MemfdInodeEntry *me;
	int fd; /* in the main process */
	bool used;
};

struct segments {
	size_t n;
	struct segment *v; /* by inode_id */
};

/* ---- plan ---- */

static int by_inode(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->me->inode_id < y->me->inode_id ? -1 : x->me->inode_id > y->me->inode_id;
}

static struct segment *segment_of(const struct rst *r, uint64_t inode_id)
{
	struct segments *s = *files_kind_data(r, FD_TYPES__MEMFD);
	MemfdInodeEntry me = { .inode_id = inode_id };
	struct segment key = { .me = &me };

	return s && s->n ? bsearch(&key, s->v, s->n, sizeof(key), by_inode) : NULL;
}

static int check_inode(const MemfdInodeEntry *me, struct cr_err *e)
{
	if (me->has_hugetlb_flag && me->hugetlb_flag)
		return cr_err_set(e, CR_E_UNSUPPORTED, 0, me->name, "memory file of huge pages, not supported yet");
	if (me->seals & ~(uint32_t)KNOWN_SEALS)
		return cr_err_set(e, CR_E_IMG_UNKNOWN, 0, me->name, "memory file with unknown seals 0x%x", me->seals);
	if (me->size > INT64_MAX)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, me->name, "memory file of %llu bytes",
				  (unsigned long long)me->size);
	return 0;
}

static int load(struct rst *r, struct cr_err *e)
{
	struct segments *s;
	ssize_t n, i;
	void **v;
	int ret;

	n = img_read_all(r->img, IMG_MEMFD_INODE, 0, r->arena, &v, e);
	if (n < 0)
		return n;
	s = arena_alloc(r->arena, sizeof(*s));
	if (s)
		s->v = arena_calloc(r->arena, n ? n : 1, sizeof(*s->v));
	if (!s || !s->v)
		return cr_err_nomem(e);
	for (i = 0; i < n; i++) {
		s->v[i] = (struct segment){ .me = v[i], .fd = -1 };
		ret = check_inode(v[i], e);
		if (ret < 0)
			return ret;
	}
	s->n = n;
	qsort(s->v, n, sizeof(*s->v), by_inode);
	*files_kind_data(r, FD_TYPES__MEMFD) = s;
	return 0;
}

static int check(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	struct segment *s;
	int ret;

	if (!*files_kind_data(r, FD_TYPES__MEMFD)) {
		ret = load(r, e);
		if (ret < 0)
			return ret;
	}
	s = segment_of(r, fe->memfd->inode_id);
	if (!s)
		return files_refuse(r, fe, CR_E_IMG_REF, e, "memfd.img does not hold inode %u", fe->memfd->inode_id);
	s->used = true;
	return 0;
}

/* ---- contents ---- */

static bool sealed_by_birth(const MemfdInodeEntry *me)
{
	return me->seals == F_SEAL_SEAL;
}

/* The seals that wait until all mappings are there. */
static uint32_t late_seals(const MemfdInodeEntry *me)
{
	return me->seals & F_SEAL_FUTURE_WRITE ? me->seals & (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) : 0;
}

static bool anonymous(const MemfdInodeEntry *me)
{
	return !strcmp(me->name, "/dev/zero");
}

/* @map: of the whole pages. Pages that the image does not have stay holes. */
static int fill_pages(struct img_reader *rd, int pages, uint8_t *map, uint64_t size, struct arena *a, struct cr_err *e)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	uint64_t off = 0, len;
	PagemapEntry *pe;
	int ret;

	while ((ret = img_get(rd, a, &pe, e)) > 0) {
		uint32_t flags = img_pagemap_flags(pe);

		len = img_pagemap_pages(pe) * page;
		if (flags & IMG_PE_PARENT)
			return cr_err_set(e, CR_E_IMG_PARENT, 0, rd->name,
					  "pages are in parent images, not supported yet");
		if (!(flags & IMG_PE_PRESENT))
			continue;
		if (img_pagemap_pages(pe) > size / page || pe->vaddr > size || len > size - pe->vaddr)
			return img_bad(rd, e, "pages at 0x%llx are behind the end of the file",
				       (unsigned long long)pe->vaddr);
		ret = pread_full(pages, map + pe->vaddr, len, off);
		if (ret < 0)
			return cr_err_set(e, CR_E_IMG_TRUNCATED, -ret, rd->name, "its pages cannot be read");
		off += len;
	}
	return ret;
}

static int fill(struct rst *r, const MemfdInodeEntry *me, uint8_t *map, uint64_t size, struct cr_err *e)
{
	_cleanup_close_ int pages = -1;
	struct arena a = { 0 };
	char name[IMG_NAME_MAX];
	struct img_reader rd;
	PagemapHead *head;
	int ret;

	ret = img_open(r->img, IMG_PAGEMAP_SHMEM, me->shmid, &rd, e);
	if (ret <= 0)
		return ret; /* never touched */
	ret = img_get(&rd, &a, &head, e);
	if (ret > 0)
		ret = pages = img_open_file(r->img, img_name(IMG_PAGES, head->pages_id, name), e);
	if (ret >= 0 && pages >= 0)
		ret = fill_pages(&rd, pages, map, size, &a, e);
	img_close(&rd);
	arena_free(&a);
	return ret;
}

/* ---- inodes ---- */

static int inode_error(const MemfdInodeEntry *me, int err, const char *what, struct cr_err *e)
{
	return cr_err_set(e, err == ENOMEM || err == ENOSPC ? CR_E_MEMORY_SHORT : CR_E_SYSTEM, err, me->name,
			  "memory file of %llu bytes: %s", (unsigned long long)me->size, what);
}

static int create_memfd(const MemfdInodeEntry *me, uint64_t map_size, uint8_t **ret_map, struct cr_err *e)
{
	_cleanup_close_ int fd = -1;

	*ret_map = NULL;
	fd = memfd_create(me->name, MFD_CLOEXEC | (sealed_by_birth(me) ? 0 : MFD_ALLOW_SEALING));
	if (fd < 0)
		return inode_error(me, errno, "memfd_create", e);
	if (ftruncate(fd, me->size) < 0)
		return inode_error(me, errno, "ftruncate", e);
	if (map_size) {
		*ret_map = mmap(NULL, map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (*ret_map == MAP_FAILED)
			return inode_error(me, errno, "mmap", e);
	}
	return TAKE_FD(fd);
}

static int make_inode(struct rst *r, struct segment *s, struct cr_err *e)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	const MemfdInodeEntry *me = s->me;
	uint64_t size = (me->size + page - 1) / page * page;
	uint8_t *map = NULL;
	uint32_t seals;
	int ret;

	s->fd = create_memfd(me, size, &map, e);
	if (s->fd < 0)
		return s->fd;
	ret = map ? fill(r, me, map, size, e) : 0;
	if (map)
		munmap(map, size);
	if (ret < 0)
		return ret;
	if (me->has_mode && fchmod(s->fd, me->mode & 07777) < 0)
		return inode_error(me, errno, "fchmod", e);
	if ((me->uid || me->gid) && fchown(s->fd, me->uid, me->gid) < 0)
		return inode_error(me, errno, "fchown", e);
	seals = sealed_by_birth(me) ? 0 : me->seals & ~late_seals(me);
	if (seals && fcntl(s->fd, F_ADD_SEALS, (int)seals) < 0)
		return inode_error(me, errno, "F_ADD_SEALS", e);
	return 0;
}

static int prepare(struct rst *r, struct cr_err *e)
{
	struct segments *s = *files_kind_data(r, FD_TYPES__MEMFD);
	size_t i;
	int ret;

	for (i = 0; s && i < s->n; i++) {
		ret = s->v[i].used && !anonymous(s->v[i].me) ? make_inode(r, &s->v[i], e) : 0;
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int last(struct rst *r, struct cr_err *e)
{
	struct segments *s = *files_kind_data(r, FD_TYPES__MEMFD);
	size_t i;

	for (i = 0; s && i < s->n; i++) {
		const MemfdInodeEntry *me = s->v[i].me;
		_cleanup_close_ int fd = -1;

		if (!s->v[i].used || !late_seals(me) || anonymous(me))
			continue;
		fd = files_from_main(r, s->v[i].fd, e);
		if (fd < 0)
			return fd;
		if (fcntl(fd, F_ADD_SEALS, (int)late_seals(me)) < 0)
			return inode_error(me, errno, "F_ADD_SEALS", e);
	}
	return 0;
}

/* ---- descriptions ---- */

static int open_as(struct rst *r, const struct FileEntry *fe, int flags, struct cr_err *e)
{
	struct segment *s = segment_of(r, fe->memfd->inode_id);
	_cleanup_close_ int kept = -1;
	int fd;

	if (s->fd < 0)
		return files_refuse(r, fe, CR_E_UNSUPPORTED, e,
				    "a descriptor of shared anonymous memory is not supported yet");
	kept = files_from_main(r, s->fd, e);
	if (kept < 0)
		return kept;
	fd = files_reopen(kept, flags < 0 ? (int)fe->memfd->flags & ~O_ASYNC : flags);
	return fd < 0 ? files_failed(r, fe, -fd, "opening a memory file again", e) : fd;
}

static int open_memfd(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	int fd;

	fd = open_as(r, fe, -1, e);
	if (fd < 0 || !fe->memfd->pos)
		return fd;
	if (lseek(fd, fe->memfd->pos, SEEK_SET) < 0) {
		int err = errno;

		close(fd);
		return files_failed(r, fe, err, "lseek", e);
	}
	return fd;
}

const struct fd_rst_ops memfd_rst_ops = {
	.name = "memory file",
	.type = FD_TYPES__MEMFD,
	.check = check,
	.open = open_memfd,
	.open_as = open_as,
	.prepare = prepare,
	.last = last,
};
