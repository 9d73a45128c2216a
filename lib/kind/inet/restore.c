// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: internet sockets without a connection
 *
 * socket(2), options, bind(2), then connect(2) (UDP) or listen(2) (TCP). TCP binds under SO_REUSEADDR, as connections
 * of before may still be in TIME_WAIT; the option then gets its real value. What decides whether a bind succeeds
 * (SO_REUSEPORT, IPV6_V6ONLY, the bound device, IP_FREEBIND) is set before it. Connected TCP is refused by name until
 * it is supported.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/inet/restore-inet.h"
#include "sk-inet.pb-c.h"
#include "tcp-stream.pb-c.h"

enum { ST_ESTABLISHED = 1, ST_CLOSE = 7, ST_LISTEN = 10 }; /* include/net/tcp_states.h */

static int words(uint32_t family)
{
	return family == AF_INET6 ? 4 : 1;
}

static int check(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const InetSkEntry *s = fe->isk;
	bool tcp = s->type == SOCK_STREAM && (s->proto == IPPROTO_TCP || s->proto == 0);
	bool udp = s->type == SOCK_DGRAM && (s->proto == IPPROTO_UDP || s->proto == IPPROTO_UDPLITE || s->proto == 0);

	if (s->family != AF_INET && s->family != AF_INET6)
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "address family %u is neither IPv4 nor IPv6",
				    s->family);
	if (!tcp && !udp)
		return files_refuse(r, fe, CR_E_FD_KIND, e, "a socket of type %u and protocol %u is not supported yet",
				    s->type, s->proto);
	if (s->n_src_addr < (size_t)words(s->family) || s->src_port > 65535 || s->dst_port > 65535 ||
	    (s->state == ST_ESTABLISHED && s->n_dst_addr < (size_t)words(s->family)))
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "its addresses are incomplete");
	if (tcp && s->state != ST_CLOSE && s->state != ST_LISTEN)
		return files_refuse(r, fe, CR_E_SOCKET_CONNECTED, e, "a TCP connection (state %u) is not supported yet",
				    s->state);
	if (udp && s->state != ST_CLOSE && s->state != ST_ESTABLISHED)
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "a UDP socket in state %u", s->state);
	return 0;
}

/* ---- addresses ---- */

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t address(const InetSkEntry *s, const uint32_t *a, uint32_t port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (s->family == AF_INET) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(port);
		memcpy(&ret->in.sin_addr, a, 4);
		return sizeof(ret->in);
	}
	ret->in6.sin6_family = AF_INET6;
	ret->in6.sin6_port = htons(port);
	memcpy(&ret->in6.sin6_addr, a, 16);
	if (s->ifname && IN6_IS_ADDR_LINKLOCAL(&ret->in6.sin6_addr))
		ret->in6.sin6_scope_id = if_nametoindex(s->ifname);
	return sizeof(ret->in6);
}

static const char *address_text(const InetSkEntry *s, const uint32_t *a, uint32_t port, char buf[FILES_WHAT])
{
	const char *proto = s->type == SOCK_STREAM ? "TCP" : "UDP";
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(s->family, a, text, sizeof(text));
	snprintf(buf, FILES_WHAT, s->family == AF_INET6 ? "%s [%s]:%u" : "%s %s:%u", proto, text, port);
	return buf;
}

static bool any_address(const InetSkEntry *s)
{
	int i;

	for (i = 0; i < words(s->family); i++)
		if (s->src_addr[i])
			return false;
	return true;
}

static int taken(const InetSkEntry *s, int fd, struct cr_err *e)
{
	char what[FILES_WHAT];

	return files_address_taken(inet_find_rival(s, fd), address_text(s, s->src_addr, s->src_port, what), e);
}

static int bind_it(const InetSkEntry *s, int fd, struct cr_err *e)
{
	char what[FILES_WHAT];
	union address a;
	socklen_t len;

	if (!s->src_port && any_address(s))
		return 0;
	len = address(s, s->src_addr, s->src_port, &a);
	if (bind(fd, &a.sa, len) == 0)
		return 0;
	address_text(s, s->src_addr, s->src_port, what);
	switch (errno) {
	case EADDRINUSE:
		return taken(s, fd, e);
	case EADDRNOTAVAIL:
		cr_err_set(e, CR_E_ADDRESS_MISSING, errno, what, "this machine does not have the address");
		cr_err_remedy(e, "configure the address on an interface first");
		return -EADDRNOTAVAIL;
	default: /* EACCES: a port below net.ipv4.ip_unprivileged_port_start */
		return cr_err_set(e, errno == EACCES ? CR_E_PRIVILEGE : CR_E_SYSTEM, errno, what, "bind failed");
	}
}

static int connect_it(const InetSkEntry *s, int fd, struct cr_err *e)
{
	char what[FILES_WHAT];
	union address a;
	socklen_t len;

	len = address(s, s->dst_addr, s->dst_port, &a);
	if (connect(fd, &a.sa, len) == 0)
		return 0;
	return cr_err_set(e, CR_E_SYSTEM, errno, address_text(s, s->dst_addr, s->dst_port, what), "connect failed");
}

/* ---- options ---- */

struct option {
	bool set;
	int level, name, value;
	const char *text;
};

static int set_options(const struct option *v, size_t n, int fd, const char *what, struct cr_err *e)
{
	size_t i;
	int ret;

	for (i = 0; i < n; i++) {
		ret = v[i].set ? files_sockopt(fd, v[i].level, v[i].name, v[i].value) : 0;
		if (ret < 0)
			return cr_err_set(e, CR_E_SYSTEM, -ret, what, "socket option %s", v[i].text);
	}
	return 0;
}

/* Where it is the system's default it is left to the system. */
static int set_ttl(const InetSkEntry *s, int fd, const char *what, struct cr_err *e)
{
	int level = s->family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
	int name = s->family == AF_INET6 ? IPV6_UNICAST_HOPS : IP_TTL, now = 0;
	struct option o = { true, level, name, 0, "IP_TTL" };
	socklen_t len = sizeof(now);

	if (!s->ip_opts || !s->ip_opts->has_ttl)
		return 0;
	o.value = (int)s->ip_opts->ttl;
	if (getsockopt(fd, level, name, &now, &len) == 0 && now == o.value)
		return 0;
	return set_options(&o, 1, fd, what, e);
}

static int before_bind(const InetSkEntry *s, int fd, const char *what, struct cr_err *e)
{
	const IpOptsEntry *ip = s->ip_opts;
	bool v6 = s->family == AF_INET6;
	const struct option v[] = {
		{ v6 && s->has_v6only, IPPROTO_IPV6, IPV6_V6ONLY, s->v6only, "IPV6_V6ONLY" },
		{ ip && ip->freebind, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, 1,
		  "IP_FREEBIND" },
		{ ip && ip->has_tos && ip->tos, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS,
		  ip ? ip->tos : 0, "IP_TOS" },
		{ ip && ip->pktinfo, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1,
		  "IP_PKTINFO" },
	};
	int ret;

	ret = set_options(v, sizeof(v) / sizeof(v[0]), fd, what, e);
	if (!ret)
		ret = set_ttl(s, fd, what, e);
	if (!ret)
		ret = files_set_sockopts(fd, s->opts, what, e); /* SO_PRIORITY after IP_TOS, which changes it */
	if (!ret && s->type == SOCK_STREAM)
		ret = files_sockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return ret;
}

static int after_bind(const InetSkEntry *s, int fd, const char *what, struct cr_err *e)
{
	const TcpOptsEntry *t = s->type == SOCK_STREAM ? s->tcp_opts : NULL;
	const SkOptsEntry *o = s->opts;
	const struct option v[] = {
		{ s->type == SOCK_STREAM && !o->reuseaddr, SOL_SOCKET, SO_REUSEADDR, 0, "SO_REUSEADDR" },
		{ t && t->nodelay, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY" },
		{ t && t->cork, IPPROTO_TCP, TCP_CORK, 1, "TCP_CORK" },
		{ t && t->has_keepcnt, IPPROTO_TCP, TCP_KEEPCNT, t ? t->keepcnt : 0, "TCP_KEEPCNT" },
		{ t && t->has_keepidle, IPPROTO_TCP, TCP_KEEPIDLE, t ? t->keepidle : 0, "TCP_KEEPIDLE" },
		{ t && t->has_keepintvl, IPPROTO_TCP, TCP_KEEPINTVL, t ? t->keepintvl : 0, "TCP_KEEPINTVL" },
	};

	return set_options(v, sizeof(v) / sizeof(v[0]), fd, what, e);
}

/* A socket at its addresses, which does not listen yet. @what: filled with the address. Return: descriptor or -errno with @e. */
static int open_bound(struct rst *r, const struct FileEntry *fe, char what[FILES_WHAT], struct cr_err *e)
{
	const InetSkEntry *s = fe->isk;
	_cleanup_close_ int fd = socket(s->family, s->type | SOCK_CLOEXEC, s->proto);
	int ret;

	if (fd < 0)
		return files_failed(r, fe, errno, "socket", e);
	address_text(s, s->src_addr, s->src_port, what);
	ret = before_bind(s, fd, what, e);
	if (!ret)
		ret = bind_it(s, fd, e);
	if (!ret && s->state == ST_ESTABLISHED)
		ret = connect_it(s, fd, e);
	return ret ? ret : TAKE_FD(fd);
}

static int open_inet(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const InetSkEntry *s = fe->isk;
	char what[FILES_WHAT];
	_cleanup_close_ int fd = open_bound(r, fe, what, e);
	int ret = fd < 0 ? fd : 0;

	if (!ret && s->state == ST_LISTEN && listen(fd, s->backlog > INT32_MAX ? INT32_MAX : (int)s->backlog) < 0)
		ret = errno == EADDRINUSE ? taken(s, fd, e) : cr_err_set(e, CR_E_SYSTEM, errno, what, "listen failed");
	if (!ret)
		ret = after_bind(s, fd, what, e);
	if (!ret) {
		ret = files_set_flags(fd, s->flags);
		if (ret < 0)
			files_failed(r, fe, -ret, "F_SETFL", e);
	}
	return ret < 0 ? ret : TAKE_FD(fd);
}

/* The address is bound for a moment, but no connection is ever accepted there, and no packet leaves. */
static int precheck(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	char what[FILES_WHAT];
	_cleanup_close_ int fd = open_bound(r, fe, what, e);

	return fd < 0 ? fd : 0;
}

static int shut(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e)
{
	const InetSkEntry *s = fe->isk;

	if (!s->has_shutdown || s->shutdown == SK_SHUTDOWN__NONE || s->state != ST_ESTABLISHED)
		return 0;
	return shutdown(fd, (int)s->shutdown - 1) < 0 ? files_failed(r, fe, errno, "shutdown", e) : 0;
}

const struct fd_rst_ops inet_rst_ops = {
	.name = "internet socket",
	.type = FD_TYPES__INETSK,
	.check = check,
	.open = open_inet,
	.late = shut,
	.precheck = precheck,
	.area = "addresses",
};
