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

static void print_inet(const InetSkEntry *sk)
{
	char family[16], type[16], state[16], proto[16], src[80], dst[80];

	printf("%s %s %s %s %s -> %s\n", name_or_number(SET_SK_FAMILY, sk->family, family),
	       name_or_number(SET_SK_TYPE, sk->type, type), name_or_number(SET_SK_PROTO, sk->proto, proto),
	       name_or_number(SET_SK_STATE, sk->state, state), address(sk->n_src_addr, sk->src_addr, sk->src_port, src),
	       address(sk->n_dst_addr, sk->dst_addr, sk->dst_port, dst));
}

static void print_unix(const struct checkpoint *c, const UnixSkEntry *sk)
{
	char type[16], state[16], text[1024];

	printf("UNIX %s %s %s\n", name_or_number(SET_SK_TYPE, sk->type, type),
	       name_or_number(SET_SK_STATE, sk->state, state),
	       checkpoint_file_text(c, FD_TYPES__UNIXSK, sk->id, text, sizeof(text)));
}

static void print_socket(const struct checkpoint *c, const FdinfoEntry *fd)
{
	const void *entry = checkpoint_file(c, fd->type, fd->id);
	const NetlinkSkEntry *netlink = entry;
	const PacketSockEntry *packet = entry;

	if (!entry || (fd->type != FD_TYPES__INETSK && fd->type != FD_TYPES__UNIXSK &&
		       fd->type != FD_TYPES__NETLINKSK && fd->type != FD_TYPES__PACKETSK))
		return;
	printf("\t%7u: ", fd->fd);
	if (fd->type == FD_TYPES__INETSK)
		print_inet(entry);
	else if (fd->type == FD_TYPES__UNIXSK)
		print_unix(c, entry);
	else if (fd->type == FD_TYPES__NETLINKSK)
		printf("NETLINK protocol %u, port %u -> %u\n", netlink->protocol, netlink->portid, netlink->dst_portid);
	else
		printf("PACKET protocol %#x, interface %u\n", packet->protocol, packet->ifindex);
}

int show_sk(struct checkpoint *c, struct cr_err *e)
{
	for (size_t i = 0; i < c->n_tasks; i++) {
		FdinfoEntry **fds;
		ssize_t n = checkpoint_fds(c, c->tasks[i], &fds, e);

		if (n < 0)
			return n;
		printf("%u\n", c->tasks[i]->pid);
		for (ssize_t k = 0; k < n; k++)
			print_socket(c, fds[k]);
	}
	return 0;
}
