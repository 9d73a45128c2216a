/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paths to values in images: [N].FIELD.FIELD[N] ..., as doc/crit-edit.md describes them. The types come from the
 * messages' descriptors; the values themselves are checked when the entry is built.
 */
#include "edit.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "text.h"

static int bad(struct cr_err *e, const struct edit *edit, const char *what)
{
	char path[160];

	snprintf(path, sizeof(path), "%.*s", (int)edit->path_len, edit->path);
	cr_err_set(e, CR_E_JSON, 0, path, "%s", what);
	return -EINVAL;
}

int edit_parse(const char *text, bool remove, struct edit *ret, struct cr_err *e)
{
	size_t len = 0;
	int depth = 0;

	while (text[len] && (depth || text[len] != '=')) {
		depth += text[len] == '[' ? 1 : text[len] == ']' ? -1 : 0;
		len++;
	}
	*ret = (struct edit){ .path = text, .path_len = len };
	if (!len || depth)
		return bad(e, ret, "is no path");
	if (remove)
		return text[len] ? bad(e, ret, "a path to remove has no value") : 0;
	if (!text[len])
		return bad(e, ret, "has no \"=VALUE\"");
	ret->value = text + len + 1;
	ret->append = text[len - 1] == '+';
	ret->path_len -= ret->append;
	return 0;
}

/* Where a path goes on, and what it has come to. */
struct cursor {
	struct edit *edit;
	const char *at, *end;
	const ProtobufCMessageDescriptor *d;
	const ProtobufCFieldDescriptor *fd; /* of node; NULL: an entry */
	struct json *parent, *node;
	struct arena *a;
	struct cr_err *e;
};

static int walk(struct cursor c);

/* "[...]": what is inside; @c goes behind it. Return: false if there is none. */
static bool bracket(struct cursor *c, const char **ret, size_t *ret_len)
{
	const char *close = c->at < c->end && *c->at == '[' ? memchr(c->at, ']', c->end - c->at) : NULL;

	if (!close)
		return false;
	*ret = c->at + 1;
	*ret_len = close - c->at - 1;
	c->at = close + 1;
	return true;
}

static bool is_scalar(const ProtobufCFieldDescriptor *fd)
{
	return fd->type != PROTOBUF_C_TYPE_MESSAGE;
}

static bool same_text(const struct json *v, const char *text, size_t len)
{
	struct integer a, b;

	if (v->kind == JSON_BOOL)
		return len == (v->truth ? 4 : 5) && !memcmp(text, v->truth ? "true" : "false", len);
	if (v->kind != JSON_NUMBER && v->kind != JSON_STRING)
		return false;
	if (v->len == len && !memcmp(v->text, text, len))
		return true;
	return integer_parse(v->text, v->len, &a) && integer_parse(text, len, &b) && a.negative == b.negative &&
	       a.value == b.value;
}

/* The name of a unix socket: is it these bytes? Names that are paths end with NUL. */
static bool same_name(struct cursor *c, const struct json *v, const char *text, size_t len)
{
	uint8_t *name = arena_alloc(c->a, v->len + 1), *want = arena_alloc(c->a, len + 1);
	long n = name && want ? quoted_decode(v->text, v->len, name) : -1;

	while (n > 0 && name[0] && !name[n - 1])
		n--;
	return n >= 0 && (size_t)n == bytes_typed(text, len, want) && !memcmp(name, want, n);
}

/* A string as it is, as bytes, or as decode prints bytes that are no text. */
static bool same_string(struct cursor *c, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd,
			const struct json *v, const char *text, size_t len)
{
	const struct json *typed;

	if (v->kind != JSON_STRING || !fd || v->rest)
		return false;
	if (fd->type == PROTOBUF_C_TYPE_BYTES)
		return d && hint_of(NULL, d, fd)->kind == HINT_UNIX_NAME && same_name(c, v, text, len);
	typed = fd->type == PROTOBUF_C_TYPE_STRING ? tree_typed(c->a, text, len) : NULL;
	return typed && v->len == typed->len && !memcmp(v->text, typed->text, v->len);
}

/* FIELD.FIELD=VALUE of a selector: does the message @v have it? @fd: of the list; NULL: @v is an entry */
static bool selected(struct cursor *c, struct json *v, const char *sel, size_t len)
{
	const ProtobufCFieldDescriptor *fd = c->fd;
	const ProtobufCMessageDescriptor *d = c->d;
	const char *equals = memchr(sel, '=', len), *end = sel + len;
	char name[80];

	while (equals && sel < equals && v) {
		size_t n = strcspn(sel, ".=");

		snprintf(name, sizeof(name), "%.*s", (int)n, sel);
		v = tree_member(v, name);
		d = !fd ? d : is_scalar(fd) ? NULL : fd->descriptor;
		fd = d ? protobuf_c_message_descriptor_get_field_by_name(d, name) : NULL;
		sel += n + (sel[n] == '.');
		if (!fd) /* "extra" */
			d = NULL;
	}
	if (!equals || !v)
		return false;
	equals++;
	return same_text(v, equals, end - equals) || same_string(c, d, fd, v, equals, end - equals);
}

static bool is_index(const char *sel, size_t len, unsigned long *ret)
{
	struct integer n;

	if (!len || !isdigit((unsigned char)*sel) || !integer_parse(sel, len, &n))
		return false;
	*ret = n.value;
	return true;
}

/* Does [SEL] mean element @nr, which is @v? */
static bool means(struct cursor *c, const char *sel, size_t len, unsigned long nr, struct json *v)
{
	unsigned long index;

	if (len == 1 && *sel == '*')
		return true;
	return is_index(sel, len, &index) ? index == nr : selected(c, v, sel, len);
}

/* One value of a field's type. Numbers and names stay text: the builder knows their types. */
static int make_scalar(struct cursor *c, struct json **ret)
{
	const char *text = c->edit->value;
	size_t len = strlen(text);
	struct integer n;

	*ret = c->fd->type == PROTOBUF_C_TYPE_STRING ? tree_typed(c->a, text, len) : tree_string(c->a, text, len);
	if (!*ret)
		return cr_err_nomem(c->e);
	if (c->fd->type == PROTOBUF_C_TYPE_BOOL && (!strcmp(text, "true") || !strcmp(text, "false")))
		**ret = (struct json){ .kind = JSON_BOOL, .truth = *text == 't' };
	else if (c->fd->type != PROTOBUF_C_TYPE_STRING && c->fd->type != PROTOBUF_C_TYPE_BYTES &&
		 strncmp(text + (*text == '-'), "0x", 2) && integer_parse(text, len, &n))
		(*ret)->kind = JSON_NUMBER;
	return 0;
}

/* @element: of a list, though the field is the list */
static int make_value(struct cursor *c, bool element, struct json **ret)
{
	const char *text = c->edit->value;
	bool list = c->fd && c->fd->label == PROTOBUF_C_LABEL_REPEATED && !element;

	if (!c->fd || !is_scalar(c->fd) || (list && *text == '['))
		return tree_parse(text, c->a, ret, "value", c->e);
	if (list && hint_of(NULL, c->d, c->fd)->kind != HINT_IP)
		return bad(c->e, c->edit, "is a list: name an element [N], append with +=, or give [VALUE, ...]");
	return make_scalar(c, ret);
}

/* The end of the path: node is the value, NULL if the field is absent. */
static int act(struct cursor *c, bool element, const char *key)
{
	struct json *v = NULL;
	int ret;

	c->edit->hits++;
	if (!c->edit->value) {
		if (c->node)
			tree_remove(c->parent, c->node);
		return c->node ? 0 : bad(c->e, c->edit, "is not there");
	}
	ret = make_value(c, element || c->edit->append, &v);
	if (ret < 0)
		return ret;
	if (c->edit->append) {
		if (element || !c->fd || c->fd->label != PROTOBUF_C_LABEL_REPEATED)
			return bad(c->e, c->edit, "is no list to append to");
		if (c->node)
			return tree_append(c->node, v), 0;
		c->node = arena_alloc(c->a, sizeof(*c->node));
		if (!c->node)
			return cr_err_nomem(c->e);
		*c->node = (struct json){ .kind = JSON_LIST, .key = key };
		tree_append(c->node, v);
		return tree_append(c->parent, c->node), 0;
	}
	v->key = key;
	if (c->node) {
		v->next = c->node->next;
		*c->node = *v;
	} else {
		tree_append(c->parent, v);
	}
	return 0;
}

/* An absent message on the way is begun; the builder will say what it lacks. */
static int begin_message(struct cursor *c, const char *key)
{
	if (!c->edit->value)
		return bad(c->e, c->edit, "is not there");
	c->node = arena_alloc(c->a, sizeof(*c->node));
	if (!c->node)
		return cr_err_nomem(c->e);
	*c->node = (struct json){ .kind = JSON_OBJECT, .key = key };
	tree_append(c->parent, c->node);
	return 0;
}

static int walk_list(struct cursor c)
{
	unsigned long nr = 0;
	const char *sel;
	size_t len;
	int ret = 0;

	if (!bracket(&c, &sel, &len))
		return bad(c.e, c.edit, "has a [ without ]");
	c.parent = c.node;
	for (struct json *v = c.parent ? c.parent->child : NULL, *next; v && !ret; v = next, nr++) {
		next = v->next;
		if (!means(&c, sel, len, nr, v))
			continue;
		c.node = v;
		if (c.at == c.end)
			ret = act(&c, true, NULL);
		else if (*c.at == '.' && !is_scalar(c.fd))
			ret = walk((struct cursor){ c.edit, c.at + 1, c.end, c.fd->descriptor, NULL, c.parent, v, c.a,
						    c.e });
		else
			ret = bad(c.e, c.edit, "goes into a value that has no fields");
	}
	return ret;
}

/* What stands behind the entry is no field: base64, or JSON for those that have a structure. */
static int set_extra(struct cursor *c, const char *key)
{
	const char *text = c->edit->value;
	struct json *v;

	if (!text || *text == '{' || *text == '[')
		return act(c, false, key);
	c->edit->hits++;
	v = tree_string(c->a, text, strlen(text));
	if (!v)
		return cr_err_nomem(c->e);
	v->key = key;
	if (c->node)
		tree_remove(c->parent, c->node);
	return tree_append(c->parent, v), 0;
}

/* The path goes on behind the field. */
static int walk_on(struct cursor c, const char *key)
{
	int ret;

	if (!c.fd || (*c.at == '[') != (c.fd->label == PROTOBUF_C_LABEL_REPEATED))
		return bad(c.e, c.edit,
			   c.fd && *c.at == '[' ? "has an index at what is no list" : "lacks an index [N]");
	if (*c.at == '[')
		return walk_list(c);
	if (is_scalar(c.fd))
		return bad(c.e, c.edit, "goes into a value that has no fields");
	ret = c.node ? 0 : begin_message(&c, key);
	if (ret < 0)
		return ret;
	c.at++;
	c.d = c.fd->descriptor;
	return walk(c);
}

/* At a field's name; node is the message. */
static int walk(struct cursor c)
{
	size_t len = 0;
	char *key;

	while (c.at + len < c.end && c.at[len] != '.' && c.at[len] != '[')
		len++;
	key = arena_alloc(c.a, len + 1);
	if (!key)
		return cr_err_nomem(c.e);
	memcpy(key, c.at, len);
	c.fd = protobuf_c_message_descriptor_get_field_by_name(c.d, key);
	if (!c.fd && strcmp(key, "extra") && strcmp(key, "__unknown")) {
		cr_err_set(c.e, CR_E_JSON, 0, c.edit->path, "%s has no field \"%s\"", c.d->name, key);
		return -EINVAL;
	}
	c.at += len;
	c.parent = c.node;
	c.node = tree_member(c.parent, key);
	if (c.at < c.end)
		return walk_on(c, key);
	return c.fd ? act(&c, false, key) : set_extra(&c, key);
}

int edit_entry(struct edit *edit, const ProtobufCMessageDescriptor *d, unsigned long nr, bool single,
	       struct json *entry, struct arena *a, struct cr_err *e)
{
	struct cursor c = { edit, edit->path, edit->path + edit->path_len, d, NULL, NULL, entry, a, e };
	static const char word[] = "entries";
	const char *sel;
	size_t len;

	if (!strncmp(c.at, word, sizeof(word) - 1) && c.at[sizeof(word) - 1] == '[')
		c.at += sizeof(word) - 1;
	if (bracket(&c, &sel, &len)) {
		if (!means(&c, sel, len, nr, entry))
			return 0;
		if (c.at == c.end || *c.at++ != '.')
			return bad(e, edit, "needs a field behind the entry: [N].FIELD");
	} else if (!single) {
		return bad(e, edit, "does not say which entry: [N].FIELD, [FIELD=VALUE].FIELD or [*].FIELD");
	}
	return walk(c);
}
