/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * All signals stay blocked until the tracer sets the final mask, so nothing here is delivered too early. Handlers come
 * before queued signals: setting a handler to "ignore" throws queued ones away. A task may send itself a signal with
 * any siginfo (rt_sigqueueinfo(2): si_code >= 0 is allowed to oneself only), which is why each thread queues its own,
 * and the leader those of the process.
 *
 * The image holds 62 actions: signals 1 to 64 without SIGKILL and SIGSTOP.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "core.pb-c.h"
#include "kind/restore-task.h"

enum { NSIG_ALL = 64, SIGINFO_SIZE = 128, SS_AUTODISARM_BIT = 1u << 31 };

/* struct sigaction of the system call (not libc's). */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

static int check_queue(const SignalQueueEntry *q, const char *who, struct cr_err *e)
{
	int32_t signo;

	for (size_t i = 0; q && i < q->n_signals; i++) {
		if (q->signals[i]->siginfo.len != SIGINFO_SIZE)
			return cr_err_set(e, CR_E_IMG_CORRUPT, 0, who, "a queued signal has %zu bytes, not %d",
					  q->signals[i]->siginfo.len, SIGINFO_SIZE);
		memcpy(&signo, q->signals[i]->siginfo.data, sizeof(signo));
		if (signo < 1 || signo > NSIG_ALL)
			return cr_err_set(e, CR_E_IMG_CORRUPT, 0, who, "a queued signal has number %d", signo);
	}
	return 0;
}

int sig_check(const CoreEntry *core, const char *who, struct cr_err *e)
{
	int err = 0;

	if (core->tc)
		err = check_queue(core->tc->signals_s, who, e);
	if (!err && core->thread_core)
		err = check_queue(core->thread_core->signals_p, who, e);
	return err;
}

void sig_emit_actions(struct rst_prog *p, const struct rst_own *own, const TaskCoreEntry *tc)
{
	size_t i = 0;

	for (int sig = 1; sig <= NSIG_ALL && i < tc->n_sigactions; sig++) {
		const SaEntry *sa;
		struct kernel_sigaction k;

		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		sa = tc->sigactions[i++];
		k = (struct kernel_sigaction){ sa->sigaction, sa->flags, sa->restorer, sa->mask };
		if (!k.handler && !k.flags && !k.mask && !(own->sig_not_default >> (sig - 1) & 1))
			continue;
		prog_sys_data(p, "signal handler", 1 << 1, SYS_rt_sigaction, (uint64_t)sig, prog_data(p, &k, sizeof(k)),
			      0, 8);
	}
}

void sig_emit_shared(struct rst_prog *p, pid_t pid, const TaskCoreEntry *tc)
{
	for (size_t i = 0; tc->signals_s && i < tc->signals_s->n_signals; i++) {
		const ProtobufCBinaryData *b = &tc->signals_s->signals[i]->siginfo;
		int32_t signo;

		memcpy(&signo, b->data, sizeof(signo));
		prog_sys_data(p, "queued signal of the process", 1 << 2, SYS_rt_sigqueueinfo, (uint64_t)pid,
			      (uint64_t)signo, prog_data(p, b->data, b->len));
	}
}

void sig_emit_thread(struct rst_prog *p, pid_t pid, pid_t tid, const ThreadCoreEntry *th)
{
	if (th->sas && !(th->sas->ss_flags & SS_DISABLE)) {
		stack_t ss = { .ss_sp = (void *)th->sas->ss_sp, .ss_size = th->sas->ss_size };

		/* SS_ONSTACK is no setting: the registers make it true again. */
		ss.ss_flags = (int)(th->sas->ss_flags & SS_AUTODISARM_BIT);
		prog_sys_data(p, "alternate signal stack", 1 << 0, SYS_sigaltstack, prog_data(p, &ss, sizeof(ss)));
	}
	for (size_t i = 0; th->signals_p && i < th->signals_p->n_signals; i++) {
		const ProtobufCBinaryData *b = &th->signals_p->signals[i]->siginfo;
		int32_t signo;

		memcpy(&signo, b->data, sizeof(signo));
		prog_sys_data(p, "queued signal of the thread", 1 << 3, SYS_rt_tgsigqueueinfo, (uint64_t)pid,
			      (uint64_t)tid, (uint64_t)signo, prog_data(p, b->data, b->len));
	}
}
