/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a kind says which calls it wants and where their results go; all kinds share one batch per
 * thread, so that a thread costs one request to the holder, one read of its scratch memory, and one stop per call.
 */
#include "hold/batch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/fd.h"

void hold_batch_begin(struct hold_batch *b, struct hold *h, pid_t pid, pid_t tid, const struct hold_scratch *scratch)
{
	b->hold = h;
	b->pid = pid;
	b->tid = tid;
	b->scratch = *scratch;
	b->full = false;
	b->n = b->used = 0;
}

size_t hold_batch_room(struct hold_batch *b, size_t size, uint64_t *ret_addr)
{
	size_t at = b->used, end = at + ((size + 15) & ~(size_t)15);

	if (end < at || end > sizeof(b->data) || end > b->scratch.len) {
		b->full = true;
		at = 0;
	} else {
		b->used = end;
	}
	*ret_addr = b->scratch.addr + at;
	return at;
}

size_t hold_batch_add(struct hold_batch *b, int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	if (b->n == HOLD_CALLS_MAX) {
		b->full = true;
		return 0;
	}
	b->calls[b->n] = (struct hold_call){ .nr = nr, .arg = { a0, a1, a2, a3 } };
	return b->n++;
}

static int transfer(struct hold_batch *b, bool write, struct cr_err *e)
{
	struct iovec here = { b->data, b->used };
	struct iovec there = { (void *)(uintptr_t)b->scratch.addr, b->used }; /* NOLINT: an address of another task */
	char object[64];
	ssize_t n;

	if (!b->used)
		return 0;
	n = write ? process_vm_writev(b->pid, &here, 1, &there, 1, 0)
		  : process_vm_readv(b->pid, &here, 1, &there, 1, 0);
	if (n == (ssize_t)b->used)
		return 0;
	snprintf(object, sizeof(object), "task %d", b->pid);
	return cr_err_set(e, CR_E_SYSTEM, n < 0 ? errno : EIO, object,
			  "cannot %s the results of system calls made in it", write ? "make room for" : "read");
}

static int prepare(struct hold_batch *b, struct cr_err *e)
{
	char object[64];

	if (b->full) {
		snprintf(object, sizeof(object), "task %d", b->pid);
		return cr_err_set(e, CR_E_HOLDER, ENOBUFS, object, "more system calls or results than one batch holds");
	}
	/* Calls that fail leave their room as it is: it must not hold results of an earlier batch. */
	memset(b->data, 0, b->used);
	return transfer(b, true, e);
}

int hold_batch_run(struct hold_batch *b, struct cr_err *e)
{
	int err = prepare(b, e);

	if (!err && b->n)
		err = hold_calls(b->hold, b->tid, b->calls, b->n, e);
	return err ? err : transfer(b, false, e);
}

int hold_batch_run_many(struct hold_batch *const *b, size_t n, struct cr_err *e)
{
	_cleanup_free_ struct hold_job *jobs = calloc(n + 1, sizeof(*jobs));
	char object[64];
	int err = jobs ? 0 : cr_err_nomem(e);

	for (size_t i = 0; i < n && !err; i++) {
		jobs[i] = (struct hold_job){ .tid = b[i]->tid, .calls = b[i]->calls, .n = b[i]->n };
		err = prepare(b[i], e);
	}
	if (!err && n)
		err = hold_calls_many(b[0]->hold, jobs, n, e);
	for (size_t i = 0; i < n && !err; i++) {
		if (jobs[i].err) {
			snprintf(object, sizeof(object), "thread %d of task %d", b[i]->tid, b[i]->pid);
			return cr_err_set(e, jobs[i].err == -ESRCH ? CR_E_TASK_GONE : CR_E_HOLDER, -jobs[i].err, object,
					  "the holder could not make system calls in it");
		}
		err = transfer(b[i], false, e);
	}
	return err;
}
