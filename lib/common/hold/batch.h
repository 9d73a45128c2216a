/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls in a stopped thread, made in one go, whose results are in memory of the task that is fetched in one
 * read. */
#ifndef CR_HOLD_BATCH_H
#define CR_HOLD_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hold/client.h"

enum { HOLD_BATCH_DATA = 4096 };

struct hold_batch {
	struct hold *hold;
	pid_t pid, tid;
	struct hold_scratch scratch;
	bool full; /* more was asked for than fits: hold_batch_run() fails */
	size_t n, used;
	struct hold_call calls[HOLD_CALLS_MAX];
	_Alignas(16) uint8_t data[HOLD_BATCH_DATA]; /* valid after hold_batch_run() */
};

/* Begin an empty batch. @scratch: of hold_scratch(), at least HOLD_BATCH_DATA bytes are used if it has them. */
void hold_batch_begin(struct hold_batch *b, struct hold *h, pid_t pid, pid_t tid, const struct hold_scratch *scratch);
/* Room for a result, 16-byte aligned; what is in it after a call that failed means nothing. @ret_addr: for the call.
 * Return: offset in data. */
size_t hold_batch_room(struct hold_batch *b, size_t size, uint64_t *ret_addr);
/* Add a call of up to four arguments. Return: index in calls. */
size_t hold_batch_add(struct hold_batch *b, int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3);
/* Make the calls. Return: 0 or -errno with @e; what each call said is in calls[].ret. */
int hold_batch_run(struct hold_batch *b, struct cr_err *e);
/* Of several threads side by side. Their scratch memory must not overlap. Return: 0, or -errno with @e: of the first
 * that failed. */
int hold_batch_run_many(struct hold_batch *const *b, size_t n, struct cr_err *e);

#endif
