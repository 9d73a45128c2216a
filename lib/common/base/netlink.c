/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/netlink.h"

#include <errno.h>
#include <string.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

struct ask {
	nl_each each;
	void *ctx;
	int ret; /* of the kernel or of each() */
};

static int on_answer(struct nl_msg *msg, void *arg)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);
	struct ask *a = arg;

	a->ret = a->each(a->ctx, nlmsg_data(h), (size_t)nlmsg_datalen(h));
	return a->ret ? NL_STOP : NL_OK;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct ask *a = arg;

	a->ret = e->error;
	return NL_STOP;
}

/* A dump that failed ends with the error in its last message (a module of sock_diag that is missing, say). */
static int on_done(struct nl_msg *msg, void *arg)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);
	struct ask *a = arg;
	int32_t err = 0;

	if (nlmsg_datalen(h) >= (int)sizeof(err))
		memcpy(&err, nlmsg_data(h), sizeof(err));
	if (err < 0)
		a->ret = err;
	return NL_OK;
}

/* libnl has codes of its own and no way back; what else fails shows in errno. */
static int failed(int nle)
{
	if (nle == -NLE_DUMP_INTR)
		return -EINTR;
	if (nle == -NLE_NOMEM)
		return -ENOMEM;
	return errno ? -errno : -EBADMSG;
}

int nl_ask(int protocol, int type, bool dump, const void *request, size_t len, nl_each each, void *ctx)
{
	struct nl_sock *sk = nl_socket_alloc();
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	struct ask a = { .each = each, .ctx = ctx };
	int nle = sk && cb ? 0 : -NLE_NOMEM;

	errno = 0;
	if (!nle)
		nle = nl_connect(sk, protocol);
	if (!nle) {
		nl_socket_disable_auto_ack(sk);
		nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_answer, &a);
		nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_done, &a);
		nl_cb_err(cb, NL_CB_CUSTOM, on_error, &a);
		nle = nl_send_simple(sk, type, dump ? NLM_F_DUMP : 0, (void *)request, len);
	}
	if (nle >= 0) /* it was the number of bytes sent */
		nle = nl_recvmsgs(sk, cb);
	nl_cb_put(cb);
	nl_socket_free(sk);
	return a.ret ? a.ret : nle < 0 ? failed(nle) : 0;
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
