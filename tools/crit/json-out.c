/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json-out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

enum { BASE64_LINE = 57 };

static void newline(struct json_out *o)
{
	static const char spaces[] = "                                                                ";
	size_t left = 4 * (size_t)o->depth;

	ob_text(o->ob, "\n");
	for (; left; left -= left < sizeof(spaces) - 1 ? left : sizeof(spaces) - 1)
		ob_put(o->ob, spaces, left < sizeof(spaces) - 1 ? left : sizeof(spaces) - 1);
}

/* What stands between this value or key and what was before. */
static void separate(struct json_out *o)
{
	if (o->keyed) {
		o->keyed = false;
		return;
	}
	if (!o->depth)
		return;
	if (o->filled[o->depth])
		ob_text(o->ob, o->pretty ? "," : ", ");
	o->filled[o->depth] = true;
	if (o->pretty)
		newline(o);
}

void jo_begin(struct json_out *o, char open)
{
	separate(o);
	ob_put(o->ob, &open, 1);
	if (o->depth == JSON_DEPTH_MAX - 1) /* cannot be: messages are refused below WIRE_DEPTH_MAX */
		o->ob->err = -1;
	else
		o->depth++;
	o->filled[o->depth] = false;
}

void jo_end(struct json_out *o, char close)
{
	bool filled = o->filled[o->depth];

	o->depth--;
	if (filled && o->pretty)
		newline(o);
	ob_put(o->ob, &close, 1);
}

void jo_key(struct json_out *o, const char *key)
{
	jo_text(o, key);
	ob_text(o->ob, ": ");
	o->keyed = true;
}

void jo_raw(struct json_out *o, const char *text)
{
	separate(o);
	ob_text(o->ob, text);
}

static void put_integer(struct json_out *o, const char *text, uint64_t size)
{
	if (o->quote_large && size > 1ull << 53)
		jo_text(o, text);
	else
		jo_raw(o, text);
}

void jo_unsigned(struct json_out *o, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	put_integer(o, text, v);
}

void jo_signed(struct json_out *o, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, v);
	put_integer(o, text, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void jo_bool(struct json_out *o, bool v)
{
	jo_raw(o, v ? "true" : "false");
}

static bool markup(uint32_t c)
{
	return c == '<' || c == '>' || c == '&';
}

static void escape(struct obuf *ob, uint32_t c)
{
	static const char named[] = "\bb\ff\nn\rr\tt\"\"\\\\";
	char text[16];

	for (const char *n = named; *n; n += 2)
		if ((uint32_t)*n == c) {
			snprintf(text, sizeof(text), "\\%c", n[1]);
			ob_text(ob, text);
			return;
		}
	if (c >= 0x20 && c < 0x7f && !markup(c))
		snprintf(text, sizeof(text), "%c", (char)c);
	else if (c < 0x10000)
		snprintf(text, sizeof(text), "\\u%04x", c);
	else
		snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
	ob_text(ob, text);
}

static bool plain(const struct json_out *o, uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && !(o->html && markup(c));
}

/* What is no text, in the spelling of bytes_spell() and name_text(). Return: length, 0: it is text */
static size_t spelled_byte(const uint8_t *p, size_t len, uint32_t *ret)
{
	if (len >= 3 && p[0] == 0xed && (p[1] & 0xfe) == 0xb2) {
		*ret = 0xdc80u | (p[1] & 1) << 6 | (p[2] & 0x3f);
		return 3;
	}
	if (len < 2 || p[0] != 0xc0 || p[1] != 0x80)
		return 0;
	*ret = 0;
	return 2;
}

void jo_string(struct json_out *o, const void *data, size_t len)
{
	const uint8_t *p = data, *end = p + len;

	separate(o);
	ob_text(o->ob, "\"");
	while (p < end) {
		const uint8_t *from = p;
		uint32_t c = 0;
		size_t n;

		while (p < end && plain(o, *p))
			p++;
		ob_put(o->ob, from, p - from);
		if (p == end)
			break;
		n = o->spelled ? spelled_byte(p, end - p, &c) : 0;
		n = n ? n : utf8_char(p, end - p, &c);
		/* Python's "surrogateescape": a byte that is not text becomes a lone low surrogate. */
		escape(o->ob, n ? c : 0xdc00u + *p);
		p += n ? n : 1;
	}
	ob_text(o->ob, "\"");
}

void jo_text(struct json_out *o, const char *s)
{
	jo_string(o, s, strlen(s));
}

void jo_put_number(struct json_out *o, const char *key, uint64_t v)
{
	jo_key(o, key);
	jo_unsigned(o, v);
}

void jo_put_text(struct json_out *o, const char *key, const char *text)
{
	jo_key(o, key);
	jo_text(o, text);
}

void jo_put_address(struct json_out *o, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, v);
	jo_put_text(o, key, text);
}

void jo_put_flag(struct json_out *o, const char *key, bool v)
{
	jo_key(o, key);
	jo_bool(o, v);
}

void jo_base64_begin(struct json_out *o)
{
	separate(o);
	ob_text(o->ob, "\"");
}

static size_t base64_line(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *start = out;

	for (; len; len -= len < 3 ? len : 3, in += 3) {
		uint32_t v = in[0] << 16 | (len > 1 ? in[1] << 8 : 0) | (len > 2 ? in[2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = len > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = len > 2 ? digits[v & 63] : '=';
	}
	memcpy(out, "\\n", 2);
	return out + 2 - start;
}

void jo_base64_piece(struct json_out *o, const uint8_t *data, size_t len)
{
	char line[80];

	while (len) {
		size_t n = len < BASE64_LINE ? len : BASE64_LINE;

		ob_put(o->ob, line, base64_line(data, n, line));
		data += n;
		len -= n;
	}
}

void jo_base64_end(struct json_out *o)
{
	ob_text(o->ob, "\"");
}

void jo_base64(struct json_out *o, const uint8_t *data, size_t len)
{
	jo_base64_begin(o);
	jo_base64_piece(o, data, len);
	jo_base64_end(o);
}
