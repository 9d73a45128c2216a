/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * Handlers belong to the process: 62 entries, signals 1 to 64 without SIGKILL and SIGSTOP. /proc tells which are caught
 * or ignored; only those are asked in the task, and SIGCHLD, whose SA_NOCLDWAIT matters with the default action too.
 * The mask is the one that ptrace shows (within sigsuspend: the one that comes back). Pending signals are asked of the
 * holder (PTRACE_PEEKSIGINFO leaves them queued); a signal that was sent when the queue was full has only its bit, and
 * is given the siginfo with which the kernel would deliver it (SI_USER from pid 0). The alternate stack is asked on the
 * holder's frame, so SS_ONSTACK says nothing about the thread and is dropped; the kernel derives it from the stack
 * pointer.
 */
#include "kind/sig/sig-dump.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "kind/parasite.h"

enum { NR_SIGNALS = 64, NR_ACTIONS = 62, SIGINFO_BYTES = 128 };

struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

struct kernel_sigstack {
	uint64_t sp;
	int32_t flags, pad;
	uint64_t size;
};

struct sig_priv {
	size_t stack_call, stack_room;
	size_t call[NR_SIGNALS + 1], room[NR_SIGNALS + 1];
	uint64_t asked; /* bit n - 1: signal n */
};

static inline uint64_t bit(int sig)
{
	return 1ull << (sig - 1);
}

static int sig_ask(struct para_thread *t, struct hold_batch *b, void *priv, struct cr_err *e)
{
	struct sig_priv *k = priv;
	uint64_t at;

	k->stack_room = hold_batch_room(b, sizeof(struct kernel_sigstack), &at);
	k->stack_call = hold_batch_add(b, SYS_sigaltstack, 0, at, 0, 0);
	if (!t->leader)
		return 0;
	k->asked = (t->status->sig_cgt | t->status->sig_ign | bit(SIGCHLD)) & ~bit(SIGKILL) & ~bit(SIGSTOP);
	for (int sig = 1; sig <= NR_SIGNALS; sig++) {
		if (!(k->asked & bit(sig)))
			continue;
		k->room[sig] = hold_batch_room(b, sizeof(struct kernel_sigaction), &at);
		k->call[sig] = hold_batch_add(b, SYS_rt_sigaction, (uint64_t)sig, 0, at, sizeof(uint64_t));
	}
	return 0;
}

static int failed(const struct para_thread *t, int64_t ret, const char *what, struct cr_err *e)
{
	char name[128];

	return cr_err_set(e, CR_E_SYSTEM, (int)-ret, para_name(t, name), "%s failed in it", what);
}

static int actions(struct para_thread *t, const struct hold_batch *b, const struct sig_priv *k, TaskCoreEntry *tc,
		   struct cr_err *e)
{
	SaEntry *v = arena_calloc(t->arena, NR_ACTIONS, sizeof(*v));
	SaEntry **list = arena_calloc(t->arena, NR_ACTIONS, sizeof(*list));
	size_t n = 0;

	if (!v || !list)
		return cr_err_nomem(e);
	for (int sig = 1; sig <= NR_SIGNALS; sig++) {
		struct kernel_sigaction sa = { 0 };
		SaEntry *s = &v[n];

		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		if (k->asked & bit(sig)) {
			if (b->calls[k->call[sig]].ret < 0)
				return failed(t, b->calls[k->call[sig]].ret, "rt_sigaction", e);
			memcpy(&sa, b->data + k->room[sig], sizeof(sa));
		}
		sa_entry__init(s);
		s->sigaction = sa.handler;
		s->flags = sa.flags;
		s->restorer = sa.restorer;
		s->mask = sa.mask;
		s->has_compat_sigaction = true;
		if (sa.handler > 1 && !(sa.flags & SA_RESTART)) /* neither SIG_DFL nor SIG_IGN */
			t->p->sa_no_restart |= bit(sig);
		list[n++] = s;
	}
	tc->n_sigactions = n;
	tc->sigactions = list;
	return 0;
}

static int put_signal(struct para_thread *t, SiginfoEntry *s, const siginfo_t *info, struct cr_err *e)
{
	siginfo_entry__init(s);
	s->siginfo.len = SIGINFO_BYTES;
	s->siginfo.data = arena_alloc(t->arena, SIGINFO_BYTES);
	if (!s->siginfo.data)
		return cr_err_nomem(e);
	memcpy(s->siginfo.data, info, SIGINFO_BYTES);
	return 0;
}

/* Pending signals of the process or the thread. @pending: what /proc says */
static int queue(struct para_thread *t, bool shared, uint64_t pending, SignalQueueEntry **ret, struct cr_err *e)
{
	SignalQueueEntry *q = arena_alloc(t->arena, sizeof(*q));
	_cleanup_free_ siginfo_t *info = NULL;
	ssize_t n = 0;
	SiginfoEntry *v;
	int err = 0;

	_Static_assert(sizeof(siginfo_t) == SIGINFO_BYTES, "siginfo_t is an interface");
	if (!q)
		return cr_err_nomem(e);
	signal_queue_entry__init(q);
	*ret = q;
	if (!pending)
		return 0;
	n = hold_sigqueue(t->p->hold, t->tid, shared, &info, e);
	if (n < 0)
		return (int)n;
	v = arena_calloc(t->arena, (size_t)n + NR_SIGNALS, sizeof(*v));
	q->signals = arena_calloc(t->arena, (size_t)n + NR_SIGNALS, sizeof(*q->signals));
	if (!v || !q->signals)
		return cr_err_nomem(e);
	for (ssize_t i = 0; i < n && !err; i++) {
		if (info[i].si_signo >= 1 && info[i].si_signo <= NR_SIGNALS)
			pending &= ~bit(info[i].si_signo);
		q->signals[q->n_signals] = &v[q->n_signals];
		err = put_signal(t, &v[q->n_signals++], &info[i], e);
	}
	for (int sig = 1; sig <= NR_SIGNALS && !err; sig++) {
		siginfo_t bare = { .si_signo = sig };

		if (!(pending & bit(sig)))
			continue;
		q->signals[q->n_signals] = &v[q->n_signals];
		err = put_signal(t, &v[q->n_signals++], &bare, e);
	}
	return err;
}

static int alt_stack(struct para_thread *t, const struct hold_batch *b, const struct sig_priv *k, struct cr_err *e)
{
	ThreadSasEntry *s = arena_alloc(t->arena, sizeof(*s));
	struct kernel_sigstack st;

	if (!s)
		return cr_err_nomem(e);
	if (b->calls[k->stack_call].ret < 0)
		return failed(t, b->calls[k->stack_call].ret, "sigaltstack", e);
	memcpy(&st, b->data + k->stack_room, sizeof(st));
	thread_sas_entry__init(s);
	s->ss_sp = st.sp;
	s->ss_size = st.size;
	s->ss_flags = (uint32_t)(st.flags & ~SS_ONSTACK);
	t->core->thread_core->sas = s;
	return 0;
}

static int sig_fill(struct para_thread *t, const struct hold_batch *b, const void *priv, struct cr_err *e)
{
	const struct sig_priv *k = priv;
	ThreadCoreEntry *th = t->core->thread_core;
	TaskCoreEntry *tc = t->core->tc;
	int err = alt_stack(t, b, k, e);

	if (!err)
		err = queue(t, false, t->status->sig_pnd, &th->signals_p, e);
	if (err)
		return err;
	if (!t->leader) {
		th->has_blk_sigset = true;
		th->blk_sigset = t->regs->sigmask;
		return 0;
	}
	tc->blk_sigset = t->regs->sigmask;
	err = queue(t, true, t->status->shd_pnd, &tc->signals_s, e);
	return err ? err : actions(t, b, k, tc, e);
}

const struct para_hook sig_para_hook = { "sig", sig_ask, sig_fill, sizeof(struct sig_priv),
					 "before core, which needs the handlers" };
