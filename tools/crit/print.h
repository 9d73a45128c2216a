/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packed message as JSON, by its descriptor and the hints alone. */
#ifndef CRIT_PRINT_H
#define CRIT_PRINT_H

#include "hints.h"
#include "json-out.h"

struct printer {
	struct json_out out;
	struct hint_cache hints;
};

/*
 * The fields of a message as members of the object that is open. The message must have passed wire_depth_ok().
 * Return: 0, or -1 where the bytes are no message.
 */
int print_fields(struct printer *p, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len);

/* What stands behind the entry read last, as its member "extra"; nothing where there is none. @nopl: only its size. */
int print_payload(struct printer *p, struct img_reader *r, const uint8_t *data, size_t len, bool nopl,
		  struct cr_err *e);

/* A whole image, from the open reader on. @nopl: sizes instead of payloads */
int print_image(struct printer *p, struct img_reader *r, bool nopl, struct cr_err *e);

#endif
