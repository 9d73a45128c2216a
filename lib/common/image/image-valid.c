/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must hold of a message by itself. Readers behind img_get() may rely on all of this: lists have the length of the
 * kernel's tables, so that they can be copied; ranges are in order, so that sizes do not wrap; enumerations are known,
 * so that a switch is complete. What CRIU 3.x and 4.x wrote passes, old forms too. What needs a second message or
 * image (ids that must exist) is for who reads both.
 */
#include "image-valid.h"

#include <stdarg.h>
#include <stdio.h>

bool img_invalid(char why[VALID_WHY], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, VALID_WHY, fmt, ap);
	va_end(ap);
	return false;
}

static bool own_check(const ProtobufCMessage *m, char why[VALID_WHY])
{
	static const struct validator *const groups[] = { img_valid_task, img_valid_mem, img_valid_file, img_valid_ns };

	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
		for (const struct validator *v = groups[g]; v->message; v++)
			if (v->message == m->descriptor)
				return v->check(m, why);
	return true;
}

static bool known_enum(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *fd, int value, char why[VALID_WHY])
{
	if (protobuf_c_enum_descriptor_get_value(fd->descriptor, value))
		return true;
	return img_invalid(why, "%s.%s: %d is no %s", m->descriptor->name, fd->name, value,
			   ((const ProtobufCEnumDescriptor *)fd->descriptor)->name);
}

/* A repeated field of enumerations exists in no image; of messages in many. */
static bool list_ok(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *fd, char why[VALID_WHY])
{
	size_t n = *(const size_t *)((const char *)m + fd->quantifier_offset);
	ProtobufCMessage *const *list = *(ProtobufCMessage *const *const *)((const char *)m + fd->offset);

	if (fd->type != PROTOBUF_C_TYPE_MESSAGE)
		return true;
	for (size_t i = 0; i < n; i++)
		if (!img_valid(list[i], why))
			return false;
	return true;
}

static bool field_ok(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *fd, char why[VALID_WHY])
{
	const char *at = (const char *)m + fd->offset;
	const ProtobufCMessage *sub;

	if (fd->label == PROTOBUF_C_LABEL_REPEATED)
		return list_ok(m, fd, why);
	if (fd->type == PROTOBUF_C_TYPE_MESSAGE) {
		sub = *(const ProtobufCMessage *const *)at;
		return !sub || img_valid(sub, why);
	}
	if (fd->type != PROTOBUF_C_TYPE_ENUM)
		return true;
	/* An optional one that is absent has its default, or 0, which need not be a name of the enumeration. */
	if (fd->label == PROTOBUF_C_LABEL_OPTIONAL &&
	    !*(const protobuf_c_boolean *)((const char *)m + fd->quantifier_offset))
		return true;
	return known_enum(m, fd, *(const int *)at, why);
}

bool img_valid(const ProtobufCMessage *message, char why[160])
{
	const ProtobufCMessageDescriptor *d = message->descriptor;

	for (unsigned int i = 0; i < d->n_fields; i++)
		if (!field_ok(message, &d->fields[i], why))
			return false;
	return own_check(message, why);
}
