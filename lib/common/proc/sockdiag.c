/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

#include "base/fd.h"
#include "base/netlink.h"

/* A u32 attribute. */
static bool take_u32(const void *data, size_t len, uint32_t *ret)
{
	if (len < sizeof(*ret))
		return false;
	memcpy(ret, data, sizeof(*ret));
	return true;
}

static bool unix_attr(struct diag_unix *s, uint16_t type, const void *data, size_t len)
{
	struct unix_diag_rqlen queue;
	struct unix_diag_vfs vfs;

	switch (type) {
	case UNIX_DIAG_NAME:
		if (len > sizeof(s->name))
			return false;
		s->name_len = len;
		memcpy(s->name, data, len);
		return true;
	case UNIX_DIAG_VFS:
		if (len < sizeof(vfs))
			return false;
		memcpy(&vfs, data, sizeof(vfs));
		s->has_vfs = true;
		s->vfs_ino = vfs.udiag_vfs_ino;
		return true;
	case UNIX_DIAG_PEER:
		s->has_peer = true;
		return take_u32(data, len, &s->peer);
	case UNIX_DIAG_ICONS:
		s->nr_pending = len / sizeof(uint32_t);
		return true;
	case UNIX_DIAG_RQLEN:
		if (len < sizeof(queue))
			return false;
		memcpy(&queue, data, sizeof(queue));
		s->rqueue = queue.udiag_rqueue;
		s->wqueue = queue.udiag_wqueue;
		return true;
	case UNIX_DIAG_SHUTDOWN:
		if (len < 1)
			return false;
		s->shutdown = *(const uint8_t *)data & 3;
		return true;
	default:
		return true;
	}
}

int diag_unix_parse(const void *msg, size_t len, struct diag_unix *ret)
{
	struct diag_unix s = { 0 };
	struct unix_diag_msg head;
	struct nl_attr attrs;
	const void *data;
	size_t data_len;
	uint16_t type;
	int more;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, msg, sizeof(head));
	s.ino = head.udiag_ino;
	s.type = head.udiag_type;
	s.state = head.udiag_state;
	attrs = (struct nl_attr){ (const uint8_t *)msg + sizeof(head), (const uint8_t *)msg + len };
	while ((more = nl_attr_next(&attrs, &type, &data, &data_len)) > 0)
		if (!unix_attr(&s, type, data, data_len))
			return -EBADMSG;
	if (more < 0)
		return more;
	*ret = s;
	return 0;
}

int diag_inet_parse(const void *msg, size_t len, struct diag_inet *ret)
{
	struct inet_diag_msg head;
	struct nl_attr attrs;
	struct diag_inet s;
	const void *data;
	size_t data_len;
	uint16_t type;
	int more;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, msg, sizeof(head));
	s = (struct diag_inet){ .ino = head.idiag_inode,
				.family = head.idiag_family,
				.state = head.idiag_state,
				.port = ntohs(head.id.idiag_sport),
				.ifindex = head.id.idiag_if };
	memcpy(s.addr, head.id.idiag_src, sizeof(s.addr));
	attrs = (struct nl_attr){ (const uint8_t *)msg + sizeof(head), (const uint8_t *)msg + len };
	while ((more = nl_attr_next(&attrs, &type, &data, &data_len)) > 0)
		if (type == INET_DIAG_SHUTDOWN && data_len >= 1)
			s.shutdown = *(const uint8_t *)data & 3;
		else if (type == INET_DIAG_SKV6ONLY && data_len >= 1)
			s.v6only = *(const uint8_t *)data != 0;
	if (more < 0)
		return more;
	*ret = s;
	return 0;
}

struct each_unix {
	diag_unix_each each;
	void *ctx;
};

static int on_unix(void *ctx, const void *payload, size_t len)
{
	const struct each_unix *u = ctx;
	struct diag_unix s;
	int ret = diag_unix_parse(payload, len, &s);

	return ret < 0 ? ret : u->each(u->ctx, &s);
}

static int ask_unix(uint32_t ino, diag_unix_each each, void *ctx)
{
	const struct unix_diag_req req = {
		.sdiag_family = AF_UNIX,
		.udiag_states = ~0u,
		.udiag_ino = ino,
		.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN,
		.udiag_cookie = { ~0u, ~0u },
	};
	struct each_unix u = { each, ctx };

	return nl_ask(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, ino == 0, &req, sizeof(req), on_unix, &u);
}

int diag_unix_all(diag_unix_each each, void *ctx)
{
	int ret = ask_unix(0, each, ctx);

	return ret == -EINTR ? 0 : ret;
}

static int keep_unix(void *ctx, const struct diag_unix *s)
{
	*(struct diag_unix *)ctx = *s;
	return 0;
}

int diag_unix_one(uint32_t ino, struct diag_unix *ret)
{
	return ino ? ask_unix(ino, keep_unix, ret) : -ENOENT;
}

struct each_inet {
	diag_inet_each each;
	void *ctx;
};

static int on_inet(void *ctx, const void *payload, size_t len)
{
	const struct each_inet *i = ctx;
	struct diag_inet s;
	int ret = diag_inet_parse(payload, len, &s);

	return ret < 0 ? ret : i->each(i->ctx, &s);
}

int diag_inet_all(int family, int protocol, diag_inet_each each, void *ctx)
{
	const struct inet_diag_req_v2 req = {
		.sdiag_family = family,
		.sdiag_protocol = protocol,
		.idiag_states = ~0u,
	};
	struct each_inet i = { each, ctx };
	int ret = nl_ask(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, true, &req, sizeof(req), on_inet, &i);

	return ret == -EINTR ? 0 : ret;
}
