/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * Anonymous shared memory is a file of the kernel's own tmpfs. CRIU writes it as a memfd named "/dev/zero" (newer) or
 * as a mapping with the number of its pagemap (older). Here the main process maps each segment once, fills it, and gets
 * a descriptor of it from /proc/self/map_files; all tasks inherit that and map it. So /proc/PID/maps shows what it
 * showed before: /dev/zero (deleted).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "kind/mm/mm.h"
#include "kind/mm/restore-internal.h"
#include "fdinfo.pb-c.h"
#include "memfd.pb-c.h"

static struct mm_seg *find(struct mm_segs *s, uint64_t id, bool anon)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].id == id && s->v[i].anon == anon)
			return &s->v[i];
	return NULL;
}

static struct mm_seg *add(struct mm_segs *s, uint64_t id, bool anon)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 16;
		struct mm_seg *v = realloc(s->v, cap * sizeof(*v));

		if (!v)
			return NULL;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n] = (struct mm_seg){ .id = (uint32_t)id, .anon = anon, .pagemap = id, .fd = -1 };
	return &s->v[s->n++];
}

/* The inode of a memfd file: NULL, not an error, when it is a real memfd (the file engine makes those). */
static int zero_inode(struct rst *r, const VmaEntry *v, MemfdInodeEntry **ret, struct cr_err *e)
{
	const FileEntry *fe = files_by_id(r, (uint32_t)v->shmid, FD_TYPES__MEMFD);
	MemfdInodeEntry **all;
	char what[64];
	ssize_t n;

	snprintf(what, sizeof(what), "mapping %llx-%llx", (unsigned long long)v->start, (unsigned long long)v->end);
	if (!fe || !fe->memfd)
		return cr_err_set(e, CR_E_IMG_REF, 0, what, "memfd file %llu is not in files.img",
				  (unsigned long long)v->shmid);
	n = img_read_all(r->img, IMG_MEMFD_INODE, 0, r->arena, (void ***)&all, e);
	if (n < 0)
		return (int)n;
	for (ssize_t i = 0; i < n; i++)
		if (all[i]->inode_id == fe->memfd->inode_id) {
			*ret = strcmp(all[i]->name, "/dev/zero") ? NULL : all[i];
			return 0;
		}
	return cr_err_set(e, CR_E_IMG_REF, 0, what, "inode %u is not in memfd.img", fe->memfd->inode_id);
}

static int add_one(struct rst *r, const VmaEntry *v, struct mm_segs *s, struct cr_err *e)
{
	bool anon = v->status & MM_ANON_SHARED;
	MemfdInodeEntry *inode = NULL;
	struct mm_seg *seg;
	int err;

	if (!anon && !(v->status & MM_MEMFD && v->status & MM_FILE_SHARED))
		return 0;
	seg = find(s, v->shmid, anon);
	if (!seg && !anon) {
		err = zero_inode(r, v, &inode, e);
		if (err || !inode)
			return err;
	}
	if (!seg)
		seg = add(s, v->shmid, anon);
	if (!seg)
		return cr_err_nomem(e);
	if (inode) {
		seg->size = inode->size;
		seg->pagemap = inode->shmid;
	}
	if (anon && v->pgoff + (v->end - v->start) > seg->size)
		seg->size = v->pgoff + (v->end - v->start);
	return 0;
}

int mm_segs_add(struct rst *r, const MmEntry *mm, struct mm_segs *s, struct cr_err *e)
{
	int err = 0;

	for (size_t i = 0; !err && i < mm->n_vmas; i++)
		err = add_one(r, mm->vmas[i], s, e);
	return err;
}

/* Two memfd files can name one inode: fill it once, give both the same descriptor. */
static struct mm_seg *twin(struct mm_segs *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (s->v[k].pagemap == s->v[i].pagemap && s->v[k].size == s->v[i].size)
			return &s->v[k];
	return NULL;
}

static int make(struct rst *r, struct mm_seg *seg, uint64_t *ret_pages, struct cr_err *e)
{
	char path[96], what[64];
	void *at;
	int err;

	snprintf(what, sizeof(what), "shared memory segment %llu", (unsigned long long)seg->pagemap);
	if (!seg->size || seg->size > MM_TASK_END / 2)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, what, "its size is %llu", (unsigned long long)seg->size);
	seg->size = (seg->size + MM_PAGE - 1) & ~(uint64_t)(MM_PAGE - 1);
	at = mmap(NULL, seg->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return cr_err_set(e, CR_E_SYSTEM, errno, what, "cannot map %llu bytes", (unsigned long long)seg->size);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)at, (unsigned long)at + seg->size);
	seg->fd = open(path, O_RDWR | O_CLOEXEC);
	err = seg->fd < 0 ? cr_err_set(e, CR_E_SYSTEM, errno, what, "cannot open %s", path) : 0;
	if (!err)
		err = mm_fill_segment(r, seg, at, ret_pages, e);
	munmap(at, seg->size);
	return err;
}

int mm_segs_make(struct rst *r, struct mm_segs *s, uint64_t *ret_pages, struct cr_err *e)
{
	int err = 0;

	for (size_t i = 0; !err && i < s->n; i++) {
		struct mm_seg *t = twin(s, i);

		if (t)
			s->v[i].fd = t->fd;
		else
			err = make(r, &s->v[i], ret_pages, e);
	}
	return err;
}
