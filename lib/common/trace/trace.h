/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ptrace(2), and its only home. Thin: every function does one thing to one stopped thread, returns 0 or -errno, prints
 * nothing and keeps nothing. -ESRCH means that the thread is gone or not stopped.
 *
 * Facts relied on (test/kernel/): a thread in PTRACE_EVENT_STOP sits in get_signal(), so that registers which are put
 * back there take part in the restart of interrupted calls; a stop of PTRACE_SYSCALL does no harm to the thread when
 * the tracer dies in it, the SIGTRAP of PTRACE_SINGLESTEP kills it (measured: 40 of 40).
 */
#ifndef CR_TRACE_TRACE_H
#define CR_TRACE_TRACE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>
#include <linux/filter.h>

/* Options of trace_seize(): PTRACE_O_* without including <sys/ptrace.h> everywhere. */
#define TRACE_O_SYSGOOD		0x00000001u /* always set by trace_seize() */
#define TRACE_O_EXEC		0x00000010u
#define TRACE_O_EXIT		0x00000040u
#define TRACE_O_EXITKILL	0x00100000u /* the thread dies with us */
#define TRACE_O_SUSPEND_SECCOMP 0x00200000u /* needs CAP_SYS_ADMIN, and no seccomp of our own */

enum trace_kind {
	TRACE_RUNNING, /* nothing to tell (only with nohang) */
	TRACE_STOP,    /* PTRACE_EVENT_STOP after an interrupt */
	TRACE_GROUP,   /* PTRACE_EVENT_STOP of a group stop; sig: what stopped it */
	TRACE_SYSCALL, /* at the entry or exit of a call */
	TRACE_SIGNAL,  /* sig is about to be delivered */
	TRACE_EXEC,    /* PTRACE_EVENT_EXEC */
	TRACE_EXIT,    /* PTRACE_EVENT_EXIT */
	TRACE_OTHER,   /* another event */
	TRACE_DEAD,    /* has exited; sig: of what, 0: by itself */
};

struct trace_event {
	enum trace_kind kind;
	int sig;
	int status; /* as of wait(2) */
};

/* Attach without stopping. -EPERM: traced by another, a zombie, or no right; -ESRCH: gone. */
int trace_seize(pid_t tid, unsigned options);
int trace_set_options(pid_t tid, unsigned options);
/* Ask a seized thread to stop. */
int trace_interrupt(pid_t tid);
/*
 * Wait for the next stop or the death of one thread. -ECHILD: not ours (any more). EINTR is tried again.
 * A TRACE_SIGNAL is told again and again until the thread is resumed, and is delivered if we die before that.
 */
int trace_wait(pid_t tid, bool nohang, struct trace_event *ret);
/* Take a TRACE_SIGNAL out of the thread: it is not delivered if we die now. */
void trace_drop_signal(pid_t tid);
/* Does any thread that we trace stand in a stop that nobody has waited for? Deaths stay to be waited for. */
bool trace_next_stop(pid_t *tid, struct trace_event *ret);
/* interrupt + wait until it stands in a TRACE_STOP or TRACE_GROUP; signals that come meanwhile stay undelivered.
 * -ESRCH: it died. */
int trace_stop(pid_t tid);

/* All resume a stopped thread; @sig: signal to deliver, 0: none. */
int trace_cont(pid_t tid, int sig);
int trace_cont_syscall(pid_t tid); /* up to the next entry or exit of a call */
int trace_detach(pid_t tid, int sig);

int trace_get_regs(pid_t tid, struct user_regs_struct *ret);
/* All at once: at any instant the thread has the old registers or the new ones. */
int trace_set_regs(pid_t tid, const struct user_regs_struct *regs);
/* The XSAVE area (NT_X86_XSTATE), in the standard format. Return: bytes, or -errno. */
ssize_t trace_get_xstate(pid_t tid, void *buf, size_t size);
int trace_set_xstate(pid_t tid, const void *buf, size_t len);
int trace_get_sigmask(pid_t tid, uint64_t *ret);
int trace_set_sigmask(pid_t tid, uint64_t mask);
/* What the thread is stopped for. */
int trace_get_siginfo(pid_t tid, siginfo_t *ret);
/* Pending signals from @offset on. Return: how many were read, 0 at the end. */
ssize_t trace_peek_siginfo(pid_t tid, bool shared, uint64_t offset, siginfo_t *ret, unsigned max);

struct trace_rseq {
	uint64_t pointer;
	uint32_t size, signature, flags, pad;
};
/* -EINVAL or -EIO: the kernel (before 5.13) cannot tell. Zeroes: not registered. */
int trace_get_rseq(pid_t tid, struct trace_rseq *ret);
/* A hardware breakpoint of a stopped thread, at @addr. For a look whether there are such: nothing takes it away again. */
int trace_set_breakpoint(pid_t tid, uint64_t addr);
/*
 * A seccomp filter, 0 the newest.
 * @insns: NULL or room for @max instructions
 * Return: number of instructions; -ENOENT behind the last; -EINVAL: the thread has no filters.
 */
ssize_t trace_seccomp_filter(pid_t tid, unsigned index, struct sock_filter *insns, size_t max);
int trace_seccomp_flags(pid_t tid, unsigned index, uint64_t *ret);
/* Does the thread have a shadow stack? -ENODEV: no; -EINVAL: nobody has on this kernel; 0: yes. */
int trace_get_shstk(pid_t tid, uint64_t *ssp);
/* Does the thread have its system calls handed to itself (PR_SET_SYSCALL_USER_DISPATCH)? False on a kernel before 6.4. */
bool trace_has_dispatch(pid_t tid);

/*
 * One system call, made by the thread at the `syscall` instruction at @insn, with no net below: when the tracer dies
 * in between, the thread runs on behind the instruction. For threads that die with the tracer (criu-restore).
 * The thread must stand in a TRACE_STOP; it stands in one afterwards, its registers behind the call: set them. What is
 * mapped at @insn may go away by the call (munmap). Return: 0, *ret: result of the call; -ESRCH: the thread died.
 */
int trace_syscall_at(pid_t tid, uint64_t insn, int64_t nr, const uint64_t arg[6], int64_t *ret);

#endif
