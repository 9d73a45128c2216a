/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * seccomp.img has all filters of the tree; each names the one it was stacked on (`prev`), a thread names its newest. A
 * thread installs its chain from the oldest on. The tracer has PTRACE_O_SUSPEND_SECCOMP set on it by then, so that
 * neither the filters nor strict mode judge what the blob still has to do; they come into force when the tracer lets
 * go. They are installed before capabilities are dropped, because without no_new_privs that needs CAP_SYS_ADMIN
 * (seccomp(2)).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "core.pb-c.h"
#include "kind/restore-task.h"
#include "seccomp.pb-c.h"

enum { CHAIN_MAX = 512 };

static uint32_t mode_of(const ThreadCoreEntry *th)
{
	return th->has_seccomp_mode ? (uint32_t)th->seccomp_mode : SECCOMP_MODE_DISABLED;
}

int seccomp_check(const ThreadCoreEntry *th, const SeccompEntry *se, const char *who, struct cr_err *e)
{
	uint32_t mode = mode_of(th), at, n = 0;

	if (mode == SECCOMP_MODE_DISABLED || mode == SECCOMP_MODE_STRICT)
		return 0;
	if (mode != SECCOMP_MODE_FILTER || !th->has_seccomp_filter)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, who, "seccomp mode %u without a filter", mode);
	for (at = th->seccomp_filter;; at = se->seccomp_filters[at]->prev, n++) {
		const SeccompFilter *f;

		if (!se || at >= se->n_seccomp_filters)
			return cr_err_set(e, CR_E_IMG_REF, 0, who, "seccomp filter %u is not in seccomp.img", at);
		f = se->seccomp_filters[at];
		if (n >= CHAIN_MAX || (f->has_prev && f->prev >= at))
			return cr_err_set(e, CR_E_IMG_CORRUPT, 0, "seccomp.img", "the chain of filter %u does not end",
					  at);
		if (!f->filter.len || f->filter.len % sizeof(struct sock_filter) || f->filter.len > BPF_MAXINSNS * 8u)
			return cr_err_set(e, CR_E_IMG_CORRUPT, 0, "seccomp.img", "filter %u has %zu bytes", at,
					  f->filter.len);
		if (f->has_flags && f->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
			return cr_err_set(e, CR_E_SECCOMP_NOTIFY, 0, who,
					  "seccomp filter %u hands calls to a supervisor", at);
		if (!f->has_prev)
			return 0;
	}
}

/* Filter @at and all below it, oldest first; seccomp_check() has bounded the chain. */
static void emit_chain(struct rst_prog *p, const SeccompEntry *se, uint32_t at)
{
	uint32_t chain[CHAIN_MAX], n = 0;

	for (;; at = se->seccomp_filters[at]->prev) {
		chain[n++] = at;
		if (!se->seccomp_filters[at]->has_prev || n == CHAIN_MAX)
			break;
	}
	while (n--) {
		const SeccompFilter *f = se->seccomp_filters[chain[n]];
		struct sock_fprog prog = { .len = (unsigned short)(f->filter.len / sizeof(struct sock_filter)) };
		/* The pointer inside is relocated by an operation on its own: see RST_OP_POINTER. */
		uint64_t code = prog_data(p, f->filter.data, f->filter.len),
			 at_prog = prog_data(p, &prog, sizeof(prog));

		prog_op(p, RST_OP_POINTER, "seccomp filter",
			PROG_ARGS(at_prog + offsetof(struct sock_fprog, filter), code));
		prog_sys_data(p, "seccomp filter", 1 << 2, SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			      f->has_flags ? f->flags : 0, at_prog);
	}
}

void seccomp_emit(struct rst_prog *p, const ThreadCoreEntry *th, const SeccompEntry *se)
{
	uint32_t mode = mode_of(th);

	if (mode == SECCOMP_MODE_STRICT)
		prog_sys(p, "seccomp strict mode", SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	else if (mode == SECCOMP_MODE_FILTER)
		emit_chain(p, se, th->seccomp_filter);
}
