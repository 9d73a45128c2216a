/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices without state (E24). */
#include "victim.h"

int main(void)
{
	int null, zero, full, random_fd, urandom;
	char buf[16];

	need((null = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && (zero = open("/dev/zero", O_RDONLY)) >= 0);
	need((full = open("/dev/full", O_WRONLY)) >= 0 &&
	     (random_fd = open("/dev/random", O_RDONLY | O_NONBLOCK)) >= 0);
	need((urandom = open("/dev/urandom", O_RDONLY)) >= 0);
	victim_fact("zero", "%d", zero);
	victim_ready();
	victim_wait();

	memset(buf, 1, sizeof(buf));
	check("null", write(null, buf, 5) == 5 && read(null, buf, 5) == 0 && fcntl(null, F_GETFD) == FD_CLOEXEC);
	check("zero", read(zero, buf, 16) == 16 && !buf[0] && !memcmp(buf, buf + 1, 15));
	check("full", write(full, buf, 1) == -1 && errno == ENOSPC);
	check("random", read(random_fd, buf, 8) == 8 && (fcntl(random_fd, F_GETFL) & O_NONBLOCK));
	check("urandom", read(urandom, buf, 16) == 16);
	return victim_done();
}
