/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images that cannot be read whole: what can be is shown, and the rest is told, on stderr and in the JSON. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "image/manifest.h"
#include "json-out.h"

enum { DAMAGES_MOST = 1000, DAMAGES_TOLD = 10 };

static struct damage *find(struct checkpoint *c, const char *file)
{
	for (size_t k = 0; k < c->n_damaged; k++)
		if (!strcmp(c->damaged[k].file, file))
			return &c->damaged[k];
	return NULL;
}

static void add(struct checkpoint *c, const char *file, const struct cr_err *e)
{
	char problem[600], safe[1200];
	int n;

	if (c->n_damaged == DAMAGES_MOST) {
		c->more_damaged = true;
		return;
	}
	if (!c->damaged)
		c->damaged = arena_calloc(&c->arena, DAMAGES_MOST, sizeof(*c->damaged));
	n = snprintf(problem, sizeof(problem), "%s%s%s%s%s", strcmp(e->object, file) ? e->object : "",
		     strcmp(e->object, file) ? ": " : "", e->reason, e->err ? ": " : "",
		     e->err ? strerror(e->err) : "");
	safe_text(problem, n < (int)sizeof(problem) ? n : (int)sizeof(problem) - 1, safe, sizeof(safe));
	file = arena_strdup(&c->arena, file);
	if (c->damaged && file)
		c->damaged[c->n_damaged++] =
			(struct damage){ file, arena_strdup(&c->arena, safe) ?: "cannot be read", e->code, c->round };
	else
		c->more_damaged = true;
}

static void note(struct checkpoint *c, const char *file, const struct cr_err *e)
{
	struct damage *d = find(c, file);

	if (!d)
		add(c, file, e);
	else if (d->round)
		d->round = c->round;
}

void checkpoint_damaged(struct checkpoint *c, enum img_type type, unsigned long id, const struct cr_err *e)
{
	char name[IMG_NAME_MAX];

	note(c, img_name(type, id, name), e);
}

void checkpoint_missing(struct checkpoint *c, enum img_type type, unsigned long id)
{
	char name[IMG_NAME_MAX];
	struct cr_err e;

	img_name(type, id, name);
	cr_err_set(&e, CR_E_IMG_MISSING, 0, name, "is missing");
	note(c, name, &e);
}

json_t *checkpoint_manifest(struct checkpoint *c)
{
	struct cr_err e;
	json_t *m;

	if (manifest_read(c->dir, &m, &e) == 0)
		return m;
	if (faccessat(c->dir, MANIFEST_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		note(c, MANIFEST_NAME, &e);
	return NULL;
}

void damages_json(const struct checkpoint *c, struct json_out *o, bool all)
{
	jo_key(o, "damaged");
	jo_begin(o, '[');
	for (size_t k = 0; k < c->n_damaged; k++) {
		const struct damage *d = &c->damaged[k];

		if (!all && d->round && d->round != c->round)
			continue;
		jo_begin(o, '{');
		jo_put_text(o, "file", d->file);
		jo_put_text(o, "problem", d->problem);
		jo_put_text(o, "code", cr_code_name(d->code));
		jo_end(o, '}');
	}
	jo_end(o, ']');
}

int damages_tell(const struct checkpoint *c)
{
	size_t told = c->n_damaged < DAMAGES_TOLD ? c->n_damaged : DAMAGES_TOLD;

	if (!c->n_damaged && !c->more_damaged)
		return CR_OK;
	fflush(stdout);
	for (size_t k = 0; k < told; k++)
		fprintf(stderr, "crit: not all could be looked at: %s: %s [%s]\n", c->damaged[k].file,
			c->damaged[k].problem, cr_code_name(c->damaged[k].code));
	if (c->n_damaged > told || c->more_damaged)
		fprintf(stderr, "crit: not all could be looked at: %s%zu more images\n", c->more_damaged ? "over " : "",
			c->n_damaged - told);
	fprintf(stderr, "crit: what is shown is the rest; crit verify lists all findings\n");
	return c->n_damaged ? (int)cr_code_exit(c->damaged[0].code) : CR_SYSTEM;
}
