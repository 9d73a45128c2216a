/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of memory: address space, mappings, pagemaps. Addresses that pass are multiples of 4096 and do not wrap. */
#include "image-valid.h"

#include <inttypes.h>

#include "mm.pb-c.h"
#include "pagemap.pb-c.h"

enum {
	PAGE = 4096, /* the smallest there is: the images do not say which it was */
	AUXV_MOST = 1024,
	VMA_FILE = 1 << 6 | 1 << 7,
	VMA_GUARD = 1 << 16,
};

static bool vma(const void *message, char why[VALID_WHY])
{
	const VmaEntry *v = message;

	if (v->start >= v->end || (v->start | v->end) % PAGE)
		return img_invalid(why, "mapping %" PRIx64 "-%" PRIx64 " is empty or not aligned", v->start, v->end);
	if ((v->status & VMA_FILE) && (v->pgoff % PAGE || v->pgoff + (v->end - v->start) < v->pgoff))
		return img_invalid(why, "mapping %" PRIx64 "-%" PRIx64 ": offset %#" PRIx64, v->start, v->end,
				   v->pgoff);
	return true;
}

static bool mm_order(const MmEntry *mm, char why[VALID_WHY])
{
	bool guards = false;
	uint64_t end = 0;

	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];
		bool guard = v->status & VMA_GUARD;

		/* Guard ranges lie inside of mappings; they stand behind them all. */
		if (guards && !guard)
			return img_invalid(why, "mapping %" PRIx64 " comes after the guard entries", v->start);
		if (!guard && v->start < end)
			return img_invalid(why, "mapping %" PRIx64 " is out of order or overlaps", v->start);
		guards = guard;
		if (!guard)
			end = v->end;
	}
	return true;
}

static bool mm(const void *message, char why[VALID_WHY])
{
	const MmEntry *m = message;

	if (m->mm_start_code > m->mm_end_code || m->mm_start_data > m->mm_end_data || m->mm_start_brk > m->mm_brk ||
	    m->mm_arg_start > m->mm_arg_end || m->mm_env_start > m->mm_env_end)
		return img_invalid(why, "one of code, data, brk, arguments, environment ends before it starts");
	if (m->n_mm_saved_auxv % 2 || m->n_mm_saved_auxv > AUXV_MOST)
		return img_invalid(why, "%zu words of auxiliary vector", m->n_mm_saved_auxv);
	return mm_order(m, why);
}

static bool pagemap(const void *message, char why[VALID_WHY])
{
	const PagemapEntry *p = message;
	uint64_t pages = img_pagemap_pages(p), bytes, end;

	if (p->vaddr % PAGE || !pages || __builtin_mul_overflow(pages, (uint64_t)PAGE, &bytes) ||
	    __builtin_add_overflow(p->vaddr, bytes, &end))
		return img_invalid(why, "%" PRIu64 " pages at %#" PRIx64, pages, p->vaddr);
	if (p->has_nr_pages && p->compat_nr_pages && p->compat_nr_pages != (uint32_t)p->nr_pages)
		return img_invalid(why, "nr_pages %" PRIu64 " and compat_nr_pages %u differ", p->nr_pages,
				   p->compat_nr_pages);
	if (img_pagemap_flags(p) & ~(IMG_PE_PARENT | IMG_PE_LAZY | IMG_PE_PRESENT))
		return img_invalid(why, "flags %#x", img_pagemap_flags(p));
	return true;
}

const struct validator img_valid_mem[] = {
	{ &vma_entry__descriptor, vma },
	{ &mm_entry__descriptor, mm },
	{ &pagemap_entry__descriptor, pagemap },
	{ 0 },
};
