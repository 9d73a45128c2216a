/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A1: a tree that never holds still: two tasks fork children that end at once, and start threads that end at once. */
#include "victim.h"
#include <pthread.h>

static volatile long *count;

static void *short_life(void *arg)
{
	__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
	return arg;
}

static void storm(void)
{
	while (!victim_go()) {
		pthread_t t;
		pid_t pid = fork();

		need(pid >= 0);
		if (!pid) {
			__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
			_exit(3);
		}
		need(!pthread_create(&t, NULL, short_life, NULL));
		pthread_join(t, NULL);
		int status = 0;

		need(waitpid(pid, &status, 0) == pid && status == 3 << 8);
	}
}

int main(void)
{
	int status = 0;
	pid_t pid;

	count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(count != MAP_FAILED);
	need((pid = fork()) >= 0);
	if (!pid) {
		storm();
		_exit(0);
	}
	victim_ready();
	storm();
	check("the other went on", waitpid(pid, &status, 0) == pid && status == 0);
	check("they did something", *count > 10);
	return victim_done();
}
