/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads (A5, B1-B3, B5, B6, B8, B9, B12): a few threads spin with known values in all registers that user code has
 * (rbx, rbp-free GPRs, mxcsr, x87, ymm/zmm), others sleep in futex and nanosleep. Each has its own TLS, comm, mask,
 * altstack, nice value and robust list; ids must stay; a thread that ends must wake its joiner (clear_child_tid).
 */
#include "victim.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/resource.h>
#include <x86intrin.h>

enum { SPINNERS = 3, SLEEPERS = 3, ALL = SPINNERS + SLEEPERS, ALT = 64 * 1024 };

static struct thread {
	pthread_t t;
	int n;
	pid_t tid;
	void *fs;
	volatile bool up, bad_regs, ok;
	char alt[ALT];
} threads[ALL];

static __thread int tls_value;
static volatile bool stop;
static pthread_mutex_t robust;
static int futex_word;

static bool has_avx512(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
}

/* Load every register from @v, spin a while, compare: true when all are as they were. */
static bool spin_gpr(uint64_t v)
{
	uint64_t bad;

	asm volatile("mov %[v], %%rbx\n\tlea 1(%%rbx), %%r8\n\tlea 2(%%rbx), %%r9\n\tlea 3(%%rbx), %%r10\n\t"
		     "lea 4(%%rbx), %%r11\n\tlea 5(%%rbx), %%r12\n\tlea 6(%%rbx), %%r13\n\tlea 7(%%rbx), %%r14\n\t"
		     "lea 8(%%rbx), %%r15\n\tlea 9(%%rbx), %%rsi\n\tlea 10(%%rbx), %%rdi\n\t"
		     "mov $300000, %%ecx\n1:\tpause\n\tdec %%ecx\n\tjnz 1b\n\t"
		     "xor %%eax, %%eax\n\tmov %[v], %%rdx\n\t"
		     "cmp %%rbx, %%rdx\n\tjne 2f\n\tinc %%rdx\n\tcmp %%r8, %%rdx\n\tjne 2f\n\tinc %%rdx\n\tcmp %%r9, "
		     "%%rdx\n\tjne 2f\n\t"
		     "inc %%rdx\n\tcmp %%r10, %%rdx\n\tjne 2f\n\tinc %%rdx\n\tcmp %%r11, %%rdx\n\tjne 2f\n\t"
		     "inc %%rdx\n\tcmp %%r12, %%rdx\n\tjne 2f\n\tinc %%rdx\n\tcmp %%r13, %%rdx\n\tjne 2f\n\t"
		     "inc %%rdx\n\tcmp %%r14, %%rdx\n\tjne 2f\n\tinc %%rdx\n\tcmp %%r15, %%rdx\n\tjne 2f\n\t"
		     "inc %%rdx\n\tcmp %%rsi, %%rdx\n\tjne 2f\n\tinc %%rdx\n\tcmp %%rdi, %%rdx\n\tje 3f\n"
		     "2:\tinc %%eax\n3:\n\t"
		     : "=&a"(bad)
		     : [v] "m"(v)
		     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		       "memory", "cc");
	return !bad;
}

__attribute__((target("avx"))) static bool spin_avx(uint64_t v)
{
	uint64_t in[4] __attribute__((aligned(32))) = { v, v + 1, v + 2, v + 3 }, out[4] __attribute__((aligned(32)));

	asm volatile("vmovdqa %1, %%ymm6\n\tvmovdqa %%ymm6, %%ymm15\n\tmov $300000, %%ecx\n1:\tpause\n\tdec "
		     "%%ecx\n\tjnz 1b\n\t"
		     "vxorps %%ymm6, %%ymm15, %%ymm7\n\tvptest %%ymm7, %%ymm7\n\tjz 2f\n\tvxorps %%ymm15, %%ymm15, "
		     "%%ymm15\n2:\n\t"
		     "vmovdqa %%ymm15, %0\n\tvzeroupper"
		     : "=m"(out)
		     : "m"(in)
		     : "rcx", "xmm6", "xmm7", "xmm15", "memory", "cc");
	return !memcmp(in, out, sizeof(in));
}

__attribute__((target("avx512f"))) static bool spin_avx512(uint64_t v)
{
	uint64_t in[8] __attribute__((aligned(64))), out[2][8] __attribute__((aligned(64))), mask = 0;

	for (int i = 0; i < 8; i++)
		in[i] = v * 31 + (uint64_t)i;
	asm volatile("vmovdqa64 %3, %%zmm5\n\tvmovdqa64 %3, %%zmm29\n\tmov $0xa5c3, %%eax\n\tkmovw %%eax, %%k3\n\t"
		     "mov $300000, %%ecx\n1:\tpause\n\tdec %%ecx\n\tjnz 1b\n\t"
		     "vmovdqa64 %%zmm5, %0\n\tvmovdqa64 %%zmm29, %1\n\tkmovw %%k3, %%eax\n\tmov %%rax, %2\n\tvzeroupper"
		     : "=m"(out[0]), "=m"(out[1]), "=m"(mask)
		     : "m"(in)
		     : "rax", "rcx", "xmm5", "xmm29", "memory", "cc");
	return !memcmp(in, out[0], sizeof(in)) && !memcmp(in, out[1], sizeof(in)) && (mask & 0xffff) == 0xa5c3;
}

static bool spin_fpu(int n)
{
	unsigned mxcsr = 0x1f80u | ((unsigned)n % 4) << 13, got;
	double in = 1.0 + n / 8.0, out;

	asm volatile("ldmxcsr %1" : "=m"(got) : "m"(mxcsr));
	asm volatile("fldl %1\n\tmov $300000, %%ecx\n1:\tpause\n\tdec %%ecx\n\tjnz 1b\n\tfstpl %0"
		     : "=m"(out)
		     : "m"(in)
		     : "rcx", "st", "cc");
	asm volatile("stmxcsr %0" : "=m"(got));
	return out == in && (got & ~0x3fu) == mxcsr;
}

static void spin(struct thread *t)
{
	uint64_t v = 0x1122334455667700ull * (uint64_t)(t->n + 1);
	bool avx512 = has_avx512();

	for (unsigned i = 0; !stop; i++) {
		bool ok = i % 4 == 0   ? spin_gpr(v + i)
			  : i % 4 == 1 ? spin_avx(v + i)
			  : i % 4 == 2 ? spin_fpu(t->n)
			  : avx512     ? spin_avx512(v + i)
				       : true;

		if (!ok)
			t->bad_regs = true;
	}
}

static void doze(struct thread *t)
{
	while (!stop) {
		if (t->n % 2)
			syscall(SYS_futex, &futex_word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
		else
			usleep(20000);
	}
}

static void *life(void *arg)
{
	struct thread *t = arg;
	stack_t ss = { .ss_sp = t->alt, .ss_size = ALT }, got;
	char comm[16], now[16];
	sigset_t mask, back;
	void *rl_head, *rl_now;
	size_t rl_len;
	unsigned long fs;

	tls_value = 1000 + t->n;
	snprintf(comm, sizeof(comm), "thread-%d", t->n);
	prctl(PR_SET_NAME, comm);
	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN + t->n);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	need(!sigaltstack(&ss, NULL));
	need(!setpriority(PRIO_PROCESS, 0, t->n));
	syscall(SYS_get_robust_list, 0, &rl_head, &rl_len);
	syscall(SYS_arch_prctl, 0x1003, &fs);
	t->fs = (void *)fs;
	t->tid = (pid_t)syscall(SYS_gettid);
	t->up = true;
	if (t->n < SPINNERS)
		spin(t);
	else
		doze(t);

	prctl(PR_GET_NAME, now);
	syscall(SYS_arch_prctl, 0x1003, &fs);
	syscall(SYS_get_robust_list, 0, &rl_now, &rl_len);
	sigaltstack(NULL, &got);
	pthread_sigmask(SIG_BLOCK, NULL, &back);
	t->ok = tls_value == 1000 + t->n && !strcmp(now, comm) && (void *)fs == t->fs && rl_now == rl_head &&
		got.ss_sp == t->alt && got.ss_size == ALT && sigismember(&back, SIGRTMIN + t->n) == 1 &&
		sigismember(&back, SIGRTMIN + t->n + 1) == 0 && getpriority(PRIO_PROCESS, 0) == t->n &&
		syscall(SYS_gettid) == t->tid && !t->bad_regs;
	return t;
}

/* Takes a robust mutex and dies with it: the kernel must mark it after the restore, too. */
static void *robust_holder(void *arg)
{
	pthread_mutex_lock(&robust);
	*(volatile bool *)arg = true;
	while (!stop)
		usleep(10000);
	syscall(SYS_exit, 0);
	return NULL;
}

int main(void)
{
	static volatile bool locked;
	pthread_mutexattr_t attr;
	pthread_t holder;
	char what[64];

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	need(!pthread_create(&holder, NULL, robust_holder, (void *)&locked));
	for (int i = 0; i < ALL; i++) {
		threads[i].n = i;
		need(!pthread_create(&threads[i].t, NULL, life, &threads[i]));
	}
	for (int i = 0; i < ALL; i++)
		while (!threads[i].up)
			usleep(1000);
	while (!locked)
		usleep(1000);
	victim_fact("threads", "%d", ALL + 2);
	victim_ready();
	victim_wait();
	stop = true;
	futex_word = 1;
	syscall(SYS_futex, &futex_word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, ALL, NULL, NULL, 0);
	for (int i = 0; i < ALL; i++) {
		need(!pthread_join(threads[i].t, NULL));
		snprintf(what, sizeof(what), "thread %d (%s)", i, i < SPINNERS ? "spins" : "sleeps");
		check(what, threads[i].ok);
	}
	check("robust mutex of a thread that died", pthread_mutex_lock(&robust) == EOWNERDEAD);
	return victim_done();
}
