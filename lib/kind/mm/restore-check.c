/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kind/mm/mm.h"
#include "kind/mm/restore-internal.h"

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
