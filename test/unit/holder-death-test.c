/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tracer that makes system calls in the threads of a program is killed at random moments, again and again. The
 * program (this one, forked: static, so without a libc.so to find code in) checks in a loop: all registers, vector
 * registers, the red zone, signal masks, sigaltstack, sleeping calls. HOLDER_DEATH_ROUNDS=N makes more rounds than 200.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "proc/stat.h"
#include "tap.h"
#include "trace/remote.h"
#include "trace/trace.h"

enum { THREADS = 5, SPIN = 20000 };

struct shared {
	pid_t tid[THREADS];
	uint64_t loops[THREADS];
	uint64_t bad[THREADS];
	char why[THREADS][64];
	uint32_t ready;
};
static struct shared *s;

static void bad(int i, const char *why)
{
	s->bad[i]++;
	strncpy(s->why[i], why, sizeof(s->why[i]) - 1);
}

/* ---- registers ---- */

/*
 * A block: 14 registers (rax rbx rcx rdx rsi rbp r8-r15) at 0, 4 words for the red zone at 112, 32 vector registers of
 * 64 bytes at 144, mask registers at 2192. What was loaded from the first block is stored into a second one, STRIDE
 * behind it.
 */
enum { STRIDE = 2368, ZMM = 144, MASKS = 2192, MASKS_END = 2256 };

/* Load everything, spin, store everything. */
void spin_avx512(uint8_t *block, uint64_t spins);
void spin_sse(uint8_t *block, uint64_t spins);
#define EACH16(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define EACH32(X) \
	EACH16(X) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
#define EACHK(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define LZ(n)	 "vmovdqu64 144+64*" #n "(%rdi), %zmm" #n "\n"
#define SZ(n)	 "vmovdqu64 %zmm" #n ", 2368+144+64*" #n "(%rdi)\n"
#define LK(n)	 "kmovq 2192+8*" #n "(%rdi), %k" #n "\n"
#define SK(n)	 "kmovq %k" #n ", 2368+2192+8*" #n "(%rdi)\n"
#define LX(n)	 "movdqu 144+64*" #n "(%rdi), %xmm" #n "\n"
#define SX(n)	 "movdqu %xmm" #n ", 2368+144+64*" #n "(%rdi)\n"
#define BODY(name, load, store)                                                                                      \
	__asm__(".globl " name "\n" name ":\n"                                                                       \
		"push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\npush %rsi\n" load                 \
		"mov 112(%rdi), %rax\nmov %rax, -8(%rsp)\nmov 120(%rdi), %rax\nmov %rax, -40(%rsp)\n"                \
		"mov 128(%rdi), %rax\nmov %rax, -88(%rsp)\nmov 136(%rdi), %rax\nmov %rax, -128(%rsp)\n"              \
		"mov (%rdi), %rax\nmov 8(%rdi), %rbx\nmov 16(%rdi), %rcx\nmov 24(%rdi), %rdx\nmov 32(%rdi), %rsi\n"  \
		"mov 40(%rdi), %rbp\nmov 48(%rdi), %r8\nmov 56(%rdi), %r9\nmov 64(%rdi), %r10\nmov 72(%rdi), %r11\n" \
		"mov 80(%rdi), %r12\nmov 88(%rdi), %r13\nmov 96(%rdi), %r14\nmov 104(%rdi), %r15\n"                  \
		"1: pause\nsubq $1, (%rsp)\njnz 1b\n"                                                                \
		"mov %rax, 2368(%rdi)\nmov %rbx, 2376(%rdi)\nmov %rcx, 2384(%rdi)\nmov %rdx, 2392(%rdi)\n"           \
		"mov %rsi, 2400(%rdi)\nmov %rbp, 2408(%rdi)\nmov %r8, 2416(%rdi)\nmov %r9, 2424(%rdi)\n"             \
		"mov %r10, 2432(%rdi)\nmov %r11, 2440(%rdi)\nmov %r12, 2448(%rdi)\nmov %r13, 2456(%rdi)\n"           \
		"mov %r14, 2464(%rdi)\nmov %r15, 2472(%rdi)\n"                                                       \
		"mov -8(%rsp), %rax\nmov %rax, 2480(%rdi)\nmov -40(%rsp), %rax\nmov %rax, 2488(%rdi)\n"              \
		"mov -88(%rsp), %rax\nmov %rax, 2496(%rdi)\nmov -128(%rsp), %rax\nmov %rax, 2504(%rdi)\n" store      \
		"pop %rsi\npop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n")
BODY("spin_avx512", EACH32(LZ) EACHK(LK), EACH32(SZ) EACHK(SK));
BODY("spin_sse", EACH16(LX), EACH16(SX));
static void fill(void *p, size_t n, uint64_t *seed)
{
	for (size_t i = 0; i < n / 8; i++) {
		*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
		((uint64_t *)p)[i] = *seed;
	}
}

static void *spinner(void *arg)
{
	uint8_t b[2 * STRIDE];
	bool wide = __builtin_cpu_supports("avx512bw");
	uint64_t seed = 42;

	(void)arg;
	s->tid[0] = (pid_t)syscall(SYS_gettid);
	for (;; s->loops[0]++) {
		fill(b, STRIDE, &seed);
		(wide ? spin_avx512 : spin_sse)(b, SPIN);
		if (memcmp(b, b + STRIDE, 112))
			bad(0, "general registers");
		if (memcmp(b + 112, b + STRIDE + 112, ZMM - 112))
			bad(0, "red zone");
		for (int i = 0; i < (wide ? 32 : 16); i++)
			if (memcmp(b + ZMM + 64 * i, b + STRIDE + ZMM + 64 * i, wide ? 64 : 16))
				bad(0, "vector registers");
		if (wide && memcmp(b + MASKS + 8, b + STRIDE + MASKS + 8, MASKS_END - MASKS - 8))
			bad(0, "mask registers");
	}
	return NULL;
}

/* ---- calls that sleep ---- */

static void check_thread_state(int i, const sigset_t *mask, const stack_t *alt)
{
	sigset_t now;
	stack_t st;

	if (sigprocmask(SIG_SETMASK, NULL, &now) || memcmp(&now, mask, 8))
		bad(i, "signal mask");
	if (sigaltstack(NULL, &st) || st.ss_sp != alt->ss_sp || st.ss_size != alt->ss_size)
		bad(i, "alternate stack");
}

static void nap_once(int i)
{
	struct timespec ts = { 0, 300000 };

	if (nanosleep(&ts, NULL))
		bad(i, "nanosleep");
}

static void wait_once(int i)
{
	struct timespec ts = { 0, 300000 };
	register struct timespec *timeout __asm__("r10") = &ts;
	uint32_t word = 0;
	long ret = SYS_futex;

	/* As compilers do it: the number is loaded right before the call. */
	__asm__ volatile("mov $202, %%eax\nsyscall"
			 : "=a"(ret)
			 : "D"(&word), "S"(FUTEX_WAIT_PRIVATE), "d"(0), "r"(timeout)
			 : "rcx", "r11", "memory");
	if (ret != -ETIMEDOUT)
		bad(i, "futex");
}

static void poll_once(int i)
{
	if (poll(NULL, 0, 1))
		bad(i, "poll");
}

static void call_once(int i)
{
	pid_t parent = getppid();

	for (int k = 0; k < 1000; k++)
		if (syscall(SYS_getppid) != parent)
			bad(i, "getppid");
}

static void *sleeper(void *arg)
{
	static void (*const once[])(int) = { NULL, nap_once, wait_once, poll_once, call_once };
	int i = (int)(intptr_t)arg;
	stack_t alt = { .ss_sp = malloc(16384), .ss_size = 16384 };
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1 + (i & 1));
	sigaltstack(&alt, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	s->tid[i] = (pid_t)syscall(SYS_gettid);
	if (i == 4) { /* a filter that allows all: no code of ours there, call by call */
		struct sock_filter f = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		struct sock_fprog prog = { 1, &f };

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
	}
	for (;; s->loops[i]++) {
		once[i](i);
		check_thread_state(i, &mask, &alt);
	}
	return NULL;
}

static void victim(void)
{
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 1; i < THREADS; i++)
		pthread_create(&t, NULL, sleeper, (void *)(intptr_t)i);
	s->ready = 1;
	spinner(NULL);
}

/* ---- the tracer that dies ---- */

static void work(struct remote_proc *p, struct remote_thread *t)
{
	struct remote_call calls[THREADS][40];
	struct remote_batch b[THREADS];

	for (unsigned round = 0;; round++) {
		unsigned n = 1 + round % 40;

		for (int i = 0; i < THREADS; i++) {
			for (unsigned k = 0; k < n; k++)
				calls[i][k] = (struct remote_call){ .nr = k & 1 ? SYS_getppid : SYS_getpid };
			b[i] = (struct remote_batch){ .p = p, .t = &t[i], .calls = calls[i], .n = n };
		}
		remote_run(b, THREADS);
		for (int i = 0; i < THREADS; i++)
			if (b[i].err || calls[i][0].ret != p->pid)
				_exit(3);
		if (round % 8 == 7) {
			remote_unmap(b, 1);
			remote_map(b, 1);
			if (b[0].err)
				_exit(4);
		}
	}
}

static void tracer(pid_t pid)
{
	struct remote_thread t[THREADS] = { 0 };
	struct remote_proc p = { .pid = pid };
	struct remote_batch b = { .p = &p, .t = &t[0] };
	struct proc_stat st;
	sigset_t all;
	int proc = open_proc_pid(pid);

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int i = 0; i < THREADS; i++) {
		t[i].tid = s->tid[i];
		t[i].single = i == 4;
		if (trace_seize(t[i].tid, TRACE_O_SUSPEND_SECCOMP) || trace_stop(t[i].tid) || remote_load(&t[i]))
			_exit(1);
	}
	if (proc_stat_read(proc, "stat", &st) || remote_look(&p, st.start_stack))
		_exit(2);
	if (t[0].home.rsp >= p.stack && t[0].home.rsp < p.stack_end)
		p.low_sp = t[0].home.rsp;
	remote_map(&b, 1);
	/* Still on its way home from what the tracer before left it in, with its stack pointer where our frame would
	 * lie. */
	while (b.err == -EOPNOTSUPP)
		pause();
	if (b.err)
		_exit(5);
	work(&p, t);
}

static bool one_death(pid_t victim_pid, unsigned *seed)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		tracer(victim_pid);
	usleep(rand_r(seed) % 4000);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (!WIFSIGNALED(status))
		printf("# tracer ended with %d\n", WEXITSTATUS(status));
	return WIFSIGNALED(status);
}

int main(void)
{
	const char *env = getenv("HOLDER_DEATH_ROUNDS");
	int rounds = env ? atoi(env) : 200, failed = 0, died = 0;
	static const char *const what[] = { "registers", "nanosleep", "futex", "poll", "calls under seccomp" };
	unsigned seed = 7;
	uint64_t before[THREADS];
	pid_t pid;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	pid = fork();
	if (!pid)
		victim();
	usleep(50000);
	for (int i = 0; i < rounds && !died; i++) {
		failed += !one_death(pid, &seed);
		died = waitpid(pid, NULL, WNOHANG) == pid;
	}
	ok(!failed, "%d tracers worked until they were killed", rounds);
	ok(!died, "the program lives");
	memcpy(before, s->loops, sizeof(before));
	usleep(50000);
	for (int i = 0; i < THREADS; i++) {
		ok(!s->bad[i], "%s: %lu bad (%s)", what[i], s->bad[i], s->why[i]);
		ok(s->loops[i] > before[i], "%s: goes on", what[i]);
	}
	if (!died)
		kill(pid, SIGKILL);
	return tap_done();
}
