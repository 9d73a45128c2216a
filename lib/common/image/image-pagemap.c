/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Old and new forms of a pagemap entry. CRIU 4.2 moved the count to field 5 and leaves 0 in field 2. */
#include "image/image.h"

#include "pagemap.pb-c.h"

uint64_t img_pagemap_pages(const struct PagemapEntry *entry)
{
	return entry->has_nr_pages ? entry->nr_pages : entry->compat_nr_pages;
}

uint32_t img_pagemap_flags(const struct PagemapEntry *entry)
{
	if (entry->has_in_parent && entry->in_parent)
		return IMG_PE_PARENT;
	return entry->has_flags ? entry->flags : IMG_PE_PRESENT;
}
