/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of needs[] as text: distinct JSON objects, one a line. There may be tens of thousands, which are cheap as text
 * (100 bytes and 1 us each) and dear as jansson's objects (1 KiB and 5 us).
 */
#ifndef CR_IMAGE_NEED_SET_H
#define CR_IMAGE_NEED_SET_H

#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>

/* Between two rows. */
#define NEED_SEPARATOR ",\n  "

struct need_set {
	char *text; /* not NUL-terminated */
	size_t len, cap;
	size_t n, size; /* slots: used, all (a power of two) */
	struct need_slot *slot;
};

/* Append a row unless an equal one is there. Return: 0, -ENOMEM. */
int need_set_add(struct need_set *s, const char *row, size_t len);
int need_set_add_json(struct need_set *s, const json_t *row);
/* Append rows joined by NEED_SEPARATOR. */
int need_set_add_text(struct need_set *s, const char *rows, size_t len);
/* What @s holds, not @s itself. */
void need_set_free(struct need_set *s);

#endif
