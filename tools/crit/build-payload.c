/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "extra" back to the bytes behind an entry. The entry says how many they are: nothing else is written. */
#include "build.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "payload.h"
#include "text.h"

static void put_padding(struct obuf *ob, uint64_t len, unsigned int align)
{
	static const uint8_t zeros[8];

	ob_put(ob, zeros, payload_padding(len, align));
}

static int bad_length(const struct builder *b, const struct where *w, const struct json *v, uint64_t want, uint64_t got,
		      struct cr_err *e)
{
	if (want == got || want == PAYLOAD_REST || b->lenient)
		return 0;
	return build_bad(b, w, v, e, "has %" PRIu64 " bytes, but the entry says %" PRIu64, got, want);
}

/* Decode and write in pieces. Return: bytes, or -1 if it is not base64 */
static long put_text(struct base64 *state, const char *text, size_t len, struct obuf *ob)
{
	uint8_t piece[4096];
	long all = 0, n;

	while (len) {
		size_t part = len < sizeof(piece) ? len : sizeof(piece);

		if (part > 1 && text[part - 1] == '\\') /* do not cut an escape in two */
			part--;
		n = base64_decode(state, text, part, piece);
		if (n < 0)
			return -1;
		ob_put(ob, piece, n);
		all += n;
		text += part;
		len -= part;
	}
	return all;
}

/* @v: NULL is no bytes; @object: where it is missing */
static int put_base64(struct builder *b, const struct where *w, const struct json *v, const struct json *object,
		      uint64_t want, struct obuf *ob, struct cr_err *e)
{
	struct base64 state = { 0 };
	long len, rest;

	if (!v)
		return bad_length(b, w, object, want, 0, e);
	if (v->kind != JSON_STRING)
		return build_bad(b, w, v, e, "is %s, not base64 text", json_kind_name(v->kind));
	len = put_text(&state, v->text, v->len, ob);
	rest = len < 0 ? -1 : put_text(&state, v->rest, v->rest_len, ob);
	if (rest < 0 || !base64_complete(&state))
		return build_bad(b, w, v, e, "is not base64");
	return bad_length(b, w, v, want, len + rest, e);
}

static int put_tcp(struct builder *b, const struct where *w, const struct json *v, const struct payload *p,
		   struct obuf *ob, struct cr_err *e)
{
	struct where inq = { w, "inq", -1 }, outq = { w, "outq", -1 };
	int ret;

	if (v->kind != JSON_OBJECT)
		return build_bad(b, w, v, e, "is %s, not {\"inq\": .., \"outq\": ..}", json_kind_name(v->kind));
	ret = put_base64(b, &inq, json_member(v, "inq"), v, p->inq, ob, e);
	return ret ? ret : put_base64(b, &outq, json_member(v, "outq"), v, p->len - p->inq, ob, e);
}

static int put_sems(struct builder *b, const struct where *w, const struct json *v, const struct payload *p,
		    struct obuf *ob, struct cr_err *e)
{
	uint64_t count = 0;
	int ret;

	if (v->kind != JSON_LIST)
		return build_bad(b, w, v, e, "is %s, not a list", json_kind_name(v->kind));
	for (const struct json *item = v->child; item; item = item->next, count++) {
		struct integer n;
		uint16_t value;

		if ((item->kind != JSON_NUMBER && item->kind != JSON_STRING) ||
		    !integer_parse(item->text, item->len, &n) || n.negative || n.value > UINT16_MAX)
			return build_bad(b, w, item, e, "is not a list of numbers up to 65535");
		value = n.value;
		ob_put(ob, &value, sizeof(value));
	}
	ret = bad_length(b, w, v, p->len, 2 * count, e);
	put_padding(ob, 2 * count, 8);
	return ret;
}

static int put_one_msg(struct builder *b, const struct where *w, const struct json *head, struct obuf *ob,
		       struct cr_err *e)
{
	struct builder one = { .file = b->file, .entry = b->entry, .lenient = b->lenient };
	const struct json *msize, *text = head->next;
	struct integer size = { 0 };
	uint32_t len;
	int ret;

	if (!text || text->kind != JSON_STRING)
		return build_bad(b, w, head, e, "is a message without its base64 text behind it");
	ret = build_message(&one, payload_msg_descriptor, head, false, w, e);
	len = one.out.len;
	ob_put(ob, &len, sizeof(len));
	ob_put(ob, one.out.data, one.out.len);
	free(one.out.data);
	if (ret < 0)
		return ret;
	msize = json_member(head, "msize");
	if (msize && msize->text)
		integer_parse(msize->text, msize->len, &size);
	ret = put_base64(b, w, text, head, size.value, ob, e);
	put_padding(ob, size.value, 8);
	return ret;
}

static int put_msgs(struct builder *b, const struct where *up, const struct json *v, const struct payload *p,
		    struct obuf *ob, struct cr_err *e)
{
	struct where w = { up->up, up->field, 0 };
	uint64_t count = 0;
	int ret = 0;

	if (v->kind != JSON_LIST)
		return build_bad(b, up, v, e, "is %s, not a list", json_kind_name(v->kind));
	for (const struct json *m = v->child; m && !ret; w.index += 2, count++) {
		ret = put_one_msg(b, &w, m, ob, e);
		m = ret ? NULL : m->next->next;
	}
	if (!ret && count != p->messages && !b->lenient)
		ret = build_bad(b, up, v, e, "has %" PRIu64 " messages, but qnum is %" PRIu64, count, p->messages);
	return ret;
}

int build_payload(struct builder *b, enum img_type type, const struct json *object, struct obuf *ob, struct cr_err *e)
{
	const struct json *v = json_member(object, "extra");
	struct where w = { NULL, "extra", -1 };
	struct payload p;
	int ret;

	if (!payload_of(type, b->entry, b->out.data, b->out.len, &p))
		return v ? build_bad(b, NULL, v, e, "has an \"extra\", but nothing stands behind such an entry") : 0;
	if (!v && !p.messages && (!p.len || p.len == PAYLOAD_REST))
		return 0;
	if (!v)
		return build_bad(b, NULL, object, e, "lacks its \"extra\"");
	switch (img_table[type].payload) {
	case IMG_PL_TCP:
		return put_tcp(b, &w, v, &p, ob, e);
	case IMG_PL_SEM:
		return put_sems(b, &w, v, &p, ob, e);
	case IMG_PL_MSG:
		return put_msgs(b, &w, v, &p, ob, e);
	default:
		ret = put_base64(b, &w, v, object, p.len, ob, e);
		if (p.padding)
			put_padding(ob, p.len, 4);
		return ret;
	}
}
