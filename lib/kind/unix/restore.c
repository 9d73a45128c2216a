// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: unix sockets
 *
 * Sockets that know each other (peers, equal names) are one group, made by one task in this order, because each step
 * needs the ones before:
 *  1. sockets with a name of their own and no stream connection: socket(2), bind(2); listeners listen(2);
 *  2. connected pairs: socketpair(2); where one side has the name of a listener of the group it was accepted from it,
 * so it is made by connect(2) and accept(2) again, which gives it that name;
 *  3. one-way connections of datagram sockets: connect(2) by name.
 * Late, when everything is in place: the queues are sent again, each packet by its receiver's peer, with descriptors
 * where it had some; after all queues of the group the shutdown states, which would forbid the sending.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/restore-file.h"
#include "kind/unix/restore-unix.h"
#include "sk-unix.pb-c.h"

/* ---- plan ---- */

static uint64_t name_key(const UnixSkEntry *s)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a; an accidental match only makes a group larger */
	size_t i;

	for (i = 0; i < s->name.len; i++)
		h = (h ^ s->name.data[i]) * 0x100000001b3ull;
	return h | 1ull << 63;
}

static int check_shape(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const UnixSkEntry *s = fe->usk;

	if (s->type != SOCK_STREAM && s->type != SOCK_DGRAM && s->type != SOCK_SEQPACKET)
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "type %u is no type of a unix socket", s->type);
	if (s->state != UNIX_ESTABLISHED && s->state != UNIX_CLOSE && s->state != UNIX_LISTEN)
		return files_refuse(r, fe, CR_E_SOCKET_STATE, e, "state %u is not supported yet", s->state);
	if (s->name.len > sizeof(((struct sockaddr_un *)0)->sun_path))
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "a name of %zu bytes", s->name.len);
	if (s->state == UNIX_LISTEN && (!s->name.len || s->type == SOCK_DGRAM))
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "listens without a name");
	if (s->uflags & (UNIX_F_EXTERNAL | UNIX_F_SERVICE | UNIX_F_CALLBACK))
		return files_refuse(r, fe, CR_E_SOCKET_PEER, e,
				    "its peer was outside of the tree, which is not supported yet");
	return 0;
}

static int check(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const UnixSkEntry *s = fe->usk;
	int ret;

	ret = check_shape(r, fe, e);
	if (!ret)
		ret = files_join(r, fe, s->ino, e);
	if (!ret && s->peer)
		ret = files_join(r, fe, s->peer, e);
	if (!ret && s->name.len)
		ret = files_join(r, fe, name_key(s), e);
	return ret ? ret : unix_check_queue(r, fe, e);
}

const struct FileEntry *unix_peer(const struct rst *r, const struct FileEntry *fe)
{
	const struct FileEntry *m;

	if (!fe->usk->peer)
		return NULL;
	for (m = files_group_next(r, fe); m != fe; m = files_group_next(r, m))
		if (m->usk->ino == fe->usk->peer)
			return m;
	return fe->usk->peer == fe->usk->ino ? fe : NULL;
}

static bool mutual(const struct FileEntry *fe, const struct FileEntry *peer)
{
	return peer && peer != fe && peer->usk->peer == fe->usk->ino;
}

/* ---- the group ---- */

/* What has been made so far: by position in the ring, from the description that open() was called for. */
struct group {
	size_t n;
	struct member {
		const struct FileEntry *fe;
		int fd; /* -1: not yet */
	} * v;
};

static bool same_name(const UnixSkEntry *a, const UnixSkEntry *b)
{
	return a->name.len && a->name.len == b->name.len && !memcmp(a->name.data, b->name.data, a->name.len);
}

static int bind_it(const struct group *g, const struct member *m, struct cr_err *e)
{
	bool ours = false;
	size_t i;

	if (!m->fe->usk->name.len)
		return 0;
	for (i = 0; i < g->n; i++)
		ours |= &g->v[i] != m && g->v[i].fd >= 0 && g->v[i].fe->usk->state != UNIX_LISTEN &&
			same_name(g->v[i].fe->usk, m->fe->usk);
	return unix_bind_named(m->fe->usk, m->fd, ours, e);
}

static struct member *member(struct group *g, const struct FileEntry *fe)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		if (g->v[i].fe == fe)
			return &g->v[i];
	return NULL;
}

static int collect(struct rst *r, const struct FileEntry *fe, struct group *g, struct cr_err *e)
{
	const struct FileEntry *m = fe;
	size_t n = 0;

	do {
		n++;
		m = files_group_next(r, m);
	} while (m != fe);
	g->v = calloc(n, sizeof(*g->v));
	if (!g->v)
		return cr_err_nomem(e);
	do {
		g->v[g->n++] = (struct member){ .fe = m, .fd = -1 };
		m = files_group_next(r, m);
	} while (m != fe);
	return 0;
}

/* The listener in the group that a connected socket got its name from. */
static const struct FileEntry *listener_of(const struct rst *r, const struct FileEntry *fe)
{
	const struct FileEntry *m;

	if (!fe->usk->name.len)
		return NULL;
	for (m = files_group_next(r, fe); m != fe; m = files_group_next(r, m))
		if (m->usk->state == UNIX_LISTEN && m->usk->type == fe->usk->type && same_name(m->usk, fe->usk) &&
		    unix_is_deleted(m->usk) == unix_is_deleted(fe->usk))
			return m;
	return NULL;
}

/* Options and number of a new socket; takes over @fd. */
static int adopt(struct rst *r, struct member *m, int fd, struct cr_err *e)
{
	char what[FILES_WHAT];
	int ret;

	m->fd = fd;
	ret = files_lift(r, &m->fd, e);
	return ret ? ret : files_set_sockopts(m->fd, m->fe->usk->opts, files_what(r, m->fe, what), e);
}

static bool is_connected(const struct FileEntry *fe)
{
	return fe->usk->type != SOCK_DGRAM && fe->usk->state == UNIX_ESTABLISHED;
}

/* Step 1: what stands alone. */
static int make_single(struct rst *r, const struct group *g, struct member *m, struct cr_err *e)
{
	const UnixSkEntry *s = m->fe->usk;
	int fd, ret;

	fd = socket(AF_UNIX, s->type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return files_failed(r, m->fe, errno, "socket", e);
	ret = adopt(r, m, fd, e);
	if (!ret)
		ret = bind_it(g, m, e);
	if (!ret && s->state == UNIX_LISTEN && listen(m->fd, s->backlog > INT32_MAX ? INT32_MAX : (int)s->backlog) < 0)
		ret = files_failed(r, m->fe, errno, "listen", e);
	return ret;
}

/* Step 2: @server was accepted from @l. The backlog is one more for the moment, as it may be 0. */
static int make_accepted(struct rst *r, const struct group *g, struct member *server, struct member *client,
			 const struct member *l, struct cr_err *e)
{
	int fd, ret;

	fd = socket(AF_UNIX, client->fe->usk->type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return files_failed(r, client->fe, errno, "socket", e);
	ret = adopt(r, client, fd, e);
	if (!ret)
		ret = bind_it(g, client, e);
	if (!ret)
		ret = unix_connect_named(l->fe->usk, client->fd, e);
	if (ret < 0)
		return ret;
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return files_failed(r, server->fe, errno, "accept4", e);
	return adopt(r, server, fd, e);
}

static int make_pair(struct rst *r, const struct group *g, struct member *a, struct member *b, struct cr_err *e)
{
	int sv[2], ret;

	if (socketpair(AF_UNIX, a->fe->usk->type | SOCK_CLOEXEC, 0, sv) < 0)
		return files_failed(r, a->fe, errno, "socketpair", e);
	a->fd = sv[0];
	if (b)
		b->fd = sv[1];
	ret = adopt(r, a, sv[0], e);
	if (!ret && b)
		ret = adopt(r, b, sv[1], e);
	if (!ret)
		ret = bind_it(g, a, e);
	if (!ret && b)
		ret = bind_it(g, b, e);
	/* Without @b: its peer is gone, as it was at the dump. Its queue is written before the peer is closed. */
	if (!ret && !b)
		ret = unix_send_queue(r, a->fe, sv[1], e);
	if (!b)
		close(sv[1]);
	return ret;
}

static int make_connected(struct rst *r, struct group *g, struct member *m, struct cr_err *e)
{
	const struct FileEntry *peer = unix_peer(r, m->fe), *l;
	struct member *p;

	if (!m->fe->usk->peer)
		return make_pair(r, g, m, NULL, e);
	if (!mutual(m->fe, peer))
		return files_refuse(r, m->fe, CR_E_SOCKET_PEER, e, "its peer (inode %u) is not in the images",
				    m->fe->usk->peer);
	p = member(g, peer);
	l = listener_of(r, m->fe);
	if (l)
		return make_accepted(r, g, m, p, member(g, l), e);
	l = listener_of(r, peer);
	if (l)
		return make_accepted(r, g, p, m, member(g, l), e);
	return make_pair(r, g, m, p, e);
}

/* Step 3: a datagram socket that is connected to one that is not connected to it. */
static int connect_dgram(struct rst *r, struct group *g, struct member *m, struct cr_err *e)
{
	const struct FileEntry *peer = unix_peer(r, m->fe);

	if (!peer)
		return files_refuse(r, m->fe, CR_E_SOCKET_PEER, e, "its peer (inode %u) is not in the images",
				    m->fe->usk->peer);
	if (!peer->usk->name.len)
		return files_refuse(r, m->fe, CR_E_SOCKET_STATE, e, "is connected to a socket without a name");
	return unix_connect_named(peer->usk, m->fd, e);
}

static bool pair_of_dgrams(const struct rst *r, const struct FileEntry *fe)
{
	return fe->usk->type == SOCK_DGRAM && mutual(fe, unix_peer(r, fe));
}

/* Neither a connection nor a pair; a datagram socket with packets of a peer that is gone is half a pair. */
static bool stands_alone(const struct rst *r, const struct FileEntry *fe)
{
	const UnixSkEntry *s = fe->usk;

	if (s->type == SOCK_DGRAM && !s->peer && !s->name.len && unix_has_queue(r, fe))
		return false;
	return !is_connected(fe) && !pair_of_dgrams(r, fe);
}

/* Made in the round of what is deleted: it, or what it is accepted from, has a name that is to go. */
static bool in_deleted_round(const struct rst *r, const struct FileEntry *fe)
{
	const struct FileEntry *peer = unix_peer(r, fe);

	return unix_is_deleted(fe->usk) || (is_connected(fe) && peer && unix_is_deleted(peer->usk));
}

static int make_round(struct rst *r, struct group *g, bool deleted, struct cr_err *e)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < g->n && !ret; i++)
		if (in_deleted_round(r, g->v[i].fe) == deleted && stands_alone(r, g->v[i].fe))
			ret = make_single(r, g, &g->v[i], e);
	for (i = 0; i < g->n && !ret; i++)
		if (in_deleted_round(r, g->v[i].fe) == deleted && g->v[i].fd < 0)
			ret = make_connected(r, g, &g->v[i], e);
	return ret;
}

/* Names that were deleted first, as others may have taken them since. */
static int make_group(struct rst *r, struct group *g, struct cr_err *e)
{
	size_t i;
	int ret;

	ret = make_round(r, g, true, e);
	for (i = 0; i < g->n && !ret; i++)
		if (unix_is_deleted(g->v[i].fe->usk) && g->v[i].fe->usk->state == UNIX_LISTEN)
			ret = unix_unlink_named(g->v[i].fe->usk, e);
	if (!ret)
		ret = make_round(r, g, false, e);
	for (i = 0; i < g->n && !ret; i++) {
		const struct FileEntry *fe = g->v[i].fe;

		if (fe->usk->type == SOCK_DGRAM && fe->usk->peer && !pair_of_dgrams(r, fe))
			ret = connect_dgram(r, g, &g->v[i], e);
	}
	for (i = 0; i < g->n && !ret; i++) {
		ret = files_set_flags(g->v[i].fd, g->v[i].fe->usk->flags);
		if (ret < 0)
			files_failed(r, g->v[i].fe, -ret, "F_SETFL", e);
	}
	return ret;
}

static int open_unix(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	struct group g = { 0 };
	int ret, fd = -1;
	size_t i;

	ret = collect(r, fe, &g, e);
	if (!ret)
		ret = make_group(r, &g, e);
	for (i = 0; i < g.n && !ret; i++) {
		if (g.v[i].fe == fe)
			fd = g.v[i].fd;
		else
			ret = files_publish(r, g.v[i].fe, g.v[i].fd, e);
	}
	free(g.v);
	return ret < 0 ? ret : fd;
}

static int precheck(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const UnixSkEntry *s = fe->usk;
	_cleanup_close_ int fd = -1;

	if (s->peer && !unix_peer(r, fe))
		return files_refuse(r, fe, CR_E_SOCKET_PEER, e, "its peer (inode %u) is not in the images", s->peer);
	if (!s->name.len)
		return 0;
	fd = socket(AF_UNIX, s->type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return files_failed(r, fe, errno, "socket", e);
	return unix_check_named(s, fd, e);
}

const struct fd_rst_ops unix_rst_ops = {
	.name = "unix socket",
	.type = FD_TYPES__UNIXSK,
	.check = check,
	.open = open_unix,
	.late = unix_late,
	.precheck = precheck,
	.area = "unix names",
};
