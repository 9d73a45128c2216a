/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wire form of a message, field by field: what protobuf-c would refuse without a reason or take silently. Errors are
 * required fields that are missing and values that no enumeration has; warnings are fields that nobody knows, and
 * encodings that no writer of images uses (order, packing, repetition, lengths of numbers).
 */
#include "verify.h"

#include <inttypes.h>
#include <stdio.h>

#include "image/wire.h"

struct place { /* where a message is: ".vmas[3]" */
	const struct place *up;
	const char *field;
	long index; /* -1: no list */
};

struct check {
	struct verify *v;
	const char *file;
	long entry;
	const ProtobufCMessageDescriptor *top;
	bool complete, usual;
};

static size_t place_text(const struct place *p, char *buf, size_t size)
{
	size_t fill;

	if (!p)
		return 0;
	fill = place_text(p->up, buf, size);
	if (fill < size)
		fill += snprintf(buf + fill, size - fill, p->index < 0 ? "%s." : "%s[%ld].", p->field, p->index);
	return fill < size ? fill : size;
}

static size_t varint_len(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

static void missing(struct check *c, const struct place *p, const char *field)
{
	char where[200] = "";

	place_text(p, where, sizeof(where));
	v_error(c->v, c->file, c->entry, "%s: required field %s%s is missing", c->top->name, where, field);
	c->complete = false;
}

/* Is the number written as every writer does? */
static bool usual_number(ProtobufCType type, uint64_t v, size_t len)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return v <= 1 && len == 1;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_SINT32:
		return v <= UINT32_MAX && len == varint_len(v);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
		return v == (uint64_t)(int64_t)(int32_t)v && len == varint_len(v);
	default:
		return wire_type(type) != PROTOBUF_C_WIRE_TYPE_VARINT || len == varint_len(v);
	}
}

static void check_enum(struct check *c, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd,
		       uint64_t v)
{
	const ProtobufCEnumDescriptor *names = fd->descriptor;

	if (fd->type == PROTOBUF_C_TYPE_ENUM && !protobuf_c_enum_descriptor_get_value(names, (int)v))
		v_error(c->v, c->file, c->entry, "%s.%s: %d is no %s", d->name, fd->name, (int)v, names->name);
}

static bool check_packed(struct check *c, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd,
			 const struct wire_field *f)
{
	struct wire w = { f->data, f->data + f->len };
	uint64_t v;

	c->usual = false;
	while (w.p < w.end) {
		if (!wire_packed(fd, &w, &v))
			return false;
		check_enum(c, d, fd, v);
	}
	return true;
}

static bool check_message(struct check *c, const ProtobufCMessageDescriptor *d, struct wire w, const struct place *p);

/* Return: false if the bytes are no such field. */
static bool check_field(struct check *c, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd,
			const struct wire_field *f, const struct place *p, long index)
{
	struct place in = { p, fd->name, fd->label == PROTOBUF_C_LABEL_REPEATED ? index : -1 };

	if (fd->type == PROTOBUF_C_TYPE_MESSAGE)
		return check_message(c, fd->descriptor, (struct wire){ f->data, f->data + f->len }, &in);
	if (f->type != wire_type(fd->type))
		return check_packed(c, d, fd, f);
	if (f->type == PROTOBUF_C_WIRE_TYPE_VARINT && !usual_number(fd->type, f->value, f->len))
		c->usual = false;
	check_enum(c, d, fd, f->value);
	return true;
}

static void check_unknown(struct check *c, const ProtobufCMessageDescriptor *d, const struct wire_field *f)
{
	v_warn(c->v, c->file, c->entry, "%s: unknown field %" PRIu32, d->name, f->number);
}

enum { FIELDS_MOST = 128 };

static void check_required(struct check *c, const ProtobufCMessageDescriptor *d, const long *count,
			   const struct place *p)
{
	for (unsigned int i = 0; i < d->n_fields; i++)
		if (d->fields[i].label == PROTOBUF_C_LABEL_REQUIRED && !count[i])
			missing(c, p, d->fields[i].name);
}

static bool check_message(struct check *c, const ProtobufCMessageDescriptor *d, struct wire w, const struct place *p)
{
	const uint8_t *start = w.p;
	long count[FIELDS_MOST] = { 0 };
	uint32_t before = 0;
	struct wire_field f;
	bool unknown = false;
	int got;

	for (; (got = wire_next(&w, &f)) > 0; start = w.p) {
		const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(d, f.number);
		size_t head = varint_len((uint64_t)f.number << 3 | f.type);

		if (f.type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			head += varint_len(f.len);
		if (start + head != f.data)
			c->usual = false;
		if (!fd || !wire_fits(fd, f.type) || fd - d->fields >= FIELDS_MOST) {
			check_unknown(c, d, &f);
			unknown = true;
			continue;
		}
		if (unknown || f.number < before || (fd->label != PROTOBUF_C_LABEL_REPEATED && count[fd - d->fields]))
			c->usual = false;
		before = f.number;
		if (!check_field(c, d, fd, &f, p, count[fd - d->fields]))
			return false;
		count[fd - d->fields]++;
	}
	check_required(c, d, count, p);
	return got == 0;
}

bool verify_wire(struct verify *v, const char *file, long entry, const ProtobufCMessageDescriptor *d,
		 const uint8_t *data, size_t len)
{
	struct check c = { v, file, entry, d, true, true };

	if (!check_message(&c, d, (struct wire){ data, data + len }, NULL)) {
		v_error(v, file, entry, "%s does not decode", d->name);
		return false;
	}
	if (c.complete && !c.usual)
		v_warn(v, file, entry, "%s is not in the usual encoding (order, packing, repetition)", d->name);
	return c.complete;
}
