/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A1: a task that again and again waits in vfork for a child that takes 50 ms before it ends. */
#include "victim.h"

int main(void)
{
	static long rounds, good; /* not in registers: vfork returns twice */

	victim_ready();
	while (!victim_go()) {
		int status = 0;
		pid_t pid = vfork();

		if (!pid) {
			struct timespec ts = { 0, 50 * 1000 * 1000 };

			nanosleep(&ts, NULL);
			_exit(7);
		}
		need(pid > 0);
		rounds++;
		good += waitpid(pid, &status, 0) == pid && status == 7 << 8;
	}
	check("every child ended as it should", rounds == good && rounds > 0);
	return victim_done();
}
