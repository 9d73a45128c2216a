/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crowd TASKS THREADS: a tree of TASKS processes (each has up to ten children) of THREADS threads each. All but the root
 * sleep in a futex of shared memory, so that thousands cost nothing. Each thread checks its stack, its TLS, its name and its
 * id, and counts itself; the root compares the sums.
 */
#include "victim.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>

enum { FAN = 10 };

struct shared {
	atomic_uint go;
	atomic_int started, good, bad;
};

static struct shared *all;
static int nr_tasks, nr_threads;
static __thread uint64_t mine;

static void live(int task, int number)
{
	uint32_t seed = (uint32_t)(task * 1000 + number), on_stack[32];
	pid_t tid = gettid();

	mine = seed * 3ull;
	victim_fill(on_stack, sizeof(on_stack), seed);
	all->started++;
	while (!all->go) {
		struct timespec ts = { 5, 0 };

		syscall(SYS_futex, &all->go, FUTEX_WAIT, 0, &ts, NULL, 0);
	}
	if (mine == seed * 3ull && victim_same(on_stack, sizeof(on_stack), seed) && gettid() == tid)
		all->good++;
	else
		all->bad++;
}

static void *thread(void *arg)
{
	live((int)((uintptr_t)arg / 1000), (int)((uintptr_t)arg % 1000));
	return NULL;
}

static void threads(int task, pthread_t t[])
{
	pthread_attr_t attr;

	need(!pthread_attr_init(&attr) && !pthread_attr_setstacksize(&attr, 32768));
	for (int i = 1; i < nr_threads; i++)
		need(!pthread_create(&t[i], &attr, thread, (void *)(uintptr_t)(task * 1000 + i)));
}

static void spawn(int task);

/* Heap order: the children of @task. Return: how many. */
static int children(int task)
{
	int n = 0;

	for (int c = task * FAN + 1; c <= task * FAN + FAN && c < nr_tasks; c++, n++)
		spawn(c);
	return n;
}

static int reap(void)
{
	int status, n = 0;

	while (wait(&status) > 0)
		n += status == 0;
	return n;
}

static void spawn(int task)
{
	pthread_t t[1000];
	pid_t pid = fork(), ppid;
	int n;

	need(pid >= 0);
	if (pid)
		return;
	ppid = getppid();
	n = children(task);
	threads(task, t);
	live(task, 0);
	for (int i = 1; i < nr_threads; i++)
		pthread_join(t[i], NULL);
	_exit(reap() == n && getppid() == ppid ? 0 : 1);
}

int main(int argc, char **argv)
{
	pthread_t t[1000];
	int n;

	nr_tasks = argc > 1 ? atoi(argv[1]) : 100;
	nr_threads = argc > 2 ? atoi(argv[2]) : 5;
	need(nr_tasks > 0 && nr_threads > 0 && nr_threads < 1000);
	all = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(all != MAP_FAILED);
	n = children(0);
	threads(0, t);
	while (all->started < nr_tasks * nr_threads - 1)
		usleep(1000);
	victim_ready();
	victim_wait();
	all->go = 1;
	syscall(SYS_futex, &all->go, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	for (int i = 1; i < nr_threads; i++)
		pthread_join(t[i], NULL);
	check("children", reap() == n);
	check("threads", all->bad == 0 && all->good == nr_tasks * nr_threads - 1);
	return victim_done();
}
