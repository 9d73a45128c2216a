/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink with what base/netlink does not need: several messages at once, acknowledgements, the kernel's own words. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>

#include "base/fd.h"
#include "base/netlink.h"
#include "probe.h"

enum { BUF = 16384, TEXT = 128 };

/* The string that NLMSG_ERROR carries with NETLINK_EXT_ACK. */
static void error_text(const struct nlmsghdr *h, char *text)
{
	const struct nlmsgerr *err = NLMSG_DATA(h);
	size_t skip = sizeof(*err), len = h->nlmsg_len - NLMSG_HDRLEN;
	const uint8_t *p = NLMSG_DATA(h);
	struct nl_attr a;
	const void *data;
	uint16_t type;
	size_t n;

	text[0] = 0;
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED)) {
		if (err->msg.nlmsg_len < NLMSG_HDRLEN)
			return;
		skip += NLMSG_ALIGN(err->msg.nlmsg_len - NLMSG_HDRLEN);
	}
	if (skip > len)
		return;
	a = (struct nl_attr){ p + skip, p + len };
	while (nl_attr_next(&a, &type, &data, &n) > 0) {
		if (type == NLMSGERR_ATTR_MSG && n && n <= TEXT) {
			memcpy(text, data, n);
			text[n - 1] = 0;
		}
	}
}

int probe_netlink(int protocol, const void *msgs, size_t len, char *text)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	_Alignas(8) char buf[BUF];
	int on = 1;
	ssize_t n;

	if (text)
		text[0] = 0;
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	if (sendto(fd, msgs, len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	for (;;) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0)
			return -errno;
		for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			const struct nlmsgerr *err = NLMSG_DATA(h);

			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type != NLMSG_ERROR)
				return 0; /* an answer */
			if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*err)))
				return -EBADMSG;
			if (err->error && text)
				error_text(h, text);
			return err->error;
		}
	}
}
