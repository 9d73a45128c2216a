/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trace/code.h"

#include <string.h>

/*
 * The vector touches no stack and no vector register. rax, rcx, rdx, rsi, rdi, r8-r11, rbx, r12 and r14 are ours: the
 * frame at rsp - 8 has the thread's own. The two questions for our ids are asked in the task's own pid namespace.
 */
#define SYMBOL(name) ".globl " #name "\n.hidden " #name "\n"
__asm__(".pushsection .rodata\n" SYMBOL(code_vector) SYMBOL(code_vector_done) SYMBOL(code_vector_end) SYMBOL(code_stub)
		SYMBOL(code_stub_restorer) SYMBOL(code_stub_end) "code_vector:\n"
								 "1:	cmpq %r12, %rbx\n"
								 "	jae 3f\n"
								 "	movq (%rbx), %rax\n"
								 "	testq %rax, %rax\n"
								 "	js 2f\n"
								 "	movq 8(%rbx), %rdi\n"
								 "	movq 16(%rbx), %rsi\n"
								 "	movq 24(%rbx), %rdx\n"
								 "	movq 32(%rbx), %r10\n"
								 "	movq 40(%rbx), %r8\n"
								 "	movq 48(%rbx), %r9\n"
								 "	syscall\n"
								 "	movq %rax, 56(%rbx)\n"
								 "2:	addq $64, %rbx\n"
								 "	jmp 1b\n"
								 "3:	movl $186, %eax\n" /* gettid */
								 "	syscall\n"
								 "	movl %eax, %esi\n"
								 "	movl $39, %eax\n" /* getpid */
								 "	syscall\n"
								 "	movl %eax, %edi\n"
								 "	movl %r14d, %edx\n"
								 "	movl $234, %eax\n" /* tgkill */
								 "	syscall\n"
								 "code_vector_done:\n"
								 "	movl $15, %eax\n" /* rt_sigreturn */
								 "	syscall\n"
								 "code_vector_end:\n"
								 "code_stub:\n"
								 "	syscall\n"
								 "	ret\n"
								 "code_stub_restorer:\n"
								 "	movl $15, %eax\n"
								 "	syscall\n"
								 "code_stub_end:\n"
								 ".popsection\n");

/* Behind a syscall: `xor %r, %r` of caller-saved registers, as the vdso has it, then ret. */
static bool ends_well(const uint8_t *p, const uint8_t *end)
{
	while (p < end) {
		if (*p == 0xc3)
			return true;
		if (end - p >= 2 && p[0] == 0x31 && p[1] >= 0xc0 && p[1] != 0xe4)
			p += 2;
		else if (end - p >= 3 && p[0] == 0x45 && p[1] == 0x31 && p[2] >= 0xc0)
			p += 3;
		else
			return false;
	}
	return false;
}

size_t code_find_syscall(const uint8_t *text, size_t len)
{
	for (size_t i = 1; i + 3 <= len; i++)
		if (text[i] == 0x0f && text[i + 1] == 0x05 && ends_well(text + i + 2, text + len))
			return i;
	return 0;
}

size_t code_find_restorer(const uint8_t *text, size_t len)
{
	static const uint8_t tail[] = { 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	const uint8_t *p = text, *end = text + len;

	/* mov $15, %rax: 48 c7 c0 0f 00 00 00; the tail's first byte is its third. */
	while (p < end) {
		p = memmem(p, end - p, tail, sizeof(tail));
		if (!p)
			return len;
		if (p - text >= 2 && p[-2] == 0x48 && p[-1] == 0xc7)
			return p - text - 2;
		p++;
	}
	return len;
}
