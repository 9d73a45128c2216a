/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scheduling (B12) and what CRIU forgets (C12): policy, priority, nice, affinity, I/O priority, timer slack,
 * coredump_filter, of the process and of a thread.
 */
#include "victim.h"
#include <pthread.h>
#include <sys/resource.h>

struct state {
	int policy, priority, nice, ioprio, slack;
	unsigned filter;
	cpu_set_t cpus;
};

static void look(struct state *s)
{
	struct sched_param p;
	char text[32] = "";
	int fd = open("/proc/self/coredump_filter", O_RDONLY);

	memset(s, 0, sizeof(*s));
	s->policy = sched_getscheduler(0);
	sched_getparam(0, &p);
	s->priority = p.sched_priority;
	s->nice = getpriority(PRIO_PROCESS, 0);
	s->ioprio = (int)syscall(SYS_ioprio_get, 1, 0);
	s->slack = prctl(PR_GET_TIMERSLACK);
	sched_getaffinity(0, sizeof(s->cpus), &s->cpus);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		s->filter = (unsigned)strtoul(text, NULL, 16);
	close(fd);
}

static struct state before, after, thread_before, thread_after;
static volatile int stage;

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	need(!sched_setaffinity(0, sizeof(set), &set));
}

static void *thread(void *arg)
{
	struct sched_param p = { 3 };

	need(!sched_setscheduler(0, SCHED_FIFO, &p));
	on_cpu(0);
	prctl(PR_SET_TIMERSLACK, 123456);
	need(!syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 1));
	look(&thread_before);
	stage = 1;
	while (stage != 2)
		usleep(5000);
	look(&thread_after);
	stage = 3;
	return arg;
}

int main(void)
{
	struct sched_param p = { 0 };
	pthread_t t;
	int fd;

	need(!pthread_create(&t, NULL, thread, NULL));
	while (stage != 1)
		usleep(1000);
	need(!sched_setscheduler(0, SCHED_BATCH, &p));
	need(!setpriority(PRIO_PROCESS, 0, 5));
	need(!syscall(SYS_ioprio_set, 1, 0, 3 << 13 | 0));
	on_cpu((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
	prctl(PR_SET_TIMERSLACK, 777777);
	need((fd = open("/proc/self/coredump_filter", O_WRONLY)) >= 0 && write(fd, "0x7f", 4) == 4);
	close(fd);
	look(&before);
	victim_ready();
	victim_wait();
	look(&after);
	stage = 2;
	for (int i = 0; i < 300 && stage != 3; i++)
		usleep(10000);
#define same(who, field) \
	check(#who "state: " #field, !memcmp(&who##before.field, &who##after.field, sizeof(after.field)))
	same(, policy);
	same(, priority);
	same(, nice);
	same(, ioprio);
	same(, slack);
	same(, filter);
	same(, cpus);
	same(thread_, policy);
	same(thread_, priority);
	same(thread_, ioprio);
	same(thread_, slack);
	same(thread_, cpus);
	return victim_done();
}
