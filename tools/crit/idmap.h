/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers to numbers or pointers: which ids are there, and what belongs to them. */
#ifndef CRIT_IDMAP_H
#define CRIT_IDMAP_H

#include "base/arena.h"
#include "crit.h"

/* Zeroed at the start; memory of an arena. */
struct idmap {
	struct idmap_slot *slot;
	size_t n, size; /* size: 0 or a power of two */
};

/* Two numbers as one key: a type and an id. */
static inline uint64_t idmap_key(uint32_t high, uint32_t low)
{
	return (uint64_t)high << 32 | low;
}

/*
 * Where the value of @key is; 0 there when it is new.
 * Return: NULL when memory ran out
 */
uint64_t *idmap_put(struct idmap *m, struct arena *a, uint64_t key);
/* Return: where the value of @key is, NULL when there is none. */
uint64_t *idmap_get(const struct idmap *m, uint64_t key);

static inline bool idmap_has(const struct idmap *m, uint64_t key)
{
	return idmap_get(m, key);
}

#endif
