/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON images, read as a stream: one entry at a time is in memory, its payload once. Numbers stay text, for they go up to
 * 2^64-1.
 */
#ifndef CRIT_JSON_IN_H
#define CRIT_JSON_IN_H

#include "base/arena.h"
#include "crit.h"

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_LIST, JSON_OBJECT };

struct json {
	enum json_kind kind;
	bool truth;
	unsigned long line; /* 0: of no file */
	const char *key;    /* members of objects */
	const char *text;   /* numbers as written, strings in UTF-8; NUL-terminated, but strings can have more NULs */
	size_t len;
	const char *rest; /* of a string longer than 64 KiB: what follows text, still escaped as in the file */
	size_t rest_len;
	struct json *child, *next; /* lists and objects; in order */
};

struct json_image {
	/* Both return 0, or -errno with @e. The tree is gone after the call. */
	int (*magic)(void *ctx, const char *name, struct cr_err *e);
	int (*entry)(void *ctx, const struct json *entry, struct cr_err *e);
	void *ctx;
};

/* Read {"magic": .., "entries": [..]} from @fd. @name: for messages. Return: 0 or -errno with @e, which says where. */
int json_read_image(int fd, const char *name, const struct json_image *image, struct cr_err *e);

const char *json_kind_name(enum json_kind kind);

#endif
