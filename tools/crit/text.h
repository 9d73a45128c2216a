/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The forms that values have in JSON strings, read back. All of these refuse what they cannot read to the end. */
#ifndef CRIT_TEXT_H
#define CRIT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct integer {
	bool negative;
	uint64_t value; /* without the sign */
};
/* "12", "-3", "0x1f" */
bool integer_parse(const char *text, size_t len, struct integer *ret);

/* Base64, in as many pieces as there are. Zeroed at the start. */
struct base64 {
	uint32_t bits;
	unsigned int digits, padding; /* of the last four */
};
/*
 * Whitespace between the digits is skipped, also where it is escaped as in JSON text ("\\n").
 * @out: at least 3/4 of @len + 2. Return: length, or -1.
 */
long base64_decode(struct base64 *b, const char *text, size_t len, uint8_t *out);
/* Did it end where base64 may end? */
bool base64_complete(const struct base64 *b);
/* JSON text to bytes: lone surrogates dc80 .. dcff are bytes. @out: at least @len. Return: length. */
size_t bytes_unescape(const char *text, size_t len, uint8_t *out);
/* The reverse, as far as there is room. @buf: NUL-terminated, but NULs can be inside. Return: length. */
size_t bytes_spell(const void *data, size_t len, char *buf, size_t size);
/* Text of a user, who may have copied it from JSON: "\udce4" is a byte too. @out: at least @len. Return: length. */
size_t bytes_typed(const char *text, size_t len, uint8_t *out);
/* Length of the well-formed UTF-8 character at @p (0: there is none), no surrogates and no overlong forms. */
size_t utf8_char(const uint8_t *p, size_t len, uint32_t *ret);

/* Quoted-printable in lines of 76. @out: at least 4 * @len + 4. Return: length. */
size_t quoted_encode(const uint8_t *data, size_t len, char *out);
/* @out: at least @len. Return: length, or -1. */
long quoted_decode(const char *text, size_t len, uint8_t *out);

/* "254:1"; @libc: in the form of makedev(), else in the kernel's */
void dev_text(uint32_t dev, bool libc, char buf[24]);
bool dev_parse(const char *text, size_t len, bool libc, uint64_t *ret);

#endif
