/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/need-set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

enum { SEPARATOR = sizeof(NEED_SEPARATOR) - 1 };

/* Open addressing; length 0: free. */
struct need_slot {
	uint64_t hash;
	size_t at, len;
};

static uint64_t row_hash(const char *row, size_t len)
{
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)row[i]) * 0x100000001b3;
	return h;
}

/* The slot of an equal row, or the free one where it belongs. @row NULL: equal to none */
static struct need_slot *find(const struct need_set *s, uint64_t hash, const char *row, size_t len)
{
	size_t i = hash & (s->size - 1);

	for (; s->slot[i].len; i = (i + 1) & (s->size - 1))
		if (row && s->slot[i].hash == hash && s->slot[i].len == len &&
		    !memcmp(s->text + s->slot[i].at, row, len))
			break;
	return &s->slot[i];
}

static int grow(struct need_set *s)
{
	struct need_set old = *s;

	if (s->n < s->size / 2)
		return 0;
	s->size = old.size ? 2 * old.size : 64;
	s->slot = calloc(s->size, sizeof(*s->slot));
	if (!s->slot) {
		*s = old;
		return -ENOMEM;
	}
	for (size_t i = 0; i < old.size; i++)
		if (old.slot[i].len)
			*find(s, old.slot[i].hash, NULL, 0) = old.slot[i];
	free(old.slot);
	return 0;
}

static int append(struct need_set *s, const char *text, size_t len)
{
	if (len > s->cap - s->len) {
		size_t cap = 2 * (s->cap + len) + 4096;
		char *more = realloc(s->text, cap);

		if (!more)
			return -ENOMEM;
		s->text = more;
		s->cap = cap;
	}
	memcpy(s->text + s->len, text, len);
	s->len += len;
	return 0;
}

int need_set_add(struct need_set *s, const char *row, size_t len)
{
	uint64_t hash = row_hash(row, len);
	struct need_slot *slot;
	int ret = grow(s);

	if (ret || !len)
		return ret;
	slot = find(s, hash, row, len);
	if (slot->len)
		return 0;
	ret = s->len ? append(s, NEED_SEPARATOR, SEPARATOR) : 0;
	if (!ret)
		ret = append(s, row, len);
	if (ret)
		return ret;
	*slot = (struct need_slot){ .hash = hash, .at = s->len - len, .len = len };
	s->n++;
	return 0;
}

int need_set_add_json(struct need_set *s, const json_t *row)
{
	_cleanup_free_ char *text = json_dumps(row, 0);

	return text ? need_set_add(s, text, strlen(text)) : -ENOMEM;
}

int need_set_add_text(struct need_set *s, const char *rows, size_t len)
{
	int ret = 0;

	while (!ret && len) {
		const char *end = memmem(rows, len, NEED_SEPARATOR, SEPARATOR);
		size_t n = end ? (size_t)(end - rows) : len;

		ret = need_set_add(s, rows, n);
		n += end ? SEPARATOR : 0;
		rows += n;
		len -= n;
	}
	return ret;
}

void need_set_free(struct need_set *s)
{
	free(s->slot);
	free(s->text);
	*s = (struct need_set){ 0 };
}
