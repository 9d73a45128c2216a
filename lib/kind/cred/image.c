/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kind/cred/cred.h"

#include <errno.h>

#include "creds.pb-c.h"
#include "proc/status.h"

enum { WORDS = 2 };

static int put(uint64_t set, struct arena *a, size_t *ret_n, uint32_t **ret)
{
	uint32_t *v = arena_calloc(a, WORDS, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v[0] = (uint32_t)set;
	v[1] = (uint32_t)(set >> 32);
	*ret_n = WORDS;
	*ret = v;
	return 0;
}

int cred_caps_to_image(const struct proc_status *s, struct arena *a, struct CredsEntry *c, struct cr_err *e)
{
	if (put(s->cap_inh, a, &c->n_cap_inh, &c->cap_inh) || put(s->cap_prm, a, &c->n_cap_prm, &c->cap_prm) ||
	    put(s->cap_eff, a, &c->n_cap_eff, &c->cap_eff) || put(s->cap_bnd, a, &c->n_cap_bnd, &c->cap_bnd) ||
	    put(s->cap_amb, a, &c->n_cap_amb, &c->cap_amb))
		return cr_err_nomem(e);
	return 0;
}

int cred_caps_from_image(const uint32_t *words, size_t n, uint64_t *ret)
{
	uint64_t set = 0;

	if (n > WORDS)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		set |= (uint64_t)words[i] << (32 * i);
	*ret = set;
	return 0;
}
