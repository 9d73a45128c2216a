/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/wire.h"

#include <string.h>

bool wire_varint(struct wire *w, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 70; shift += 7) {
		uint8_t byte;

		if (w->p == w->end)
			return false;
		byte = *w->p++;
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static int fixed(struct wire *w, struct wire_field *f, size_t len)
{
	if ((size_t)(w->end - w->p) < len)
		return -1;
	f->value = 0;
	memcpy(&f->value, w->p, len); /* little-endian, as every host that the project builds for */
	w->p += len;
	return 1;
}

int wire_next(struct wire *w, struct wire_field *ret)
{
	uint64_t key, len;
	int got = 1;

	if (w->p == w->end)
		return 0;
	if (!wire_varint(w, &key) || key >> 32 || !(key >> 3))
		return -1;
	ret->number = key >> 3;
	ret->type = key & 7;
	ret->data = w->p;
	switch (ret->type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		got = wire_varint(w, &ret->value) ? 1 : -1;
		break;
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		got = fixed(w, ret, 8);
		break;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		got = fixed(w, ret, 4);
		break;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		if (!wire_varint(w, &len) || len > (uint64_t)(w->end - w->p))
			return -1;
		ret->value = len;
		ret->data = w->p;
		w->p += len;
		break;
	default: /* groups: no image ever had one */
		return -1;
	}
	ret->len = w->p - ret->data;
	return got;
}

ProtobufCWireType wire_type(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return PROTOBUF_C_WIRE_TYPE_64BIT;
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return PROTOBUF_C_WIRE_TYPE_32BIT;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	default:
		return PROTOBUF_C_WIRE_TYPE_VARINT;
	}
}

bool wire_fits(const ProtobufCFieldDescriptor *fd, ProtobufCWireType type)
{
	if (type == wire_type(fd->type))
		return true;
	return fd->label == PROTOBUF_C_LABEL_REPEATED && type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
}

bool wire_packed(const ProtobufCFieldDescriptor *fd, struct wire *w, uint64_t *ret)
{
	struct wire_field f;
	ProtobufCWireType type = wire_type(fd->type);

	if (type == PROTOBUF_C_WIRE_TYPE_VARINT)
		return wire_varint(w, ret);
	if (fixed(w, &f, type == PROTOBUF_C_WIRE_TYPE_64BIT ? 8 : 4) < 0)
		return false;
	*ret = f.value;
	return true;
}

uint64_t wire_number(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len, const char *name,
		     uint64_t missing)
{
	const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field_by_name(d, name);
	struct wire w = { data, len ? data + len : data };
	struct wire_field f;

	while (fd && wire_next(&w, &f) > 0)
		if (f.number == fd->id && f.type == PROTOBUF_C_WIRE_TYPE_VARINT)
			missing = f.value; /* protobuf: the last one counts */
	return missing;
}

static bool has_messages(const ProtobufCMessageDescriptor *d)
{
	for (unsigned int i = 0; i < d->n_fields; i++)
		if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			return true;
	return false;
}

static bool depth_ok(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len, int depth)
{
	struct wire w = { data, len ? data + len : data };
	struct wire_field f;
	int got;

	if (depth > WIRE_DEPTH_MAX)
		return false;
	if (!has_messages(d))
		return true;
	while ((got = wire_next(&w, &f)) > 0) {
		const ProtobufCFieldDescriptor *fd;

		if (f.type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			continue;
		fd = protobuf_c_message_descriptor_get_field(d, f.number);
		if (fd && fd->type == PROTOBUF_C_TYPE_MESSAGE && !depth_ok(fd->descriptor, f.data, f.len, depth + 1))
			return false;
	}
	return got == 0;
}

bool wire_depth_ok(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len)
{
	return depth_ok(d, data, len, 0);
}
