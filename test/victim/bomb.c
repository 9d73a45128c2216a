/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bomb TASKS SECONDS: a fork bomb that is harmless: every task forks as fast as it can, and so do its children, and each
 * ends after a few milliseconds; no more than TASKS live at once, and after SECONDS all end by themselves. The root is the
 * subreaper of them all and counts: who was born has ended, each with its own code.
 */
#include "victim.h"
#include <stdatomic.h>

static struct shared {
	atomic_int living, bad, stop;
	atomic_long born, ended;
	int most;
	time_t end;
} * all;

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void wrong(const char *what, int value)
{
	all->bad++;
	victim_say("FAIL %s: %d", what, value);
}

static void reap(int flags)
{
	int status;

	while (waitpid(-1, &status, flags) > 0) {
		all->ended++;
		all->living--;
		if (status != 7 << 8)
			wrong("a status", status);
	}
}

/* Forty children each, which do the same. */
static _Noreturn void bomb(void)
{
	int forks = 0;

	while (!all->stop && forks < 40) {
		pid_t pid;

		if (atomic_fetch_add(&all->living, 1) >= all->most) {
			all->living--;
			sched_yield();
			forks++; /* so that places become free */
			continue;
		}
		pid = fork();
		if (!pid) {
			forks = 0;
			continue;
		}
		if (pid < 0) {
			all->living--;
			if (errno != EAGAIN && errno != ENOMEM)
				wrong("fork", errno);
			continue;
		}
		all->born++;
		forks++;
		if (forks % 8 == 0)
			reap(WNOHANG);
	}
	_exit(7);
}

int main(int argc, char **argv)
{
	all = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(all != MAP_FAILED && !prctl(PR_SET_CHILD_SUBREAPER, 1));
	need(nice(19) >= 0); /* others work on this machine */
	all->most = argc > 1 ? atoi(argv[1]) : 200;
	all->end = now() + (argc > 2 ? atoi(argv[2]) : 60);
	victim_ready();
	while (!victim_go() && now() < all->end) {
		for (int i = 0; i < 64; i++) {
			pid_t pid;

			if (atomic_fetch_add(&all->living, 1) >= all->most) {
				all->living--;
				break;
			}
			pid = fork();
			if (!pid)
				bomb();
			if (pid < 0)
				all->living--;
			else
				all->born++;
		}
		reap(WNOHANG);
	}
	all->stop = 1;
	reap(0);
	check("all ended well", all->bad == 0 && all->born == all->ended && all->living == 0);
	victim_say("# born %ld, ended %ld, living %d", all->born, all->ended, all->living);
	check("it was a bomb", all->born > all->most);
	return victim_done();
}
