/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "payload.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "image/wire.h"
#include "ipc-msg.pb-c.h"

const ProtobufCMessageDescriptor *const payload_msg_descriptor = &ipc_msg__descriptor;

unsigned int payload_padding(uint64_t len, unsigned int align)
{
	return -len & (align - 1);
}

bool payload_of(enum img_type type, unsigned long entry, const uint8_t *data, size_t len, struct payload *ret)
{
	const struct img_info *info = &img_table[type];
	const ProtobufCMessageDescriptor *d = img_descriptor(type, entry);
	struct payload p = { 0 };

	switch (info->payload) {
	case IMG_NOPL:
		return false;
	case IMG_PL_FIELD:
		p.len = (uint32_t)wire_number(d, data, len, info->payload_field, 0);
		break;
	case IMG_PL_TCP:
		p.inq = (uint32_t)wire_number(d, data, len, "inq_len", 0);
		p.len = p.inq + (uint32_t)wire_number(d, data, len, "outq_len", 0);
		break;
	case IMG_PL_SHM:
		if (!wire_number(d, data, len, "in_pagemaps", 0))
			p.len = wire_number(d, data, len, "size", 0);
		p.padding = payload_padding(p.len, 4);
		break;
	case IMG_PL_SEM:
		p.len = 2 * (uint64_t)(uint32_t)wire_number(d, data, len, "nsems", 0);
		p.padding = payload_padding(p.len, 8);
		break;
	case IMG_PL_MSG:
		p.messages = (uint32_t)wire_number(d, data, len, "qnum", 0);
		break;
	case IMG_PL_GHOST:
		p.len = PAYLOAD_REST;
		if (entry)
			p.len = wire_number(d, data, len, "len", 0);
		else if (wire_number(d, data, len, "chunks", 0))
			return false;
		break;
	case IMG_PL_BPF:
		p.len = (uint32_t)wire_number(d, data, len, "keys_bytes", 0);
		p.len += (uint32_t)wire_number(d, data, len, "values_bytes", 0);
		break;
	}
	*ret = p;
	return true;
}

int payload_skip(struct img_reader *r, uint64_t len, uint64_t *ret, struct cr_err *e)
{
	_cleanup_free_ uint8_t *piece = NULL;
	enum { PIECE = 64 << 10 };
	ssize_t n;

	*ret = len;
	if (len != PAYLOAD_REST)
		return img_skip(r, len, e);
	if (r->size >= 0) {
		*ret = r->size > r->pos ? r->size - r->pos : 0;
		return img_skip(r, *ret, e);
	}
	piece = malloc(PIECE);
	if (!piece)
		return cr_err_nomem(e);
	*ret = 0;
	while ((n = img_read(r, piece, PIECE, e)) > 0)
		*ret += n;
	return n;
}

int payload_get_msg(struct img_reader *r, const uint8_t **ret_data, size_t *ret_len, uint64_t *ret_size,
		    struct cr_err *e)
{
	int ret;

	ret = img_get_packed(r, ret_data, ret_len, e);
	if (ret <= 0)
		return ret ? ret : img_bad(r, e, "ends before all messages of its queue are there");
	r->entry--;
	*ret_size = (uint32_t)wire_number(payload_msg_descriptor, *ret_data, *ret_len, "msize", 0);
	return 0;
}

int payload_skip_all(struct img_reader *r, const uint8_t *data, size_t len, struct cr_err *e)
{
	uint64_t size, skipped;
	struct payload p;
	int ret;

	if (!payload_of(r->type, r->entry - 1, data, len, &p))
		return 0;
	for (; p.messages; p.messages--) {
		ret = payload_get_msg(r, &data, &len, &size, e);
		if (!ret)
			ret = img_skip(r, size + payload_padding(size, 8), e);
		if (ret < 0)
			return ret;
	}
	ret = payload_skip(r, p.len, &skipped, e);
	return ret ? ret : img_skip(r, p.padding, e);
}
