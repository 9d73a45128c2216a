/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which socket has the address that another one is to get?
 *
 * Theory of operation: bind(2) says only that it is in use. sock_diag lists all sockets with a port, so those are looked
 * for that the kernel would not let share it (inet_csk_bind_conflict(), udp_lib_lport_inuse()): the same port, and equal
 * addresses, or one of them the address of all. IPv6's address of all stands for IPv4 too, but for IPV6_V6ONLY.
 * Connections keep their server's port without being in the way: they are named only where nothing else is found.
 */
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kind/inet/restore-inet.h"
#include "proc/sockdiag.h"
#include "sk-inet.pb-c.h"
#include "sk-opts.pb-c.h"

enum { ST_CLOSE = 7, ST_LISTEN = 10, ST_BOUND_INACTIVE = 13 }; /* include/net/tcp_states.h */

/* An address of either family, in IPv6's form; and what it stands for. */
struct host {
	struct in6_addr addr;
	bool all_v4, all_v6;
};

static struct host host(int family, const uint32_t *words, bool v6only)
{
	struct host h = { 0 };

	if (family == AF_INET) {
		h.addr.s6_addr[10] = h.addr.s6_addr[11] = 0xff; /* ::ffff:1.2.3.4 (RFC 4291) */
		memcpy(&h.addr.s6_addr[12], words, 4);
		h.all_v4 = !words[0];
		return h;
	}
	memcpy(&h.addr, words, 16);
	h.all_v6 = IN6_IS_ADDR_UNSPECIFIED(&h.addr);
	h.all_v4 = h.all_v6 ? !v6only : IN6_IS_ADDR_V4MAPPED(&h.addr) && !words[3];
	return h;
}

static bool covers(const struct host *all, const struct host *one)
{
	return IN6_IS_ADDR_V4MAPPED(&one->addr) ? all->all_v4 : all->all_v6 || (one->all_v4 && all->all_v4);
}

struct search {
	uint16_t port;
	uint32_t ifindex;
	struct host host;
	ino_t own;
	uint32_t ino; /* what was found */
	bool sure;
};

static int look(void *ctx, const struct diag_inet *d)
{
	struct search *s = ctx;
	struct host h = host(d->family, d->addr, d->v6only);
	bool still = d->state == ST_LISTEN || d->state == ST_CLOSE || d->state == ST_BOUND_INACTIVE;

	if (s->sure || !d->ino || d->ino == s->own || d->port != s->port ||
	    (d->ifindex && s->ifindex && d->ifindex != s->ifindex))
		return 0;
	if (!IN6_ARE_ADDR_EQUAL(&h.addr, &s->host.addr) && !covers(&h, &s->host) && !covers(&s->host, &h))
		return 0;
	if (still || !s->ino)
		s->ino = d->ino;
	s->sure = still;
	return 0;
}

uint32_t inet_find_rival(const struct InetSkEntry *e, int fd)
{
	int protocol = e->proto ? (int)e->proto : e->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	struct search s = {
		.port = (uint16_t)e->src_port,
		.ifindex = e->opts && e->opts->so_bound_dev ? if_nametoindex(e->opts->so_bound_dev) : 0,
		.host = host((int)e->family, e->src_addr, e->has_v6only && e->v6only),
	};
	struct stat st;

	s.own = fstat(fd, &st) ? 0 : st.st_ino;
	/* Without an answer (a kernel without the module of sock_diag) it remains unknown. */
	(void)diag_inet_all(AF_INET, protocol, look, &s);
	if (!s.sure)
		(void)diag_inet_all(AF_INET6, protocol, look, &s);
	return s.ino;
}
