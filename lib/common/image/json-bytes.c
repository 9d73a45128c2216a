/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paths and names of the kernel are bytes, JSON strings are Unicode. The one escape of our documents: a backslash is
 * doubled, and a byte that is not part of valid UTF-8 (or is NUL) is written as \xHH with two lower-case hex digits. In
 * the JSON text the backslashes themselves stand doubled, as always.
 */
#include "image/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the valid UTF-8 character at @s, 0: there is none (RFC 3629: no surrogates, no overlong forms). */
static size_t utf8_char(const unsigned char *s, size_t len)
{
	static const struct {
		unsigned char first_lo, first_hi, second_lo, second_hi, len;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (s[0] && s[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (s[0] < forms[i].first_lo || s[0] > forms[i].first_hi || len < forms[i].len ||
		    s[1] < forms[i].second_lo || s[1] > forms[i].second_hi)
			continue;
		for (size_t k = 2; k < forms[i].len; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

json_t *json_bytes(const char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char small[1024], *buf = small, *to;
	json_t *ret;

	if (!len)
		return json_string("");
	if (len > (sizeof(small) - 1) / 4) {
		if (len > SIZE_MAX / 8)
			return NULL;
		buf = malloc(4 * len + 1);
		if (!buf)
			return NULL;
	}
	to = buf;
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_char((const unsigned char *)s + i, len - i);
		if (!n) {
			unsigned char c = s[i];

			*to++ = '\\';
			*to++ = 'x';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
			n = 1;
			continue;
		}
		if (s[i] == '\\')
			*to++ = '\\';
		memcpy(to, s + i, n);
		to += n;
	}
	ret = json_stringn_nocheck(buf, to - buf);
	if (buf != small)
		free(buf);
	return ret;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ssize_t json_bytes_decode(const char *s, char *buf, size_t size)
{
	size_t n = 0;

	while (*s) {
		char c = *s++;

		if (c == '\\' && *s == 'x') {
			int hi = hex_digit(s[1]), lo = hi < 0 ? -1 : hex_digit(s[2]);

			if (lo < 0)
				return -EINVAL;
			c = (char)(hi << 4 | lo);
			s += 3;
		} else if (c == '\\') {
			if (*s++ != '\\')
				return -EINVAL;
		}
		if (n + 1 >= size)
			return -ENAMETOOLONG;
		buf[n++] = c;
	}
	if (!size)
		return -ENAMETOOLONG;
	buf[n] = 0;
	return (ssize_t)n;
}

int json_print(json_t *doc, struct cr_err *e)
{
	int err = doc ? json_dumpf(doc, stdout, JSON_INDENT(2)) : -1;

	json_decref(doc);
	putchar('\n');
	return err ? (cr_err_stdout(e) ?: cr_err_nomem(e)) : cr_err_stdout(e);
}
