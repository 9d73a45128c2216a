/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blocking [lock|all]: a thread in each blocking system call, for ever or with a timeout, again and again. Whatever a call
 * shows that it would not show if nobody had ever stopped the program is counted; at "go" each kind prints what it saw:
 *	saw NAME RET ERRNO
 * and a wrong timeout is a FAIL. Those that a plain SIGSTOP and SIGCONT make return are told apart by the reader
 * (test/sweep/interrupt.bats compares the lists). "lock": only the waits for locks (trees with locks are refused yet);
 * "all": both.
 */
#include "victim.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/uio.h>

/* Socket timeouts count ticks of the machine, which lag under load. */
enum { SAW = 6, MS = 60, SLACK_US = 12000, BIG = 1 << 16 };

struct kind {
	const char *name;
	long (*call)(void);
	/* What is expected of a call with a timeout, and how long it takes; 0: it never returns. */
	long ret, err, ms;
	struct {
		long ret, err;
	} saw[SAW];
	volatile unsigned nr_saw, early;
	volatile uint64_t calls;
};

static int empty[2], full[2], sock[2], listener, event, timer, sigs, lock_other, lock_mine, idle_epoll;
static pid_t child;
static uint32_t word;
static const struct timespec nap = { 0, MS * 1000000l };

static long sys(long ret)
{
	return ret;
}

/* ---- for ever ---- */
static long do_read(void)
{
	char c;
	return read(empty[0], &c, 1);
}
static long do_readv(void)
{
	char c;
	struct iovec v = { &c, 1 };
	return readv(empty[0], &v, 1);
}
static long do_write(void)
{
	static char b[BIG];
	return write(full[1], b, sizeof(b));
}
static long do_futex(void)
{
	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}
static long do_futex_bitset(void)
{
	return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 1);
}
static long do_pause(void)
{
	return pause();
}
static long do_poll(void)
{
	struct pollfd p = { empty[0], POLLIN, 0 };
	return poll(&p, 1, -1);
}
static long do_ppoll(void)
{
	struct pollfd p = { empty[0], POLLIN, 0 };
	return ppoll(&p, 1, NULL, NULL);
}
static long do_epoll(void)
{
	struct epoll_event e;
	return epoll_wait(idle_epoll, &e, 1, -1);
}
static long do_epoll_pwait(void)
{
	struct epoll_event e;
	sigset_t none;

	sigemptyset(&none);
	return epoll_pwait(idle_epoll, &e, 1, -1, &none);
}
static long do_select(void)
{
	fd_set s;

	FD_ZERO(&s);
	FD_SET(empty[0], &s);
	return select(empty[0] + 1, &s, NULL, NULL, NULL);
}
static long do_pselect(void)
{
	sigset_t none;
	fd_set s;

	sigemptyset(&none);
	FD_ZERO(&s);
	FD_SET(empty[0], &s);
	return pselect(empty[0] + 1, &s, NULL, NULL, NULL, &none);
}
static long do_accept(void)
{
	return accept(listener, NULL, NULL);
}
static long do_recv(void)
{
	char c;
	return recv(sock[0], &c, 1, 0);
}
static long do_recvmsg(void)
{
	char c;
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	return recvmsg(sock[0], &m, 0);
}
static long do_wait4(void)
{
	return sys(wait4(child, NULL, 0, NULL));
}
static long do_waitid(void)
{
	siginfo_t i;
	return waitid(P_PID, (id_t)child, &i, WEXITED);
}
static long do_sigsuspend(void)
{
	sigset_t none;
	sigemptyset(&none);
	return sigsuspend(&none);
}
static long do_sigwait(void)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR2);
	return sigwaitinfo(&one, NULL);
}
static long do_eventfd(void)
{
	uint64_t v;
	return read(event, &v, sizeof(v));
}
static long do_timerfd(void)
{
	uint64_t v;
	return read(timer, &v, sizeof(v));
}
static long do_signalfd(void)
{
	struct signalfd_siginfo s;
	return read(sigs, &s, sizeof(s));
}
static long do_long_sleep(void)
{
	return nanosleep(&(struct timespec){ 100000, 0 }, NULL);
}
static long do_abs_sleep(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += 100000;
	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* ---- with a timeout ---- */
static long to_nanosleep(void)
{
	return nanosleep(&nap, NULL);
}
static long to_clock_nanosleep(void)
{
	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &nap, NULL);
}
static long to_futex(void)
{
	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &nap, NULL, 0);
}
static long to_poll(void)
{
	struct pollfd p = { empty[0], POLLIN, 0 };
	return poll(&p, 1, MS);
}
static long to_epoll(void)
{
	struct epoll_event e;
	return epoll_wait(idle_epoll, &e, 1, MS);
}
static long to_select(void)
{
	struct timeval tv = { 0, MS * 1000 };

	return select(0, NULL, NULL, NULL, &tv);
}
static long to_recv(void)
{
	char c;
	return recv(sock[1], &c, 1, 0);
}
static long to_sigwait(void)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR2);
	return sigtimedwait(&one, NULL, &nap);
}

/* ---- locks ---- */
static long do_flock(void)
{
	return flock(lock_mine, LOCK_EX);
}
static long do_posix_lock(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	return fcntl(lock_mine, F_OFD_SETLKW, &l);
}

static struct kind plain[] = {
	{ "read", do_read },
	{ "readv", do_readv },
	{ "write", do_write },
	{ "futex", do_futex },
	{ "futex_bitset", do_futex_bitset },
	{ "pause", do_pause },
	{ "poll", do_poll },
	{ "ppoll", do_ppoll },
	{ "epoll_wait", do_epoll },
	{ "epoll_pwait", do_epoll_pwait },
	{ "select", do_select },
	{ "pselect", do_pselect },
	{ "accept", do_accept },
	{ "recv", do_recv },
	{ "recvmsg", do_recvmsg },
	{ "wait4", do_wait4 },
	{ "waitid", do_waitid },
	{ "sigsuspend", do_sigsuspend },
	{ "sigwaitinfo", do_sigwait },
	{ "eventfd", do_eventfd },
	{ "timerfd", do_timerfd },
	{ "signalfd", do_signalfd },
	{ "nanosleep_long", do_long_sleep },
	{ "clock_nanosleep_abs", do_abs_sleep },
	{ "nanosleep", to_nanosleep, 0, 0, MS },
	{ "clock_nanosleep", to_clock_nanosleep, 0, 0, MS },
	{ "futex_timeout", to_futex, -1, ETIMEDOUT, MS },
	{ "poll_timeout", to_poll, 0, 0, MS },
	{ "epoll_timeout", to_epoll, 0, 0, MS },
	{ "select_timeout", to_select, 0, 0, MS },
	{ "recv_timeout", to_recv, -1, EAGAIN, MS },
	{ "sigtimedwait", to_sigwait, -1, EAGAIN, MS },
};
static struct kind locks[] = {
	{ "flock", do_flock },
	{ "ofd_lock", do_posix_lock },
};

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

static void note(struct kind *k, long ret, long err)
{
	for (unsigned i = 0; i < k->nr_saw; i++)
		if (k->saw[i].ret == ret && k->saw[i].err == err)
			return;
	if (k->nr_saw < SAW) {
		k->saw[k->nr_saw].ret = ret;
		k->saw[k->nr_saw].err = err;
		k->nr_saw++;
	}
}

static void *caller(void *arg)
{
	struct kind *k = arg;

	for (;; k->calls++) {
		int64_t start = now_us();
		long ret, err;

		errno = 0;
		ret = k->call();
		err = ret < 0 ? errno : 0;
		if (!k->ms || ret != k->ret || err != k->err)
			note(k, ret, err);
		else if (now_us() - start < k->ms * 1000 - SLACK_US)
			k->early++;
	}
	return NULL;
}

static void make_files(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "sock" };
	struct timeval tv = { 0, MS * 1000 };
	struct epoll_event e = { .events = EPOLLIN };
	char zero[4096] = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	need(!sigprocmask(SIG_BLOCK, &set, NULL));
	need(!pipe(empty) && !pipe(full) && !socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	need(!setsockopt(sock[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	fcntl(full[1], F_SETFL, O_NONBLOCK);
	while (write(full[1], zero, sizeof(zero)) > 0)
		;
	fcntl(full[1], F_SETFL, 0);
	need((listener = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0 && !bind(listener, (struct sockaddr *)&sa, sizeof(sa)));
	need(!listen(listener, 1) && (idle_epoll = epoll_create1(0)) >= 0);
	need(!epoll_ctl(idle_epoll, EPOLL_CTL_ADD, empty[0], &e));
	need((event = eventfd(0, 0)) >= 0 && (timer = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
	need((sigs = signalfd(-1, &set, 0)) >= 0);
}

static void start(struct kind *k, size_t n)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	for (size_t i = 0; i < n; i++)
		need(!pthread_create(&t, &attr, caller, &k[i]));
}

static void tell(struct kind *k, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (unsigned s = 0; s < k[i].nr_saw; s++)
			victim_say("saw %s %ld %ld", k[i].name, k[i].saw[s].ret, k[i].saw[s].err);
		if (k[i].early || (k[i].ms && !k[i].calls)) {
			victim_say("FAIL %s: %u timeouts came early, %lu calls", k[i].name, k[i].early, k[i].calls);
			victim_failures++;
		}
	}
}

int main(int argc, char **argv)
{
	bool lock = argc > 1, most = argc < 2 || !strcmp(argv[1], "all");

	make_files();
	need((child = fork()) >= 0);
	if (!child)
		for (;;)
			pause();
	if (lock) {
		lock_other = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		lock_mine = open("lock", O_RDWR | O_CLOEXEC);
		need(lock_other >= 0 && lock_mine >= 0 && !flock(lock_other, LOCK_EX));
		need(!fcntl(lock_other, F_OFD_SETLK,
			    &(struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 }));
		start(locks, sizeof(locks) / sizeof(locks[0]));
	}
	if (most)
		start(plain, sizeof(plain) / sizeof(plain[0]));
	usleep(100000);
	victim_ready();
	victim_wait();
	if (lock)
		tell(locks, sizeof(locks) / sizeof(locks[0]));
	if (most)
		tell(plain, sizeof(plain) / sizeof(plain[0]));
	kill(child, SIGKILL);
	return victim_done();
}
