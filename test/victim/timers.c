/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers and clocks (M1-M3, I5): interval timers, POSIX timers with a gap in the ids, sleeps and polls that were under
 * way (they must neither fail nor end early), a monotonic clock that never goes back and goes on from where it was.
 */
#include "victim.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/time.h>

static volatile sig_atomic_t ticks;
static volatile bool ending;

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct sleeper {
	const char *name;
	int (*sleep)(double sec);
	double asked, slept;
	int result;
	volatile bool up, back;
} sleepers[];

static int by_nanosleep(double sec)
{
	struct timespec ts = { (time_t)sec, (long)((sec - (time_t)sec) * 1e9) };

	return nanosleep(&ts, NULL);
}

static int by_nanosleep_rem(double sec)
{
	struct timespec ts = { (time_t)sec, (long)((sec - (time_t)sec) * 1e9) }, rem = { 0, 0 };

	return nanosleep(&ts, &rem);
}

static int by_abstime(double sec)
{
	double until = now(CLOCK_MONOTONIC) + sec;
	struct timespec ts = { (time_t)until, (long)((until - (double)(time_t)until) * 1e9) };

	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int by_poll(double sec)
{
	return poll(NULL, 0, (int)(sec * 1e3));
}

static int by_epoll(double sec)
{
	struct epoll_event ev;
	int fd = epoll_create1(EPOLL_CLOEXEC), rc = epoll_wait(fd, &ev, 1, (int)(sec * 1e3));

	close(fd);
	return rc;
}

static int by_select(double sec)
{
	struct timeval tv = { (time_t)sec, (suseconds_t)((sec - (time_t)sec) * 1e6) };

	return select(0, NULL, NULL, NULL, &tv);
}

static int by_sigtimedwait(double sec)
{
	struct timespec ts = { (time_t)sec, (long)((sec - (time_t)sec) * 1e9) };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 10);
	return sigtimedwait(&set, NULL, &ts) == -1 && errno == EAGAIN ? 0 : -1;
}

static struct sleeper sleepers[] = {
	{ .name = "nanosleep", .sleep = by_nanosleep },
	{ .name = "nanosleep with rest", .sleep = by_nanosleep_rem },
	{ .name = "absolute sleep", .sleep = by_abstime },
	{ .name = "poll", .sleep = by_poll },
	{ .name = "epoll_wait", .sleep = by_epoll },
	{ .name = "select", .sleep = by_select },
	{ .name = "sigtimedwait", .sleep = by_sigtimedwait },
};
enum { NR = sizeof(sleepers) / sizeof(sleepers[0]) };

static void *life(void *arg)
{
	struct sleeper *s = arg;
	sigset_t all;
	double start;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	start = now(CLOCK_MONOTONIC);
	s->up = true;
	s->result = s->sleep(s->asked);
	s->slept = now(CLOCK_MONOTONIC) - start;
	s->back = true;
	/* How many threads there are does not depend on how fast the test is. */
	while (!ending)
		usleep(10000);
	return s;
}

static int make_timer(clockid_t clock, int notify, int sig, long value)
{
	struct sigevent ev = { .sigev_notify = notify, .sigev_signo = sig, .sigev_value.sival_ptr = (void *)value };
	int id = -1;

	if (notify == SIGEV_THREAD_ID)
		ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	need(!syscall(SYS_timer_create, clock, &ev, &id));
	return id;
}

static void arm(int id, long sec, long nsec, long isec, long insec)
{
	struct itimerspec its = { { isec, insec }, { sec, nsec } };

	need(!syscall(SYS_timer_settime, id, 0, &its, NULL));
}

static bool left(int id, long below, long above, long isec)
{
	struct itimerspec its;

	return !syscall(SYS_timer_gettime, id, &its) && its.it_value.tv_sec < below && its.it_value.tv_sec >= above &&
	       its.it_interval.tv_sec == isec;
}

static bool itimer_left(int which, long below, long above, long isec)
{
	struct itimerval itv;

	return !getitimer(which, &itv) && itv.it_value.tv_sec < below && itv.it_value.tv_sec >= above &&
	       itv.it_interval.tv_sec == isec;
}

int main(int argc, char **argv)
{
	double sleep_sec = argc > 1 ? atof(argv[1]) : 4, mono, boot, real;
	struct itimerval itv = { { 7, 250000 }, { 5000, 0 } };
	struct itimerspec its;
	int gap, tick, abs, none, tid, before;
	pthread_t t[NR];
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };

	sigaction(SIGRTMIN + 6, &sa, NULL);
	sigaction(SIGRTMIN + 5, &sa, NULL);
	for (int i = 0; i < NR; i++) {
		sleepers[i].asked = sleep_sec;
		need(!pthread_create(&t[i], NULL, life, &sleepers[i]));
	}
	need(!setitimer(ITIMER_REAL, &itv, NULL));
	itv.it_value.tv_sec = 6000;
	need(!setitimer(ITIMER_VIRTUAL, &itv, NULL));
	itv.it_value.tv_sec = 7000;
	need(!setitimer(ITIMER_PROF, &itv, NULL));
	arm(make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 5, 0x1234), 8000, 0, 11, 0);
	gap = make_timer(CLOCK_REALTIME, SIGEV_NONE, 0, 0);
	abs = make_timer(CLOCK_BOOTTIME, SIGEV_SIGNAL, SIGRTMIN + 5, 0x5678);
	none = make_timer(CLOCK_REALTIME, SIGEV_NONE, 0, 0);
	tid = make_timer(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 5, 0x9abc);
	tick = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 6, 0);
	arm(abs, 9000, 0, 0, 0);
	arm(none, 9500, 0, 0, 0);
	arm(tick, 0, 20000000, 0, 20000000);
	syscall(SYS_timer_delete, gap);
	for (int i = 0; i < NR; i++)
		while (!sleepers[i].up)
			usleep(1000);
	while (ticks < 3)
		usleep(1000);
	mono = now(CLOCK_MONOTONIC);
	boot = now(CLOCK_BOOTTIME);
	real = now(CLOCK_REALTIME);
	victim_ready();
	victim_wait();
	ending = true;

	check("monotonic clock goes on", now(CLOCK_MONOTONIC) >= mono && now(CLOCK_MONOTONIC) < mono + 600);
	check("boot clock goes on", now(CLOCK_BOOTTIME) >= boot && now(CLOCK_BOOTTIME) < boot + 600);
	check("real clock", now(CLOCK_REALTIME) >= real);
	before = ticks;
	for (int i = 0; i < 200 && ticks < before + 3; i++)
		usleep(10000);
	check("ticking timer", ticks >= before + 3);
	check("real interval timer", itimer_left(ITIMER_REAL, 5000, 4000, 7));
	check("virtual interval timer", itimer_left(ITIMER_VIRTUAL, 6001, 5000, 7));
	check("profile interval timer", itimer_left(ITIMER_PROF, 7001, 6000, 7));
	check("timer 0", left(0, 8000, 7000, 11));
	check("deleted timer", syscall(SYS_timer_gettime, gap, &its) == -1 && errno == EINVAL);
	check("boottime timer", left(abs, 9000, 8000, 0));
	check("timer that tells nobody", left(none, 9500, 8500, 0));
	check("disarmed timer",
	      !syscall(SYS_timer_gettime, tid, &its) && its.it_value.tv_sec == 0 && its.it_value.tv_nsec == 0);
	/* Which id comes next is not state that can be seen; that one comes is. */
	check("a new timer", make_timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0) >= 0);
	for (int i = 0; i < NR; i++) {
		char what[64];

		pthread_join(t[i], NULL);
		snprintf(what, sizeof(what), "%s of %.1f s", sleepers[i].name, sleepers[i].asked);
		victim_say("# %s: result %d after %.3f s", what, sleepers[i].result, sleepers[i].slept);
		check(what, sleepers[i].result == 0 && sleepers[i].slept >= sleepers[i].asked - 0.01 &&
				    sleepers[i].slept < 3 * sleepers[i].asked + 10);
	}
	return victim_done();
}
