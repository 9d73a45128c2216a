/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timer descriptors (E16): relative and absolute, one-shot and periodic, disarmed, expired with ticks not read, and one
 * that a child waits for.
 */
#include "victim.h"

#include <sys/timerfd.h>

static int timer(int clock, int flags, time_t sec, time_t interval)
{
	struct itimerspec its = { .it_value.tv_sec = sec, .it_interval = { interval, interval ? 500 : 0 } };
	int fd = timerfd_create(clock, TFD_NONBLOCK);

	if (flags & TFD_TIMER_ABSTIME) {
		struct timespec now;

		need(clock_gettime(clock, &now) == 0);
		its.it_value.tv_sec += now.tv_sec;
	}
	need(fd >= 0 && timerfd_settime(fd, flags, &its, NULL) == 0);
	return fd;
}

static bool left(int fd, time_t most, time_t interval)
{
	struct itimerspec its;

	return timerfd_gettime(fd, &its) == 0 && its.it_value.tv_sec < most && its.it_value.tv_sec > most - 100 &&
	       its.it_interval.tv_sec == interval && its.it_interval.tv_nsec == (interval ? 500 : 0);
}

int main(void)
{
	struct itimerspec fast = { { 0, 1000000 }, { 0, 1000000 } }, zero = { 0 }, now;
	int mono, real, boot, expired, off, wait_fd, status;
	uint64_t ticks = 0;
	pid_t child;

	mono = timer(CLOCK_MONOTONIC, 0, 5000, 3);
	real = timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, 6000, 0);
	boot = timer(CLOCK_BOOTTIME, TFD_TIMER_ABSTIME, 7000, 9);
	expired = timer(CLOCK_MONOTONIC, 0, 8000, 0);
	need(timerfd_settime(expired, 0, &fast, NULL) == 0);
	usleep(30000);
	need((off = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) >= 0);
	wait_fd = timer(CLOCK_MONOTONIC, 0, 2, 0);
	need(fcntl(wait_fd, F_SETFL, 0) == 0 && (child = fork()) >= 0);
	if (!child)
		_exit(read(wait_fd, &ticks, 8) == 8 && ticks == 1 ? 0 : 1); /* waits over the dump */
	victim_fact("mono", "%d", mono);
	victim_fact("real", "%d", real);
	victim_ready();
	victim_wait();

	check("relative", left(mono, 5000, 3));
	check("absolute", left(real, 6000, 0));
	check("boot time", left(boot, 7000, 9));
	check("ticks", read(expired, &ticks, 8) == 8 && ticks >= 20);
	check("disarmed", timerfd_gettime(off, &now) == 0 && !memcmp(&now, &zero, sizeof(now)) &&
				  fcntl(off, F_GETFD) == FD_CLOEXEC);
	check("a timer that is waited for", waitpid(child, &status, 0) == child && status == 0);
	return victim_done();
}
