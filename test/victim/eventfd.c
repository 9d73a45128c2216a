/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event counters (E13): value, also a large one, semaphores, flags; shared with a child that waits in read(). */
#include "victim.h"

#include <sys/eventfd.h>

int main(void)
{
	uint64_t value = 0xfffffffffffffffeull;
	int plain, large, sem, shared, status;
	pid_t child;

	need((plain = eventfd(42, EFD_NONBLOCK)) >= 0 && (large = eventfd(0, 0)) >= 0 && write(large, &value, 8) == 8);
	need((sem = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)) >= 0 && (shared = eventfd(0, 0)) >= 0);
	need((child = fork()) >= 0);
	if (!child)
		_exit(read(shared, &value, 8) == 8 && value == 9 ? 0 : 1);
	victim_fact("plain", "%d", plain);
	victim_fact("sem", "%d", sem);
	victim_ready();
	victim_wait();

	check("value", read(plain, &value, 8) == 8 && value == 42 && read(plain, &value, 8) == -1 && errno == EAGAIN);
	check("large value", read(large, &value, 8) == 8 && value == 0xfffffffffffffffeull);
	check("semaphore", read(sem, &value, 8) == 8 && value == 1 && read(sem, &value, 8) == 8 && value == 1 &&
				   read(sem, &value, 8) == 8 && value == 1 && read(sem, &value, 8) == -1 &&
				   errno == EAGAIN);
	check("close-on-exec", fcntl(sem, F_GETFD) == FD_CLOEXEC && fcntl(plain, F_GETFD) == 0);
	value = 9;
	check("shared", write(shared, &value, 8) == 8 && waitpid(child, &status, 0) == child && status == 0);
	return victim_done();
}
