/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of image types, made from proto/images.def, and the ways to find a type: by name, by magic. */
#include "image/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apparmor.pb-c.h"
#include "autofs.pb-c.h"
#include "binfmt-misc.pb-c.h"
#include "bpfmap-data.pb-c.h"
#include "cgroup.pb-c.h"
#include "core.pb-c.h"
#include "cpuinfo.pb-c.h"
#include "fdinfo.pb-c.h"
#include "file-lock.pb-c.h"
#include "fs.pb-c.h"
#include "ghost-file.pb-c.h"
#include "inventory.pb-c.h"
#include "ipc-msg.pb-c.h"
#include "ipc-sem.pb-c.h"
#include "ipc-shm.pb-c.h"
#include "ipc-var.pb-c.h"
#include "mm.pb-c.h"
#include "mnt.pb-c.h"
#include "netdev.pb-c.h"
#include "pagemap.pb-c.h"
#include "pidns.pb-c.h"
#include "pipe-data.pb-c.h"
#include "pstree.pb-c.h"
#include "remap-file-path.pb-c.h"
#include "seccomp.pb-c.h"
#include "sk-packet.pb-c.h"
#include "stats.pb-c.h"
#include "tcp-stream.pb-c.h"
#include "timens.pb-c.h"
#include "userns.pb-c.h"
#include "utsns.pb-c.h"

#define M(message) &message##__descriptor

const struct img_info img_table[IMG_TYPES] = {
#define IMAGE(ROW, NAME, FORMAT, MAGIC, HEAD, FIRST, REST, PAYLOAD, FIELD, WRITER) \
	[IMG_##ROW] = { NAME, FORMAT, MAGIC, IMG_HEAD_##HEAD, FIRST, REST, IMG_##PAYLOAD, FIELD, WRITER },
#include "images.def"
#undef IMAGE
};

/* Formats are data here, so they are expanded by hand: text, one number, text. */
const char *img_name(enum img_type type, unsigned long id, char buf[IMG_NAME_MAX])
{
	const char *format = img_table[type].format, *percent = strchr(format, '%'), *rest;

	if (!percent) {
		snprintf(buf, IMG_NAME_MAX, "%s", format);
		return buf;
	}
	rest = percent + strcspn(percent, "ux") + 1;
	if (rest[-1] == 'x')
		snprintf(buf, IMG_NAME_MAX, "%.*s%lx%s", (int)(percent - format), format, id, rest);
	else
		snprintf(buf, IMG_NAME_MAX, "%.*s%lu%s", (int)(percent - format), format, id, rest);
	return buf;
}

bool img_parse_name(const char *name, enum img_type *ret_type, unsigned long *ret_id)
{
	char again[IMG_NAME_MAX];

	for (int t = 0; t < IMG_TYPES; t++) {
		const char *percent = strchr(img_table[t].format, '%');
		size_t prefix = percent ? (size_t)(percent - img_table[t].format) : 0;
		unsigned long id = 0;

		if (percent) {
			if (strncmp(name, img_table[t].format, prefix))
				continue;
			id = strtoul(name + prefix, NULL, percent[1] == 'x' ? 16 : 10);
		}
		/* Written again it must be the same: that refuses signs, leading zeros and overflow. */
		if (strcmp(img_name(t, id, again), name))
			continue;
		*ret_type = t;
		*ret_id = id;
		return true;
	}
	return false;
}

enum img_type img_by_magic(uint32_t magic)
{
	if (magic)
		for (int t = 0; t < IMG_TYPES; t++)
			if (img_table[t].magic == magic)
				return t;
	return IMG_TYPES;
}

enum img_type img_by_printed_name(const char *name)
{
	for (int t = 0; t < IMG_TYPES; t++)
		if (img_table[t].magic && !strcmp(img_table[t].name, name))
			return t;
	return IMG_TYPES;
}

const ProtobufCMessageDescriptor *img_descriptor(enum img_type type, unsigned long entry)
{
	return entry ? img_table[type].rest : img_table[type].first;
}
