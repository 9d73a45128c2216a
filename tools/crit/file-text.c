/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files in one line each. */
#include "checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "fdinfo.pb-c.h"

static const char *type_name(uint32_t type)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, (int)type);

	return v ? v->name : "?";
}

const char *unix_name_text(const struct checkpoint *c, const UnixSkEntry *sk, char *buf, size_t size)
{
	const uint8_t *p = sk->name.data;
	size_t len = sk->name.len, abstract = len && !p[0];

	while (len && !abstract && !p[len - 1]) /* paths end with NUL */
		len--;
	if (abstract)
		*buf = '@';
	name_text(c, p + abstract, len - abstract, buf + abstract, size - abstract);
	return buf;
}

const char *checkpoint_file_text(const struct checkpoint *c, uint32_t type, uint32_t id, char *buf, size_t size)
{
	const void *entry = checkpoint_file(c, type, id);
	const RegFileEntry *reg = entry;
	const PipeEntry *pipe = entry;
	const UnixSkEntry *sk = entry;
	char name[512];

	if (entry && type == FD_TYPES__REG)
		return name_text(c, reg->name, strlen(reg->name), buf, size);
	if (entry && type == FD_TYPES__PIPE) {
		snprintf(buf, size, "pipe[%u]", pipe->pipe_id);
	} else if (entry && type == FD_TYPES__UNIXSK) {
		snprintf(buf, size, "unix[%u (%u) %s]", sk->ino, sk->peer, unix_name_text(c, sk, name, sizeof(name)));
	} else {
		snprintf(buf, size, "%s.%u", type_name(type), id);
	}
	return buf;
}
