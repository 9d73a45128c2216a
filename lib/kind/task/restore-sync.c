/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the tasks of a restore meet: futex words in memory that all share. A task that fails fills the one error record,
 * wakes the main process and ends; the main process kills the others, so nobody has to be told.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blob/restorer-abi.h"
#include "kind/restore.h"

void rst_wake(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

int rst_wait(struct rst *r, uint32_t *word, uint32_t value)
{
	uint32_t now;

	while ((now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) < value) {
		if (__atomic_load_n(&r->shared->failed, __ATOMIC_ACQUIRE))
			return -ECANCELED;
		syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
	}
	return 0;
}

void rst_fail(struct rst *r, const struct cr_err *e)
{
	uint32_t none = 0;

	if (__atomic_compare_exchange_n(&r->shared->failed, &none, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		r->shared->err = *e;
		__atomic_store_n(&r->shared->ready, 1, __ATOMIC_RELEASE);
	}
	rst_wake(&r->sync->failed, 1);
	syscall(SYS_futex, &r->sync->count, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	if (getpid() != r->main_pid)
		_exit(1);
}
