/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "x.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fdinfo.pb-c.h"
#include "hints.h"
#include "pstree.pb-c.h"

static const char *name_or_number(enum hint_set set, uint32_t value, char buf[16])
{
	const char *name = dict_name(set, value);

	if (name)
		return name;
	snprintf(buf, 16, "%u", value);
	return buf;
}

static const char *address(size_t n, const uint32_t *words, uint32_t port, char buf[80])
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (n == 1 || n == 4)
		inet_ntop(n == 1 ? AF_INET : AF_INET6, words, text, sizeof(text));
	snprintf(buf, 80, n == 4 ? "[%s]:%u" : "%s:%u", text, port);
	return buf;
}

static void inet_text(const InetSkEntry *sk, char *buf, size_t size)
{
	char family[16], type[16], state[16], proto[16], src[80], dst[80];

	snprintf(buf, size, "%s %s %s %s %s -> %s", name_or_number(SET_SK_FAMILY, sk->family, family),
		 name_or_number(SET_SK_TYPE, sk->type, type), name_or_number(SET_SK_PROTO, sk->proto, proto),
		 name_or_number(SET_SK_STATE, sk->state, state),
		 address(sk->n_src_addr, sk->src_addr, sk->src_port, src),
		 address(sk->n_dst_addr, sk->dst_addr, sk->dst_port, dst));
}

static void unix_text(const struct checkpoint *c, const UnixSkEntry *sk, char *buf, size_t size)
{
	char type[16], state[16], text[1024];

	snprintf(buf, size, "UNIX %s %s %s", name_or_number(SET_SK_TYPE, sk->type, type),
		 name_or_number(SET_SK_STATE, sk->state, state),
		 checkpoint_file_text(c, FD_TYPES__UNIXSK, sk->id, text, sizeof(text)));
}

bool socket_text(const struct checkpoint *c, uint32_t type, uint32_t id, char *buf, size_t size)
{
	const void *entry = checkpoint_file(c, type, id);
	const NetlinkSkEntry *netlink = entry;
	const PacketSockEntry *packet = entry;

	if (entry && type == FD_TYPES__INETSK)
		inet_text(entry, buf, size);
	else if (entry && type == FD_TYPES__UNIXSK)
		unix_text(c, entry, buf, size);
	else if (entry && type == FD_TYPES__NETLINKSK)
		snprintf(buf, size, "NETLINK protocol %u, port %u -> %u", netlink->protocol, netlink->portid,
			 netlink->dst_portid);
	else if (entry && type == FD_TYPES__PACKETSK)
		snprintf(buf, size, "PACKET protocol %#x, interface %u", packet->protocol, packet->ifindex);
	else
		return false;
	return true;
}

int show_sk(struct checkpoint *c, struct cr_err *e)
{
	for (size_t i = 0; i < c->n_tasks; i++) {
		FdinfoEntry **fds;
		ssize_t n = checkpoint_fds(c, c->tasks[i], &fds, e);

		if (n < 0)
			return n;
		printf("%u\n", c->tasks[i]->pid);
		for (ssize_t k = 0; k < n; k++) {
			char text[1200];

			if (socket_text(c, fds[k]->type, fds[k]->id, text, sizeof(text)))
				printf("\t%7u: %s\n", fds[k]->fd, text);
		}
	}
	return 0;
}
