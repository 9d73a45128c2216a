/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"

enum { NL_BUF = 32 << 10 }; /* the kernel fills at most this in one answer (NLMSG_GOODSIZE grows with our buffer) */

int nl_open(int protocol)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -errno : fd;
}

static int send_request(int fd, uint16_t type, bool dump, const void *request, size_t len)
{
	struct nlmsghdr head = {
		.nlmsg_len = sizeof(head) + len,
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0),
		.nlmsg_seq = 1,
	};
	struct iovec iov[2] = { { &head, sizeof(head) }, { (void *)request, len } };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct msghdr msg = { .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = iov, .msg_iovlen = 2 };

	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

/* One packet from the kernel. Return: bytes or -errno. */
static ssize_t receive(int fd, void *buf, size_t size)
{
	struct sockaddr_nl from;
	socklen_t from_len;
	ssize_t n;

	do {
		from_len = sizeof(from);
		n = recvfrom(fd, buf, size, MSG_TRUNC, (struct sockaddr *)&from, &from_len);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0)
		return -errno;
	return (size_t)n > size ? -EMSGSIZE : n;
}

static int answer_error(const struct nlmsghdr *h)
{
	const struct nlmsgerr *err = NLMSG_DATA(h);

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*err)))
		return -EBADMSG;
	return err->error;
}

int nl_ask(int fd, uint16_t type, bool dump, const void *request, size_t len, nl_each each, void *ctx)
{
	_cleanup_free_ char *buf = malloc(NL_BUF);
	bool changed = false;
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = send_request(fd, type, dump, request, len);
	while (!ret) {
		ssize_t n = receive(fd, buf, NL_BUF);

		if (n < 0)
			return n;
		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, (size_t)n) && !ret; h = NLMSG_NEXT(h, n)) {
			changed |= h->nlmsg_flags & NLM_F_DUMP_INTR;
			if (h->nlmsg_type == NLMSG_DONE)
				return changed ? -EINTR : 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return answer_error(h);
			ret = each(ctx, NLMSG_DATA(h), NLMSG_PAYLOAD(h, 0));
			if (!dump)
				return ret;
		}
	}
	return ret;
}

int nl_attr_next(struct nl_attr *a, uint16_t *ret_type, const void **ret_data, size_t *ret_len)
{
	struct nlattr head;

	if (a->p >= a->end)
		return 0;
	if ((size_t)(a->end - a->p) < sizeof(head))
		return -EBADMSG;
	memcpy(&head, a->p, sizeof(head));
	if (head.nla_len < sizeof(head) || head.nla_len > (size_t)(a->end - a->p))
		return -EBADMSG;
	*ret_type = head.nla_type & NLA_TYPE_MASK;
	*ret_data = a->p + NLA_HDRLEN;
	*ret_len = head.nla_len - NLA_HDRLEN;
	a->p += (size_t)NLA_ALIGN(head.nla_len) < (size_t)(a->end - a->p) ? (size_t)NLA_ALIGN(head.nla_len)
									  : (size_t)(a->end - a->p);
	return 1;
}
