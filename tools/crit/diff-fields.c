/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit diff --fields: images of the same name, value by value. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "diff.h"
#include "edit.h"

/* The entries as a tree: edit_stream() with nothing to change, whose output nobody reads. */
struct keep {
	struct arena *a;
	struct json *list, **last;
};

static int keep_entry(void *ctx, enum img_type type, unsigned long nr, struct json *entry, struct arena *a,
		      struct cr_err *e)
{
	struct keep *k = ctx;
	struct json *copy = tree_copy(entry, true, k->a);

	if (!copy)
		return cr_err_nomem(e);
	*k->last = copy;
	k->last = &copy->next;
	return 0;
}

/* Return: 1, 0 if there is no such file, -errno with @e */
static int read_tree(int dir, const char *name, struct arena *a, struct json **ret, struct cr_err *e)
{
	_cleanup_close_ int fd = img_open_file(dir, name, e), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	_cleanup_free_ struct obuf *ob = calloc(1, sizeof(*ob));
	struct json *list = arena_alloc(a, sizeof(*list));
	struct keep k = { .a = a, .list = list };
	struct change c = { .entry = keep_entry, .ctx = &k };
	int err;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (!list || !ob || null < 0)
		return cr_err_nomem(e);
	*list = (struct json){ .kind = JSON_LIST };
	k.last = &list->child;
	ob->fd = null;
	err = edit_stream(fd, name, &c, ob, e);
	*ret = list;
	return err < 0 ? err : 1;
}

static int diff_image(struct differ *d, int old, int now, const char *name, struct cr_err *e)
{
	struct json *x = NULL, *y = NULL;
	struct arena a = { 0 };
	int ret, other = 0;

	ret = read_tree(old, name, &a, &x, e);
	if (ret >= 0)
		other = read_tree(now, name, &a, &y, e);
	if (ret >= 0 && other >= 0 && (!ret || !other)) {
		d->found++;
		ob_text(d->out.ob, ret ? "- " : "+ ");
		ob_text(d->out.ob, name);
		ob_text(d->out.ob, "\n");
	} else if (ret > 0 && other > 0 && !tree_equal(x, y)) {
		d->found++;
		tree_diff(d->out.ob, name, "", x, y);
	}
	arena_free(&a);
	return ret < 0 ? ret : other < 0 ? other : 0;
}

struct names {
	char (*v)[IMG_NAME_MAX];
	size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Images with entries. */
static int list(int dir, struct names *names, struct cr_err *e)
{
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	int ret = 0;

	while (d && !ret && (entry = readdir(d))) {
		enum img_type type;
		unsigned long id;

		if (!img_parse_name(entry->d_name, &type, &id) || img_table[type].head == IMG_HEAD_RAW)
			continue;
		if (names->n == names->cap) {
			void *more = realloc(names->v, (names->cap = 2 * names->cap + 64) * sizeof(*names->v));

			if (!more)
				ret = cr_err_nomem(e);
			else
				names->v = more;
		}
		if (!ret)
			img_name(type, id, names->v[names->n++]);
	}
	if (d)
		closedir(d);
	return ret;
}

int diff_fields(struct differ *d, const char *before, const char *after, struct cr_err *e)
{
	_cleanup_close_ int old = dir_open(before, e), now = old < 0 ? -1 : dir_open(after, e);
	struct names names = { 0 };
	int ret;

	if (old < 0 || now < 0)
		return old < 0 ? old : now;
	ret = list(old, &names, e);
	if (!ret)
		ret = list(now, &names, e);
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	for (size_t k = 0; !ret && k < names.n; k++)
		if (!k || strcmp(names.v[k], names.v[k - 1]))
			ret = diff_image(d, old, now, names.v[k], e);
	free(names.v);
	return ret;
}
