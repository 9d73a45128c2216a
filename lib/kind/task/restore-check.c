/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kind/restore-check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rst_area(struct rst *r, const char *area, size_t n)
{
	struct rst_check *c = r->check;
	size_t i;

	if (!c)
		return;
	for (i = 0; i < c->nr_areas && strcmp(c->areas[i].name, area) != 0; i++)
		;
	if (i == RST_AREAS)
		i--; /* more than there are names in this program */
	if (i == c->nr_areas)
		c->areas[c->nr_areas++].name = area;
	c->now = &c->areas[i];
	c->now->tested += n;
}

static bool known(const struct rst_check *c, const struct cr_err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct cr_err *f = &c->v[i].err;

		if (f->code == e->code && !strcmp(f->object, e->object) && !strcmp(f->reason, e->reason))
			return true;
	}
	return false;
}

static int add(struct rst_check *c, const struct cr_err *e, bool warning)
{
	if (known(c, e))
		return 0;
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 16;
		struct rst_finding *v = reallocarray(c->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n++] = (struct rst_finding){ .err = *e, .area = c->now ? c->now->name : "images", .warning = warning };
	if (c->now && warning)
		c->now->warned++;
	else if (c->now)
		c->now->refused++;
	return 0;
}

int rst_found(struct rst *r, int err, struct cr_err *e)
{
	if (!r->check || err >= 0 || e->code == CR_E_NOMEM || cr_code_exit(e->code) == CR_BADIMG)
		return err;
	if (add(r->check, e, false))
		return cr_err_nomem(e);
	*e = (struct cr_err){ 0 };
	return 0;
}

int rst_final(struct rst *r, const struct cr_err *e)
{
	return add(r->check, e, false);
}

void rst_doubt(struct rst *r, const struct cr_err *e)
{
	if (r->check)
		(void)add(r->check, e, true); /* without memory there is one warning less */
}
