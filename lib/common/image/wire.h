/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protobuf wire form, below the generated structs: what protobuf-c does not do and crit needs. Strings with NULs
 * in them, unknown fields, enumeration values that nobody knows: all survive here.
 */
#ifndef CR_IMAGE_WIRE_H
#define CR_IMAGE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>

/* protobuf-c and we recurse: an image nested more deeply than this is refused. Real ones have 6 levels, cgroup trees more. */
enum { WIRE_DEPTH_MAX = 100 };

struct wire {
	const uint8_t *p, *end;
};

/* One field. For lengths (type 2) data and len are the content, for the others value is. */
struct wire_field {
	uint32_t number;
	ProtobufCWireType type;
	uint64_t value;
	const uint8_t *data; /* of types 0, 1 and 5: the bytes as they stand */
	size_t len;
};

ProtobufCWireType wire_type(ProtobufCType type);
/* Return: 1 a field; 0 end; -1 these bytes are not a message. */
int wire_next(struct wire *w, struct wire_field *ret);
/* Return: false if the bytes are no varint (more than 10 bytes, or the end came first). */
bool wire_varint(struct wire *w, uint64_t *ret);

/* Does a field of this wire type hold a value of this kind? Lists may be packed, though no image has that. */
bool wire_fits(const ProtobufCFieldDescriptor *fd, ProtobufCWireType type);
/* The next value of a packed list, in the form of wire_field.value. Return: false if the bytes are none. */
bool wire_packed(const ProtobufCFieldDescriptor *fd, struct wire *w, uint64_t *ret);
/* The number in a field of a message, by name; @missing when it is not there. */
uint64_t wire_number(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len, const char *name,
		     uint64_t missing);

/* Whether every nested message of @d within the bytes is at most WIRE_DEPTH_MAX levels down. Cheap: looks at messages only. */
bool wire_depth_ok(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len);

#endif
