/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two processes of many threads, of which the first and the last look for the file "go" without a pause and then end
 * the process: where it is there at a restore, most threads are still to be let go when it ends.
 */
#include "victim.h"
#include <pthread.h>

enum { THREADS = 300 };

static void *end_at_once(void *arg)
{
	while (access("go", F_OK))
		;
	_exit(0);
	return arg;
}

static void *wait_long(void *arg)
{
	pause();
	return arg;
}

static void make_threads(void)
{
	pthread_t t;

	for (int i = 0; i < THREADS; i++)
		need(!pthread_create(&t, NULL, i == THREADS - 1 ? end_at_once : wait_long, NULL));
}

int main(void)
{
	pid_t child = fork();

	need(child >= 0);
	make_threads();
	if (child)
		victim_ready();
	end_at_once(NULL);
	return 0;
}
