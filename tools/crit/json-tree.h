/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trees of JSON that are kept, changed, compared and printed. */
#ifndef CRIT_JSON_TREE_H
#define CRIT_JSON_TREE_H

#include "json-in.h"
#include "json-out.h"

/* A copy whose texts are those of the original, or, if @deep, copies too. NULL when memory ran out. Lines become 0. */
struct json *tree_copy(const struct json *v, bool deep, struct arena *a);
struct json *tree_string(struct arena *a, const char *text, size_t len);
/* A string of bytes, spelled as those of JSON files: so that equal ones compare equal. NULL when memory ran out. */
struct json *tree_bytes(struct arena *a, const void *data, size_t len);
/* The same of what a user typed: bytes_typed() */
struct json *tree_typed(struct arena *a, const char *text, size_t len);
/* A value from JSON text. @name: for messages. Return: 0 or -errno with @e */
int tree_parse(const char *text, struct arena *a, struct json **ret, const char *name, struct cr_err *e);
struct json *tree_member(struct json *object, const char *key);
/* Put @v behind the last child. */
void tree_append(struct json *parent, struct json *v);
void tree_remove(struct json *parent, struct json *v);
bool tree_equal(const struct json *a, const struct json *b);
/* @o: spelled */
void tree_print(struct json_out *o, const struct json *v);

/*
 * The differences, a line for each: "- FILE: PATH = OLD", "+ FILE: PATH = NEW".
 * @path: of the values
 */
void tree_diff(struct obuf *ob, const char *file, const char *path, const struct json *old, const struct json *now);

#endif
