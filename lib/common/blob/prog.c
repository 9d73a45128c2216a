/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "blob/prog.h"

#include <stdlib.h>
#include <string.h>

static struct rst_op scratch; /* written to when memory ran out, never read */

struct rst_op *prog_op(struct rst_prog *p, enum rst_opcode op, const char *label, const uint64_t a[6])
{
	struct rst_op *o;

	if (p->nr == p->cap) {
		uint32_t cap = p->cap ? p->cap * 2 : 64;
		struct rst_op *v = realloc(p->ops, (size_t)cap * sizeof(*v));

		if (!v) {
			p->nomem = true;
			return &scratch;
		}
		p->ops = v;
		p->cap = cap;
	}
	o = &p->ops[p->nr++];
	*o = (struct rst_op){ .op = (uint8_t)op, .label = (uintptr_t)label };
	if (a)
		memcpy(o->a, a, sizeof(o->a));
	return o;
}

struct rst_op *prog_call(struct rst_prog *p, const char *label, unsigned flags, unsigned reloc, uint32_t nr,
			 const uint64_t a[6])
{
	struct rst_op *o = prog_op(p, RST_OP_SYS, label, a);

	o->nr = nr;
	o->flags = (uint8_t)flags;
	o->reloc = (uint8_t)reloc;
	return o;
}

uint64_t prog_data(struct rst_prog *p, const void *data, size_t len)
{
	uint32_t at = (p->data_len + 15) & ~15u;

	if (len > UINT32_MAX / 4 || at + len > p->data_cap) {
		uint32_t cap = len > UINT32_MAX / 4 ? 0 : (uint32_t)(at + len) * 2 + 1024;
		uint8_t *v = cap ? realloc(p->data, cap) : NULL;

		if (!v) {
			p->nomem = true;
			return 0;
		}
		p->data = v;
		p->data_cap = cap;
	}
	memset(p->data + p->data_len, 0, at - p->data_len);
	if (len) /* with no data there may be no pointer */
		memcpy(p->data + at, data, len);
	p->data_len = at + (uint32_t)len;
	return at;
}

void prog_free(struct rst_prog *p)
{
	free(p->ops);
	free(p->data);
	*p = (struct rst_prog){};
}
