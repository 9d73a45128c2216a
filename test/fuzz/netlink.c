/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers of sock_diag. The first byte says which parser gets the rest; from 4 on the rest is packets (16-bit length,
 * bytes) that libnl receives: recvmsg(2) is ours, nothing is asked of the kernel.
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <netlink/netlink.h>

#include "base/netlink.h"
#include "proc/sockdiag.h"

static struct fuzz_in packets;
static uint8_t packet[65536];
static size_t packet_len;
static bool packet_there;

int __wrap_nl_connect(struct nl_sock *sk, int protocol);
int __wrap_nl_send_simple(struct nl_sock *sk, int type, int flags, void *buf, size_t size);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);

int __wrap_nl_connect(struct nl_sock *sk, int protocol)
{
	return 0;
}

int __wrap_nl_send_simple(struct nl_sock *sk, int type, int flags, void *buf, size_t size)
{
	return (int)size;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_nl from = { .nl_family = AF_NETLINK };
	size_t n;

	if (!packet_there) {
		if (packets.left < 2) {
			errno = EAGAIN;
			return -1;
		}
		packet_len = fuzz_u16(&packets);
		packet_len = packet_len < packets.left ? packet_len : packets.left;
		fuzz_take(&packets, packet, packet_len);
		packet_there = true;
	}
	n = packet_len < msg->msg_iov[0].iov_len ? packet_len : msg->msg_iov[0].iov_len;
	if (n)
		memcpy(msg->msg_iov[0].iov_base, packet, n);
	msg->msg_flags = n < packet_len ? MSG_TRUNC : 0;
	msg->msg_controllen = 0;
	if (msg->msg_name)
		memcpy(msg->msg_name, &from, sizeof(from));
	msg->msg_namelen = sizeof(from);
	packet_there = flags & MSG_PEEK;
	return flags & MSG_TRUNC ? (ssize_t)packet_len : (ssize_t)n;
}

static int on_unix(void *ctx, const struct diag_unix *s)
{
	FUZZ_ASSERT(s->name_len <= sizeof(s->name) && s->shutdown <= 3);
	return 0;
}

static int on_inet(void *ctx, const struct diag_inet *s)
{
	FUZZ_ASSERT(s->shutdown <= 3);
	return 0;
}

static void walk(const void *data, size_t len)
{
	struct nl_attr a = { data, (const uint8_t *)data + len };
	const void *value;
	size_t value_len;
	uint16_t type;

	while (nl_attr_next(&a, &type, &value, &value_len) > 0)
		FUZZ_ASSERT((const uint8_t *)value >= (const uint8_t *)data &&
			    (const uint8_t *)value + value_len <= (const uint8_t *)data + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint8_t which = fuzz_u8(&in);
	struct diag_unix u;
	struct diag_inet i;
	size_t len = in.left;
	void *bytes;

	packets = in;
	packet_there = false;
	bytes = malloc(len ? len : 1);
	if (!bytes)
		abort();
	memcpy(bytes, in.p, len);
	switch (which % 7) {
	case 0:
		if (!diag_unix_parse(bytes, len, &u))
			on_unix(NULL, &u);
		break;
	case 1:
		if (!diag_inet_parse(bytes, len, &i))
			on_inet(NULL, &i);
		break;
	case 2:
		walk(bytes, len);
		break;
	case 3:
	case 4:
		diag_unix_all(on_unix, NULL);
		break;
	case 5:
		diag_unix_one(1, &u);
		break;
	case 6:
		diag_inet_all(AF_INET, 6, on_inet, NULL);
		break;
	}
	free(bytes);
	return 0;
}
