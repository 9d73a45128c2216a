/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a restore of a checkpoint needs from the machine, as far as the images say it. */
#ifndef CRIT_NEEDS_H
#define CRIT_NEEDS_H

#include <jansson.h>

#include "checkpoint.h"

struct need {
	const char *kind;   /* "file", "port" ...; one of a fixed set, or a word of the manifest */
	const char *object; /* printable */
	const char *detail; /* printable; "" for none */
};

/* Zeroed at the start; memory of the checkpoint's arena. */
struct needs {
	struct need *v;
	size_t n, cap;
	size_t dropped; /* more than could be of use to anybody */
};

/*
 * @manifest: NULL, or manifest.json
 * Return: 0 or -errno with @e
 */
int checkpoint_needs(struct checkpoint *c, const json_t *manifest, struct needs *ret, struct cr_err *e);

#endif
