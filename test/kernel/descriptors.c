/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel facts that the dump halves of the descriptors rely on; each kind's theory comment says what for. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <linux/kcmp.h>
#include <linux/sockios.h>

#include "tap.h"

static short events(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) < 0 ? -1 : pfd.revents;
}

static void test_copy(void)
{
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0), fd = open("/", O_PATH | O_CLOEXEC), copy;

	copy = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	ok(copy >= 0 && (fcntl(copy, F_GETFL) & O_PATH), "pidfd_getfd copies O_PATH descriptors");
	ok(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, copy) == 0, "a copy is the same description");
	ok(fcntl(copy, F_GETOWN) < 0 && errno == EBADF, "O_PATH has no owner");
	close(fd);
	close(copy);
	close(pidfd);
}

static void test_kcmp(void)
{
	long ab, bc, ac;
	int a = eventfd(0, 0), b = eventfd(0, 0), c = eventfd(0, 0), t;
	pid_t me = getpid();

	/* Sort three by kcmp: the order must hold for all pairs. */
	for (int i = 0; i < 3; i++) {
		if (syscall(SYS_kcmp, me, me, KCMP_FILE, a, b) == 2) {
			t = a;
			a = b;
			b = t;
		}
		if (syscall(SYS_kcmp, me, me, KCMP_FILE, b, c) == 2) {
			t = b;
			b = c;
			c = t;
		}
	}
	ab = syscall(SYS_kcmp, me, me, KCMP_FILE, a, b);
	bc = syscall(SYS_kcmp, me, me, KCMP_FILE, b, c);
	ac = syscall(SYS_kcmp, me, me, KCMP_FILE, a, c);
	ok(ab == 1 && bc == 1 && ac == 1, "kcmp orders descriptions");
	close(a);
	close(b);
	close(c);
}

static void test_epoll(void)
{
	int ep = epoll_create1(0), a = eventfd(0, 0), b = dup(a);
	struct kcmp_epoll_slot slot = { .efd = ep, .tfd = a };
	struct epoll_event ev = { .events = EPOLLIN };
	pid_t me = getpid();

	epoll_ctl(ep, EPOLL_CTL_ADD, a, &ev);
	ok(syscall(SYS_kcmp, me, me, KCMP_EPOLL_TFD, a, &slot) == 0, "kcmp knows a target by its number");
	close(a);
	ok(syscall(SYS_kcmp, me, me, KCMP_EPOLL_TFD, b, &slot) == 0, "and by a copy when the number is closed");
	ok(syscall(SYS_kcmp, me, me, KCMP_EPOLL_TFD, a, &slot) < 0 && errno == EBADF, "a closed number is EBADF");
	close(b);
	close(ep);
}

static void test_pipe(void)
{
	int p[2], q[2], n = 0;
	char buf[8];

	ok(pipe(p) == 0 && pipe2(q, O_NONBLOCK) == 0 && write(p[1], "abc", 3) == 3, "two pipes");
	ok(events(p[0]) == 0 && events(p[1]) == 0, "both ends open: neither POLLHUP nor POLLERR");
	ok(tee(p[0], q[1], 65536, SPLICE_F_NONBLOCK) == 3 && ioctl(p[0], FIONREAD, &n) == 0 && n == 3,
	   "tee leaves the data");
	ok(read(q[0], buf, 8) == 3 && !memcmp(buf, "abc", 3), "and copies it");
	close(p[1]);
	ok(events(p[0]) & POLLHUP, "no writer: POLLHUP");
	close(q[0]);
	ok(events(q[1]) & POLLERR, "no reader: POLLERR");
	close(p[0]);
	close(q[1]);
}

static void test_unix(void)
{
	int sv[2], off = 0, n = 0;
	char buf[64];

	ok(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0 && write(sv[1], "one", 3) == 3 && write(sv[1], "two", 3) == 3,
	   "a pair");
	ok(ioctl(sv[0], SIOCINQ, &n) == 0 && n == 6, "SIOCINQ counts the whole queue of a stream");
	ok(recv(sv[0], buf, sizeof(buf), MSG_PEEK) == 6 && !memcmp(buf, "onetwo", 6),
	   "one MSG_PEEK sees the whole queue");
	close(sv[1]);
	ok(events(sv[0]) & POLLHUP, "a peer that closes shuts both directions down");
	close(sv[0]);
	ok(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv) == 0 && write(sv[1], "one", 3) == 3 && write(sv[1], "second", 6) == 6,
	   "datagrams");
	ok(recv(sv[0], buf, sizeof(buf), MSG_PEEK) == 3 && recv(sv[0], buf, sizeof(buf), MSG_PEEK) == 3,
	   "MSG_PEEK sees the first one, again and again");
	setsockopt(sv[0], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off));
	ok(recv(sv[0], buf, sizeof(buf), MSG_PEEK) == 3 && recv(sv[0], buf, sizeof(buf), MSG_PEEK) == 6 &&
		   recv(sv[0], buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT) < 0,
	   "with SO_PEEK_OFF each in turn");
	off = -1;
	setsockopt(sv[0], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off));
	ok(read(sv[0], buf, sizeof(buf)) == 3 && read(sv[0], buf, sizeof(buf)) == 6, "and nothing is taken");
	close(sv[0]);
	close(sv[1]);
}

static void test_tcp(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(sin);

	ok(bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 && listen(fd, 7) == 0 &&
		   getsockname(fd, (struct sockaddr *)&sin, &len) == 0 &&
		   connect(client, (struct sockaddr *)&sin, len) == 0,
	   "a listener with a connection");
	len = sizeof(info);
	ok(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state == TCP_LISTEN &&
		   info.tcpi_sacked == 7 && info.tcpi_unacked == 1,
	   "TCP_INFO of a listener: limit and length of its queue");
	close(client);
	close(fd);
}

static void test_timerfd(void)
{
	struct itimerspec its = { { 0, 1000000 }, { 0, 1000000 } }, left;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	uint64_t ticks = 0;

	timerfd_settime(fd, 0, &its, NULL);
	usleep(20000);
	ok(timerfd_gettime(fd, &left) == 0 && (left.it_value.tv_sec || left.it_value.tv_nsec),
	   "timerfd_gettime arms an expired periodic timer again");
	ok(read(fd, &ticks, 8) == 8 && ticks >= 15, "and keeps count (%llu)", (unsigned long long)ticks);
	close(fd);
}

int main(void)
{
	test_copy();
	test_kcmp();
	test_epoll();
	test_pipe();
	test_unix();
	test_tcp();
	test_timerfd();
	return tap_done();
}
