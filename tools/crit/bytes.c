/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bytes.h"

#include <stdlib.h>
#include <string.h>

int bytes_add(struct bytes *b, const void *data, size_t len, struct cr_err *e)
{
	if (len > b->cap - b->len) {
		size_t want = 2 * b->cap + len + 4096;
		uint8_t *more = realloc(b->data, want);

		if (!more)
			return cr_err_nomem(e);
		b->data = more;
		b->cap = want;
	}
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}
