/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program without libc: static, no return from signal handlers (restorer) anywhere in it, so that the holder has to bring
 * one. It sleeps and computes with its registers checked. LDFLAGS: -nostdlib -static -no-pie -fno-stack-protector -ffreestanding
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

struct ts {
	int64_t s, ns;
};

static long call4(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return ret;
}

static void say(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	call4(SYS_write, 1, (long)text, (long)n, 0);
}

/* All callee-saved registers and one vector register over a loop and a call: how many are not what they were. */
static long bad_registers(uint64_t v)
{
	long bad;

	__asm__ volatile("mov %[v], %%rbx\n\tlea 1(%%rbx), %%r12\n\tlea 2(%%rbx), %%r13\n\tlea 3(%%rbx), %%r14\n\t"
			 "lea 4(%%rbx), %%r15\n\tlea 5(%%rbx), %%r8\n\tlea 6(%%rbx), %%r9\n\tmovq %%rbx, %%xmm5\n\t"
			 "mov $20000, %%ecx\n1:\tpause\n\tdec %%ecx\n\tjnz 1b\n\t"
			 "mov $39, %%eax\n\tsyscall\n\t"
			 "xor %%edx, %%edx\n\tmov %[v], %%rax\n\tcmp %%rax, %%rbx\n\tje 2f\n\tinc %%edx\n2:\t"
			 "lea 1(%%rax), %%rcx\n\tcmp %%rcx, %%r12\n\tje 3f\n\tinc %%edx\n3:\t"
			 "lea 2(%%rax), %%rcx\n\tcmp %%rcx, %%r13\n\tje 4f\n\tinc %%edx\n4:\t"
			 "lea 3(%%rax), %%rcx\n\tcmp %%rcx, %%r14\n\tje 5f\n\tinc %%edx\n5:\t"
			 "lea 4(%%rax), %%rcx\n\tcmp %%rcx, %%r15\n\tje 6f\n\tinc %%edx\n6:\t"
			 "lea 5(%%rax), %%rcx\n\tcmp %%rcx, %%r8\n\tje 7f\n\tinc %%edx\n7:\t"
			 "lea 6(%%rax), %%rcx\n\tcmp %%rcx, %%r9\n\tje 8f\n\tinc %%edx\n8:\t"
			 "movq %%xmm5, %%rcx\n\tcmp %%rcx, %%rax\n\tje 9f\n\tinc %%edx\n9:\t"
			 : "=d"(bad)
			 : [v] "D"(v)
			 : "rax", "rbx", "rcx", "r8", "r9", "r11", "r12", "r13", "r14", "r15", "xmm5", "memory", "cc");
	return bad;
}

void run(void);
void run(void)
{
	struct ts nap = { 0, 3000000 };
	bool bad = false, slept = true;

	say("ready\n");
	for (uint64_t i = 0; call4(SYS_access, (long)"go", 0, 0, 0); i++) {
		bad |= bad_registers(i * 0x9e3779b97f4a7c15ull) != 0;
		/* The death of a holder in the middle of a call ends a sleep: doc/reliability.md. */
		long ret = call4(SYS_nanosleep, (long)&nap, 0, 0, 0);

		slept &= !ret || ret == -4;
	}
	say(bad ? "FAIL registers\n" : "ok registers\n");
	say(slept ? "ok sleeps\n" : "FAIL sleeps\n");
	say("done\n");
	call4(SYS_exit_group, bad || !slept, 0, 0, 0);
	__builtin_unreachable();
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall run\n\thlt\n");
