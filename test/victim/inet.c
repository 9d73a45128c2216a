/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Internet sockets without a TCP connection (G1, G10, G12, G14-G16): listening TCP over IPv4 and IPv6, one that is only
 * bound and one that is nothing yet, UDP bound and connected, options. With the argument "connected" a TCP connection
 * (refused: G11).
 */
#include "victim.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static int opt(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int v = -1;

	getsockopt(fd, level, name, &v, &len);
	return v;
}

static void set(int fd, int level, int name, int v)
{
	need(setsockopt(fd, level, name, &v, sizeof(v)) == 0);
}

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t loopback(int family, int port, union address *a)
{
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = family;
	if (family == AF_INET) {
		a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		a->in.sin_port = htons(port);
		return sizeof(a->in);
	}
	a->in6.sin6_addr = in6addr_loopback;
	a->in6.sin6_port = htons(port);
	return sizeof(a->in6);
}

static int port_of(int fd)
{
	union address a;
	socklen_t len = sizeof(a);

	return getsockname(fd, &a.sa, &len) == 0 ? ntohs(a.in.sin_port) : -1;
}

static int bound(int family, int type)
{
	int fd = socket(family, type, 0);
	union address a;
	socklen_t len = loopback(family, 0, &a);

	need(fd >= 0 && bind(fd, &a.sa, len) == 0);
	return fd;
}

static bool connects(int family, int type, int port, int *ret)
{
	union address a;
	socklen_t len = loopback(family, port, &a);

	*ret = socket(family, type, 0);
	return *ret >= 0 && connect(*ret, &a.sa, len) == 0;
}

static bool is(int fd, const char *text)
{
	char got[64];
	ssize_t n = recv(fd, got, sizeof(got), 0);

	return n == (ssize_t)strlen(text) && !memcmp(got, text, n);
}

static bool serves(int listener, int family, int port)
{
	int c = -1, s = -1;
	bool good = connects(family, SOCK_STREAM, port, &c) && (s = accept(listener, NULL, NULL)) >= 0 &&
		    send(c, "hello", 5, 0) == 5 && is(s, "hello");

	close(c);
	close(s);
	return good;
}

static int connected(void)
{
	int l = bound(AF_INET, SOCK_STREAM), c;

	need(listen(l, 1) == 0 && connects(AF_INET, SOCK_STREAM, port_of(l), &c) && accept(l, NULL, NULL) >= 0);
	victim_ready();
	victim_wait();
	return victim_done();
}

int main(int argc, char **argv)
{
	bool v6 = access("/proc/net/if_inet6", R_OK) == 0;
	int l4, l6 = -1, only_bound, fresh, udp, cli, u6 = -1, p4, p6 = 0, pb, pu;
	union address a;
	socklen_t len;

	if (argc > 1 && !strcmp(argv[1], "connected"))
		return connected();
	l4 = bound(AF_INET, SOCK_STREAM);
	set(l4, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(l4, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set(l4, IPPROTO_TCP, TCP_KEEPINTVL, 11);
	set(l4, IPPROTO_TCP, TCP_KEEPCNT, 4);
	set(l4, IPPROTO_TCP, TCP_NODELAY, 1);
	set(l4, SOL_SOCKET, SO_RCVBUF, 60000);
	need(listen(l4, 5) == 0 && fcntl(l4, F_SETFD, FD_CLOEXEC) == 0);
	if (v6) {
		l6 = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
		len = loopback(AF_INET6, 0, &a);
		set(l6, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		set(l6, SOL_SOCKET, SO_REUSEADDR, 1);
		need(bind(l6, &a.sa, len) == 0 && listen(l6, 3) == 0);
		u6 = bound(AF_INET6, SOCK_DGRAM);
		set(u6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
		set(u6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9);
		p6 = port_of(l6);
	}
	only_bound = bound(AF_INET, SOCK_STREAM);
	need((fresh = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
	udp = bound(AF_INET, SOCK_DGRAM);
	set(udp, SOL_SOCKET, SO_BROADCAST, 1);
	set(udp, IPPROTO_IP, IP_PKTINFO, 1);
	set(udp, IPPROTO_IP, IP_TTL, 33);
	set(udp, IPPROTO_IP, IP_TOS, 0x10);
	pu = port_of(udp);
	need(connects(AF_INET, SOCK_DGRAM, pu, &cli));
	p4 = port_of(l4);
	pb = port_of(only_bound);
	victim_fact("port", "%d", p4);
	victim_fact("listener", "%d", l4);
	victim_ready();
	victim_wait();

	check("listens, IPv4", port_of(l4) == p4 && serves(l4, AF_INET, p4) && fcntl(l4, F_GETFD) == FD_CLOEXEC);
	check("options of TCP",
	      opt(l4, SOL_SOCKET, SO_KEEPALIVE) == 1 && opt(l4, IPPROTO_TCP, TCP_KEEPIDLE) == 77 &&
		      opt(l4, IPPROTO_TCP, TCP_KEEPINTVL) == 11 && opt(l4, IPPROTO_TCP, TCP_KEEPCNT) == 4 &&
		      opt(l4, IPPROTO_TCP, TCP_NODELAY) == 1 && opt(l4, SOL_SOCKET, SO_RCVBUF) == 120000 &&
		      opt(l4, SOL_SOCKET, SO_REUSEADDR) == 0);
	if (v6) {
		check("listens, IPv6",
		      port_of(l6) == p6 && serves(l6, AF_INET6, p6) && opt(l6, IPPROTO_IPV6, IPV6_V6ONLY) == 1 &&
			      (fcntl(l6, F_GETFL) & O_NONBLOCK) && opt(l6, SOL_SOCKET, SO_REUSEADDR) == 1);
		check("options of IPv6",
		      opt(u6, IPPROTO_IPV6, IPV6_RECVPKTINFO) == 1 && opt(u6, IPPROTO_IPV6, IPV6_UNICAST_HOPS) == 9);
	}
	check("bound only", port_of(only_bound) == pb && opt(only_bound, SOL_SOCKET, SO_ACCEPTCONN) == 0 &&
				    listen(only_bound, 1) == 0 && serves(only_bound, AF_INET, pb));
	len = loopback(AF_INET, p4, &a);
	check("fresh", port_of(fresh) == 0 && connect(fresh, &a.sa, len) == 0);
	check("UDP", send(cli, "ping", 4, 0) == 4 && is(udp, "ping") && port_of(udp) == pu);
	check("options of UDP", opt(udp, SOL_SOCKET, SO_BROADCAST) == 1 && opt(udp, IPPROTO_IP, IP_PKTINFO) == 1 &&
					opt(udp, IPPROTO_IP, IP_TTL) == 33 && opt(udp, IPPROTO_IP, IP_TOS) == 0x10);
	return victim_done();
}
