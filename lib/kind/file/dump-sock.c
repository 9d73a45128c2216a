/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Options that all sockets have, by getsockopt(2) on our copy: reading them changes nothing. Buffer sizes are written
 * as the kernel tells them, twice what was set. An attached classic filter is part of the socket; an eBPF program
 * cannot be read back and is refused.
 *
 * A socket belongs to the network namespace that it was made in, wherever its task is now. The namespaces' cookies
 * (SO_NETNS_COOKIE, Linux 5.14) tell: that of a socket of our own is the tree's.
 */
#include "kind/file/dump-internal.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/filter.h>

#include "base/fd.h"

#include "sk-opts.pb-c.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Return: 0: cannot be told. */
static uint64_t netns_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

static int check_netns(struct dump *d, const struct fd_look *l, struct cr_err *e)
{
	uint64_t cookie;

	if (!d->files->netns_cookie) {
		_cleanup_close_ int ours = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		d->files->netns_cookie = ours < 0 ? 0 : netns_cookie(ours);
	}
	cookie = netns_cookie(l->lfd);
	if (!cookie || !d->files->netns_cookie || cookie == d->files->netns_cookie)
		return 0;
	dump_refuse(l, e, CR_E_NAMESPACE,
		    "the socket belongs to another network namespace, which is not supported yet");
	cr_err_remedy(e, "close the socket before the dump");
	return -EPERM;
}

static int take_int(const struct fd_look *l, int name, int *ret, struct cr_err *e)
{
	int err = dump_getsockopt(l->lfd, SOL_SOCKET, name, ret);

	return err < 0 ? dump_failed(l, -err, "getsockopt", e) : 0;
}

/* Options that some families do not have (SO_PASSCRED of inet sockets since Linux 6.16). */
static void take_flag(const struct fd_look *l, int name, protobuf_c_boolean *has, protobuf_c_boolean *value)
{
	int v;

	*has = dump_getsockopt(l->lfd, SOL_SOCKET, name, &v) == 0;
	*value = *has && v;
}

static int take_times(const struct fd_look *l, SkOptsEntry *o, struct cr_err *e)
{
	struct timeval tv = { 0 };
	socklen_t len = sizeof(tv);

	if (getsockopt(l->lfd, SOL_SOCKET, SO_SNDTIMEO, &tv, &len) < 0)
		return dump_failed(l, errno, "getsockopt(SO_SNDTIMEO)", e);
	o->so_snd_tmo_sec = tv.tv_sec;
	o->so_snd_tmo_usec = tv.tv_usec;
	len = sizeof(tv);
	if (getsockopt(l->lfd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len) < 0)
		return dump_failed(l, errno, "getsockopt(SO_RCVTIMEO)", e);
	o->so_rcv_tmo_sec = tv.tv_sec;
	o->so_rcv_tmo_usec = tv.tv_usec;
	return 0;
}

static int take_linger(const struct fd_look *l, SkOptsEntry *o, struct cr_err *e)
{
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);

	if (getsockopt(l->lfd, SOL_SOCKET, SO_LINGER, &linger, &len) < 0)
		return dump_failed(l, errno, "getsockopt(SO_LINGER)", e);
	o->has_so_linger = linger.l_onoff;
	o->so_linger = linger.l_linger;
	return 0;
}

static int take_filter(const struct fd_look *l, SkOptsEntry *o, struct cr_err *e)
{
	socklen_t n = 0; /* counts instructions, not bytes */

	if (getsockopt(l->lfd, SOL_SOCKET, SO_GET_FILTER, NULL, &n) < 0)
		return errno == EACCES
			       ? dump_refuse(l, e, CR_E_SOCKET_STATE, "an eBPF program is attached to the socket")
			       : dump_failed(l, errno, "getsockopt(SO_GET_FILTER)", e);
	if (!n)
		return 0;
	o->so_filter = arena_calloc(l->scratch, n, sizeof(struct sock_filter));
	if (!o->so_filter)
		return cr_err_nomem(e);
	if (getsockopt(l->lfd, SOL_SOCKET, SO_GET_FILTER, o->so_filter, &n) < 0)
		return dump_failed(l, errno, "getsockopt(SO_GET_FILTER)", e);
	o->n_so_filter = n;
	return 0;
}

static int take_device(const struct fd_look *l, SkOptsEntry *o, struct cr_err *e)
{
	char name[IFNAMSIZ] = "";
	socklen_t len = sizeof(name);

	if (getsockopt(l->lfd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) < 0 || !*name)
		return 0;
	o->so_bound_dev = arena_strdup(l->scratch, name);
	return o->so_bound_dev ? 0 : cr_err_nomem(e);
}

static int take_numbers(const struct fd_look *l, SkOptsEntry *o, struct cr_err *e)
{
	int snd = 0, rcv = 0, priority = 0, lowat = 0, mark = 0, oob = 0, lock = 0, ret;

	ret = take_int(l, SO_SNDBUF, &snd, e);
	if (!ret)
		ret = take_int(l, SO_RCVBUF, &rcv, e);
	if (!ret)
		ret = take_int(l, SO_PRIORITY, &priority, e);
	if (!ret)
		ret = take_int(l, SO_RCVLOWAT, &lowat, e);
	if (!ret)
		ret = take_int(l, SO_MARK, &mark, e);
	if (!ret)
		ret = take_int(l, SO_OOBINLINE, &oob, e);
	o->so_sndbuf = snd;
	o->so_rcvbuf = rcv;
	o->has_so_priority = o->has_so_rcvlowat = o->has_so_oobinline = true;
	o->so_priority = priority;
	o->so_rcvlowat = lowat;
	o->so_oobinline = oob;
	o->has_so_mark = mark != 0;
	o->so_mark = mark;
	o->has_so_buf_lock = dump_getsockopt(l->lfd, SOL_SOCKET, SO_BUF_LOCK, &lock) == 0; /* Linux 5.15 */
	o->so_buf_lock = lock;
	return ret;
}

int dump_sockopts(struct dump *d, const struct fd_look *l, SkOptsEntry **ret, struct cr_err *e)
{
	SkOptsEntry *o = arena_alloc(l->scratch, sizeof(*o));
	int err;

	if (!o)
		return cr_err_nomem(e);
	err = check_netns(d, l, e);
	if (err < 0)
		return err;
	sk_opts_entry__init(o);
	take_flag(l, SO_REUSEADDR, &o->has_reuseaddr, &o->reuseaddr);
	take_flag(l, SO_REUSEPORT, &o->has_so_reuseport, &o->so_reuseport);
	take_flag(l, SO_PASSCRED, &o->has_so_passcred, &o->so_passcred);
	take_flag(l, SO_PASSSEC, &o->has_so_passsec, &o->so_passsec);
	take_flag(l, SO_DONTROUTE, &o->has_so_dontroute, &o->so_dontroute);
	take_flag(l, SO_NO_CHECK, &o->has_so_no_check, &o->so_no_check);
	take_flag(l, SO_BROADCAST, &o->has_so_broadcast, &o->so_broadcast);
	take_flag(l, SO_KEEPALIVE, &o->has_so_keepalive, &o->so_keepalive);
	err = take_numbers(l, o, e);
	if (!err)
		err = take_times(l, o, e);
	if (!err)
		err = take_linger(l, o, e);
	if (!err)
		err = take_filter(l, o, e);
	if (!err)
		err = take_device(l, o, e);
	*ret = o;
	return err;
}
