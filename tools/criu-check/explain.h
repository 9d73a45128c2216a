/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which cause of the registry does a text mean? */
#ifndef CRIU_CHECK_EXPLAIN_H
#define CRIU_CHECK_EXPLAIN_H

#include <stddef.h>

#include "base/err.h"

/* How sure it is. WORDS: only some words are the same. */
enum explain_how { EXPLAIN_NONE, EXPLAIN_WORDS, EXPLAIN_MESSAGE, EXPLAIN_PHRASE, EXPLAIN_CODE };

enum { EXPLAIN_MAX = 5 };

/*
 * @text: a code, a message of CRIU's or of ours, a line of a log, or a few words
 * @ret: the causes, the best first. Return: how many.
 */
size_t explain_find(const char *text, enum cr_code ret[EXPLAIN_MAX], enum explain_how *ret_how);

/* CRIU's phrases for a cause, one after the other. @pos: 0 at the start. NULL: no more. */
const char *explain_phrase(enum cr_code code, size_t *pos);

#endif
