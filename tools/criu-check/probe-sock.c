/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes of sockets: our own, in a network namespace of the probe where they have addresses. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>

#include "base/fd.h"
#include "base/netlink.h"
#include "features.h"

static int drop(void *ctx, const void *payload, size_t len)
{
	return 0;
}

static int diag(const void *request, size_t len)
{
	int err = nl_ask(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, true, request, len, drop, NULL);

	return err == -EINTR ? 0 : err; /* the table changed meanwhile */
}

static int diag_inet(int protocol)
{
	struct inet_diag_req_v2 req = { .sdiag_family = AF_INET,
					.sdiag_protocol = (uint8_t)protocol,
					.idiag_states = ~0u };

	return diag(&req, sizeof(req));
}

enum probe_result probe_sock_diag(struct probe *p)
{
	struct unix_diag_req un = { .sdiag_family = AF_UNIX, .udiag_states = ~0u };
	struct packet_diag_req packet = { .sdiag_family = AF_PACKET };
	struct netlink_diag_req netlink = { .sdiag_family = AF_NETLINK, .sdiag_protocol = NDIAG_PROTO_ALL };
	const struct {
		const char *what;
		int err;
	} tries[] = {
		{ "CONFIG_UNIX_DIAG", diag(&un, sizeof(un)) },
		{ "CONFIG_INET_TCP_DIAG", diag_inet(IPPROTO_TCP) },
		{ "CONFIG_INET_UDP_DIAG", diag_inet(IPPROTO_UDP) },
		{ "CONFIG_PACKET_DIAG", diag(&packet, sizeof(packet)) },
		{ "CONFIG_NETLINK_DIAG", diag(&netlink, sizeof(netlink)) },
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		if (tries[i].err)
			return probe_error(p, tries[i].what, tries[i].err);
	return PROBE_YES;
}

enum probe_result probe_net_diag_raw(struct probe *p)
{
	int err = diag_inet(IPPROTO_RAW);

	return err ? probe_error(p, "listing raw sockets", err) : PROBE_YES;
}

enum probe_result probe_so_peek_off(struct probe *p)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int v = 0;

	return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &v, sizeof(v)) ? probe_failed(p, "SO_PEEK_OFF") : PROBE_YES;
}

enum probe_result probe_so_get_filter(struct probe *p)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[IFNAMSIZ];
	socklen_t len = 0, name_len = sizeof(name);

	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len))
		return probe_failed(p, "SO_GET_FILTER");
	if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &name_len))
		return probe_failed(p, "reading SO_BINDTODEVICE");
	return PROBE_YES;
}

enum probe_result probe_sk_ns(struct probe *p)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ns = ioctl(fd, SIOCGSKNS);

	return ns < 0 ? probe_failed(p, "SIOCGSKNS") : PROBE_YES;
}

/* A socket with a name, which only a mount namespace of ours sees. */
enum probe_result probe_sk_unix_file(struct probe *p)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), file = -1;
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "criu-check" };

	if (probe_tmpfs() || bind(fd, (struct sockaddr *)&name, sizeof(name)))
		return probe_failed(p, "a socket of the test");
	file = ioctl(fd, SIOCPROTOPRIVATE); /* SIOCUNIXFILE */
	return file < 0 ? probe_failed(p, "SIOCUNIXFILE") : PROBE_YES;
}

enum probe_result probe_sockopt_buf_lock(struct probe *p)
{
	enum { BUF_LOCK = 72 }; /* SO_BUF_LOCK */
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int v = 1, got = 0;
	socklen_t len = sizeof(got);

	if (setsockopt(fd, SOL_SOCKET, BUF_LOCK, &v, sizeof(v)) || getsockopt(fd, SOL_SOCKET, BUF_LOCK, &got, &len))
		return probe_failed(p, "SO_BUF_LOCK");
	return got == v ? PROBE_YES : probe_no(p, "SO_BUF_LOCK has no effect");
}

enum probe_result probe_ipv6_freebind(struct probe *p)
{
	enum { FREEBIND = 78 }; /* IPV6_FREEBIND */
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int v = 1;

	if (fd < 0)
		return probe_failed(p, "an IPv6 socket");
	return setsockopt(fd, IPPROTO_IPV6, FREEBIND, &v, sizeof(v)) ? probe_failed(p, "IPV6_FREEBIND") : PROBE_YES;
}

/* ---- TCP ---- */

static int repair(int fd, int on)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on));
}

enum probe_result probe_tcp_repair(struct probe *p)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int queue = TCP_RECV_QUEUE;
	unsigned v;
	socklen_t len = sizeof(v);

	if (repair(fd, 1) || setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)))
		return probe_failed(p, "TCP_REPAIR");
	if (getsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &v, &len))
		return probe_failed(p, "TCP_TIMESTAMP");
	return PROBE_YES;
}

/* Two connected sockets over the loopback of a network namespace of ours. Return: 0 or -1 with errno. */
static int tcp_pair(int pair[2])
{
	_cleanup_close_ int listener = -1;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = __builtin_bswap32(INADDR_LOOPBACK) };
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	socklen_t len = sizeof(a);

	if (unshare(CLONE_NEWNET))
		return -1;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ioctl(listener, SIOCSIFFLAGS, &lo) || bind(listener, (struct sockaddr *)&a, sizeof(a)) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&a, &len) ||
	    connect(pair[0], (struct sockaddr *)&a, sizeof(a)))
		return -1;
	pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return pair[1] < 0 ? -1 : 0;
}

enum probe_result probe_tcp_window(struct probe *p)
{
	struct tcp_repair_window w;
	socklen_t len = sizeof(w);
	int pair[2];

	if (tcp_pair(pair))
		return probe_failed(p, "a TCP connection of the test");
	if (repair(pair[0], 1) || getsockopt(pair[0], IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, &len))
		return probe_failed(p, "TCP_REPAIR_WINDOW");
	return PROBE_YES;
}

enum probe_result probe_tcp_half_closed(struct probe *p)
{
	int pair[2];

	if (tcp_pair(pair) || shutdown(pair[0], SHUT_WR))
		return probe_failed(p, "a TCP connection of the test");
	return repair(pair[0], 1) ? probe_failed(p, "TCP_REPAIR of a half-closed connection") : PROBE_YES;
}
