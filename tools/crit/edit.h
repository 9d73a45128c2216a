/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of crit edit. */
#ifndef CRIT_EDIT_H
#define CRIT_EDIT_H

#include "edit-rules.h"
#include "hints.h"
#include "json-tree.h"

/* One thing to do to an image: PATH=VALUE, PATH+=VALUE, or remove PATH. */
struct edit {
	const char *path; /* up to the '=' or '+' */
	size_t path_len;
	const char *value; /* NULL: remove */
	bool append;
	unsigned long hits; /* places that it was done to */
};

/* @text: PATH=VALUE or PATH+=VALUE, or PATH alone if @remove. Return: 0 or -errno with @e */
int edit_parse(const char *text, bool remove, struct edit *ret, struct cr_err *e);
/* Do it to an entry, if the path means it. @single: the image has one entry only. Return: 0 or -errno with @e */
int edit_entry(struct edit *edit, const ProtobufCMessageDescriptor *d, unsigned long nr, bool single,
	       struct json *entry, struct arena *a, struct cr_err *e);

/* How entries are changed on their way through edit_stream(). */
struct change {
	/* @entry: to be changed in place; texts in @a. Return: 0 or -errno with @e */
	int (*entry)(void *ctx, enum img_type type, unsigned long nr, struct json *entry, struct arena *a,
		     struct cr_err *e);
	void *ctx;
	struct obuf *diff;     /* NULL: none is wanted */
	unsigned long changed; /* out: entries that are not what they were */
};
/*
 * Copy an image, entry by entry through c->entry.
 * @in: open image, at its start
 * @name: file name, tells the type
 */
int edit_stream(int in, const char *name, struct change *c, struct obuf *out, struct cr_err *e);
/* Is the file at @fd a good image of that name? Findings are printed. */
int edit_validate(int fd, const char *name, struct cr_err *e);
/* If the image at @path is the core of a task, is the one at @fd, too? Return: 0 or -EINVAL with @e */
int edit_keeps(const char *path, int fd, struct cr_err *e);

/* The image as JSON in $VISUAL or $EDITOR. Return: exit code */
int edit_by_hand(const char *path, bool dry);

/* Changes to a whole directory. */
struct dir_edit {
	const char *kind; /* "remap-address", "rename-path", "set-root-pid", "set-pid" */
	const char *value;
};
/* Return: exit code */
int edit_dir(const char *path, const struct dir_edit *edits, size_t n, bool dry);

#endif
