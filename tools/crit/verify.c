/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crit verify: is a directory a well-formed checkpoint?
 *
 * Theory of operation: first each image by itself (verify-load.c, verify-wire.c), its entries kept; then what is between
 * images, by area (verify-tree.c, -sessions.c, -file.c, -things.c, -mem.c, -ns.c, -raw.c); last the manifest. Nothing stops at the
 * first finding. The parent directory, and its parent, are looked at in the same way first, since pagemaps refer to them.
 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "inventory.pb-c.h"
#include "json-out.h"

static void add(struct verify *v, struct finding f)
{
	struct findings *all = v->found;

	f.dir = v->path;
	f.file = arena_strdup(&all->arena, f.file);
	f.problem = arena_strdup(&all->arena, f.problem);
	f.order = all->n;
	if (all->n == all->cap) {
		struct finding *more = realloc(all->v, (all->cap = 2 * all->cap + 64) * sizeof(*more));

		if (more)
			all->v = more;
		else
			all->cap = all->n;
	}
	all->nomem = all->nomem || !f.file || !f.problem || all->n == all->cap;
	if (all->nomem)
		return;
	all->v[all->n++] = f;
	all->errors += !f.warning;
}

static void add_text(struct verify *v, struct finding f, const char *fmt, va_list ap)
{
	char text[512], safe[1024];
	int len = vsnprintf(text, sizeof(text), fmt, ap);

	/* Names that are quoted come from images. */
	f.problem = safe;
	len = len < 0 ? 0 : len < (int)sizeof(text) ? len : (int)sizeof(text) - 1;
	safe_text(text, len, safe, sizeof(safe));
	add(v, f);
}

void v_error(struct verify *v, const char *file, long entry, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(v, (struct finding){ .file = file, .entry = entry }, fmt, ap);
	va_end(ap);
}

void v_warn(struct verify *v, const char *file, long entry, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(v, (struct finding){ .file = file, .entry = entry, .warning = true }, fmt, ap);
	va_end(ap);
}

void v_weak(struct verify *v, const char *file, long entry, const char *text)
{
	add(v, (struct finding){ .file = file, .entry = entry, .problem = text, .weak = true });
}

bool v_seen(struct verify *v, struct idmap *m, uint64_t key)
{
	bool had = idmap_has(m, key);

	if (!idmap_put(m, &v->arena, key))
		v->found->nomem = true;
	return had;
}

static void check_inventory(struct verify *v)
{
	const InventoryEntry *inv = v_one(v, IMG_INVENTORY, 0);
	static const char name[] = "inventory.img";

	v->predump = inv && inv->has_pre_dump_mode;
	if (!inv) {
		v_expect(v, v_image(v, IMG_INVENTORY, 0), name, -1, "is missing");
		return;
	}
	v_expect(v, inv->img_version == 1 || inv->img_version == 2, name, 0, "img_version %u is not known",
		 inv->img_version);
	for (size_t i = 0; inv->plugins_entry && i < inv->plugins_entry->n_plugins; i++)
		if (!strcmp(inv->plugins_entry->plugins[i], IMG_PLUGIN_CHECK_ONLY))
			v_warn(v, name, 0, "check-only: a dry run made it; it holds no memory and is no checkpoint");
	if (inv->img_version == 1)
		v_warn(v, name, 0, "img_version 1 is read, never written");
	if (!inv->root_ids)
		v_warn(v, name, 0, "no root_ids");
	if (!inv->fdinfo_per_id)
		v_warn(v, name, 0, "fdinfo_per_id is not set");
	if (!inv->ns_per_id)
		v_warn(v, name, 0, "ns_per_id is not set");
	v_expect(v, !inv->has_pre_dump_mode || inv->pre_dump_mode == 1 || inv->pre_dump_mode == 2, name, 0,
		 "pre_dump_mode %u", inv->pre_dump_mode);
}

/* A directory of pages alone: all that a pre-dump leaves. */
static bool pages_only(const struct verify *v)
{
	const struct vimage *i;

	return !v_images(v, IMG_PSTREE, &i) && !v_images(v, IMG_CORE, &i) && !v_images(v, IMG_FILES, &i);
}

static bool leads_back(const struct verify *v, int parent)
{
	struct stat a, b;

	if (fstat(parent, &a) < 0)
		return true;
	for (; v; v = v->child)
		if (fstat(v->dir, &b) < 0 || (a.st_dev == b.st_dev && a.st_ino == b.st_ino))
			return true;
	return false;
}

static void close_dir(struct verify *v)
{
	fd_close(v->dir);
	free(v->images);
	arena_free(&v->arena);
	arena_free(&v->scratch);
}

/* The parent is loaded and checked. It stays open: its pagemaps are asked for. */
static int check_parent(struct verify *v, struct verify *parent, struct cr_err *e)
{
	char path[4096];
	int n;

	parent->dir = openat(v->dir, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent->dir < 0) {
		if (errno != ENOENT || faccessat(v->dir, "parent", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			v_warn(v, "parent", -1, "leads to no directory: %s", strerror(errno));
		return 0;
	}
	if (leads_back(v, parent->dir)) {
		v->parent_loop = true;
		v_warn(v, "parent", -1, "leads back here");
		return 0;
	}
	n = snprintf(path, sizeof(path), "%s/parent", v->path);
	parent->path = n < (int)sizeof(path) ? arena_strdup(&v->found->arena, path) : NULL;
	if (!parent->path)
		return cr_err_set(e, CR_E_SYSTEM, ENAMETOOLONG, "parent", "too many parents");
	parent->found = v->found;
	parent->child = v;
	v->parent = parent;
	return verify_dir(parent, e);
}

int verify_dir(struct verify *v, struct cr_err *e)
{
	struct verify parent = { .dir = -1 };
	int ret;

	v->page = 4096;
	ret = verify_load(v, e);
	if (!ret)
		ret = check_parent(v, &parent, e);
	if (ret < 0) {
		close_dir(&parent);
		return ret;
	}
	check_inventory(v);
	v->predump = v->predump || pages_only(v);
	verify_files(v);
	if (!v->predump) {
		verify_tree(v);
		verify_file_refs(v);
	}
	verify_memory(v);
	verify_namespaces(v);
	verify_raw(v);
	verify_manifest(v);
	close_dir(&parent);
	v->parent = NULL;
	return v->found->nomem ? cr_err_nomem(e) : 0;
}

/* By directory, file and entry; as found within one. */
static int by_place(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int ret = x->dir == y->dir ? 0 : strlen(x->dir) < strlen(y->dir) ? -1 : 1;

	if (!ret)
		ret = strcmp(x->file, y->file);
	if (!ret && x->entry != y->entry)
		ret = x->entry < y->entry ? -1 : 1;
	return ret ? ret : x->order < y->order ? -1 : 1;
}

static bool same_place(const struct finding *a, const struct finding *b)
{
	return a->dir == b->dir && a->entry == b->entry && !strcmp(a->file, b->file);
}

void verify_settle(struct findings *all)
{
	size_t n = 0;

	if (all->n)
		qsort(all->v, all->n, sizeof(*all->v), by_place);
	for (size_t from = 0, to; from < all->n; from = to) {
		bool strong = false;

		for (to = from; to < all->n && same_place(&all->v[from], &all->v[to]); to++)
			strong = strong || (!all->v[to].weak && !all->v[to].warning);
		for (size_t k = from; k < to; k++) {
			bool again = n && same_place(&all->v[n - 1], &all->v[k]) &&
				     !strcmp(all->v[n - 1].problem, all->v[k].problem);

			if (!again && !(strong && all->v[k].weak))
				all->v[n++] = all->v[k];
		}
	}
	all->n = n;
}

static void print_text(const struct finding *f, FILE *to)
{
	char place[32] = "", file[1024];

	if (f->entry >= 0)
		snprintf(place, sizeof(place), "entry %ld: ", f->entry);
	fprintf(to, "%s/%s: %s%s%s\n", f->dir, safe_text(f->file, strlen(f->file), file, sizeof(file)), place,
		f->warning ? "warning: " : "", f->problem);
}

static void print_json(struct json_out *o, const struct finding *f)
{
	jo_begin(o, '{');
	jo_key(o, "dir");
	jo_text(o, f->dir);
	jo_key(o, "file");
	jo_text(o, f->file);
	jo_key(o, "entry");
	if (f->entry < 0)
		jo_raw(o, "null");
	else
		jo_signed(o, f->entry);
	jo_key(o, "level");
	jo_text(o, f->warning ? "warning" : "error");
	jo_key(o, "problem");
	jo_text(o, f->problem);
	jo_end(o, '}');
}

void verify_print(struct findings *all, bool quiet, FILE *to)
{
	verify_settle(all);
	for (size_t k = 0; k < all->n; k++)
		if (!quiet || !all->v[k].warning)
			print_text(&all->v[k], to);
}

void findings_free(struct findings *all)
{
	free(all->v);
	arena_free(&all->arena);
	*all = (struct findings){ 0 };
}

/* Return: exit code */
static int report(struct findings *all, bool json, bool quiet)
{
	struct json_out o = { .pretty = true };
	struct output out;
	struct cr_err e;

	if (!json) {
		verify_print(all, quiet, stdout);
		return all->errors ? CR_BADIMG : CR_OK;
	}
	verify_settle(all);
	if (output_open(&out, NULL, &e) < 0)
		return crit_fail(&e);
	o.ob = out.ob;
	jo_begin(&o, '[');
	for (size_t k = 0; k < all->n; k++)
		if (!quiet || !all->v[k].warning)
			print_json(&o, &all->v[k]);
	jo_end(&o, ']');
	ob_text(out.ob, "\n");
	if (output_finish(&out, &e) < 0)
		return crit_fail(&e);
	return all->errors ? CR_BADIMG : CR_OK;
}

int verify_path(const char *path, struct findings *all, struct cr_err *e)
{
	struct verify v = { .path = path, .found = all };
	int ret;

	v.dir = dir_open(path, e);
	if (v.dir < 0)
		return v.dir;
	ret = verify_dir(&v, e);
	close_dir(&v);
	return ret;
}

int crit_verify(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' },
		{ 0 },
	};
	struct findings all = { 0 };
	bool json = false, quiet = false;
	struct cr_err e;
	int c, ret = 0;

	while ((c = getopt_long(argc, argv, "q", options, NULL)) != -1) {
		if (c == '?')
			return crit_usage("verify", "wrong options");
		json = json || c == 'j';
		quiet = quiet || c == 'q';
	}
	if (optind == argc)
		return crit_usage("verify", "needs a directory");
	for (; !ret && optind < argc; optind++)
		ret = verify_path(argv[optind], &all, &e);
	ret = ret < 0 ? crit_fail(&e) : report(&all, json, quiet);
	findings_free(&all);
	return ret;
}
