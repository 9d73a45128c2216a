/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crit edit DIR: changes that keep all references right.
 *
 * Theory of operation: a directory inside of DIR gets the checkpoint as it is to be: changed images are written there, the
 * others are hard links. crit verify looks at it; if it has more errors than before, nothing is done. Then inventory.img is
 * taken away, so that nothing takes a mixture for a checkpoint, changed files are renamed over the old ones, images whose
 * names are no more are removed, and inventory.img comes back last.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "edit.h"
#include "verify.h"

/* A file of the directory and what becomes of it. */
struct item {
	const char *name, *now; /* now: its new name */
	bool changed;
};

struct dir_job {
	const char *path, *stage;
	int dir, to; /* the directory, the one inside of it */
	struct item *items;
	size_t n;
	struct arena arena;
	struct rule *rules;
	size_t n_rules;
	struct output diff; /* ob NULL: none is wanted */
};

static int list_names(struct dir_job *j, struct cr_err *e)
{
	DIR *d = fdopendir(openat(j->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	size_t cap = 0;

	while (d && (entry = readdir(d))) {
		struct stat st;

		if (fstatat(j->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (j->n == cap) {
			struct item *more = realloc(j->items, (cap = 2 * cap + 64) * sizeof(*more));

			if (!more)
				break;
			j->items = more;
		}
		j->items[j->n].name = arena_strdup(&j->arena, entry->d_name);
		j->items[j->n++].changed = false;
	}
	if (!d || entry) {
		if (d)
			closedir(d);
		return cr_err_set(e, CR_E_SYSTEM, errno ? errno : ENOMEM, j->path, "cannot be listed");
	}
	closedir(d);
	return 0;
}

static int apply(void *ctx, enum img_type type, unsigned long nr, struct json *entry, struct arena *a, struct cr_err *e)
{
	struct dir_job *j = ctx;

	return rules_apply(j->rules, j->n_rules, img_descriptor(type, nr), entry, a, e);
}

static int link_over(struct dir_job *j, const struct item *i, struct cr_err *e)
{
	if (linkat(j->dir, i->name, j->to, i->now, 0) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, i->name, "cannot be linked into %s", j->stage);
	return 0;
}

/* Write it anew; if it comes out as it was, link it. */
static int rewrite(struct dir_job *j, struct item *i, struct cr_err *e)
{
	struct change c = { .entry = apply, .ctx = j, .diff = j->diff.ob };
	_cleanup_close_ int in = img_open_file(j->dir, i->name, e);
	char path[PATH_MAX];
	struct output out;
	struct stat st;
	int ret;

	if (in < 0)
		return in;
	if (fstat(in, &st) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, i->name, "cannot be opened");
	snprintf(path, sizeof(path), "%s/%s", j->stage, i->now);
	ret = output_open(&out, path, e);
	if (ret < 0)
		return ret;
	if ((fchown(out.ob->fd, st.st_uid, st.st_gid) < 0 && errno != EPERM) ||
	    fchmod(out.ob->fd, st.st_mode & 0777) < 0)
		ret = cr_err_set(e, CR_E_SYSTEM, errno, i->name, "cannot get its owner and mode");
	if (!ret)
		ret = edit_stream(in, i->name, &c, out.ob, e);
	if (!ret && c.changed)
		ret = output_flush(&out, e);
	if (!ret && c.changed && fdatasync(out.ob->fd) < 0)
		ret = cr_err_set(e, CR_E_SYSTEM, errno, i->name, "cannot be written");
	if (!ret && c.changed)
		ret = output_finish(&out, e);
	output_abandon(&out);
	i->changed = c.changed;
	return ret || c.changed ? ret : link_over(j, i, e);
}

static int stage_file(struct dir_job *j, struct item *i, struct cr_err *e)
{
	char name[IMG_NAME_MAX];
	enum img_type type;
	unsigned long id;

	i->now = i->name;
	if (i->name[0] == '.')
		return 0;
	if (rules_document(i->name))
		return rules_rewrite(j->rules, j->n_rules, j->dir, j->to, i->name, &i->changed, e);
	if (!img_parse_name(i->name, &type, &id))
		return link_over(j, i, e);
	id = rules_id(j->rules, j->n_rules, type, id);
	i->now = arena_strdup(&j->arena, img_name(type, id, name));
	if (!i->now)
		return cr_err_nomem(e);
	if (strcmp(i->name, i->now) && j->diff.ob) {
		ob_text(j->diff.ob, "rename ");
		ob_text(j->diff.ob, i->name);
		ob_text(j->diff.ob, " ");
		ob_text(j->diff.ob, i->now);
		ob_text(j->diff.ob, "\n");
	}
	return rules_touch(j->rules, j->n_rules, type) ? rewrite(j, i, e) : link_over(j, i, e);
}

/* The same parent, seen from one level below. */
static int stage_parent(struct dir_job *j, struct cr_err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlink_at(j->dir, "parent", target, sizeof(target) - 4);
	char below[PATH_MAX + 4];

	if (n < 0)
		return 0;
	snprintf(below, sizeof(below), "%s%s", *target == '/' ? "" : "../", target);
	return symlinkat(below, j->to, "parent") < 0 ? cr_err_set(e, CR_E_SYSTEM, errno, "parent", "cannot be linked")
						     : 0;
}

static int stage_all(struct dir_job *j, struct cr_err *e)
{
	int ret = stage_parent(j, e);

	for (size_t k = 0; !ret && k < j->n; k++)
		ret = stage_file(j, &j->items[k], e);
	if (!ret)
		ret = rules_hit(j->rules, j->n_rules, e);
	return ret ? ret : rules_manifest(j->rules, j->n_rules, j->dir, j->to, e);
}

/* The result must not be worse than what was. */
static int compare_errors(struct dir_job *j, struct cr_err *e)
{
	struct findings before = { 0 }, after = { 0 };
	int ret = verify_path(j->path, &before, e);

	if (!ret)
		ret = verify_path(j->stage, &after, e);
	if (!ret && after.errors > before.errors) {
		verify_print(&after, true, stderr);
		cr_err_set(e, CR_E_IMG_REF, 0, j->path, "the result would not be well-formed; nothing was changed");
		cr_err_remedy(e, "see the lines above");
		ret = -EINVAL;
	}
	findings_free(&before);
	findings_free(&after);
	return ret;
}

static int move(struct dir_job *j, const char *name, struct cr_err *e)
{
	if (renameat(j->to, name, j->dir, name) == 0 || errno == ENOENT)
		return 0;
	return cr_err_set(e, CR_E_SYSTEM, errno, name, "cannot be renamed into place");
}

static int commit(struct dir_job *j, struct cr_err *e)
{
	static const char inventory[] = "inventory.img";
	int ret = 0;

	if (unlinkat(j->dir, inventory, 0) < 0 && errno != ENOENT)
		return cr_err_set(e, CR_E_SYSTEM, errno, inventory, "cannot be taken away");
	for (size_t k = 0; k < j->n; k++)
		if (strcmp(j->items[k].name, j->items[k].now))
			unlinkat(j->dir, j->items[k].name, 0);
	for (size_t k = 0; !ret && k < j->n; k++)
		if ((j->items[k].changed || strcmp(j->items[k].name, j->items[k].now)) &&
		    strcmp(j->items[k].name, inventory))
			ret = move(j, j->items[k].now, e);
	if (!ret)
		ret = move(j, "manifest.json", e);
	return ret ? ret : move(j, inventory, e);
}

static void remove_stage(struct dir_job *j)
{
	DIR *d = j->to < 0 ? NULL : fdopendir(openat(j->to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		unlinkat(j->to, entry->d_name, 0); /* fails for . and .. */
	if (d)
		closedir(d);
	rmdir(j->stage);
}

static int run(struct dir_job *j, bool dry, struct cr_err *e)
{
	int ret;

	j->dir = open(j->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	j->to = open(j->stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dir < 0 || j->to < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, j->path, "cannot be opened");
	ret = dry ? output_open(&j->diff, NULL, e) : 0;
	if (!ret)
		ret = rules_check(j->rules, j->n_rules, j->path, e);
	if (!ret)
		ret = list_names(j, e);
	if (!ret)
		ret = stage_all(j, e);
	if (!ret)
		ret = compare_errors(j, e);
	if (!ret)
		ret = dry ? output_finish(&j->diff, e) : commit(j, e);
	return ret;
}

int edit_dir(const char *path, const struct dir_edit *edits, size_t n, bool dry)
{
	struct dir_job j = { .path = path, .dir = -1, .to = -1 };
	char stage[PATH_MAX];
	struct cr_err e;
	int ret;

	ret = rules_parse(edits, n, path, &j.arena, &j.rules, &e);
	j.n_rules = n;
	if (ret < 0)
		return arena_free(&j.arena), crit_fail(&e);
	snprintf(stage, sizeof(stage), "%s/.crit-edit-XXXXXX", path);
	j.stage = mkdtemp(stage);
	if (j.stage) {
		ret = run(&j, dry, &e);
		remove_stage(&j);
	} else {
		ret = cr_err_set(&e, CR_E_DIR_UNWRITABLE, errno, path, "a directory cannot be made in it");
	}
	output_abandon(&j.diff);
	fd_close(j.dir);
	fd_close(j.to);
	free(j.items);
	arena_free(&j.arena);
	return ret < 0 ? crit_fail(&e) : CR_OK;
}
