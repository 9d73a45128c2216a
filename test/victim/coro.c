/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Coroutines: 64 contexts on stacks of 4 KiB that lie close to each other, with canaries between them. All the time one of
 * them is on the processor or asleep in a system call, with the stack pointer a few hundred bytes above a canary. Whoever
 * writes below a stack pointer is found out.
 */
#include "victim.h"

#include <ucontext.h>

enum { COROS = 64, STACK = 4096, CANARY = 256 };

static struct room {
	unsigned char canary[CANARY], stack[STACK];
} * rooms;
static ucontext_t scheduler, coro[COROS];
static uint64_t turns[COROS], sums[COROS];

/* Few bytes of stack: a raw call, no libc function that may take more. */
static void nap(void)
{
	struct timespec ts = { 0, 100000 };
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "0"(SYS_nanosleep), "D"(&ts), "S"(0) : "rcx", "r11", "memory");
}

static void body(int n)
{
	volatile uint64_t local[8];

	for (;;) {
		for (int i = 0; i < 8; i++)
			local[i] = turns[n] * 8 + (uint64_t)i + (uint64_t)n;
		if ((turns[n] + (unsigned)n) % 5 == 0)
			nap();
		for (volatile int i = 0; i < 2000; i++)
			;
		for (int i = 0; i < 8; i++)
			if (local[i] != turns[n] * 8 + (uint64_t)i + (uint64_t)n)
				sums[n]++;
		turns[n]++;
		swapcontext(&coro[n], &scheduler);
	}
}

/* Contexts and main's own variables do not go together well (-Wclobbered). */
static __attribute__((noinline)) void make(void)
{
	rooms = mmap(NULL, sizeof(*rooms) * COROS + CANARY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(rooms != MAP_FAILED);
	for (int i = 0; i < COROS; i++) {
		victim_fill(rooms[i].canary, CANARY, (uint32_t)i);
		need(!getcontext(&coro[i]));
		coro[i].uc_stack.ss_sp = rooms[i].stack;
		coro[i].uc_stack.ss_size = STACK;
		makecontext(&coro[i], (void (*)(void))body, 1, i);
	}
}

static __attribute__((noinline)) void look(void)
{
	bool whole = true, equal = true, right = true;

	for (int i = 0; i < COROS; i++) {
		whole &= victim_same(rooms[i].canary, CANARY, (uint32_t)i);
		equal &= turns[i] == turns[0] && turns[i];
		right &= !sums[i];
	}
	check("canaries", whole);
	check("turns", equal);
	check("locals", right);
}

int main(void)
{
	make();
	victim_ready();
	while (!victim_go())
		for (int i = 0; i < COROS; i++)
			swapcontext(&scheduler, &coro[i]);
	look();
	return victim_done();
}
