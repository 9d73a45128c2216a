/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fdrefuse WHAT: holds one descriptor of a kind that is carried, in a state that is not. "fact fd N" says which one.
 * Checks after "go" that the state is as it was.
 */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "victim.h"

static int fd = -1, other = -1;

/* A process that is no child of ours and keeps what we have open. */
static void keep_outside(void)
{
	pid_t pid = fork();
	int status;

	need(pid >= 0);
	if (!pid) {
		pid = fork();
		need(pid >= 0);
		if (pid)
			_exit(0);
		setsid();
		victim_fact("outside", "%d", getpid());
		alarm(100); /* the test ends it before */
		for (;;)
			pause();
	}
	need(waitpid(pid, &status, 0) == pid && status == 0);
}

static void make_packet_pipe(void)
{
	int p[2];

	need(pipe2(p, O_DIRECT) == 0 && write(p[1], "a", 1) == 1);
	fd = p[1];
	other = p[0];
}

static bool check_packet_pipe(void)
{
	char c;

	return (fcntl(fd, F_GETFL) & O_DIRECT) && read(other, &c, 1) == 1 && c == 'a';
}

static void make_unix_pending(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "pending.sock" };

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	need(fd >= 0 && bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 && listen(fd, 3) == 0);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	need(other >= 0 && connect(other, (struct sockaddr *)&sun, sizeof(sun)) == 0 && write(other, "hello", 5) == 5);
}

static bool check_pending(void)
{
	char buf[8];
	int got = accept(fd, NULL, NULL);

	return got >= 0 && read(got, buf, sizeof(buf)) == 5 && !memcmp(buf, "hello", 5);
}

static void make_unix_peer(void)
{
	int sv[2];

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	fd = sv[0];
	keep_outside();
	close(sv[1]);
}

static bool check_unix_peer(void)
{
	return write(fd, "x", 1) == 1;
}

static void make_tcp_pending(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	fd = socket(AF_INET, SOCK_STREAM, 0);
	need(fd >= 0 && bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 && listen(fd, 3) == 0);
	need(getsockname(fd, (struct sockaddr *)&sin, &len) == 0);
	other = socket(AF_INET, SOCK_STREAM, 0);
	need(other >= 0 && connect(other, (struct sockaddr *)&sin, sizeof(sin)) == 0 && write(other, "hello", 5) == 5);
}

static void make_udp_cork(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons(9) };
	int one = 1;

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	need(fd >= 0 && connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	need(setsockopt(fd, IPPROTO_UDP, UDP_CORK, &one, sizeof(one)) == 0 && write(fd, "x", 1) == 1);
}

static bool check_udp_cork(void)
{
	socklen_t len = sizeof(int);
	int v = 0;

	return getsockopt(fd, IPPROTO_UDP, UDP_CORK, &v, &len) == 0 && v == 1;
}

static void make_peek_off(void)
{
	int sv[2], off = 2;

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0 && write(sv[1], "abcdef", 6) == 6);
	need(setsockopt(sv[0], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)) == 0);
	fd = sv[0];
}

static bool check_peek_off(void)
{
	socklen_t len = sizeof(int);
	char buf[8];
	int off = 0;

	return getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, &len) == 0 && off == 2 &&
	       recv(fd, buf, 8, MSG_PEEK) == 4 && buf[0] == 'c';
}

/* The target's number is closed; a process outside keeps the target open, so it is still watched. */
static void make_epoll_closed(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 7 };

	fd = epoll_create1(0);
	other = eventfd(1, 0);
	need(fd >= 0 && other >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, other, &ev) == 0);
	keep_outside();
	close(other);
}

static bool check_epoll_closed(void)
{
	struct epoll_event ev;

	return epoll_wait(fd, &ev, 1, 0) == 1 && ev.data.u64 == 7;
}

static void make_kmsg(void)
{
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	need(fd >= 0);
}

static void make_ghost_large(void)
{
	char page[4096];

	fd = open("large", O_RDWR | O_CREAT, 0600);
	need(fd >= 0);
	victim_fill(page, sizeof(page), 5);
	for (int i = 0; i < 300; i++)
		need(write(fd, page, sizeof(page)) == (ssize_t)sizeof(page));
	need(unlink("large") == 0);
}

static bool check_ghost_large(void)
{
	char page[4096];

	return pread(fd, page, sizeof(page), 299 * 4096) == (ssize_t)sizeof(page) &&
	       victim_same(page, sizeof(page), 5) && lseek(fd, 0, SEEK_CUR) == 300 * 4096;
}

static void make_netns(void)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	need(home >= 0 && unshare(CLONE_NEWNET) == 0);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	need(fd >= 0 && setns(home, CLONE_NEWNET) == 0);
	close(home);
}

/* Written by a writer of the tree, and only somebody outside can read it. */
static void make_fifo_reader(void)
{
	need(mkfifo("fifo", 0600) == 0);
	other = open("fifo", O_RDONLY | O_NONBLOCK);
	fd = open("fifo", O_WRONLY);
	need(other >= 0 && fd >= 0 && write(fd, "abc", 3) == 3);
	keep_outside();
	close(other);
}

static bool check_writable(void)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	return poll(&pfd, 1, 0) == 1 && pfd.revents == POLLOUT;
}

static bool check_open(void)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static const struct {
	const char *what;
	void (*make)(void);
	bool (*intact)(void);
} states[] = {
	{ "packet-pipe", make_packet_pipe, check_packet_pipe },
	{ "unix-pending", make_unix_pending, check_pending },
	{ "unix-peer", make_unix_peer, check_unix_peer },
	{ "tcp-pending", make_tcp_pending, check_pending },
	{ "udp-cork", make_udp_cork, check_udp_cork },
	{ "peek-off", make_peek_off, check_peek_off },
	{ "epoll-closed", make_epoll_closed, check_epoll_closed },
	{ "kmsg", make_kmsg, check_open },
	{ "netns", make_netns, check_open },
	{ "ghost-large", make_ghost_large, check_ghost_large },
	{ "fifo-reader", make_fifo_reader, check_writable },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(argv[1], states[i].what) != 0)
			continue;
		states[i].make();
		victim_fact("fd", "%d", fd);
		victim_ready();
		victim_wait();
		check(argv[1], states[i].intact());
		return victim_done();
	}
	victim_say("FAIL usage: fdrefuse WHAT");
	return 2;
}
