/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* So that AddressSanitizer sees what runs over the end of a piece: each has a gap behind it that nobody may touch. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
enum { CHUNK = 64 * 1024, ALIGN = 16, GAP = 16 };
#else
#define ASAN_POISON_MEMORY_REGION(p, len)
#define ASAN_UNPOISON_MEMORY_REGION(p, len)
enum { CHUNK = 64 * 1024, ALIGN = 16, GAP = 0 };
#endif

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	char mem[] __attribute__((aligned(ALIGN)));
};

void *arena_alloc(struct arena *a, size_t size)
{
	size_t need = ((size + ALIGN - 1) & ~(size_t)(ALIGN - 1)) + GAP;
	struct arena_chunk *c = a->chunks;
	char *p;

	if (size > SIZE_MAX / 2) /* the sums below do not overflow */
		return NULL;
	if (!c || c->size - a->used < need) {
		size_t room = need > CHUNK ? need : CHUNK;
		struct arena_chunk *fresh = calloc(1, sizeof(*fresh) + room);

		if (!fresh)
			return NULL;
		fresh->size = room;
		a->total += room;
		ASAN_POISON_MEMORY_REGION(fresh->mem, room);
		if (c && need > CHUNK) { /* a big piece of its own: go on filling the chunk that is open */
			fresh->next = c->next;
			c->next = fresh;
			ASAN_UNPOISON_MEMORY_REGION(fresh->mem, size);
			return fresh->mem;
		}
		fresh->next = c;
		a->chunks = c = fresh;
		a->used = 0;
	}
	p = c->mem + a->used;
	a->used += need;
	ASAN_UNPOISON_MEMORY_REGION(p, size);
	return p;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	size_t all;

	return __builtin_mul_overflow(n, size, &all) ? NULL : arena_alloc(a, all);
}

char *arena_strdup(struct arena *a, const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = arena_alloc(a, len);

	return copy ? memcpy(copy, s, len) : NULL;
}

void arena_free(struct arena *a)
{
	for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena){ 0 };
}

void arena_reset(struct arena *a)
{
	struct arena keep = { .chunks = a->chunks };

	if (!a->chunks)
		return;
	/* A larger one would be zeroed each time. */
	if (a->chunks->size > CHUNK) {
		arena_free(a);
		return;
	}
	struct arena rest = { .chunks = a->chunks->next };

	arena_free(&rest);
	ASAN_UNPOISON_MEMORY_REGION(keep.chunks->mem, a->used);
	memset(keep.chunks->mem, 0, a->used);
	ASAN_POISON_MEMORY_REGION(keep.chunks->mem, keep.chunks->size);
	keep.chunks->next = NULL;
	keep.total = keep.chunks->size;
	*a = keep;
}
