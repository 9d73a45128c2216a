/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory functions for code without libc. gcc may emit calls of memcpy and memset by itself: bare-mem.c of a blob has
 * them. */
#ifndef CR_BARE_MEM_H
#define CR_BARE_MEM_H

#include <stddef.h>

static inline void bare_copy(void *to, const void *from, size_t len)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

static inline void bare_set(void *to, int byte, size_t len)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(byte) : "memory");
}

static inline size_t bare_strlen(const char *s)
{
	const char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

#endif
