/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pipes, sockets and shared memory have numbers that the kernel gives out, other ones after each restore; and ids of files are
 * only counted by the dump. So it is not the number that is compared, but who shares it: numbers of things at the same
 * place are paired, each once. Where a number could have several partners (one end is another pipe now), it gets the one
 * that it has at most places. Numbers that are in both stay what they are: nothing was restored in between.
 */
#include "diff.h"

#include <stdlib.h>
#include <string.h>

enum { IDS = sizeof(((struct fact *)0)->ids) / sizeof(uint64_t) };

static bool same_text(const struct fact *old, const struct fact *now)
{
	if (old->space != now->space)
		return false;
	if (old->space == DIFF_NO_ID)
		return !strcmp(old->text, now->text);
	return old->ids_at == now->ids_at && !memcmp(old->text, now->text, old->ids_at) &&
	       !strcmp(old->text + old->ids_at + old->ids_len, now->text + now->ids_at + now->ids_len);
}

bool same_learn(struct same *s, const struct fact *old, const struct fact *now)
{
	if (old->space == DIFF_NO_ID || !same_text(old, now))
		return true;
	for (size_t k = 0; k < IDS; k++) {
		if (!old->ids[k] || !now->ids[k])
			continue;
		if (s->n == s->cap) {
			struct same_pair *more = realloc(s->v, (s->cap = 2 * s->cap + 64) * sizeof(*more));

			if (!more)
				return false;
			s->v = more;
		}
		s->v[s->n] = (struct same_pair){ old->space, old->ids[k], now->ids[k], s->n, 1 };
		s->n++;
	}
	return true;
}

static int by_ids(const void *a, const void *b)
{
	const struct same_pair *x = a, *y = b;

	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	if (x->old != y->old)
		return x->old < y->old ? -1 : 1;
	if (x->now != y->now)
		return x->now < y->now ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int by_weight(const void *a, const void *b)
{
	const struct same_pair *x = a, *y = b;
	bool kept = x->old == x->now;

	if (kept != (y->old == y->now))
		return kept ? -1 : 1;
	if (x->places != y->places)
		return x->places > y->places ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

bool same_settle(struct same *s, struct arena *a)
{
	size_t n = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_ids);
	for (size_t k = 0; k < s->n; k++) {
		struct same_pair *last = n ? &s->v[n - 1] : NULL;

		if (last && last->space == s->v[k].space && last->old == s->v[k].old && last->now == s->v[k].now)
			last->places++;
		else
			s->v[n++] = s->v[k];
	}
	if (n)
		qsort(s->v, n, sizeof(*s->v), by_weight);
	for (size_t k = 0; k < n; k++) {
		const struct same_pair *pair = &s->v[k];
		struct idmap *to = &s->to[pair->space], *from = &s->from[pair->space];
		uint64_t *p, *q;

		if (idmap_has(to, pair->old) || idmap_has(from, pair->now))
			continue;
		p = idmap_put(to, a, pair->old);
		q = idmap_put(from, a, pair->now);
		if (!p || !q)
			return false;
		*p = pair->now;
		*q = pair->old;
	}
	return true;
}

bool same_fact(const struct same *s, const struct fact *old, const struct fact *now)
{
	if (!same_text(old, now))
		return false;
	for (size_t k = 0; old->space != DIFF_NO_ID && k < IDS; k++) {
		const uint64_t *to = idmap_get(&s->to[old->space], old->ids[k]);

		if (old->ids[k] || now->ids[k])
			if (!to || *to != now->ids[k])
				return false;
	}
	return true;
}
