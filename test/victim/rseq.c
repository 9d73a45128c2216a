/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restartable sequences (B7): two threads increment a counter per CPU by critical sections that are long enough to be
 * stopped in. glibc has registered the area; the sum must be exact, and the registration must be there after a restore.
 */
#include "victim.h"
#include <pthread.h>
#include <sys/rseq.h>

enum { THREADS = 2, CPUS = 64 };

static struct {
	long v;
} __attribute__((aligned(128))) counters[CPUS];
static volatile bool stop;
static long done[THREADS];

static struct rseq *area(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* Add one to this CPU's counter. Return: 0, or 1 when the sequence was aborted. */
static int add_one(void)
{
	struct rseq *rs = area();
	unsigned cpu = __atomic_load_n(&rs->cpu_id_start, __ATOMIC_RELAXED);

	asm goto(".pushsection __rseq_cs, \"aw\"\n\t"
		 ".balign 32\n"
		 "3:\t.long 0, 0\n\t"
		 ".quad 1f, (2f - 1f), 4f\n\t"
		 ".popsection\n\t"
		 "leaq 3b(%%rip), %%rax\n\t"
		 "movq %%rax, %[cs]\n"
		 "1:\n\t"
		 "cmpl %[cpu], %[cpu_id]\n\t"
		 "jnz 4f\n\t"
		 "mov %[p], %%rdx\n\t"
		 "mov (%%rdx), %%rax\n\t"
		 "mov $2000, %%ecx\n"
		 "5:\tpause\n\tdec %%ecx\n\tjnz 5b\n\t"
		 "inc %%rax\n\t"
		 "mov %%rax, (%%rdx)\n"
		 "2:\n\t"
		 ".pushsection __rseq_failure, \"ax\"\n\t"
		 ".byte 0x0f, 0xb9, 0x3d\n\t"
		 ".long 0x53053053\n"
		 "4:\tjmp %l[aborted]\n\t"
		 ".popsection\n\t"
		 :
		 : [cs] "m"(rs->rseq_cs), [cpu_id] "m"(rs->cpu_id), [cpu] "r"(cpu), [p] "r"(&counters[cpu % CPUS].v)
		 : "memory", "cc", "rax", "rcx", "rdx"
		 : aborted);
	return 0;
aborted:
	return 1;
}

static void *work(void *arg)
{
	long *n = arg;

	while (!stop)
		*n += !add_one();
	return arg;
}

int main(void)
{
	pthread_t t[THREADS];
	long sum = 0, all = 0;

	need(__rseq_size > 0);
	for (int i = 0; i < THREADS; i++)
		need(!pthread_create(&t[i], NULL, work, &done[i]));
	usleep(50000);
	victim_ready();
	victim_wait();
	stop = true;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		all += done[i];
	}
	for (int i = 0; i < CPUS; i++)
		sum += counters[i].v;
	victim_say("# %ld sections, sum %ld", all, sum);
	check("sum of all critical sections", sum == all && all > 100);
	check("rseq is still registered",
	      (int)area()->cpu_id >= 0 && syscall(SYS_rseq, area(), 32, 0, 0x53053053) == -1 && errno == EBUSY);
	return victim_done();
}
