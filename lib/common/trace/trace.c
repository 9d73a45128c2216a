/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trace/trace.h"

#include <errno.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "bare/uapi.h"

enum { TRIES = 3 };

/*
 * A thread whose registers are not put back is lost, so nothing is given up for one failure: only ESRCH is final (it died).
 * The kernel refuses none of these for a moment; the sweep of failing system calls does.
 */
static int op(int request, pid_t tid, uintptr_t addr, uintptr_t data)
{
	int tries = TRIES;

	while (ptrace(request, tid, (void *)addr, (void *)data) < 0)
		if (errno == ESRCH || !--tries)
			return -errno;
	return 0;
}

int trace_seize(pid_t tid, unsigned options)
{
	return op(PTRACE_SEIZE, tid, 0, options | TRACE_O_SYSGOOD);
}

int trace_set_options(pid_t tid, unsigned options)
{
	return op(PTRACE_SETOPTIONS, tid, 0, options | TRACE_O_SYSGOOD);
}

int trace_interrupt(pid_t tid)
{
	return op(PTRACE_INTERRUPT, tid, 0, 0);
}

static void classify(int status, struct trace_event *ret)
{
	int event = (unsigned)status >> 16;

	ret->status = status;
	ret->sig = 0;
	if (!WIFSTOPPED(status)) {
		ret->kind = TRACE_DEAD;
		ret->sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		return;
	}
	ret->sig = WSTOPSIG(status);
	switch (event) {
	case PTRACE_EVENT_STOP:
		ret->kind = ret->sig == SIGTRAP ? TRACE_STOP : TRACE_GROUP;
		break;
	case PTRACE_EVENT_EXEC:
		ret->kind = TRACE_EXEC;
		break;
	case PTRACE_EVENT_EXIT:
		ret->kind = TRACE_EXIT;
		break;
	case 0:
		ret->kind = ret->sig == (SIGTRAP | 0x80) ? TRACE_SYSCALL : TRACE_SIGNAL;
		break;
	default:
		ret->kind = TRACE_OTHER;
	}
}

/* A stop as wait(2) would tell it. */
static int stop_status(const siginfo_t *si)
{
	return si->si_status << 8 | 0x7f;
}

/*
 * A signal that is about to be delivered is only looked at: wait(2) would take it out of the thread, and one of a thread
 * whose tracer dies before it is resumed would be lost (test/kernel/ptrace.c). Whoever resumes the thread takes it.
 */
int trace_wait(pid_t tid, bool nohang, struct trace_event *ret)
{
	for (;;) {
		siginfo_t si = { 0 };
		int status;
		pid_t got;

		if (waitid(P_PID, (id_t)tid, &si, WEXITED | WSTOPPED | __WALL | WNOWAIT | (nohang ? WNOHANG : 0))) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!si.si_pid) {
			*ret = (struct trace_event){ .kind = TRACE_RUNNING };
			return 0;
		}
		if (si.si_code == CLD_TRAPPED || si.si_code == CLD_STOPPED) {
			classify(stop_status(&si), ret);
			if (ret->kind == TRACE_SIGNAL)
				return 0;
		}
		/* Killed in between it is still on its way to its end. */
		got = waitpid(tid, &status, __WALL | WNOHANG);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0) {
			classify(status, ret);
			return 0;
		}
	}
}

void trace_drop_signal(pid_t tid)
{
	int status;

	while (waitpid(tid, &status, __WALL | WNOHANG) < 0 && errno == EINTR)
		;
}

bool trace_next_stop(pid_t *tid, struct trace_event *ret)
{
	siginfo_t si = { 0 };

	if (waitid(P_ALL, 0, &si, WSTOPPED | __WALL | WNOWAIT | WNOHANG) || !si.si_pid)
		return false;
	*tid = si.si_pid;
	return !trace_wait(si.si_pid, true, ret) && ret->kind != TRACE_RUNNING;
}

int trace_stop(pid_t tid)
{
	struct trace_event ev;
	int err = trace_interrupt(tid);

	if (err)
		return err;
	for (;;) {
		err = trace_wait(tid, false, &ev);
		if (err)
			return err == -ECHILD ? -ESRCH : err;
		switch (ev.kind) {
		case TRACE_STOP:
		case TRACE_GROUP:
			return 0;
		case TRACE_DEAD:
			return -ESRCH;
		default:
			/* The trap asked for is still pending: it comes before the thread runs in user mode. */
			err = trace_cont(tid, ev.kind == TRACE_SIGNAL ? ev.sig : 0);
			if (err)
				return err;
		}
	}
}

int trace_cont(pid_t tid, int sig)
{
	return op(PTRACE_CONT, tid, 0, sig);
}

int trace_cont_syscall(pid_t tid)
{
	return op(PTRACE_SYSCALL, tid, 0, 0);
}

int trace_detach(pid_t tid, int sig)
{
	return op(PTRACE_DETACH, tid, 0, sig);
}

static ssize_t get_regset(pid_t tid, unsigned type, void *buf, size_t size)
{
	struct iovec io = { buf, size };
	int err = op(PTRACE_GETREGSET, tid, type, (uintptr_t)&io);

	return err ? err : (ssize_t)io.iov_len;
}

static int set_regset(pid_t tid, unsigned type, const void *buf, size_t size)
{
	struct iovec io = { (void *)buf, size };

	return op(PTRACE_SETREGSET, tid, type, (uintptr_t)&io);
}

int trace_get_regs(pid_t tid, struct user_regs_struct *ret)
{
	/* A 32-bit thread gives another, shorter structure: the rest stays zero, and so does its cs. */
	struct user_regs_struct r = { 0 };
	ssize_t n = get_regset(tid, NT_PRSTATUS, &r, sizeof(r));

	if (n < 0)
		return (int)n;
	if ((size_t)n != sizeof(r))
		memset(&r, 0, sizeof(r));
	*ret = r;
	return 0;
}

int trace_set_regs(pid_t tid, const struct user_regs_struct *regs)
{
	return set_regset(tid, NT_PRSTATUS, regs, sizeof(*regs));
}

ssize_t trace_get_xstate(pid_t tid, void *buf, size_t size)
{
	return get_regset(tid, NT_X86_XSTATE, buf, size);
}

int trace_set_xstate(pid_t tid, const void *buf, size_t len)
{
	return set_regset(tid, NT_X86_XSTATE, buf, len);
}

int trace_get_sigmask(pid_t tid, uint64_t *ret)
{
	return op(PTRACE_GETSIGMASK, tid, sizeof(*ret), (uintptr_t)ret);
}

int trace_set_sigmask(pid_t tid, uint64_t mask)
{
	return op(PTRACE_SETSIGMASK, tid, sizeof(mask), (uintptr_t)&mask);
}

int trace_get_siginfo(pid_t tid, siginfo_t *ret)
{
	return op(PTRACE_GETSIGINFO, tid, 0, (uintptr_t)ret);
}

ssize_t trace_peek_siginfo(pid_t tid, bool shared, uint64_t offset, siginfo_t *ret, unsigned max)
{
	struct __ptrace_peeksiginfo_args args = {
		.off = offset,
		.flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0,
		.nr = (int)max,
	};
	long n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, ret);

	return n < 0 ? -errno : n;
}

int trace_get_rseq(pid_t tid, struct trace_rseq *ret)
{
	long n = ptrace((enum __ptrace_request)CR_PTRACE_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(*ret), ret);

	return n < 0 ? -errno : 0;
}

int trace_set_breakpoint(pid_t tid, uint64_t addr)
{
	enum { LOCAL_0 = 1 }; /* in DR7: the first one is on; its length and kind are 0: execution */
	int err = op(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[0]), addr);

	return err ? err : op(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[7]), LOCAL_0);
}

ssize_t trace_seccomp_filter(pid_t tid, unsigned index, struct sock_filter *insns, size_t max)
{
	/* The kernel does not take a size: ask for it first. Filters of a stopped thread do not change. */
	long n = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)(uintptr_t)index, NULL);

	if (n < 0)
		return -errno;
	if (!insns)
		return n;
	if ((size_t)n > max)
		return -EMSGSIZE;
	n = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)(uintptr_t)index, insns);
	return n < 0 ? -errno : n;
}

int trace_seccomp_flags(pid_t tid, unsigned index, uint64_t *ret)
{
	struct cr_seccomp_metadata md = { .filter_off = index };
	long n = ptrace((enum __ptrace_request)CR_PTRACE_SECCOMP_GET_METADATA, tid, (void *)sizeof(md), &md);

	if (n < 0)
		return -errno;
	*ret = md.flags;
	return 0;
}

int trace_get_shstk(pid_t tid, uint64_t *ssp)
{
	ssize_t n = get_regset(tid, CR_NT_X86_SHSTK, ssp, sizeof(*ssp));

	return n < 0 ? (int)n : 0;
}

bool trace_has_dispatch(pid_t tid)
{
	struct cr_sud_config c = { 0 };

	return !ptrace(CR_PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(c), &c) && c.mode;
}

/* Resume up to the next stop of a call; other stops on the way are passed over, signals stay undelivered but SIGSTOP's
 * kind. */
static int to_syscall_stop(pid_t tid)
{
	for (;;) {
		struct trace_event ev;
		int err = trace_cont_syscall(tid);

		if (!err)
			err = trace_wait(tid, false, &ev);
		if (err)
			return err == -ECHILD ? -ESRCH : err;
		if (ev.kind == TRACE_DEAD)
			return -ESRCH;
		if (ev.kind == TRACE_SYSCALL)
			return 0;
	}
}

int trace_syscall_at(pid_t tid, uint64_t insn, int64_t nr, const uint64_t arg[6], int64_t *ret)
{
	struct user_regs_struct r;
	int err = trace_get_regs(tid, &r);

	if (err)
		return err;
	r.rip = insn;
	r.rax = nr;
	r.orig_rax = -1; /* no restart of what the thread was in */
	r.rdi = arg[0];
	r.rsi = arg[1];
	r.rdx = arg[2];
	r.r10 = arg[3];
	r.r8 = arg[4];
	r.r9 = arg[5];
	err = trace_set_regs(tid, &r);
	if (!err)
		err = to_syscall_stop(tid);
	if (!err)
		err = to_syscall_stop(tid);
	if (!err)
		err = trace_get_regs(tid, &r);
	if (err)
		return err;
	*ret = (int64_t)r.rax;
	/* Back into get_signal(), without a step in user mode: the interrupt is asked for before the thread leaves this
	 * stop. */
	err = trace_interrupt(tid);
	if (!err)
		err = trace_cont(tid, 0);
	while (!err) {
		struct trace_event ev;

		err = trace_wait(tid, false, &ev);
		if (err)
			break;
		if (ev.kind == TRACE_STOP || ev.kind == TRACE_GROUP)
			return 0;
		if (ev.kind == TRACE_DEAD)
			return -ESRCH;
		err = trace_cont(tid, 0);
	}
	return err == -ECHILD ? -ESRCH : err;
}
