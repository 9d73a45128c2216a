/* SPDX-License-Identifier: GPL-2.0-or-later */
/* proto/hints.def as tables: how a field is printed by --pretty and what names its values have. */
#ifndef CRIT_HINTS_H
#define CRIT_HINTS_H

#include "crit.h"

enum hint_kind { HINT_NONE, HINT_HEX, HINT_DEV, HINT_ODEV, HINT_IP, HINT_FLAGS, HINT_DICT, HINT_UNIX_NAME };

enum hint_set {
	SET_NONE,
	SET_MMAP_PROT,
	SET_MMAP_FLAGS,
	SET_MMAP_STATUS,
	SET_RFILE_FLAGS,
	SET_PMAP_FLAGS,
	SET_SEALS_FLAGS,
	SET_TASK_STATE,
	SET_SK_FAMILY,
	SET_SK_TYPE,
	SET_SK_STATE,
	SET_SK_PROTO,
};

struct hint {
	const ProtobufCMessageDescriptor *message;
	const char *field;
	enum hint_kind kind;
	enum hint_set set;
};

enum { HINT_SLOTS = 1 << 11 };

/* Looked up once for each field: a pagemap has a million entries. Zeroed at the start. */
struct hint_cache {
	struct {
		const ProtobufCFieldDescriptor *field;
		const struct hint *hint;
	} slot[HINT_SLOTS];
};

/* Never NULL: kind HINT_NONE when there is no hint. @c: may be NULL */
const struct hint *hint_of(struct hint_cache *c, const ProtobufCMessageDescriptor *d,
			   const ProtobufCFieldDescriptor *fd);

/* "A | B | 0x40" */
void flags_text(enum hint_set set, uint64_t value, char *buf, size_t size);
/* The reverse; a number is not accepted. Return: whether it could be read. */
bool flags_parse(enum hint_set set, const char *text, size_t len, uint64_t *ret);
/* The name of a value, NULL if it has none. */
const char *dict_name(enum hint_set set, uint64_t value);
bool dict_value(enum hint_set set, const char *text, size_t len, uint64_t *ret);

#endif
