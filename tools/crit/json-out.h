/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as Python's json.dump() writes it, byte for byte: ", " and ": " on one line, or 4 spaces of indent;
 * everything but printable ASCII is escaped. The values are written as they come, nothing is held.
 */
#ifndef CRIT_JSON_OUT_H
#define CRIT_JSON_OUT_H

#include "crit.h"

/* Two levels for each nested message (list, object) and a few around them. */
enum { JSON_DEPTH_MAX = 256 };

struct json_out {
	struct obuf *ob;
	bool pretty;
	bool html;	  /* also <, > and & are escaped: for a <script> of a page */
	bool quote_large; /* integers that a double cannot hold, above 2^53, are text */
	bool spelled; /* texts are spelled as in trees (bytes_spell()), or by name_text(): such bytes are escaped once */
	bool keyed;   /* a key has just been written */
	int depth;
	bool filled[JSON_DEPTH_MAX]; /* something stands before in the list or object */
};

/* @open: '{' or '[' */
void jo_begin(struct json_out *o, char open);
void jo_end(struct json_out *o, char close);
void jo_key(struct json_out *o, const char *key);
/* Numbers, true, false: written as they are. */
void jo_raw(struct json_out *o, const char *text);
void jo_unsigned(struct json_out *o, uint64_t v);
void jo_signed(struct json_out *o, int64_t v);
void jo_bool(struct json_out *o, bool v);
/* Bytes that are UTF-8; those that are not become \udc80 .. \udcff (doc/crit-json.md). */
void jo_string(struct json_out *o, const void *data, size_t len);
void jo_text(struct json_out *o, const char *s);
/* A key and its value. An address is text in hex, since many readers of JSON lose digits above 2^53. */
void jo_put_number(struct json_out *o, const char *key, uint64_t v);
void jo_put_text(struct json_out *o, const char *key, const char *text);
void jo_put_address(struct json_out *o, const char *key, uint64_t v);
void jo_put_flag(struct json_out *o, const char *key, bool v);
/* Base64 in lines of 76, piece by piece: every piece but the last has a length that 57 divides. */
void jo_base64_begin(struct json_out *o);
void jo_base64_piece(struct json_out *o, const uint8_t *data, size_t len);
void jo_base64_end(struct json_out *o);
void jo_base64(struct json_out *o, const uint8_t *data, size_t len);

#endif
