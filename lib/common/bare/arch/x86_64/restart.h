/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a stopped thread would see of an interrupted system call.
 *
 * A thread that is stopped inside a system call shows the kernel's internal result in rax (-ERESTARTSYS and its
 * relatives), which the kernel turns into a restart or into EINTR on the way back to user mode
 * (arch_do_signal_or_restart of arch/x86/kernel/signal.c). An image must hold what comes out of that: nobody does it
 * again after a restore. Some calls return a plain -EINTR even if they were stopped by a tracer only (signal(7),
 * "Interruption of system calls and library functions by stop signals"); no program expects that from a tool it does
 * not see, so they are repeated too.
 *
 * Pure functions: no libc, no system calls.
 */
#ifndef CR_BARE_X86_64_RESTART_H
#define CR_BARE_X86_64_RESTART_H

#include <stdbool.h>
#include <stdint.h>

/* Indexes of struct user_regs_struct, as an array. */
enum x86_gpr {
	GPR_R15,
	GPR_R14,
	GPR_R13,
	GPR_R12,
	GPR_RBP,
	GPR_RBX,
	GPR_R11,
	GPR_R10,
	GPR_R9,
	GPR_R8,
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RSI,
	GPR_RDI,
	GPR_ORIG_RAX,
	GPR_RIP,
	GPR_CS,
	GPR_EFLAGS,
	GPR_RSP,
	GPR_SS,
	GPR_FS_BASE,
	GPR_GS_BASE,
	GPR_DS,
	GPR_ES,
	GPR_FS,
	GPR_GS,
	GPR_COUNT
};

/* Results that the kernel never shows to programs (include/linux/errno.h). */
enum {
	K_EINTR = 4,
	K_ERESTARTSYS = 512,
	K_ERESTARTNOINTR = 513,
	K_ERESTARTNOHAND = 514,
	K_ERESTART_RESTARTBLOCK = 516
};

enum restart_signal {
	RESTART_NO_HANDLER, /* no unblocked signal with a handler is pending */
	RESTART_HANDLER,    /* one is, and its handler has SA_RESTART */
	RESTART_EINTR,	    /* one is, without SA_RESTART */
};

/* Does this x86-64 call return a plain -EINTR when only a tracer stopped it, having done nothing? */
static inline bool restart_plain_eintr(uint64_t nr)
{
	static const uint16_t list[] = {
		0,   1,	  19,  20,	     /* read write readv writev: sockets with SO_RCVTIMEO, SO_SNDTIMEO */
		42,  43,  288,		     /* connect accept accept4: likewise */
		44,  45,  46,  47, 299, 307, /* sendto ... recvmmsg sendmmsg: likewise */
		65,  220,		     /* semop semtimedop */
		128,			     /* rt_sigtimedwait */
		208, 333,		     /* io_getevents io_pgetevents */
		232, 281, 441,		     /* epoll_wait epoll_pwait epoll_pwait2 */
	};

	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i] == nr)
			return true;
	return false;
}

/* Is the thread in a system call that is over but for its result? */
static inline bool restart_in_syscall(const uint64_t gpr[GPR_COUNT])
{
	return (int64_t)gpr[GPR_ORIG_RAX] >= 0;
}

/*
 * Bring the registers to the state in which the thread can go on by itself.
 * @sig: what the signals pending at this moment will do
 * Return: whether anything was changed.
 */
static inline bool restart_fix_up(uint64_t gpr[GPR_COUNT], enum restart_signal sig)
{
	int64_t result = (int64_t)gpr[GPR_RAX];

	if (!restart_in_syscall(gpr))
		return false;
	switch (result) {
	case -K_ERESTARTNOINTR:
		break;
	case -K_ERESTARTSYS:
		if (sig == RESTART_EINTR)
			goto interrupted;
		break;
	case -K_ERESTARTNOHAND:
	case -K_ERESTART_RESTARTBLOCK: /* begins anew: the time that is left is known to the kernel alone */
		if (sig != RESTART_NO_HANDLER)
			goto interrupted;
		break;
	case -K_EINTR:
		if (sig != RESTART_NO_HANDLER || !restart_plain_eintr(gpr[GPR_ORIG_RAX]))
			return false;
		break;
	default:
		return false;
	}
	gpr[GPR_RAX] = gpr[GPR_ORIG_RAX];
	gpr[GPR_RIP] -= 2; /* both `syscall` and `int $0x80` */
	gpr[GPR_ORIG_RAX] = (uint64_t)-1;
	return true;
interrupted:
	gpr[GPR_RAX] = (uint64_t)-K_EINTR;
	gpr[GPR_ORIG_RAX] = (uint64_t)-1;
	return true;
}

enum { RESTART_SYSCALL_NR = 219, RESTART_CODE = 32 };

/*
 * A sleep that was interrupted twice shows restart_syscall(2) as its number, which does nothing but fail once the
 * kernel has forgotten (after rt_sigreturn, and in a restored thread). The number that was meant stands in the code
 * before the call, where compilers and assemblers load it: mov $nr, %eax.
 * @code: the RESTART_CODE bytes that end before the `syscall`
 * Return: the number, one of those that are restarted in this way; 0: not found.
 */
static inline uint64_t restart_lost_nr(const uint8_t code[RESTART_CODE])
{
	static const uint8_t list[] = { 7, 35, 202, 230 }; /* poll nanosleep futex clock_nanosleep */

	for (int i = RESTART_CODE - 5; i >= 0; i--) {
		if (code[i] != 0xb8 || code[i + 2] || code[i + 3] || code[i + 4])
			continue;
		for (unsigned k = 0; k < sizeof(list); k++)
			if (code[i + 1] == list[k])
				return list[k];
	}
	return 0;
}

/*
 * A restartable sequence that was interrupted goes on at its abort handler (rseq(2)); the kernel does that when it
 * returns to user mode, a restored thread would not.
 * @cs: struct rseq_cs as the task has it: version and flags, start, length, abort
 * Return: whether rip was changed.
 */
static inline bool restart_rseq(uint64_t gpr[GPR_COUNT], const uint64_t cs[4])
{
	if ((uint32_t)cs[0] != 0 || gpr[GPR_RIP] - cs[1] >= cs[2])
		return false;
	gpr[GPR_RIP] = cs[3];
	return true;
}

#endif
