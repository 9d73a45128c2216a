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

enum { FETCH_MAX = 64 };

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

static int check(const struct hold_batch *b, struct cr_err *e)
{
	char object[64];

	if (!b->full)
		return 0;
	snprintf(object, sizeof(object), "task %d", b->pid);
	return cr_err_set(e, CR_E_HOLDER, ENOBUFS, object, "more system calls or results than one batch holds");
}

/* Results of @n batches in one address space. */
static int fetch(struct hold_batch *const *b, size_t n, struct cr_err *e)
{
	struct iovec here[FETCH_MAX], there[FETCH_MAX];
	size_t all = 0, k = 0;
	char object[64];
	ssize_t got;

	for (size_t i = 0; i < n; i++) {
		if (!b[i]->used)
			continue;
		here[k] = (struct iovec){ b[i]->data, b[i]->used };
		there[k++] =
			(struct iovec){ (void *)(uintptr_t)b[i]->scratch.addr, b[i]->used }; /* NOLINT: of the task */
		all += b[i]->used;
	}
	if (!all)
		return 0;
	got = process_vm_readv(b[0]->pid, here, k, there, k, 0);
	if (got == (ssize_t)all)
		return 0;
	snprintf(object, sizeof(object), "task %d", b[0]->pid);
	return cr_err_set(e, got < 0 ? CR_E_SYSTEM : CR_E_PAGE_READ, got < 0 ? errno : EIO, object,
			  "cannot read the results of system calls made in it");
}

int hold_batch_run(struct hold_batch *b, struct cr_err *e)
{
	int err = check(b, e);

	if (!err && b->n)
		err = hold_calls(b->hold, b->tid, b->calls, b->n, e);
	return err ? err : fetch(&b, 1, e);
}

int hold_batch_run_many(struct hold_batch *const *b, size_t n, struct cr_err *e)
{
	_cleanup_free_ struct hold_job *jobs = calloc(n + 1, sizeof(*jobs));
	char object[64];
	int err = jobs ? 0 : cr_err_nomem(e);

	for (size_t i = 0; i < n && !err; i++) {
		jobs[i] = (struct hold_job){ .tid = b[i]->tid, .calls = b[i]->calls, .n = b[i]->n };
		err = check(b[i], e);
	}
	if (!err && n)
		err = hold_calls_many(b[0]->hold, jobs, n, e);
	for (size_t i = 0; i < n && !err; i++) {
		if (!jobs[i].err)
			continue;
		snprintf(object, sizeof(object), "thread %d of task %d", b[i]->tid, b[i]->pid);
		return cr_err_set(e, jobs[i].err == -ESRCH ? CR_E_TASK_GONE : CR_E_INJECTION, -jobs[i].err, object,
				  "the holder could not make system calls in it");
	}
	for (size_t i = 0, same; i < n && !err; i += same) {
		for (same = 1; same < FETCH_MAX && i + same < n && b[i + same]->pid == b[i]->pid;)
			same++;
		err = fetch(b + i, same, e);
	}
	return err;
}
