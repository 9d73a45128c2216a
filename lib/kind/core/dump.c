/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * The holder gives registers as they were when the thread stopped, before any call was made in it. An interrupted
 * system call is brought to its end here (bare restart.h), which depends on the signals that wait for the thread and on
 * their handlers: so this runs after the kind `sig`. A thread in the middle of a restartable sequence goes on at the
 * abort handler. The clear_child_tid address has to be asked in the thread (PR_GET_TID_ADDRESS,
 * CONFIG_CHECKPOINT_RESTORE).
 */
#include "kind/core/core.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "bare/arch/x86_64/restart.h"
#include "core.pb-c.h"
#include "kind/core/core-dump.h"
#include "kind/parasite.h"

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

const char *para_name(const struct para_thread *t, char buf[128])
{
	if (t->leader)
		snprintf(buf, 128, "task %d (%.48s)", t->p->pid, t->p->stat.comm);
	else
		snprintf(buf, 128, "thread %d of task %d (%.48s)", t->tid, t->p->pid, t->p->stat.comm);
	return buf;
}

int para_refuse(const struct para_thread *t, struct cr_err *e)
{
	char name[128], object[sizeof(e->object)];

	para_name(t, name);
	snprintf(object, sizeof(object), "%s%s%.48s", name, *e->object ? ", " : "", e->object);
	memcpy(e->object, object, sizeof(object));
	return cr_report_add(t->p->refusals, e);
}

struct core_priv {
	size_t tid_call, tid_room;
};

static int core_ask(struct para_thread *t, struct hold_batch *b, void *priv, struct cr_err *e)
{
	struct core_priv *k = priv;
	uint64_t at;

	k->tid_room = hold_batch_room(b, sizeof(uint64_t), &at);
	k->tid_call = hold_batch_add(b, SYS_prctl, PR_GET_TID_ADDRESS, at, 0, 0);
	return 0;
}

/* What will the signal that is delivered first do to a system call? */
static enum restart_signal next_signal(const struct para_thread *t)
{
	const struct proc_status *s = t->status;
	uint64_t own = s->sig_pnd & ~t->regs->sigmask, shared = s->shd_pnd & ~t->regs->sigmask;
	uint64_t first = own ? own & -own : shared & -shared;

	if (!(first & s->sig_cgt))
		return RESTART_NO_HANDLER;
	return first & t->p->sa_no_restart ? RESTART_EINTR : RESTART_HANDLER;
}

static void fix_rseq(const struct para_thread *t, uint64_t gpr[GPR_COUNT])
{
	uint64_t cs[4]; /* struct rseq_cs */
	struct iovec here = { cs, sizeof(cs) };
	struct iovec there = { (void *)(uintptr_t)t->regs->rseq_cs, sizeof(cs) }; /* NOLINT: of another task */

	/* A pointer that leads nowhere is the task's own bug: the kernel sends it SIGSEGV, here or after a restore. */
	if (t->regs->rseq_cs && process_vm_readv(t->p->pid, &here, 1, &there, 1, 0) == (ssize_t)sizeof(cs))
		restart_rseq(gpr, cs);
}

static int rseq_entry(const struct para_thread *t, ThreadCoreEntry *tc, struct cr_err *e)
{
	RseqEntry *r;

	if (!t->regs->rseq.pointer)
		return 0;
	r = arena_alloc(t->arena, sizeof(*r));
	if (!r)
		return cr_err_nomem(e);
	rseq_entry__init(r);
	r->rseq_abi_pointer = t->regs->rseq.pointer;
	r->rseq_abi_size = t->regs->rseq.size;
	r->signature = t->regs->rseq.signature;
	tc->rseq_entry = r;
	return 0;
}

static int core_fill(struct para_thread *t, const struct hold_batch *b, const void *priv, struct cr_err *e)
{
	const struct core_priv *k = priv;
	uint64_t gpr[GPR_COUNT], tid_address;
	char name[128];
	int err;

	if (b->calls[k->tid_call].ret < 0)
		return cr_err_set(e, CR_E_SYSTEM, (int)-b->calls[k->tid_call].ret, para_name(t, name),
				  "prctl(PR_GET_TID_ADDRESS) failed in it");
	memcpy(&tid_address, b->data + k->tid_room, sizeof(tid_address));
	memcpy(gpr, t->regs->gpr, sizeof(gpr));
	fix_rseq(t, gpr);
	restart_fix_up(gpr, next_signal(t));
	err = core_regs_to_image(gpr, tid_address, t->p->xsave, t->regs->xsave, t->regs->xsave_len, t->arena,
				 &t->core->thread_info, e);
	if (err && cr_code_exit(e->code) == CR_REFUSED)
		return para_refuse(t, e);
	return err ? err : rseq_entry(t, t->core->thread_core, e);
}

const struct para_hook core_para_hook = { "core", core_ask, core_fill, sizeof(struct core_priv),
					  "after sig: what becomes of an interrupted call depends on the handlers" };
