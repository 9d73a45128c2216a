/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A task that runs 32-bit code (i386 code segment 0x23 of Linux, arch/x86/include/asm/segment.h), made without a 32-bit
 * compiler: a page below 4 GiB with a loop around nanosleep by int 0x80. Prints "none" where the kernel lets nobody do that.
 */
#include "victim.h"

int main(void)
{
	static const unsigned char code[] = {
		0xb8, 162,  0,	  0,	0,			/* mov $162, %eax */
		0xbb, 0x00, 0x08, 0x00, 0x10,			/* mov $0x10000800, %ebx */
		0x31, 0xc9,					/* xor %ecx, %ecx */
		0xcd, 0x80,					/* int $0x80 */
		0xc7, 0x05, 0x00, 0x09, 0x00, 0x10, 1, 0, 0, 0, /* movl $1, 0x10000900 */
		0xeb, 0xe6,					/* jmp back to the start */
	};
	unsigned char *p = mmap((void *)0x10000000, 65536, PROT_READ | PROT_WRITE | PROT_EXEC,
				MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	uint32_t *ts = (uint32_t *)(p + 0x800);
	volatile uint32_t *came = (uint32_t *)(p + 0x900); /* back from the first call */
	pid_t pid, got = 0;
	int status;

	need(p != MAP_FAILED);
	memcpy(p, code, sizeof(code));
	ts[1] = 10000000;
	need((pid = fork()) >= 0);
	if (!pid) {
		/* A far jump changes the code segment; the stack must be below 4 GiB as well. */
		struct {
			uint32_t offset;
			uint16_t segment;
		} __attribute__((packed)) to = { 0x10000000, 0x23 };

		asm volatile("mov %0, %%rsp\n\tljmp *(%1)" : : "r"(p + 65000), "r"(&to) : "memory");
	}
	while (!*came && !(got = waitpid(pid, &status, WNOHANG)))
		usleep(1000);
	/* The kernel's configuration does not tell: some paravirtual guests have the calls, but no way into them. */
	if (got == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) {
		victim_say("none: this kernel runs no 32-bit code");
		return 0;
	}
	need(got == 0);
	victim_ready();
	victim_wait();
	need(waitpid(pid, &status, WNOHANG) == 0);
	kill(pid, SIGKILL);
	check("child-lived", waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return victim_done();
}
