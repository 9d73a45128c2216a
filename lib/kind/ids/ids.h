/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which kernel tables tasks have, and which they share. */
#ifndef CR_IDS_IDS_H
#define CR_IDS_IDS_H

#include <stddef.h>
#include <stdint.h>

struct dump_hook;

/* Fills vm_id, files_id, fs_id and sighand_id of all tasks, refuses what cannot be shared again, writes ids-PID.img. */
extern const struct dump_hook ids_dump;

/*
 * Give equal ids to equal things, by an order only: n log n comparisons.
 * @cmp: as kcmp(2): 0 equal, 1 less, 2 greater, or -errno. @i and @j: numbers of things
 * @ret_id: @n ids, counted from @first in the order in which things appear
 * Return: 0, -ENOMEM, or what @cmp failed with.
 */
int ids_sort_out(size_t n, int (*cmp)(void *ctx, size_t i, size_t j), void *ctx, uint32_t first, uint32_t *ret_id);

#endif
