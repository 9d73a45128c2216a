/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From JSON to wire form. Fields are written in the order of their numbers, as protobuf-c does; unknown fields go back
 * to their place in that order. A key that no field has, or that stands twice, is a mistake of who edited the file.
 */
#include "build.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "image/wire.h"
#include "text.h"

static size_t where_text(const struct where *w, char *buf, size_t size)
{
	size_t fill;

	if (!w)
		return 0;
	fill = where_text(w->up, buf, size);
	if (fill < size)
		fill += snprintf(buf + fill, size - fill, w->index < 0 ? ".%s" : ".%s[%ld]", w->field, w->index);
	return fill < size ? fill : size;
}

int build_bad(const struct builder *b, const struct where *w, const struct json *v, struct cr_err *e, const char *fmt,
	      ...)
{
	char where[160] = "", text[160];
	va_list ap;

	where_text(w, where, sizeof(where));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (v->line)
		cr_err_set(e, CR_E_JSON, 0, b->file, "line %lu: entries[%lu]%s: %s", v->line, b->entry, where, text);
	else /* the value is from a command line */
		cr_err_set(e, CR_E_JSON, 0, b->file, "entries[%lu]%s: %s", b->entry, where, text);
	return -EINVAL;
}

static size_t varint(uint64_t v, uint8_t out[10])
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		out[n++] = v | 0x80;
	out[n++] = v;
	return n;
}

static int append_varint(struct builder *b, uint64_t v, struct cr_err *e)
{
	uint8_t bytes[10];

	return bytes_add(&b->out, bytes, varint(v, bytes), e);
}

static int append_tag(struct builder *b, uint32_t number, ProtobufCWireType type, struct cr_err *e)
{
	return append_varint(b, (uint64_t)number << 3 | type, e);
}

const struct json *json_member(const struct json *object, const char *key)
{
	const struct json *m = object->child;

	while (m && strcmp(m->key, key))
		m = m->next;
	return m;
}

int build_base64(const struct builder *b, const struct where *w, const struct json *v, uint8_t **ret, size_t *ret_len,
		 struct cr_err *e)
{
	struct base64 state = { 0 };
	long len, more = 0;
	uint8_t *data;

	if (v->kind != JSON_STRING)
		return build_bad(b, w, v, e, "is %s, not base64 text", json_kind_name(v->kind));
	data = malloc(v->len + v->rest_len + 1);
	if (!data)
		return cr_err_nomem(e);
	len = base64_decode(&state, v->text, v->len, data);
	if (len >= 0)
		more = base64_decode(&state, v->rest, v->rest_len, data + len);
	if (len < 0 || more < 0 || !base64_complete(&state)) {
		free(data);
		return build_bad(b, w, v, e, "is not base64");
	}
	*ret = data;
	*ret_len = len + more;
	return 0;
}

/* The names that a hint allows in place of a number. */
static bool hinted(const struct hint *h, const struct json *v, struct integer *ret)
{
	*ret = (struct integer){ 0 };
	switch (h->kind) {
	case HINT_FLAGS:
		return flags_parse(h->set, v->text, v->len, &ret->value);
	case HINT_DICT:
		return dict_value(h->set, v->text, v->len, &ret->value);
	case HINT_DEV:
	case HINT_ODEV:
		return dev_parse(v->text, v->len, h->kind == HINT_ODEV, &ret->value);
	default:
		return false;
	}
}

/* Does the number fit into the field's type? @ret: its bits */
static bool in_range(ProtobufCType type, struct integer n, uint64_t *ret)
{
	uint64_t most = UINT64_MAX, least = 0; /* least: without the sign */

	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		most = 1;
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT: /* no image has floats: their bits would do */
		most = UINT32_MAX;
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		most = INT32_MAX;
		least = most + 1;
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		most = INT64_MAX;
		least = most + 1;
		break;
	default:
		break;
	}
	*ret = n.negative ? -n.value : n.value;
	return n.value <= (n.negative ? least : most);
}

static int number(struct builder *b, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd,
		  const struct json *v, const struct where *w, uint64_t *ret, struct cr_err *e)
{
	const ProtobufCEnumValue *name = NULL;
	struct integer n = { 0 };
	bool ok;

	if (v->kind == JSON_BOOL && fd->type == PROTOBUF_C_TYPE_BOOL) {
		*ret = v->truth;
		return 0;
	}
	if (v->rest)
		return build_bad(b, w, v, e, "is a text of more than 64 KiB");
	if (v->kind == JSON_STRING && fd->type == PROTOBUF_C_TYPE_ENUM)
		name = protobuf_c_enum_descriptor_get_value_by_name(fd->descriptor, v->text);
	if (name)
		n = (struct integer){ name->value < 0,
				      name->value < 0 ? -(uint64_t)name->value : (uint64_t)name->value };
	ok = name || ((v->kind == JSON_NUMBER || v->kind == JSON_STRING) && integer_parse(v->text, v->len, &n)) ||
	     (v->kind == JSON_STRING && hinted(hint_of(&b->hints, d, fd), v, &n));
	if (!ok && (v->kind == JSON_NUMBER || v->kind == JSON_STRING))
		return build_bad(b, w, v, e, "\"%.60s\" is no value for it", v->text);
	if (!ok)
		return build_bad(b, w, v, e, "is %s, not a number", json_kind_name(v->kind));
	if (!in_range(fd->type, n, ret))
		return build_bad(b, w, v, e, "%.60s is out of range", v->text);
	return 0;
}

static int append_number(struct builder *b, ProtobufCType type, uint64_t v, struct cr_err *e)
{
	switch (wire_type(type)) {
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return bytes_add(&b->out, &v, 8, e);
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return bytes_add(&b->out, &v, 4, e);
	default:
		break;
	}
	if (type == PROTOBUF_C_TYPE_SINT32)
		v = (uint32_t)v << 1 ^ (uint32_t)((int32_t)v >> 31);
	else if (type == PROTOBUF_C_TYPE_SINT64)
		v = v << 1 ^ (uint64_t)((int64_t)v >> 63);
	return append_varint(b, v, e);
}

/* Strings, and bytes in the two forms they have. */
static int append_text(struct builder *b, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd,
		       const struct json *v, const struct where *w, struct cr_err *e)
{
	_cleanup_free_ uint8_t *data = NULL;
	bool quoted = fd->type == PROTOBUF_C_TYPE_BYTES && hint_of(&b->hints, d, fd)->kind == HINT_UNIX_NAME;
	size_t len = 0;
	long n;
	int ret;

	if (fd->type == PROTOBUF_C_TYPE_BYTES && !quoted) {
		ret = build_base64(b, w, v, &data, &len, e);
		if (ret < 0)
			return ret;
	} else {
		if (v->kind != JSON_STRING)
			return build_bad(b, w, v, e, "is %s, not a string", json_kind_name(v->kind));
		if (v->rest)
			return build_bad(b, w, v, e, "is a text of more than 64 KiB");
		data = malloc(v->len + 1);
		if (!data)
			return cr_err_nomem(e);
		n = quoted ? quoted_decode(v->text, v->len, data) : (long)bytes_unescape(v->text, v->len, data);
		if (n < 0)
			return build_bad(b, w, v, e, "is not quoted-printable");
		len = n;
	}
	ret = append_varint(b, len, e);
	return ret ? ret : bytes_add(&b->out, data, len, e);
}

/* A message inside: its length, known only afterwards, is put in front of it. */
static int append_message(struct builder *b, const ProtobufCMessageDescriptor *d, const struct json *v,
			  const struct where *w, struct cr_err *e)
{
	size_t start = b->out.len, len, n;
	uint8_t size[10];
	int ret;

	ret = build_message(b, d, v, false, w, e);
	if (ret < 0)
		return ret;
	len = b->out.len - start;
	n = varint(len, size);
	ret = bytes_add(&b->out, size, n, e);
	if (ret < 0)
		return ret;
	memmove(b->out.data + start + n, b->out.data + start, len);
	memcpy(b->out.data + start, size, n);
	return 0;
}

static int append_value(struct builder *b, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd,
			const struct json *v, const struct where *w, struct cr_err *e)
{
	uint64_t n = 0;
	int ret;

	ret = append_tag(b, fd->id, wire_type(fd->type), e);
	if (ret < 0)
		return ret;
	if (fd->type == PROTOBUF_C_TYPE_MESSAGE)
		return append_message(b, fd->descriptor, v, w, e);
	if (fd->type == PROTOBUF_C_TYPE_STRING || fd->type == PROTOBUF_C_TYPE_BYTES)
		return append_text(b, d, fd, v, w, e);
	ret = number(b, d, fd, v, w, &n, e);
	return ret ? ret : append_number(b, fd->type, n, e);
}

static int append_address(struct builder *b, const ProtobufCFieldDescriptor *fd, const struct json *v,
			  const struct where *w, struct cr_err *e)
{
	uint32_t words[4];
	int n = inet_pton(AF_INET, v->text, words) == 1 ? 1 : 4, ret = 0;

	if (n == 4 && inet_pton(AF_INET6, v->text, words) != 1)
		return build_bad(b, w, v, e, "\"%.60s\" is no address", v->text);
	for (int i = 0; !ret && i < n; i++) {
		ret = append_tag(b, fd->id, PROTOBUF_C_WIRE_TYPE_VARINT, e);
		if (!ret)
			ret = append_varint(b, words[i], e);
	}
	return ret;
}

static int append_list(struct builder *b, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd,
		       const struct json *v, const struct where *up, struct cr_err *e)
{
	bool address = hint_of(&b->hints, d, fd)->kind == HINT_IP;
	struct where w = { up, fd->name, 0 };
	struct integer n;
	int ret = 0;

	if (address && v->kind == JSON_STRING)
		return append_address(b, fd, v, &w, e);
	if (v->kind != JSON_LIST)
		return build_bad(b, &w, v, e, "is %s, not a list", json_kind_name(v->kind));
	for (const struct json *item = v->child; item && !ret; item = item->next, w.index++) {
		if (address && item->kind == JSON_STRING && !integer_parse(item->text, item->len, &n))
			ret = append_address(b, fd, item, &w, e);
		else
			ret = append_value(b, d, fd, item, &w, e);
	}
	return ret;
}

static bool member_number(const struct json *object, const char *key, uint64_t *ret)
{
	const struct json *m = json_member(object, key);
	struct integer n;

	if (!m || m->kind != JSON_NUMBER || !integer_parse(m->text, m->len, &n) || n.negative)
		return false;
	*ret = n.value;
	return true;
}

static bool right_length(uint64_t type, const uint8_t *data, size_t len)
{
	struct wire w = { data, len ? data + len : data };
	uint64_t v;

	switch (type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return wire_varint(&w, &v) && w.p == w.end;
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return len == 8;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return len == 4;
	default:
		return type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	}
}

/* One member of "__unknown": a field as it stood in the image. Written only if @from <= its number < @below. */
static int append_unknown(struct builder *b, const struct json *v, uint64_t from, uint64_t below, const struct where *w,
			  struct cr_err *e)
{
	_cleanup_free_ uint8_t *data = NULL;
	const struct json *text = v->kind == JSON_OBJECT ? json_member(v, "data") : NULL;
	uint64_t num, type;
	size_t len;
	int ret;

	if (!text || !member_number(v, "number", &num) || !member_number(v, "wiretype", &type) || !num || num >> 29)
		return build_bad(b, w, v, e, "is not {\"number\": .., \"wiretype\": .., \"data\": ..}");
	if (num < from || num >= below)
		return 0;
	ret = build_base64(b, w, text, &data, &len, e);
	if (ret < 0)
		return ret;
	if (!right_length(type, data, len))
		return build_bad(b, w, v, e, "data is not of that wiretype");
	ret = append_tag(b, num, type, e);
	if (!ret && type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
		ret = append_varint(b, len, e);
	return ret ? ret : bytes_add(&b->out, data, len, e);
}

static int append_unknowns(struct builder *b, const struct json *list, uint64_t from, uint64_t below,
			   const struct where *up, struct cr_err *e)
{
	struct where w = { up, "__unknown", 0 };
	int ret = 0;

	if (!list)
		return 0;
	if (list->kind != JSON_LIST)
		return build_bad(b, up, list, e, "__unknown is %s, not a list", json_kind_name(list->kind));
	for (const struct json *v = list->child; v && !ret; v = v->next, w.index++)
		ret = append_unknown(b, v, from, below, &w, e);
	return ret;
}

static int check_keys(struct builder *b, const ProtobufCMessageDescriptor *d, const struct json *object, bool extra,
		      const struct where *w, struct cr_err *e)
{
	for (const struct json *m = object->child; m; m = m->next) {
		if (!protobuf_c_message_descriptor_get_field_by_name(d, m->key) && strcmp(m->key, "__unknown") &&
		    !(extra && !strcmp(m->key, "extra")))
			return build_bad(b, w, m, e, "%s has no field \"%.60s\"", d->name, m->key);
		if (json_member(object, m->key) != m)
			return build_bad(b, w, m, e, "\"%.60s\" stands twice", m->key);
	}
	return 0;
}

int build_message(struct builder *b, const ProtobufCMessageDescriptor *d, const struct json *object, bool extra,
		  const struct where *up, struct cr_err *e)
{
	const struct json *unknown, *v;
	uint64_t from = 0;
	int ret;

	if (object->kind != JSON_OBJECT)
		return build_bad(b, up, object, e, "is %s, not an object", json_kind_name(object->kind));
	ret = check_keys(b, d, object, extra, up, e);
	unknown = json_member(object, "__unknown");
	for (unsigned int i = 0; !ret && i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *fd = &d->fields[i];
		struct where w = { up, fd->name, -1 };

		ret = append_unknowns(b, unknown, from, fd->id, up, e);
		from = fd->id;
		v = json_member(object, fd->name);
		if (ret)
			break;
		if (v && fd->label == PROTOBUF_C_LABEL_REPEATED)
			ret = append_list(b, d, fd, v, up, e);
		else if (v)
			ret = append_value(b, d, fd, v, &w, e);
		else if (fd->label == PROTOBUF_C_LABEL_REQUIRED && !b->lenient)
			ret = build_bad(b, up, object, e, "lacks \"%s\", which a %s must have", fd->name, d->name);
	}
	return ret ? ret : append_unknowns(b, unknown, from, UINT64_MAX, up, e);
}
