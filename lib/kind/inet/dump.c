/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: TCP sockets that listen or are not connected, UDP sockets
 *
 * All is read by getsockname(2) and getsockopt(2) on our copy; of TCP_INFO the state, and for listeners the length and
 * limit of the queue of connections that nobody has accepted yet. What has been shut down only sock_diag tells: asked
 * once for each family and protocol. Connected TCP needs TCP_REPAIR and comes later: refused by name.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>

#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"
#include "proc/sockdiag.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

struct down { /* a socket that was shut down */
	struct down *next;
	uint32_t ino;
	uint8_t shutdown;
};

struct tables {
	bool read[4]; /* by family and protocol: see table_number() */
	struct down *down;
	struct arena *arena;
	int err;
};

struct facts {
	int family, type, protocol;
	uint8_t state;
	uint32_t backlog;
};

static bool match(const struct fd_look *l)
{
	return S_ISSOCK(l->st.st_mode) && (l->family == AF_INET || l->family == AF_INET6);
}

static const char *protocol_name(const struct facts *f)
{
	if (f->type == SOCK_RAW)
		return "raw sockets";
	switch (f->protocol) {
	case IPPROTO_MPTCP:
		return "MPTCP sockets";
	case IPPROTO_SCTP:
		return "SCTP sockets";
	case IPPROTO_DCCP:
		return "DCCP sockets";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "ICMP sockets";
	default:
		return "sockets of this protocol";
	}
}

static int tcp_facts(const struct fd_look *l, struct facts *f, struct cr_err *e)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(l->lfd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return dump_failed(l, errno, "getsockopt(TCP_INFO)", e);
	f->state = info.tcpi_state;
	if (f->state == TCP_LISTEN) {
		f->backlog = info.tcpi_sacked; /* of listeners: limit and length of the queue (net/ipv4/tcp.c) */
		if (info.tcpi_unacked)
			return dump_refuse(l, e, CR_E_CONN_PENDING, "connections wait to be accepted: %u",
					   info.tcpi_unacked);
		return 0;
	}
	if (f->state == TCP_CLOSE)
		return 0;
	dump_refuse(l, e, CR_E_SOCKET_CONNECTED, "connected TCP: --tcp-established is not supported yet");
	return -EPERM;
}

static int udp_facts(struct dump *d, const struct fd_look *l, struct facts *f, struct cr_err *e)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int cork = 0, encap = 0, queued = 0;

	f->state = getpeername(l->lfd, (struct sockaddr *)&peer, &len) == 0 ? TCP_ESTABLISHED : TCP_CLOSE;
	dump_getsockopt(l->lfd, f->protocol, UDP_CORK, &cork);
	dump_getsockopt(l->lfd, f->protocol, UDP_ENCAP, &encap);
	if (cork)
		return dump_refuse(l, e, CR_E_SOCKET_STATE, "a corked UDP socket (UDP_CORK)");
	if (encap)
		return dump_refuse(l, e, CR_E_SOCKET_STATE, "a UDP socket that carries IPsec (UDP_ENCAP)");
	if (ioctl(l->lfd, SIOCINQ, &queued) == 0 && queued > 0)
		dump_warn(d, l, CR_E_SOCKET_QUEUE, "datagrams that wait to be read are lost");
	return 0;
}

static int get_facts(struct dump *d, const struct fd_look *l, struct facts *f, struct cr_err *e)
{
	int ret = dump_getsockopt(l->lfd, SOL_SOCKET, SO_TYPE, &f->type);

	f->family = l->family;
	if (!ret)
		ret = dump_getsockopt(l->lfd, SOL_SOCKET, SO_PROTOCOL, &f->protocol);
	if (ret < 0)
		return dump_failed(l, -ret, "getsockopt", e);
	if (f->type == SOCK_STREAM && f->protocol == IPPROTO_TCP)
		return tcp_facts(l, f, e);
	if (f->type == SOCK_DGRAM && (f->protocol == IPPROTO_UDP || f->protocol == IPPROTO_UDPLITE))
		return udp_facts(d, l, f, e);
	return dump_refuse(l, e, CR_E_SOCKET_PROTOCOL, "%s are not supported yet", protocol_name(f));
}

/* ---- what is shut down ---- */

static int note_down(void *ctx, const struct diag_inet *s)
{
	struct tables *t = ctx;
	struct down *down;

	if (!s->shutdown || !s->ino)
		return 0;
	down = arena_alloc(t->arena, sizeof(*down));
	if (!down)
		return -ENOMEM;
	*down = (struct down){ t->down, s->ino, s->shutdown };
	t->down = down;
	return 0;
}

/* sock_diag lists bound sockets only; poll(2) shows what can be read no more of all. */
static uint8_t poll_shutdown(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };

	if (poll(&pfd, 1, 0) <= 0)
		return 0;
	return pfd.revents & POLLHUP ? 3 : pfd.revents & POLLRDHUP ? 1 : 0;
}

static int get_shutdown(struct dump *d, const struct fd_look *l, const struct facts *f, uint8_t *ret, struct cr_err *e)
{
	unsigned n = (f->family == AF_INET6) | (f->protocol == IPPROTO_TCP ? 0 : 2);
	void **state = dump_kind_state(d, &inet_dump_ops);
	struct tables *t = *state;
	int err;

	*ret = 0;
	if (!t)
		*state = t = arena_alloc(d->arena, sizeof(*t));
	if (!t)
		return cr_err_nomem(e);
	t->arena = d->arena;
	/* UDP only: of TCP, closed and listening sockets have none, and the host may have thousands of them. */
	if (f->protocol != IPPROTO_UDP)
		return 0;
	if (!t->read[n]) {
		err = diag_inet_all(f->family, f->protocol, note_down, t);
		if (err == -ENOENT) /* no udp_diag in this kernel */
			dump_warn(d, l, CR_E_SOCKET_STATE,
				  "whether it was shut down cannot be told: this kernel lacks udp_diag");
		else if (err < 0)
			return dump_failed(l, -err, "sock_diag", e);
		t->read[n] = true;
	}
	for (const struct down *down = t->down; down; down = down->next)
		if (down->ino == l->st.st_ino)
			*ret = down->shutdown;
	*ret |= poll_shutdown(l->lfd);
	return 0;
}

/* ---- the entry ---- */

static int put_address(const struct fd_look *l, const struct sockaddr_storage *ss, int family, uint32_t *port,
		       size_t *n, uint32_t **addr, struct cr_err *e)
{
	const struct sockaddr_in6 *v6 = (const void *)ss;
	const struct sockaddr_in *v4 = (const void *)ss;

	*n = family == AF_INET6 ? 4 : 1;
	*addr = arena_calloc(l->scratch, *n, sizeof(uint32_t));
	if (!*addr)
		return cr_err_nomem(e);
	/* Words in network order, as they stand. */
	if (ss->ss_family == AF_INET6) {
		*port = ntohs(v6->sin6_port);
		memcpy(*addr, &v6->sin6_addr, 16);
	} else if (ss->ss_family == AF_INET) {
		*port = ntohs(v4->sin_port);
		memcpy(*addr, &v4->sin_addr, 4);
	}
	return 0;
}

static int put_addresses(const struct fd_look *l, const struct facts *f, InetSkEntry *entry, struct cr_err *e)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int ret;

	if (getsockname(l->lfd, (struct sockaddr *)&ss, &len) < 0)
		return dump_failed(l, errno, "getsockname", e);
	/* A link-local address means something on one interface only. */
	if (ss.ss_family == AF_INET6 && ((struct sockaddr_in6 *)&ss)->sin6_scope_id) {
		char name[IF_NAMESIZE];

		if (!if_indextoname(((struct sockaddr_in6 *)&ss)->sin6_scope_id, name))
			return dump_failed(l, errno, "if_indextoname", e);
		entry->ifname = arena_strdup(l->scratch, name);
		if (!entry->ifname)
			return cr_err_nomem(e);
	}
	ret = put_address(l, &ss, f->family, &entry->src_port, &entry->n_src_addr, &entry->src_addr, e);
	if (ret < 0)
		return ret;
	memset(&ss, 0, sizeof(ss));
	len = sizeof(ss);
	if (f->state == TCP_ESTABLISHED && getpeername(l->lfd, (struct sockaddr *)&ss, &len) < 0)
		return dump_failed(l, errno, "getpeername", e);
	return put_address(l, &ss, f->family, &entry->dst_port, &entry->n_dst_addr, &entry->dst_addr, e);
}

static int put_ip_opts(const struct fd_look *l, const struct facts *f, InetSkEntry *entry, struct cr_err *e)
{
	IpOptsEntry *o = arena_alloc(l->scratch, sizeof(*o));
	bool v6 = f->family == AF_INET6;
	int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP, freebind = 0, pktinfo = 0, tos = 0, ttl = 0, only = 0;

	if (!o)
		return cr_err_nomem(e);
	ip_opts_entry__init(o);
	/* IPV6_FREEBIND is 78, and new in Linux 4.15. */
	dump_getsockopt(l->lfd, level, v6 ? 78 : IP_FREEBIND, &freebind);
	dump_getsockopt(l->lfd, level, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &pktinfo);
	dump_getsockopt(l->lfd, level, v6 ? IPV6_TCLASS : IP_TOS, &tos);
	dump_getsockopt(l->lfd, level, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &ttl);
	o->has_freebind = o->freebind = freebind != 0;
	o->has_pktinfo = o->pktinfo = pktinfo != 0;
	o->has_tos = tos > 0;
	o->tos = tos > 0 ? tos : 0;
	o->has_ttl = ttl > 0;
	o->ttl = ttl > 0 ? ttl : 0;
	entry->ip_opts = o;
	if (v6) {
		dump_getsockopt(l->lfd, IPPROTO_IPV6, IPV6_V6ONLY, &only);
		entry->has_v6only = true;
		entry->v6only = only;
	}
	return 0;
}

static int put_tcp_opts(struct dump *d, const struct fd_look *l, const struct facts *f, InetSkEntry *entry,
			struct cr_err *e)
{
	TcpOptsEntry *o = arena_alloc(l->scratch, sizeof(*o));
	int nodelay = 0, cork = 0, cnt = 0, idle = 0, intvl = 0, other = 0;

	if (!o)
		return cr_err_nomem(e);
	tcp_opts_entry__init(o);
	entry->tcp_opts = o;
	if (f->protocol != IPPROTO_TCP)
		return 0;
	dump_getsockopt(l->lfd, IPPROTO_TCP, TCP_NODELAY, &nodelay);
	dump_getsockopt(l->lfd, IPPROTO_TCP, TCP_CORK, &cork);
	dump_getsockopt(l->lfd, IPPROTO_TCP, TCP_KEEPCNT, &cnt);
	dump_getsockopt(l->lfd, IPPROTO_TCP, TCP_KEEPIDLE, &idle);
	dump_getsockopt(l->lfd, IPPROTO_TCP, TCP_KEEPINTVL, &intvl);
	o->has_nodelay = o->nodelay = nodelay != 0;
	o->has_cork = o->cork = cork != 0;
	o->has_keepcnt = o->has_keepidle = o->has_keepintvl = true;
	o->keepcnt = cnt;
	o->keepidle = idle;
	o->keepintvl = intvl;
	/* The image has no place for these. */
	if (dump_getsockopt(l->lfd, IPPROTO_TCP, TCP_USER_TIMEOUT, &other) == 0 && other)
		dump_warn(d, l, CR_E_NOT_CARRIED, "TCP_USER_TIMEOUT is not carried");
	if (dump_getsockopt(l->lfd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &other) == 0 && other)
		dump_warn(d, l, CR_E_NOT_CARRIED, "TCP_DEFER_ACCEPT is not carried");
	return 0;
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	InetSkEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	struct facts f = { 0 };
	uint8_t shutdown;
	int ret = entry ? get_facts(d, l, &f, e) : cr_err_nomem(e);

	if (ret < 0)
		return ret;
	inet_sk_entry__init(entry);
	fe->isk = entry;
	entry->id = fe->id;
	entry->ino = l->st.st_ino;
	entry->family = f.family;
	entry->type = f.type;
	entry->proto = f.protocol;
	entry->state = f.state;
	entry->backlog = f.backlog;
	entry->flags = l->flags;
	entry->has_ns_id = true;
	entry->ns_id = l->task->ns_id[DNS_NET];
	ret = put_addresses(l, &f, entry, e);
	if (!ret)
		ret = put_ip_opts(l, &f, entry, e);
	if (!ret)
		ret = put_tcp_opts(d, l, &f, entry, e);
	if (!ret)
		ret = dump_fown(d, l, &entry->fown, e);
	if (!ret)
		ret = dump_sockopts(d, l, &entry->opts, e);
	if (!ret)
		ret = get_shutdown(d, l, &f, &shutdown, e);
	if (!ret && shutdown) {
		entry->has_shutdown = true;
		entry->shutdown = (SkShutdown)shutdown;
	}
	return ret;
}

const struct fd_dump_ops inet_dump_ops = {
	.name = "inet socket", .type = FD_TYPES__INETSK, .match = match, .dump = dump
};
