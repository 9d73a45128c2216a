/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of what tasks have: the tree, registers, signals, timers, credentials. */
#include "image-valid.h"

#include <inttypes.h>
#include <string.h>

#include "core.pb-c.h"
#include "pstree.pb-c.h"
#include "seccomp.pb-c.h"

enum {
	PID_MOST = 1 << 22, /* PID_MAX_LIMIT */
	COMM_SIZE = 16,
	SIGINFO_SIZE = 128,
	SIGACTIONS = 62, /* 64 signals without SIGKILL and SIGSTOP */
	RLIMITS = 16,
	CAP_WORDS = 2,
	GROUPS_MOST = 65536,
	FILTER_INSN = 8, /* bytes of a struct sock_filter */
	FILTER_INSNS = 4096,
	USEC = 1000000,
	NSEC = 1000000000,
};

static bool pstree(const void *message, char why[VALID_WHY])
{
	const PstreeEntry *t = message;

	if (!t->pid || t->pid > PID_MOST || t->ppid > PID_MOST || t->pgid > PID_MOST || t->sid > PID_MOST)
		return img_invalid(why, "pid %u, ppid %u, pgid %u or sid %u is no pid", t->pid, t->ppid, t->pgid,
				   t->sid);
	if (t->pid == t->ppid)
		return img_invalid(why, "pid %u is its own parent", t->pid);
	return true; /* the one "thread" of a zombie can be any number */
}

static bool list_len(const char *name, size_t got, const size_t ok[2], char why[VALID_WHY])
{
	/* Absent is always allowed: the CPU of the dump did not have it. */
	if (!got || got == ok[0] || got == ok[1])
		return true;
	return img_invalid(why, "%s has %zu words, not %zu", name, got, ok[0]);
}

static bool x86_xsave(const void *message, char why[VALID_WHY])
{
	const UserX86XsaveEntry *x = message;
	const struct {
		const char *name;
		size_t got, ok[2];
	} lists[] = {
		{ "ymmh_space", x->n_ymmh_space, { 64, 64 } },
		{ "bndreg_state", x->n_bndreg_state, { 8, 4 } },
		{ "bndcsr_state", x->n_bndcsr_state, { 2, 2 } },
		{ "opmask_reg", x->n_opmask_reg, { 8, 8 } },
		{ "zmm_upper", x->n_zmm_upper, { 64, 64 } },
		{ "hi16_zmm", x->n_hi16_zmm, { 128, 128 } },
		{ "pkru", x->n_pkru, { 2, 1 } },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (!list_len(lists[i].name, lists[i].got, lists[i].ok, why))
			return false;
	return true;
}

static bool x86_fpregs(const void *message, char why[VALID_WHY])
{
	const UserX86FpregsEntry *fp = message;

	if (fp->n_st_space != 32 || fp->n_xmm_space != 64 || (fp->n_padding && fp->n_padding != 24))
		return img_invalid(why, "st_space, xmm_space, padding have %zu, %zu, %zu words, not 32, 64, 24",
				   fp->n_st_space, fp->n_xmm_space, fp->n_padding);
	return true;
}

static bool x86_tls(const void *message, char why[VALID_WHY])
{
	const ThreadInfoX86 *ti = message;

	return ti->n_tls <= 3 || img_invalid(why, "%zu TLS segments, the kernel has 3", ti->n_tls);
}

static bool core(const void *message, char why[VALID_WHY])
{
	const CoreEntry *c = message;
	const void *info[] = {
		[CORE_ENTRY__MARCH__X86_64] = c->thread_info,
		[CORE_ENTRY__MARCH__ARM] = c->ti_arm,
		[CORE_ENTRY__MARCH__AARCH64] = c->ti_aarch64,
		[CORE_ENTRY__MARCH__PPC64] = c->ti_ppc64,
		[CORE_ENTRY__MARCH__S390] = c->ti_s390,
		[CORE_ENTRY__MARCH__MIPS] = c->ti_mips,
		[CORE_ENTRY__MARCH__LOONGARCH64] = c->ti_loongarch64,
		[CORE_ENTRY__MARCH__RISCV64] = c->ti_riscv64,
	};
	bool dead = c->tc && (c->tc->task_state == 2 || c->tc->task_state == 6);
	bool mips = c->mtype == CORE_ENTRY__MARCH__MIPS; /* twice the signals */

	for (size_t i = 0; i < sizeof(info) / sizeof(info[0]); i++)
		if (info[i] && (int)i != (int)c->mtype)
			return img_invalid(why, "registers of another machine than mtype says");
	if (!dead && (c->mtype == CORE_ENTRY__MARCH__UNKNOWN || !info[c->mtype]))
		return img_invalid(why, "a live thread without registers");
	if (!dead && !c->thread_core)
		return img_invalid(why, "a live thread without thread_core");
	if (c->tc && c->tc->n_sigactions && c->tc->n_sigactions != SIGACTIONS && !mips)
		return img_invalid(why, "%zu sigactions, not %d", c->tc->n_sigactions, SIGACTIONS);
	return true;
}

static bool task_core(const void *message, char why[VALID_WHY])
{
	const TaskCoreEntry *tc = message;

	if (tc->task_state != 1 && tc->task_state != 2 && tc->task_state != 3 && tc->task_state != 6)
		return img_invalid(why, "task_state %u", tc->task_state);
	if (strlen(tc->comm) >= COMM_SIZE)
		return img_invalid(why, "comm is longer than 15 bytes");
	if (tc->rlimits && tc->rlimits->n_rlimits != RLIMITS)
		return img_invalid(why, "%zu rlimits, not %d", tc->rlimits->n_rlimits, RLIMITS);
	return true;
}

static bool thread_core(const void *message, char why[VALID_WHY])
{
	const ThreadCoreEntry *th = message;

	if (th->comm && strlen(th->comm) >= COMM_SIZE)
		return img_invalid(why, "comm is longer than 15 bytes");
	return true;
}

static bool rlimit(const void *message, char why[VALID_WHY])
{
	const RlimitEntry *r = message;

	return r->cur <= r->max || img_invalid(why, "rlimit %" PRIu64 " is above its maximum %" PRIu64, r->cur, r->max);
}

static bool siginfo(const void *message, char why[VALID_WHY])
{
	const SiginfoEntry *s = message;

	return s->siginfo.len == SIGINFO_SIZE || img_invalid(why, "siginfo of %zu bytes, not 128", s->siginfo.len);
}

static bool itimer(const void *message, char why[VALID_WHY])
{
	const ItimerEntry *t = message;

	return (t->iusec < USEC && t->vusec < USEC) ||
	       img_invalid(why, "itimer with more than a second of microseconds");
}

static bool posix_timer(const void *message, char why[VALID_WHY])
{
	const PosixTimerEntry *t = message;

	return (t->insec < NSEC && t->vnsec < NSEC) ||
	       img_invalid(why, "timer %u with more than a second of nanoseconds", t->it_id);
}

static bool caps(size_t n)
{
	return n == CAP_WORDS;
}

static bool creds(const void *message, char why[VALID_WHY])
{
	const CredsEntry *c = message;

	if (!caps(c->n_cap_inh) || !caps(c->n_cap_prm) || !caps(c->n_cap_eff) || !caps(c->n_cap_bnd) ||
	    (c->n_cap_amb && !caps(c->n_cap_amb)))
		return img_invalid(why, "a capability set has not 2 words");
	if (c->n_groups > GROUPS_MOST)
		return img_invalid(why, "%zu groups, more than the kernel allows", c->n_groups);
	return true;
}

static bool seccomp(const void *message, char why[VALID_WHY])
{
	const SeccompEntry *s = message;

	for (size_t i = 0; i < s->n_seccomp_filters; i++) {
		const SeccompFilter *f = s->seccomp_filters[i];

		if (!f->filter.len || f->filter.len % FILTER_INSN || f->filter.len / FILTER_INSN > FILTER_INSNS)
			return img_invalid(why, "filter %zu has %zu bytes", i, f->filter.len);
		if (f->has_prev && (f->prev >= s->n_seccomp_filters || f->prev == i))
			return img_invalid(why, "filter %zu follows %u, which is none", i, f->prev);
	}
	return true;
}

const struct validator img_valid_task[] = {
	{ &pstree_entry__descriptor, pstree },
	{ &core_entry__descriptor, core },
	{ &task_core_entry__descriptor, task_core },
	{ &thread_core_entry__descriptor, thread_core },
	{ &user_x86_fpregs_entry__descriptor, x86_fpregs },
	{ &user_x86_xsave_entry__descriptor, x86_xsave },
	{ &thread_info_x86__descriptor, x86_tls },
	{ &rlimit_entry__descriptor, rlimit },
	{ &siginfo_entry__descriptor, siginfo },
	{ &itimer_entry__descriptor, itimer },
	{ &posix_timer_entry__descriptor, posix_timer },
	{ &creds_entry__descriptor, creds },
	{ &seccomp_entry__descriptor, seccomp },
	{ 0 },
};
