/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sorted ranges of addresses. */
#ifndef CRIT_VERIFY_MEM_H
#define CRIT_VERIFY_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end;
};

struct ranges { /* zeroed at the start; ranges_free() at the end */
	struct range *v;
	size_t n, cap;
};

/* Return: false when memory ran out */
bool ranges_add(struct ranges *r, uint64_t start, uint64_t end);
/* Sort and join: before ranges_hold(). */
void ranges_join(struct ranges *r);
bool ranges_hold(const struct ranges *r, uint64_t start, uint64_t end);
void ranges_free(struct ranges *r);

#endif
