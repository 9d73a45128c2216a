/* SPDX-License-Identifier: GPL-2.0-or-later */
/* many-threads N: N threads in all; each has values in TLS and in its stack, a name, and counts up. */
#include <pthread.h>
#include <stdatomic.h>

#include "victim.h"

static __thread uint64_t mine;
static atomic_int bad, started;
static atomic_bool stop;

static void *thread(void *arg)
{
	uint64_t number = (uintptr_t)arg, on_stack[64];
	char name[16], now[16];
	pid_t tid = gettid();

	mine = number * 3;
	victim_fill(on_stack, sizeof(on_stack), (uint32_t)number);
	snprintf(name, sizeof(name), "thread-%d", (int)number);
	pthread_setname_np(pthread_self(), name);
	started++;
	while (!stop) {
		struct timespec ts = { 0, 20000000 };

		nanosleep(&ts, NULL);
	}
	pthread_getname_np(pthread_self(), now, sizeof(now));
	if (mine != number * 3 || !victim_same(on_stack, sizeof(on_stack), (uint32_t)number) ||
	    strcmp(name, now) != 0 || gettid() != tid)
		bad++;
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 500;
	pthread_t *t = calloc(n, sizeof(*t));
	pthread_attr_t attr;

	need(t);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (int i = 1; i < n; i++)
		need(!pthread_create(&t[i], &attr, thread, (void *)(uintptr_t)i));
	while (started < n - 1)
		usleep(1000);
	victim_ready();
	victim_wait();
	stop = true;
	for (int i = 1; i < n; i++)
		pthread_join(t[i], NULL);
	check("threads", bad == 0);
	return victim_done();
}
