/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink, by libnl: the one place that talks to such sockets. Every length in an answer is checked. */
#ifndef CR_BASE_NETLINK_H
#define CR_BASE_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>

#include "base/err.h"

/* @payload: what follows the nlmsghdr, @len bytes, valid during the call. Return: 0, or -errno to stop. */
typedef int (*nl_each)(void *ctx, const void *payload, size_t len);

/*
 * Ask the kernel, in the caller's network namespace, and hand each answer to @each.
 * @protocol: NETLINK_SOCK_DIAG ...; @type: of the message
 * @dump: NLM_F_DUMP: many answers up to NLMSG_DONE; else one answer
 * Return: 0, or -errno: of the kernel's answer (NLMSG_ERROR), of the socket, or of @each. -EINTR: the table changed
 * while it was read (NLM_F_DUMP_INTR); all answers were handed over, some may be missing or come twice.
 */
int nl_ask(int protocol, int type, bool dump, const void *request, size_t len, nl_each each, void *ctx);

/* The attributes behind a fixed head. */
struct nl_attr {
	const uint8_t *p, *end;
};
/* Return: 1 one more: @ret_type without the flag bits; 0 end; -EBADMSG. */
int nl_attr_next(struct nl_attr *a, uint16_t *ret_type, const void **ret_data, size_t *ret_len);

#endif
