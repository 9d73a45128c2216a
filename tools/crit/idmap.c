/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open addressing; never more than half full. Outgrown tables stay in the arena. */
#include "idmap.h"

struct idmap_slot {
	uint64_t key, value;
	bool used;
};

static struct idmap_slot *slot_of(const struct idmap *m, uint64_t key)
{
	size_t i = (key ^ key >> 32) * 0x9e3779b97f4a7c15u >> 20 & (m->size - 1);

	while (m->slot[i].used && m->slot[i].key != key)
		i = (i + 1) & (m->size - 1);
	return &m->slot[i];
}

static bool grow(struct idmap *m, struct arena *a)
{
	struct idmap more = { .size = m->size ? 2 * m->size : 64, .n = m->n };

	more.slot = arena_calloc(a, more.size, sizeof(*more.slot));
	if (!more.slot)
		return false;
	for (size_t i = 0; i < m->size; i++)
		if (m->slot[i].used)
			*slot_of(&more, m->slot[i].key) = m->slot[i];
	*m = more;
	return true;
}

uint64_t *idmap_put(struct idmap *m, struct arena *a, uint64_t key)
{
	struct idmap_slot *s;

	if (2 * m->n >= m->size && !grow(m, a))
		return NULL;
	s = slot_of(m, key);
	if (!s->used) {
		*s = (struct idmap_slot){ .key = key, .used = true };
		m->n++;
	}
	return &s->value;
}

uint64_t *idmap_get(const struct idmap *m, uint64_t key)
{
	struct idmap_slot *s = m->size ? slot_of(m, key) : NULL;

	return s && s->used ? &s->value : NULL;
}
