/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The system call instruction (man 2 syscall, "Architecture calling conventions"). */
#ifndef CR_BARE_SYS_ARCH_H
#define CR_BARE_SYS_ARCH_H

static inline long bare_sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#endif
