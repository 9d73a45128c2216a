/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image from JSON, piece by piece. */
#ifndef CRIT_ENCODE_H
#define CRIT_ENCODE_H

#include "build.h"

/* Zeroed at the start but for b.file, b.lenient and ob; b.out.data is the caller's to free. */
struct encoder {
	struct builder b;
	enum img_type type;
	struct obuf *ob;
	bool chunks; /* a ghost file whose entries follow */
};

/* The head, for the magic of this name; then an entry after the other. Return: 0 or -errno with @e */
int encoder_magic(struct encoder *enc, const char *name, struct cr_err *e);
int encoder_entry(struct encoder *enc, const struct json *entry, struct cr_err *e);
/* All of the JSON file @in. */
int encode_to(const char *in, struct obuf *ob, struct cr_err *e);

#endif
