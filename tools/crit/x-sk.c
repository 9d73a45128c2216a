/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "x.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fdinfo.pb-c.h"
#include "hints.h"
#include "pstree.pb-c.h"

static void name_or_number(enum hint_set set, uint32_t value, char buf[16])
{
	const char *name = dict_name(set, value);

	if (name)
		snprintf(buf, 16, "%s", name);
	else
		snprintf(buf, 16, "%u", value);
}

static void address(size_t n, const uint32_t *words, uint32_t port, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (n == 1 || n == 4)
		inet_ntop(n == 1 ? AF_INET : AF_INET6, words, text, sizeof(text));
	snprintf(buf, size, n == 4 ? "[%s]:%u" : "%s:%u", text, port);
}

void inet_words(const InetSkEntry *sk, struct socket_words *w)
{
	*w = (struct socket_words){ .ino = sk->ino };
	name_or_number(SET_SK_FAMILY, sk->family, w->family);
	name_or_number(SET_SK_TYPE, sk->type, w->type);
	name_or_number(SET_SK_PROTO, sk->proto, w->proto);
	name_or_number(SET_SK_STATE, sk->state, w->state);
	address(sk->n_src_addr, sk->src_addr, sk->src_port, w->src, sizeof(w->src));
	address(sk->n_dst_addr, sk->dst_addr, sk->dst_port, w->dst, sizeof(w->dst));
}

static void unix_words(const struct checkpoint *c, const UnixSkEntry *sk, struct socket_words *w)
{
	*w = (struct socket_words){ .family = "UNIX", .ino = sk->ino, .peer = sk->peer };
	name_or_number(SET_SK_TYPE, sk->type, w->type);
	name_or_number(SET_SK_STATE, sk->state, w->state);
	unix_name_text(c, sk, w->src, sizeof(w->src));
}

bool socket_words(const struct checkpoint *c, uint32_t type, uint32_t id, struct socket_words *w)
{
	const void *entry = checkpoint_file(c, type, id);
	const NetlinkSkEntry *netlink = entry;
	const PacketSockEntry *packet = entry;

	*w = (struct socket_words){ 0 };
	if (!entry)
		return false;
	if (type == FD_TYPES__INETSK) {
		inet_words(entry, w);
	} else if (type == FD_TYPES__UNIXSK) {
		unix_words(c, entry, w);
	} else if (type == FD_TYPES__NETLINKSK) {
		*w = (struct socket_words){ .family = "NETLINK", .ino = netlink->ino };
		snprintf(w->proto, sizeof(w->proto), "%u", netlink->protocol);
		snprintf(w->src, sizeof(w->src), "port %u", netlink->portid);
		snprintf(w->dst, sizeof(w->dst), "%u", netlink->dst_portid);
	} else if (type == FD_TYPES__PACKETSK) {
		*w = (struct socket_words){ .family = "PACKET" };
		snprintf(w->proto, sizeof(w->proto), "%#x", packet->protocol);
		snprintf(w->src, sizeof(w->src), "interface %u", packet->ifindex);
	} else {
		return false;
	}
	return true;
}

bool socket_text(const struct checkpoint *c, uint32_t type, uint32_t id, char *buf, size_t size)
{
	struct socket_words w;
	char text[1024];

	if (!socket_words(c, type, id, &w))
		return false;
	if (type == FD_TYPES__INETSK)
		snprintf(buf, size, "%s %s %s %s %s -> %s", w.family, w.type, w.proto, w.state, w.src, w.dst);
	else if (type == FD_TYPES__UNIXSK)
		snprintf(buf, size, "%s %s %s %s", w.family, w.type, w.state,
			 checkpoint_file_text(c, type, id, text, sizeof(text)));
	else if (type == FD_TYPES__NETLINKSK)
		snprintf(buf, size, "%s protocol %s, %s -> %s", w.family, w.proto, w.src, w.dst);
	else
		snprintf(buf, size, "%s protocol %s, %s", w.family, w.proto, w.src);
	return true;
}

void show_sk(struct checkpoint *c)
{
	for (size_t i = 0; i < c->n_tasks; i++) {
		FdinfoEntry **fds;
		size_t n = checkpoint_fds(c, c->tasks[i], &fds);

		printf("%u\n", c->tasks[i]->pid);
		for (size_t k = 0; k < n; k++) {
			char text[1200];

			if (socket_text(c, fds[k]->type, fds[k]->id, text, sizeof(text)))
				printf("\t%7u: %s\n", fds[k]->fd, text);
		}
	}
}
