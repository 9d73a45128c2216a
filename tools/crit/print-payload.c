/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes behind entries, as the member "extra". They are streamed: a deleted file can have gigabytes. */
#include "print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "image/wire.h"
#include "payload.h"

/* A multiple of 57, so that every piece ends with a whole base64 line. */
enum { PIECE = 57 * 1024 };

static int print_base64(struct printer *p, struct img_reader *r, uint64_t len, struct cr_err *e)
{
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	bool rest = len == PAYLOAD_REST;
	ssize_t n = 0;

	if (!piece)
		return cr_err_nomem(e);
	jo_base64_begin(&p->out);
	for (; len; len -= n) {
		n = img_read(r, piece, len < PIECE ? len : PIECE, e);
		if (n <= 0)
			break;
		jo_base64_piece(&p->out, piece, n);
	}
	jo_base64_end(&p->out);
	if (n < 0)
		return n;
	return len && !rest ? img_skip(r, len, e) : 0; /* which says that the file is too short */
}

/* Sizes as CRIU's crit abbreviates them: "... <80B>", "... <3KB>". */
static void print_size(struct printer *p, uint64_t len)
{
	static const char units[][3] = { "B", "KB", "MB", "GB", "TB", "PB", "EB" };
	char text[48];
	int u = 0;

	for (; len >= 1024 && u < 6; u++)
		len /= 1024;
	snprintf(text, sizeof(text), "... <%" PRIu64 "%s>", len, units[u]);
	jo_text(&p->out, text);
}

static int print_blob(struct printer *p, struct img_reader *r, uint64_t len, bool nopl, struct cr_err *e)
{
	uint64_t skipped = 0;
	int ret;

	if (!nopl)
		return print_base64(p, r, len, e);
	ret = payload_skip(r, len, &skipped, e);
	if (!ret)
		print_size(p, skipped);
	return ret;
}

static int print_tcp(struct printer *p, struct img_reader *r, const struct payload *pl, bool nopl, struct cr_err *e)
{
	int ret;

	jo_begin(&p->out, '{');
	jo_key(&p->out, "inq");
	ret = print_blob(p, r, pl->inq, nopl, e);
	if (!ret) {
		jo_key(&p->out, "outq");
		ret = print_blob(p, r, pl->len - pl->inq, nopl, e);
	}
	jo_end(&p->out, '}');
	return ret;
}

static int print_sems(struct printer *p, struct img_reader *r, const struct payload *pl, bool nopl, struct cr_err *e)
{
	int ret = 0;

	if (nopl)
		return print_blob(p, r, pl->len, true, e);
	jo_begin(&p->out, '[');
	for (uint64_t i = 0; !ret && i < pl->len / 2; i++) {
		uint16_t value = 0;

		ret = img_get_bytes(r, &value, sizeof(value), e);
		if (!ret)
			jo_unsigned(&p->out, value);
	}
	jo_end(&p->out, ']');
	return ret;
}

static int print_one_msg(struct printer *p, struct img_reader *r, bool nopl, struct cr_err *e)
{
	const uint8_t *data;
	uint64_t size;
	size_t len;
	int ret;

	ret = payload_get_msg(r, &data, &len, &size, e);
	if (ret < 0)
		return ret;
	jo_begin(&p->out, '{');
	ret = print_fields(p, payload_msg_descriptor, data, len) < 0 ? img_bad(r, e, "is not an ipc_msg") : 0;
	jo_end(&p->out, '}');
	if (!ret)
		ret = print_blob(p, r, size, nopl, e);
	return ret ? ret : img_skip(r, payload_padding(size, 8), e);
}

static int print_msgs(struct printer *p, struct img_reader *r, const struct payload *pl, bool nopl, struct cr_err *e)
{
	int ret = 0;

	jo_begin(&p->out, '[');
	for (uint64_t i = 0; !ret && i < pl->messages; i++)
		ret = print_one_msg(p, r, nopl, e);
	jo_end(&p->out, ']');
	return ret;
}

int print_payload(struct printer *p, struct img_reader *r, const uint8_t *data, size_t len, bool nopl, struct cr_err *e)
{
	struct payload pl;
	int ret;

	if (!payload_of(r->type, r->entry - 1, data, len, &pl))
		return 0;
	jo_key(&p->out, "extra");
	switch (img_table[r->type].payload) {
	case IMG_PL_TCP:
		ret = print_tcp(p, r, &pl, nopl, e);
		break;
	case IMG_PL_SEM:
		ret = print_sems(p, r, &pl, nopl, e);
		break;
	case IMG_PL_MSG:
		ret = print_msgs(p, r, &pl, nopl, e);
		break;
	default:
		ret = print_blob(p, r, pl.len, nopl, e);
	}
	return ret ? ret : img_skip(r, pl.padding, e);
}
