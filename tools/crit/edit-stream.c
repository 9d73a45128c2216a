/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image on its way through an edit: decoded, each entry changed, encoded; then looked at as crit verify does. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "edit.h"
#include "encode.h"
#include "print.h"
#include "verify.h"

struct stream {
	struct encoder enc;
	struct change *change;
	const char *name;
	struct arena a;
};

static int on_magic(void *ctx, const char *name, struct cr_err *e)
{
	struct stream *s = ctx;

	return encoder_magic(&s->enc, name, e);
}

static int on_entry(void *ctx, const struct json *entry, struct cr_err *e)
{
	struct stream *s = ctx;
	unsigned long nr = s->enc.b.entry;
	struct json *now;
	char path[32];
	int ret;

	arena_reset(&s->a);
	now = tree_copy(entry, false, &s->a);
	if (!now)
		return cr_err_nomem(e);
	ret = s->change->entry(s->change->ctx, s->enc.type, nr, now, &s->a, e);
	if (ret < 0)
		return ret;
	if (!tree_equal(entry, now)) {
		s->change->changed++;
		snprintf(path, sizeof(path), "[%lu]", nr);
		if (s->change->diff)
			tree_diff(s->change->diff, s->name, path, entry, now);
	}
	return encoder_entry(&s->enc, now, e);
}

/* The whole image as JSON in memory, plain: so that nothing is lost. Return: fd or -errno with @e */
static int decode(int in, const char *name, struct cr_err *e)
{
	_cleanup_close_ int fd = memfd_create("crit-json", MFD_CLOEXEC);
	_cleanup_free_ struct printer *p = calloc(1, sizeof(*p));
	_cleanup_free_ struct obuf *ob = calloc(1, sizeof(*ob));
	struct img_reader r;
	int ret;

	if (fd < 0 || !p || !ob)
		return cr_err_nomem(e);
	ret = img_open_any(in, name, &r, e);
	if (ret < 0)
		return ret;
	p->out.ob = ob;
	ob->fd = fd;
	ret = print_image(p, &r, false, e);
	img_close(&r);
	if (ret < 0)
		return ret;
	ret = ob_flush(ob);
	if (ret < 0)
		return cr_err_set(e, CR_E_SYSTEM, -ret, name, "cannot be held in memory");
	lseek(fd, 0, SEEK_SET);
	return TAKE_FD(fd);
}

int edit_stream(int in, const char *name, struct change *c, struct obuf *out, struct cr_err *e)
{
	struct stream *s = calloc(1, sizeof(*s));
	const struct json_image image = { on_magic, on_entry, s };
	_cleanup_close_ int fd = -1;
	int ret;

	if (!s)
		return cr_err_nomem(e);
	s->change = c;
	s->name = s->enc.b.file = name;
	s->enc.ob = out;
	fd = decode(in, name, e);
	ret = fd < 0 ? fd : json_read_image(fd, name, &image, e);
	arena_free(&s->a);
	free(s->enc.b.out.data);
	free(s);
	return ret;
}

int edit_validate(int fd, const char *name, struct cr_err *e)
{
	struct findings found = { 0 };
	struct verify v = { .dir = -1, .path = "", .found = &found };
	struct vimage i = { .name = name };
	size_t errors;

	lseek(fd, 0, SEEK_SET);
	if (!img_parse_name(name, &i.type, &i.id)) { /* under another name: by its magic */
		struct img_reader r;
		int ret = img_open_any(fd, name, &r, e);

		if (ret < 0)
			return ret;
		i.type = r.type;
		img_close(&r);
		lseek(fd, 0, SEEK_SET);
	}
	verify_image_fd(&v, &i, fd);
	errors = found.errors;
	for (size_t k = 0; k < found.n; k++)
		if (!found.v[k].warning)
			fprintf(stderr, "crit: %s: entry %ld: %s\n", name, found.v[k].entry, found.v[k].problem);
	free(found.v);
	arena_free(&found.arena);
	arena_free(&v.arena);
	arena_free(&v.scratch);
	if (!errors)
		return 0;
	cr_err_set(e, CR_E_JSON, 0, name, "the result would be no good image; nothing was changed");
	cr_err_remedy(e, "see the lines above");
	return -EINVAL;
}

/* The only entry of a core image, in @a; NULL: it is none, or not to be read. */
static const CoreEntry *read_core(int fd, const char *name, struct arena *a)
{
	CoreEntry *core = NULL;
	struct img_reader r;
	struct cr_err e;

	if (fd < 0 || img_open_any(fd, name, &r, &e) < 0)
		return NULL;
	r.lenient = true;
	if (r.type != IMG_CORE || img_get(&r, a, &core, &e) <= 0)
		core = NULL;
	img_close(&r);
	return core;
}

/* Only the list of tasks says whose core an image is, and a thread's has no tc: so what was there must stay. */
int edit_keeps(const char *path, int fd, struct cr_err *e)
{
	_cleanup_close_ int before = open(path, O_RDONLY | O_CLOEXEC);
	const CoreEntry *old, *now;
	struct arena a = { 0 };
	bool lost;

	lseek(fd, 0, SEEK_SET);
	old = read_core(before, path, &a);
	now = old && old->tc ? read_core(fd, path, &a) : NULL;
	lost = now && !now->tc;
	arena_free(&a);
	if (!lost)
		return 0;
	cr_err_set(e, CR_E_JSON, 0, path, "tc is removed, which no task can be without; nothing was changed");
	cr_err_remedy(e, "give its fields other values");
	return -EINVAL;
}
