/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From wire form to JSON. The wire form is walked, not unpacked into C structs: so unknown fields, unknown enumeration
 * values, strings with NULs and messages without their required fields are seen as they are.
 */
#include "print.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "image/wire.h"
#include "text.h"

/* The message being printed. */
struct scope {
	const ProtobufCMessageDescriptor *d;
	struct wire all, at; /* at: where the fields of the current number begin, when they are in order */
	bool sorted, unknown;
	bool hex; /* all integers inside are printed as 0x.. */
};

static bool known(const struct scope *s, const struct wire_field *f)
{
	const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(s->d, f->number);

	return fd && wire_fits(fd, f->type);
}

/* One pass to learn the shape. Return: false if the bytes are no message. */
static bool survey(struct scope *s)
{
	struct wire w = s->all;
	struct wire_field f;
	uint32_t last = 0;
	int got;

	s->at = s->all;
	s->sorted = true;
	while ((got = wire_next(&w, &f)) > 0) {
		s->sorted = s->sorted && f.number >= last;
		s->unknown = s->unknown || !known(s, &f);
		last = f.number;
	}
	return got == 0;
}

/* The next occurrence of a field from @w on. */
static bool find(const struct scope *s, struct wire *w, const ProtobufCFieldDescriptor *fd, struct wire_field *f)
{
	struct wire before = *w;

	while (wire_next(w, f) > 0) {
		if (f->number == fd->id && wire_fits(fd, f->type))
			return true;
		if (s->sorted && f->number > fd->id) {
			*w = before;
			return false;
		}
		before = *w;
	}
	return false;
}

static int64_t as_signed(ProtobufCType type, uint64_t v)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SINT32:
		v &= UINT32_MAX;
		return (int32_t)((v >> 1) ^ -(v & 1));
	case PROTOBUF_C_TYPE_SINT64:
		return (int64_t)((v >> 1) ^ -(v & 1));
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return (int64_t)v;
	default:
		return (int32_t)v;
	}
}

static bool is_signed(ProtobufCType type)
{
	return type == PROTOBUF_C_TYPE_SINT32 || type == PROTOBUF_C_TYPE_SINT64 || type == PROTOBUF_C_TYPE_INT32 ||
	       type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_SFIXED32 || type == PROTOBUF_C_TYPE_SFIXED64;
}

static void print_enum(struct json_out *o, const ProtobufCFieldDescriptor *fd, uint64_t v)
{
	const ProtobufCEnumValue *name = protobuf_c_enum_descriptor_get_value(fd->descriptor, (int)v);

	if (name)
		jo_text(o, name->name);
	else
		jo_signed(o, (int32_t)v);
}

static void print_number(struct printer *p, const struct hint *h, bool hex, uint64_t v)
{
	struct json_out *o = &p->out;
	enum hint_kind kind = o->pretty ? h->kind : HINT_NONE;
	const char *name;
	char text[512];

	if (hex || kind == HINT_HEX) {
		snprintf(text, sizeof(text), "0x%" PRIx64, v);
		jo_text(o, text);
	} else if (kind == HINT_DEV || kind == HINT_ODEV) {
		dev_text(v, kind == HINT_ODEV, text);
		jo_text(o, text);
	} else if (kind == HINT_FLAGS) {
		flags_text(h->set, v, text, sizeof(text));
		jo_text(o, text);
	} else if (kind == HINT_DICT && (name = dict_name(h->set, v))) {
		jo_text(o, name);
	} else {
		jo_unsigned(o, v);
	}
}

static int print_bytes(struct json_out *o, const struct hint *h, const struct wire_field *f)
{
	_cleanup_free_ char *text = NULL;

	if (h->kind != HINT_UNIX_NAME) {
		jo_base64(o, f->data, f->len);
		return 0;
	}
	text = malloc(4 * f->len + 4);
	if (!text)
		return -1;
	jo_string(o, text, quoted_encode(f->data, f->len, text));
	return 0;
}

static int print_message(struct printer *p, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len,
			 bool hex);

static int print_value(struct printer *p, const struct scope *s, const ProtobufCFieldDescriptor *fd,
		       const struct wire_field *f)
{
	const struct hint *h = hint_of(&p->hints, s->d, fd);
	bool hex = s->hex || (p->out.pretty && h->kind == HINT_HEX);
	uint64_t v = f->value;

	switch (fd->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return print_message(p, fd->descriptor, f->data, f->len, hex);
	case PROTOBUF_C_TYPE_STRING:
		jo_string(&p->out, f->data, f->len);
		return 0;
	case PROTOBUF_C_TYPE_BYTES:
		return print_bytes(&p->out, h, f);
	case PROTOBUF_C_TYPE_BOOL:
		jo_bool(&p->out, v != 0);
		return 0;
	case PROTOBUF_C_TYPE_ENUM:
		print_enum(&p->out, fd, v);
		return 0;
	case PROTOBUF_C_TYPE_UINT32:
		v &= UINT32_MAX;
		break;
	default:
		break;
	}
	if (is_signed(fd->type) && !(hex && as_signed(fd->type, v) >= 0))
		jo_signed(&p->out, as_signed(fd->type, v));
	else
		print_number(p, h, hex, is_signed(fd->type) ? (uint64_t)as_signed(fd->type, v) : v);
	return 0;
}

/* One occurrence of a repeated field: one value, or all those of a packed list. */
static int print_item(struct printer *p, const struct scope *s, const ProtobufCFieldDescriptor *fd,
		      const struct wire_field *f)
{
	bool packed = f->type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && fd->type != PROTOBUF_C_TYPE_MESSAGE &&
		      fd->type != PROTOBUF_C_TYPE_STRING && fd->type != PROTOBUF_C_TYPE_BYTES;
	struct wire w = { f->data, f->data + f->len };
	struct wire_field one = { .number = f->number };

	if (!packed)
		return print_value(p, s, fd, f);
	while (w.p < w.end) {
		if (!wire_packed(fd, &w, &one.value) || print_value(p, s, fd, &one) < 0)
			return -1;
	}
	return 0;
}

/* An address in the words of a repeated field: 1 is IPv4, 4 are IPv6, other numbers are no address. */
static bool print_address(struct printer *p, const struct scope *s, const ProtobufCFieldDescriptor *fd)
{
	struct wire w = s->at;
	struct wire_field f;
	char text[INET6_ADDRSTRLEN];
	uint32_t words[5];
	int n = 0;

	while (n < 5 && find(s, &w, fd, &f)) {
		if (f.type != PROTOBUF_C_WIRE_TYPE_VARINT)
			return false;
		words[n++] = f.value;
	}
	if (n != 1 && n != 4)
		return false;
	inet_ntop(n == 1 ? AF_INET : AF_INET6, words, text, sizeof(text));
	jo_text(&p->out, text);
	return true;
}

static int print_list(struct printer *p, struct scope *s, const ProtobufCFieldDescriptor *fd)
{
	bool address = p->out.pretty && hint_of(&p->hints, s->d, fd)->kind == HINT_IP;
	struct wire w = s->at;
	struct wire_field f;
	int ret = 0;

	if (!find(s, &w, fd, &f))
		return 0;
	jo_key(&p->out, fd->name);
	jo_begin(&p->out, '[');
	if (!address || !print_address(p, s, fd)) {
		do
			ret = print_item(p, s, fd, &f);
		while (!ret && find(s, &w, fd, &f));
	}
	if (s->sorted)
		s->at = w;
	jo_end(&p->out, ']');
	return ret;
}

/* Protobuf's rule for a message that stands twice: its fields add up, as if the bytes were one. */
static int print_merged(struct printer *p, const struct scope *s, const ProtobufCFieldDescriptor *fd, size_t len)
{
	_cleanup_free_ uint8_t *data = malloc(len + 1);
	struct wire w = s->all;
	struct wire_field f, all = { .data = data };

	while (data && wire_next(&w, &f) > 0)
		if (f.number == fd->id && wire_fits(fd, f.type)) {
			memcpy(data + all.len, f.data, f.len);
			all.len += f.len;
		}
	return data ? print_value(p, s, fd, &all) : -1;
}

static int print_single(struct printer *p, struct scope *s, const ProtobufCFieldDescriptor *fd)
{
	struct wire w = s->at;
	struct wire_field f, last;
	size_t count = 0, len = 0;

	while (find(s, &w, fd, &f)) {
		last = f;
		len += f.len;
		count++;
	}
	if (s->sorted)
		s->at = w;
	if (!count)
		return 0;
	jo_key(&p->out, fd->name);
	if (count > 1 && fd->type == PROTOBUF_C_TYPE_MESSAGE)
		return print_merged(p, s, fd, len);
	return print_value(p, s, fd, &last);
}

static void print_unknown(struct printer *p, const struct scope *s)
{
	struct json_out *o = &p->out;
	struct wire w = s->all;
	struct wire_field f;

	jo_key(o, "__unknown");
	jo_begin(o, '[');
	while (wire_next(&w, &f) > 0) {
		if (known(s, &f))
			continue;
		jo_begin(o, '{');
		jo_key(o, "number");
		jo_unsigned(o, f.number);
		jo_key(o, "wiretype");
		jo_unsigned(o, f.type);
		jo_key(o, "data");
		jo_base64(o, f.data, f.len);
		jo_end(o, '}');
	}
	jo_end(o, ']');
}

static int print_scope(struct printer *p, struct scope *s)
{
	if (!survey(s))
		return -1;
	for (unsigned int i = 0; i < s->d->n_fields; i++) {
		const ProtobufCFieldDescriptor *fd = &s->d->fields[i];
		int ret = fd->label == PROTOBUF_C_LABEL_REPEATED ? print_list(p, s, fd) : print_single(p, s, fd);

		if (ret < 0)
			return ret;
	}
	if (s->unknown)
		print_unknown(p, s);
	return 0;
}

static int print_message(struct printer *p, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len,
			 bool hex)
{
	struct scope s = { .d = d, .all = { data, data + len }, .hex = hex };
	int ret;

	jo_begin(&p->out, '{');
	ret = print_scope(p, &s);
	jo_end(&p->out, '}');
	return ret;
}

int print_fields(struct printer *p, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len)
{
	struct scope s = { .d = d, .all = { data, data + len } };

	return print_scope(p, &s);
}
