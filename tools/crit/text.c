/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { QP_LINE = 76, MINOR_BITS = 20 };

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool integer_parse(const char *text, size_t len, struct integer *ret)
{
	struct integer n = { 0 };
	uint64_t base = 10;

	if (len && *text == '-') {
		n.negative = true;
		text++;
		len--;
	}
	if (len > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
		base = 16;
		text += 2;
		len -= 2;
	}
	if (!len)
		return false;
	for (; len; len--, text++) {
		int digit = hex_digit(*text);

		if (digit < 0 || (uint64_t)digit >= base || __builtin_mul_overflow(n.value, base, &n.value) ||
		    __builtin_add_overflow(n.value, (uint64_t)digit, &n.value))
			return false;
	}
	*ret = n;
	return true;
}

static int base64_digit(char c)
{
	/* '+' to 'z': payloads have gigabytes, and this is half of the time */
	static const signed char digits[] = {
		62, -1, -1, -1, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1,
		-1, -1, 0,  1,	2,  3,	4,  5,	6,  7,	8,  9,	10, 11, 12, 13, 14, 15, 16, 17,
		18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1, -1, 26, 27, 28, 29, 30, 31,
		32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
	};
	size_t i = (uint8_t)c - (size_t)'+';

	return i < sizeof(digits) ? digits[i] : -1;
}

/* Whole groups of four plain digits, as far as they go. Return: digits used */
static size_t base64_groups(const char *text, size_t len, uint8_t *out)
{
	size_t i;

	for (i = 0; len - i >= 4; i += 4) {
		int a = base64_digit(text[i]), b = base64_digit(text[i + 1]), c = base64_digit(text[i + 2]),
		    d = base64_digit(text[i + 3]);

		if ((a | b | c | d) < 0)
			break;
		*out++ = a << 2 | b >> 4;
		*out++ = b << 4 | c >> 2;
		*out++ = c << 6 | d;
	}
	return i;
}

/* Bytes that the digits so far make out: 2 digits one, 3 digits a second one, 4 digits all three. */
static size_t base64_byte(const struct base64 *b, uint8_t *out)
{
	static const unsigned int shift[] = { 0, 0, 4, 2, 0 };

	if (b->digits < 2)
		return 0;
	*out = b->bits >> shift[b->digits];
	return 1;
}

long base64_decode(struct base64 *b, const char *text, size_t len, uint8_t *out)
{
	uint8_t *start = out;

	for (; len; len--, text++) {
		int digit;

		if (b->digits % 4 == 0 && !b->padding) {
			size_t n = base64_groups(text, len, out);

			out += n / 4 * 3;
			text += n;
			len -= n;
			if (!len)
				break;
		}
		digit = base64_digit(*text);
		if (*text == '\\' && len > 1 && (text[1] == 'n' || text[1] == 'r' || text[1] == 't')) {
			text++;
			len--;
			continue;
		}
		if (*text == '\n' || *text == '\r' || *text == ' ' || *text == '\t')
			continue;
		if (*text == '=' && b->digits >= 2 && b->digits + b->padding < 4) {
			b->padding++;
			continue;
		}
		if (digit < 0 || b->padding)
			return -1;
		if (b->digits == 4)
			b->digits = 0;
		b->bits = b->bits << 6 | digit;
		b->digits++;
		out += base64_byte(b, out);
	}
	return out - start;
}

bool base64_complete(const struct base64 *b)
{
	return !b->digits || b->digits + b->padding == 4;
}

size_t bytes_unescape(const char *text, size_t len, uint8_t *out)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + len;
	uint8_t *start = out;

	while (p < end) {
		/* U+DC80 .. U+DCFF, as the JSON parser spells a lone surrogate: ED B2 80 .. ED B3 BF */
		if (end - p >= 3 && p[0] == 0xed && (p[1] & 0xfe) == 0xb2) {
			*out++ = (p[1] & 1) << 6 | (p[2] & 0x3f) | 0x80;
			p += 3;
		} else {
			*out++ = *p++;
		}
	}
	return out - start;
}

size_t bytes_spell(const void *data, size_t len, char *buf, size_t size)
{
	const uint8_t *p = data, *end = p + len;
	size_t fill = 0;
	uint32_t c;

	while (p < end) {
		size_t n = utf8_char(p, end - p, &c);

		if (fill + (n ? n : 3) >= size)
			break;
		if (n) {
			memcpy(buf + fill, p, n);
		} else { /* from 0x80 on */
			buf[fill] = (char)0xed;
			buf[fill + 1] = (char)(0xb2 | (*p >> 6 & 1));
			buf[fill + 2] = (char)(0x80 | (*p & 0x3f));
		}
		fill += n ? n : 3;
		p += n ? n : 1;
	}
	buf[fill] = '\0';
	return fill;
}

size_t bytes_typed(const char *text, size_t len, uint8_t *out)
{
	size_t fill = 0;

	while (len) {
		bool escape = len >= 6 && !strncasecmp(text, "\\udc", 4);
		int high = escape ? hex_digit(text[4]) : -1, low = escape ? hex_digit(text[5]) : -1;
		size_t n = high >= 8 && low >= 0 ? 6 : 1;

		out[fill++] = n == 6 ? high << 4 | low : (uint8_t)*text;
		text += n;
		len -= n;
	}
	return bytes_unescape((char *)out, fill, out);
}

size_t utf8_char(const uint8_t *p, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	uint32_t c = n > 1 ? p[0] & (0x7f >> n) : p[0];

	if (!n || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

/* Spaces may stay but at the end of a line; line ends are quoted, for "\n" and "\r\n" are not the same name. */
static bool must_quote(const uint8_t *data, size_t i, size_t len)
{
	if (data[i] == ' ' || data[i] == '\t')
		return i + 1 == len;
	return data[i] < 33 || data[i] > 126 || data[i] == '=';
}

size_t quoted_encode(const uint8_t *data, size_t len, char *out)
{
	char *start = out;
	size_t line = 0;

	for (size_t i = 0; i < len; i++) {
		/* A "." alone on a line would end a mail: other encoders quote it. */
		bool dot = data[i] == '.' && !line && (i + 1 == len || !data[i + 1]);
		bool quote = dot || must_quote(data, i, len);

		if (quote ? line + 3 >= QP_LINE : i + 1 < len && line + 1 >= QP_LINE) {
			out += sprintf(out, "=\n");
			line = 0;
		}
		out += quote ? sprintf(out, "=%02X", data[i]) : sprintf(out, "%c", data[i]);
		line += quote ? 3 : 1;
	}
	return out - start;
}

long quoted_decode(const char *text, size_t len, uint8_t *out)
{
	const char *end = text + len;
	uint8_t *start = out;

	while (text < end) {
		if (*text != '=') {
			*out++ = *text++;
		} else if (end - text >= 2 && text[1] == '\n') {
			text += 2;
		} else {
			if (end - text < 3 || hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0)
				return -1;
			*out++ = hex_digit(text[1]) << 4 | hex_digit(text[2]);
			text += 3;
		}
	}
	return out - start;
}

void dev_text(uint32_t dev, bool libc, char buf[24])
{
	if (libc)
		snprintf(buf, 24, "%u:%u", dev >> 8 & 0xfff, (dev & 0xff) | (dev >> 12 & 0xfff00));
	else
		snprintf(buf, 24, "%u:%u", dev >> MINOR_BITS, dev & ((1u << MINOR_BITS) - 1));
}

bool dev_parse(const char *text, size_t len, bool libc, uint64_t *ret)
{
	const char *colon = memchr(text, ':', len);
	struct integer major, minor;

	if (!colon || !integer_parse(text, colon - text, &major) ||
	    !integer_parse(colon + 1, text + len - colon - 1, &minor) || major.negative || minor.negative ||
	    major.value >> 12 || minor.value >> MINOR_BITS)
		return false;
	if (libc)
		*ret = (minor.value & 0xff) | major.value << 8 | (minor.value & ~0xffull) << 12;
	else
		*ret = major.value << MINOR_BITS | minor.value;
	return true;
}
