/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes that grow, zeroed at the start; the owner frees data. */
#ifndef CRIT_BYTES_H
#define CRIT_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct bytes {
	uint8_t *data;
	size_t len, cap;
};

/* Return: 0 or -ENOMEM with @e */
int bytes_add(struct bytes *b, const void *data, size_t len, struct cr_err *e);

#endif
