/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json-tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "text.h"

static const char *text_copy(struct arena *a, const char *text, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	return copy && len ? memcpy(copy, text, len) : copy;
}

struct json *tree_copy(const struct json *v, bool deep, struct arena *a)
{
	struct json *copy = arena_alloc(a, sizeof(*copy)), **at;

	if (!copy)
		return NULL;
	*copy = *v;
	copy->line = 0;
	copy->next = copy->child = NULL;
	if (deep) {
		copy->key = v->key ? text_copy(a, v->key, strlen(v->key)) : NULL;
		copy->text = v->text ? text_copy(a, v->text, v->len) : NULL;
		copy->rest = v->rest ? text_copy(a, v->rest, v->rest_len) : NULL;
	}
	at = &copy->child;
	for (const struct json *c = v->child; c; c = c->next, at = &(*at)->next)
		if (!(*at = tree_copy(c, deep, a)))
			return NULL;
	return copy;
}

struct json *tree_string(struct arena *a, const char *text, size_t len)
{
	struct json *v = arena_alloc(a, sizeof(*v));

	if (!v)
		return NULL;
	*v = (struct json){ .kind = JSON_STRING, .text = text_copy(a, text, len), .len = len };
	return v->text ? v : NULL;
}

struct json *tree_bytes(struct arena *a, const void *data, size_t len)
{
	struct json *v = arena_alloc(a, sizeof(*v));
	char *text = arena_alloc(a, 3 * len + 1);

	if (!v || !text)
		return NULL;
	*v = (struct json){ .kind = JSON_STRING, .text = text, .len = bytes_spell(data, len, text, 3 * len + 1) };
	return v;
}

struct json *tree_typed(struct arena *a, const char *text, size_t len)
{
	uint8_t *data = arena_alloc(a, len + 1);

	return data ? tree_bytes(a, data, bytes_typed(text, len, data)) : NULL;
}

struct fragment {
	struct arena *a;
	struct json *value;
	bool more;
};

static int on_magic(void *ctx, const char *name, struct cr_err *e)
{
	return 0;
}

static int on_entry(void *ctx, const struct json *entry, struct cr_err *e)
{
	struct fragment *f = ctx;

	f->more = f->value || !entry->child || entry->child->next;
	f->value = entry->child ? tree_copy(entry->child, true, f->a) : NULL;
	return 0;
}

int tree_parse(const char *text, struct arena *a, struct json **ret, const char *name, struct cr_err *e)
{
	static const char head[] = "{\"magic\":\"\",\"entries\":[{\"\":", tail[] = "}]}";
	_cleanup_close_ int fd = memfd_create("crit-value", MFD_CLOEXEC);
	struct fragment f = { .a = a };
	const struct json_image image = { on_magic, on_entry, &f };
	int err;

	if (fd < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, name, "no memory file");
	err = write_full(fd, head, sizeof(head) - 1);
	if (!err)
		err = write_full(fd, text, strlen(text));
	if (!err)
		err = write_full(fd, tail, sizeof(tail) - 1);
	if (err)
		return cr_err_set(e, CR_E_SYSTEM, -err, name, "cannot be held in memory");
	lseek(fd, 0, SEEK_SET);
	err = json_read_image(fd, name, &image, e);
	if (err < 0 || !f.value || f.more) {
		cr_err_set(e, CR_E_JSON, 0, name, "\"%.100s\" is no JSON value", text);
		return -EINVAL;
	}
	f.value->key = NULL;
	*ret = f.value;
	return 0;
}

struct json *tree_member(struct json *object, const char *key)
{
	struct json *m = object->kind == JSON_OBJECT ? object->child : NULL;

	while (m && strcmp(m->key, key))
		m = m->next;
	return m;
}

void tree_append(struct json *parent, struct json *v)
{
	struct json **at = &parent->child;

	while (*at)
		at = &(*at)->next;
	*at = v;
}

void tree_remove(struct json *parent, struct json *v)
{
	for (struct json **at = &parent->child; *at; at = &(*at)->next)
		if (*at == v) {
			*at = v->next;
			return;
		}
}

static bool same_bytes(const char *a, size_t n, const char *b, size_t m)
{
	return n == m && (!n || !memcmp(a, b, n));
}

bool tree_equal(const struct json *a, const struct json *b)
{
	const struct json *x = a->child, *y = b->child;

	if (a->kind != b->kind || a->truth != b->truth || !a->key != !b->key || (a->key && strcmp(a->key, b->key)))
		return false;
	if (!same_bytes(a->text, a->len, b->text, b->len) || !same_bytes(a->rest, a->rest_len, b->rest, b->rest_len))
		return false;
	for (; x && y; x = x->next, y = y->next)
		if (!tree_equal(x, y))
			return false;
	return x == y;
}

void tree_print(struct json_out *o, const struct json *v)
{
	switch (v->kind) {
	case JSON_NULL:
		jo_raw(o, "null");
		break;
	case JSON_BOOL:
		jo_bool(o, v->truth);
		break;
	case JSON_NUMBER:
		jo_raw(o, v->text);
		break;
	case JSON_STRING:
		jo_string(o, v->text, v->len);
		break;
	case JSON_LIST:
	case JSON_OBJECT:
		jo_begin(o, v->kind == JSON_LIST ? '[' : '{');
		for (const struct json *c = v->child; c; c = c->next) {
			if (v->kind == JSON_OBJECT)
				jo_key(o, c->key);
			tree_print(o, c);
		}
		jo_end(o, v->kind == JSON_LIST ? ']' : '}');
		break;
	}
}

struct differ {
	struct obuf *ob;
	const char *file;
	char path[1024];
};

static void line(struct differ *d, const char *sign, const struct json *v)
{
	struct json_out o = { .ob = d->ob, .spelled = true };

	ob_text(d->ob, sign);
	ob_text(d->ob, d->file);
	ob_text(d->ob, ": ");
	ob_text(d->ob, d->path);
	ob_text(d->ob, " = ");
	tree_print(&o, v);
	ob_text(d->ob, v->rest ? " ...\n" : "\n");
}

static void compare(struct differ *d, const struct json *old, const struct json *now);

static void compare_at(struct differ *d, size_t len, const struct json *old, const struct json *now)
{
	if (old && now)
		compare(d, old, now);
	else
		line(d, old ? "- " : "+ ", old ? old : now);
	d->path[len] = '\0';
}

static void compare_objects(struct differ *d, const struct json *old, const struct json *now)
{
	size_t len = strlen(d->path);

	for (struct json *o = old->child; o; o = o->next) {
		snprintf(d->path + len, sizeof(d->path) - len, ".%s", o->key);
		compare_at(d, len, o, tree_member((struct json *)now, o->key));
	}
	for (struct json *n = now->child; n; n = n->next) {
		if (tree_member((struct json *)old, n->key))
			continue;
		snprintf(d->path + len, sizeof(d->path) - len, ".%s", n->key);
		compare_at(d, len, NULL, n);
	}
}

static size_t count(const struct json *v)
{
	size_t n = 0;

	for (v = v->child; v; v = v->next)
		n++;
	return n;
}

/* Is all the rest the same? Then one of the lists has lost or got something here. */
static bool tails_equal(const struct json *a, const struct json *b)
{
	for (; a && b; a = a->next, b = b->next)
		if (!tree_equal(a, b))
			return false;
	return a == b;
}

static void compare_lists(struct differ *d, const struct json *old, const struct json *now)
{
	const struct json *o = old->child, *n = now->child;
	size_t len = strlen(d->path), more = count(old), most = count(now);

	for (size_t i = 0; o || n; i++) {
		const struct json *a = o, *b = n;

		if (more > most && a && tails_equal(a->next, b))
			b = NULL;
		else if (most > more && b && tails_equal(a, b->next))
			a = NULL;
		snprintf(d->path + len, sizeof(d->path) - len, "[%zu]", i);
		if (a || b)
			compare_at(d, len, a, b);
		more -= !b;
		most -= !a;
		o = a ? o->next : o;
		n = b ? n->next : n;
	}
}

static void compare(struct differ *d, const struct json *old, const struct json *now)
{
	if (old->kind == JSON_OBJECT && now->kind == JSON_OBJECT) {
		compare_objects(d, old, now);
	} else if (old->kind == JSON_LIST && now->kind == JSON_LIST) {
		compare_lists(d, old, now);
	} else if (old->kind != now->kind || old->truth != now->truth ||
		   !same_bytes(old->text, old->len, now->text, now->len) ||
		   !same_bytes(old->rest, old->rest_len, now->rest, now->rest_len)) {
		line(d, "- ", old);
		line(d, "+ ", now);
	}
}

void tree_diff(struct obuf *ob, const char *file, const char *path, const struct json *old, const struct json *now)
{
	struct differ d = { .ob = ob, .file = file };

	snprintf(d.path, sizeof(d.path), "%s", path);
	compare(&d, old, now);
}
