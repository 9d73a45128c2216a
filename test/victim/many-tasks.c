/* SPDX-License-Identifier: GPL-2.0-or-later */
/* many-tasks N: a tree of N processes; every tenth starts a session, every fifth a group; each holds memory of its own.
 */
#include "victim.h"

#define STRIDE 10

static volatile uint64_t *counters; /* shared: each task counts */

static void live(int number, pid_t sid, pid_t pgid)
{
	size_t len = 65536;
	unsigned char *p = malloc(len);
	pid_t ppid = getppid();
	char name[32];

	need(p);
	victim_fill(p, len, number);
	counters[number] = 1;
	victim_wait();
	snprintf(name, sizeof(name), "task-%d", number);
	/* The root's parent is another after a restore. */
	check(name, victim_same(p, len, number) && getsid(0) == sid && getpgrp() == pgid &&
			    (number == 0 || getppid() == ppid));
	counters[number]++;
}

/* Task @first of a subtree has as children the tasks first+1 ... first+STRIDE-1, or the heads of the subtrees. */
static pid_t spawn(int number)
{
	pid_t pid = fork();

	need(pid >= 0);
	if (pid)
		return pid;
	if (number % 10 == 0)
		need(setsid() == getpid());
	else if (number % 5 == 0)
		need(!setpgid(0, 0));
	if (number % STRIDE == 0)
		for (int i = 1; i < STRIDE; i++)
			spawn(number + i);
	live(number, getsid(0), getpgrp());
	while (wait(NULL) > 0)
		;
	_exit(victim_failures);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 200, ended = 0, bad = 0, status;
	bool all = false;

	counters = mmap(NULL, n * sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(counters != MAP_FAILED && n % STRIDE == 0);
	for (int i = 1; i < STRIDE; i++)
		spawn(i);
	for (int i = STRIDE; i < n; i += STRIDE)
		spawn(i);
	counters[0] = 1;
	while (!all) {
		usleep(10000);
		all = true;
		for (int i = 0; i < n; i++)
			all = all && counters[i];
	}
	victim_ready();
	live(0, getsid(0), getpgrp());
	while (wait(&status) > 0) {
		ended++;
		bad += status != 0;
	}
	check("children", ended == STRIDE - 1 + n / STRIDE - 1 && !bad);
	for (int i = 0; i < n; i++)
		all = all && counters[i] == 2;
	check("shared-counters", all);
	return victim_done();
}
