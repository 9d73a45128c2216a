/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hints.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bpfmap-file.pb-c.h"
#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "ghost-file.pb-c.h"
#include "mm.pb-c.h"
#include "mnt.pb-c.h"
#include "netdev.pb-c.h"
#include "pagemap.pb-c.h"
#include "text.h"

struct named {
	enum hint_set set;
	const char *name;
	uint32_t value;
};

static const struct hint hints[] = {
#define HINT(message, field, kind, set) { &message##__descriptor, #field, HINT_##kind, SET_##set },
#define NAMED(set, name, value)
#include "hints.def"
#undef HINT
#undef NAMED
};

static const struct named names[] = {
#define HINT(message, field, kind, set)
#define NAMED(set, name, value) { SET_##set, #name, value },
#include "hints.def"
#undef HINT
#undef NAMED
};

enum { HINTS = sizeof(hints) / sizeof(hints[0]), NAMES = sizeof(names) / sizeof(names[0]) };

static const struct hint *search(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *fd)
{
	static const struct hint none;

	for (size_t i = 0; i < HINTS; i++)
		if (hints[i].message == d && !strcmp(hints[i].field, fd->name))
			return &hints[i];
	return &none;
}

const struct hint *hint_of(struct hint_cache *c, const ProtobufCMessageDescriptor *d,
			   const ProtobufCFieldDescriptor *fd)
{
	size_t i = (uintptr_t)fd / sizeof(*fd) % HINT_SLOTS;

	if (!c)
		return search(d, fd);
	if (c->slot[i].field != fd) {
		c->slot[i].field = fd;
		c->slot[i].hint = search(d, fd);
	}
	return c->slot[i].hint;
}

void flags_text(enum hint_set set, uint64_t value, char *buf, size_t size)
{
	size_t fill = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < NAMES && fill < size; i++) {
		const struct named *n = &names[i];

		if (n->set != set || !n->value || (value & n->value) != n->value)
			continue;
		fill += snprintf(buf + fill, size - fill, "%s%s", fill ? " | " : "", n->name);
		value &= ~(uint64_t)n->value;
	}
	if (value && fill < size)
		snprintf(buf + fill, size - fill, "%s0x%" PRIx64, fill ? " | " : "", value);
}

bool dict_value(enum hint_set set, const char *text, size_t len, uint64_t *ret)
{
	for (size_t i = 0; i < NAMES; i++)
		if (names[i].set == set && strlen(names[i].name) == len && !memcmp(names[i].name, text, len)) {
			*ret = names[i].value;
			return true;
		}
	return false;
}

const char *dict_name(enum hint_set set, uint64_t value)
{
	for (size_t i = 0; i < NAMES; i++)
		if (names[i].set == set && names[i].value == value)
			return names[i].name;
	return NULL;
}

static bool flag_value(enum hint_set set, const char *text, size_t len, uint64_t *ret)
{
	struct integer n;

	if (dict_value(set, text, len, ret))
		return true;
	if (!integer_parse(text, len, &n) || n.negative)
		return false;
	*ret = n.value;
	return true;
}

bool flags_parse(enum hint_set set, const char *text, size_t len, uint64_t *ret)
{
	const char *end = text + len;
	uint64_t all = 0, one;

	while (text < end) {
		const char *bar = memchr(text, '|', end - text), *stop = bar ? bar : end, *last = stop;

		while (text < last && *text == ' ')
			text++;
		while (last > text && last[-1] == ' ')
			last--;
		if (!flag_value(set, text, last - text, &one))
			return false;
		all |= one;
		text = stop + (bar != NULL);
	}
	*ret = all;
	return true;
}
