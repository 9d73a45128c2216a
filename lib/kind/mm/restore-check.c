/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "kind/mm/mm.h"
#include "kind/mm/restore-internal.h"
#include "pagemap.pb-c.h"

size_t mm_file_keys(const MmEntry *mm, uint64_t *v)
{
	size_t n = 0;

	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *vma = mm->vmas[i];

		if (mm_is_special(vma) || !(vma->status & (MM_FILE_PRIVATE | MM_FILE_SHARED)) || vma->status & MM_MEMFD)
			continue;
		v[n++] = vma->shmid << 32 | (uint32_t)mm_open_flags(vma);
	}
	return n;
}

/* Where the page at @addr stands in the pages file. @ret_name: of that file. Return: 1 found, 0 not in the image, -errno. */
static int find_page(struct rst *r, pid_t pid, uint64_t addr, char name[IMG_NAME_MAX], off_t *ret_off, struct cr_err *e)
{
	struct arena a = { 0 };
	struct img_reader rd;
	PagemapHead *head;
	PagemapEntry *p;
	int err = img_open(r->img, IMG_PAGEMAP, (unsigned long)pid, &rd, e);

	if (err <= 0)
		return err;
	*ret_off = 0;
	err = img_get(&rd, &a, &head, e);
	if (err > 0)
		img_name(IMG_PAGES, head->pages_id, name);
	while (err > 0 && (err = img_get(&rd, &a, &p, e)) > 0) {
		uint64_t len = img_pagemap_pages(p) * MM_PAGE;
		bool present = img_pagemap_flags(p) & IMG_PE_PRESENT;

		if (addr >= p->vaddr && addr - p->vaddr < len) {
			*ret_off += (off_t)(addr - p->vaddr);
			err = present;
			break;
		}
		*ret_off += present ? (off_t)len : 0;
		arena_reset(&a);
	}
	img_close(&rd);
	arena_free(&a);
	return err;
}

int mm_check_vdso(struct rst *r, const MmEntry *mm, pid_t pid, const struct mm_vdso *own, pid_t inside,
		  struct cr_err *e)
{
	_cleanup_free_ uint8_t *dumped = NULL, *here = NULL;
	_cleanup_close_ int fd = -1;
	const VmaEntry *v = NULL;
	char name[IMG_NAME_MAX];
	uint64_t len;
	off_t off;
	int err;

	for (size_t i = 0; i < mm->n_vmas && !v; i++)
		v = mm->vmas[i]->status & MM_VDSO ? mm->vmas[i] : NULL;
	if (!v || v->end - v->start > own->len)
		return 0; /* mm_check() has told */
	err = find_page(r, pid, v->start, name, &off, e);
	if (err <= 0)
		return err ? err : 1;
	len = v->end - v->start;
	dumped = malloc(len);
	here = malloc(len);
	if (!dumped || !here)
		return cr_err_nomem(e);
	fd = img_open_file(r->img, name, e);
	if (fd < 0)
		return fd;
	if (pread_full(fd, dumped, len, off))
		return cr_err_set(e, CR_E_IMG_TRUNCATED, 0, name, "it ends before the pages that the pagemap names");
	memcpy(here, (void *)(own->start + own->len - len), len);
	return mm_vdso_compare(dumped, here, len, inside, e);
}
