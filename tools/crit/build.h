/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A message from the JSON of one entry: the reverse of print.h. */
#ifndef CRIT_BUILD_H
#define CRIT_BUILD_H

#include "bytes.h"
#include "hints.h"
#include "json-in.h"

/* Where in the entry we are, for messages: "entries[3].vmas[2].start". */
struct where {
	const struct where *up;
	const char *field;
	long index; /* -1: no list */
};

struct builder {
	const char *file; /* for messages */
	unsigned long entry;
	bool lenient;	  /* write what crit decode would read, though no restore can take it */
	struct bytes out; /* a message; the owner of the builder frees it */
	struct hint_cache hints;
};

/* Append a packed message to out. @extra: the key "extra" is allowed. Return: 0 or -errno with @e. */
int build_message(struct builder *b, const ProtobufCMessageDescriptor *d, const struct json *object, bool extra,
		  const struct where *up, struct cr_err *e);
/* The bytes behind the entry that is in out. */
int build_payload(struct builder *b, enum img_type type, const struct json *object, struct obuf *ob, struct cr_err *e);

/* @fmt: what is wrong with @v. Return: -EINVAL */
int build_bad(const struct builder *b, const struct where *w, const struct json *v, struct cr_err *e, const char *fmt,
	      ...) __attribute__((format(printf, 5, 6)));
/* The first member with this key, NULL if there is none. */
const struct json *json_member(const struct json *object, const char *key);
/* Base64 into fresh memory. @ret: owned by the caller */
int build_base64(const struct builder *b, const struct where *w, const struct json *v, uint8_t **ret, size_t *ret_len,
		 struct cr_err *e);

#endif
