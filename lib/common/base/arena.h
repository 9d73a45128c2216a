/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that lives as long as a tool's run: taken in pieces, given back all at once. */
#ifndef CR_BASE_ARENA_H
#define CR_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks;
	size_t used; /* in the newest chunk */
	size_t total;
};

/* Zeroed, 16-byte aligned; NULL when memory ran out. Freed by arena_free() alone. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, alloc_size(2)));
/* @n * @size with a check for overflow. */
void *arena_calloc(struct arena *a, size_t n, size_t size);
char *arena_strdup(struct arena *a, const char *s);
void arena_free(struct arena *a);
/* Forget all, but keep a chunk for what comes: for the scratch memory of a loop. */
void arena_reset(struct arena *a);

#endif
