/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: unix sockets
 *
 * Names, peers and what is shut down come from sock_diag, which lists all sockets of the network namespace; sockets of
 * others that come and go meanwhile can hide one, which is then asked for by its number. Options come from our copy.
 *
 * A connected socket's peer must be in the tree. Peer 0 of a connected stream: closed (then both directions are shut
 * down), or not accepted yet by a listener (refused, as are the connections that wait at a listener of the tree).
 *
 * Queues are read by MSG_PEEK, which takes nothing. For streams one call sees the whole queue. Of datagrams a plain
 * MSG_PEEK shows the first only; SO_PEEK_OFF lets the next call see the next one, and is a property of the task's own
 * socket: the holder gets a copy and puts the old value back, whatever becomes of us (HOLD_PARK_PEEK_OFF).
 * Descriptors that travel in a queue are not carried yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/sockios.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"
#include "proc/sockdiag.h"
#include "sk-packet.pb-c.h"

#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

enum { BUCKETS = 1024, CONTROL = 4096, MESSAGE_MAX = 64 << 20, FIRST_BUFFER = 64 << 10 };

/* Compact: the host may have thousands. */
struct known {
	struct known *next;
	struct diag_unix diag;
};

/* A socket of the tree. */
struct mine {
	struct mine *next;
	uint32_t ino, peer;
	const struct dump_task *task;
	int fd;
};

struct socks {
	struct known *known[BUCKETS];
	struct mine *mine[BUCKETS];
	struct arena *arena;
};

static bool match(const struct fd_look *l)
{
	return S_ISSOCK(l->st.st_mode) && l->family == AF_UNIX;
}

/* ---- what sock_diag knows ---- */

static int note(void *ctx, const struct diag_unix *s)
{
	struct socks *all = ctx;
	struct known *k = arena_alloc(all->arena, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->diag = *s;
	k->next = all->known[s->ino % BUCKETS];
	all->known[s->ino % BUCKETS] = k;
	return 0;
}

static int get_diag(struct dump *d, const struct fd_look *l, struct diag_unix *ret, struct cr_err *e)
{
	void **state = dump_kind_state(d, &unix_dump_ops);
	struct socks *all = *state;
	int err = 0;

	if (!all) {
		*state = all = arena_alloc(d->arena, sizeof(*all));
		if (!all)
			return cr_err_nomem(e);
		all->arena = d->arena;
		err = diag_unix_all(note, all);
	}
	for (const struct known *k = all->known[l->st.st_ino % BUCKETS]; k && !err; k = k->next)
		if (k->diag.ino == l->st.st_ino) {
			*ret = k->diag;
			return 0;
		}
	if (!err)
		err = diag_unix_one(l->st.st_ino, ret);
	return err < 0 ? dump_failed(l, -err, "sock_diag of unix sockets", e) : 0;
}

static int note_mine(struct dump *d, const struct fd_look *l, const struct diag_unix *s, struct cr_err *e)
{
	struct socks *all = *dump_kind_state(d, &unix_dump_ops);
	struct mine *m = arena_alloc(d->arena, sizeof(*m));

	if (!m)
		return cr_err_nomem(e);
	*m = (struct mine){ all->mine[s->ino % BUCKETS], s->ino, s->peer, l->task, l->fd };
	all->mine[s->ino % BUCKETS] = m;
	return 0;
}

static int check_state(const struct fd_look *l, const struct diag_unix *s, struct cr_err *e)
{
	bool connected = s->state == TCP_ESTABLISHED;

	if (s->state == TCP_LISTEN && (s->rqueue || s->nr_pending))
		return dump_refuse(l, e, CR_E_CONN_PENDING, "connections wait to be accepted: %u", s->rqueue);
	/* Who closes a stream shuts both directions of the other end down (net/unix/af_unix.c). */
	if (connected && s->type != SOCK_DGRAM && !s->peer && s->shutdown != 3)
		return dump_refuse(l, e, CR_E_CONN_PENDING, "its connection was not accepted yet");
	if (s->type != SOCK_STREAM && s->type != SOCK_DGRAM && s->type != SOCK_SEQPACKET)
		return dump_refuse(l, e, CR_E_FD_KIND, "unix sockets of type %u are not supported", s->type);
	return 0;
}

/* ---- names ---- */

/* @path: where the socket's file is. A relative name needs the directory that it is relative to. */
static int name_dir(const struct fd_look *l, const struct diag_unix *s, char *path, UnixSkEntry *entry,
		    struct cr_err *e)
{
	size_t len = strnlen(s->name, s->name_len), path_len = strlen(path);

	if (s->name[0] == '/')
		return 0;
	if (path_len < len + 1 || strncmp(path + path_len - len, s->name, len) != 0 || path[path_len - len - 1] != '/')
		return dump_refuse(l, e, CR_E_SOCKET_STATE,
				   "its name %.*s is relative to a directory that is not known", (int)len, s->name);
	path[path_len - len - (path_len > len + 1)] = 0;
	entry->name_dir = arena_strdup(l->scratch, path);
	return entry->name_dir ? 0 : cr_err_nomem(e);
}

static int file_of_name(const struct fd_look *l, const struct diag_unix *s, UnixSkEntry *entry, struct cr_err *e)
{
	static const char mark[] = " (deleted)";
	_cleanup_close_ int fd = ioctl(l->lfd, SIOCUNIXFILE, 0);
	FilePermsEntry *perms = arena_alloc(l->scratch, sizeof(*perms));
	char link[32], path[4096];
	struct stat st;
	ssize_t n;

	if (!perms)
		return cr_err_nomem(e);
	if (fd < 0 || fstat(fd, &st) < 0)
		return dump_failed(l, errno, "ioctl(SIOCUNIXFILE)", e);
	file_perms_entry__init(perms);
	perms->mode = st.st_mode;
	perms->uid = st.st_uid;
	perms->gid = st.st_gid;
	entry->file_perms = perms;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink_at(AT_FDCWD, link, path, sizeof(path));
	if (n < 0)
		return dump_failed(l, -n, "readlink", e);
	if (!st.st_nlink && (size_t)n > sizeof(mark) - 1 && !strcmp(path + n - (sizeof(mark) - 1), mark)) {
		path[n - (sizeof(mark) - 1)] = 0;
		entry->has_deleted = entry->deleted = true;
	}
	return name_dir(l, s, path, entry, e);
}

static int put_name(const struct fd_look *l, const struct diag_unix *s, UnixSkEntry *entry, struct cr_err *e)
{
	entry->name.len = s->name_len;
	entry->name.data = arena_alloc(l->scratch, s->name_len + 1);
	if (!entry->name.data)
		return cr_err_nomem(e);
	memcpy(entry->name.data, s->name, s->name_len);
	return s->name_len && s->name[0] ? file_of_name(l, s, entry, e) : 0;
}

/* ---- queues ---- */

struct queue {
	struct dump *d;
	const struct fd_look *l;
	uint32_t id;
	char *buf;
	size_t size;
	bool names; /* a message came from a named socket */
};

/* Look at what travels with a message. Return: whether there are descriptors; those that came to us are closed. */
static bool has_rights(struct msghdr *msg)
{
	bool rights = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = c->cmsg_len > CMSG_LEN(0) ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

		/* 4 is SCM_PIDFD (SO_PASSPIDFD): who wrote it, made anew for each reader. */
		if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != 4))
			continue;
		rights |= c->cmsg_type == SCM_RIGHTS;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			fd_close(fd);
		}
	}
	return rights;
}

/* One MSG_PEEK. Return: bytes of the message (may be more than the buffer has), -EAGAIN: nothing, -errno with @e. */
static ssize_t peek(struct queue *q, int flags, struct cr_err *e)
{
	_Alignas(struct cmsghdr) char control[CONTROL];
	struct sockaddr_un from;
	struct iovec iov = { q->buf, q->size };
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(q->l->lfd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);

	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : dump_failed(q->l, errno, "recvmsg(MSG_PEEK)", e);
	q->names |= msg.msg_namelen > offsetof(struct sockaddr_un, sun_path);
	if (has_rights(&msg) || (msg.msg_flags & MSG_CTRUNC))
		return dump_refuse(q->l, e, CR_E_SOCKET_QUEUE,
				   "descriptors wait in its queue (SCM_RIGHTS), which is not supported yet");
	return n;
}

static int put_message(struct queue *q, size_t len, struct cr_err *e)
{
	SkPacketEntry row = SK_PACKET_ENTRY__INIT;
	struct img_writer *w;
	int ret = dump_image(q->d, IMG_SK_QUEUES, &w, e);

	row.id_for = q->id;
	row.length = len;
	if (!ret)
		ret = img_put(w, &row, e);
	return ret < 0 ? ret : img_put_bytes(w, q->buf, len, e);
}

static int buffer(struct queue *q, size_t size, struct cr_err *e)
{
	char *more;

	if (size <= q->size)
		return 0;
	if (size > MESSAGE_MAX)
		return dump_refuse(q->l, e, CR_E_SOCKET_QUEUE, "its queue holds %zu bytes", size);
	more = realloc(q->buf, size);
	if (!more)
		return cr_err_nomem(e);
	q->buf = more;
	q->size = size;
	return 0;
}

static int set_peek_off(struct queue *q, int off, struct cr_err *e)
{
	return setsockopt(q->l->lfd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)) < 0
		       ? dump_failed(q->l, errno, "setsockopt(SO_PEEK_OFF)", e)
		       : 0;
}

/* Message after message, with SO_PEEK_OFF set. */
static int read_messages(struct queue *q, bool stream, struct cr_err *e)
{
	uint64_t off = 0;

	for (;;) {
		ssize_t n = peek(q, stream ? 0 : MSG_TRUNC, e);
		int ret;

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return n;
		if (n == 0 && stream)
			return 0;
		if ((size_t)n > q->size) { /* cut: make room and look again */
			ret = buffer(q, n, e);
			if (!ret)
				ret = set_peek_off(q, off, e);
			if (ret < 0)
				return ret;
			continue;
		}
		ret = put_message(q, n, e);
		if (ret < 0)
			return ret;
		off += n;
		if (off > INT32_MAX)
			return dump_refuse(q->l, e, CR_E_SOCKET_QUEUE, "its queue holds more than 2 GiB");
	}
}

/* With the holder as the one who puts SO_PEEK_OFF back should we die. */
static int read_parked(struct queue *q, bool stream, struct cr_err *e)
{
	const struct hold_req req = { .verb = HOLD_PARK,
				      .tid = q->l->task->pid,
				      .arg = { HOLD_PARK_PEEK_OFF, (uint64_t)-1 } };
	char answer[64];
	ssize_t n = hold_request(q->d->hold, &req, NULL, 0, q->l->lfd, answer, sizeof(answer), e);
	struct cr_err ignored;
	int ret;

	if (n < 0)
		return n;
	ret = set_peek_off(q, 0, e);
	if (!ret)
		ret = read_messages(q, stream, e);
	if (set_peek_off(q, -1, ret ? &ignored : e) < 0 && !ret)
		ret = -EIO;
	return ret;
}

static int read_queue(struct queue *q, const struct diag_unix *s, struct cr_err *e)
{
	bool stream = s->type == SOCK_STREAM;
	int bytes = 0, off = -1, ret;
	ssize_t n;

	if (s->state == TCP_LISTEN)
		return 0;
	if (dump_getsockopt(q->l->lfd, SOL_SOCKET, SO_PEEK_OFF, &off) == 0 && off >= 0)
		return dump_refuse(q->l, e, CR_E_SOCKET_STATE, "SO_PEEK_OFF is set, which no image can hold");
	if (ioctl(q->l->lfd, SIOCINQ, &bytes) < 0)
		return dump_failed(q->l, errno, "ioctl(SIOCINQ)", e);
	if (stream && !bytes)
		return 0;
	ret = buffer(q, bytes < 256 ? 256 : bytes, e);
	if (ret < 0)
		return ret;
	n = peek(q, stream ? 0 : MSG_TRUNC, e);
	if (n == -EAGAIN || (n == 0 && s->type == SOCK_SEQPACKET && !bytes))
		return 0;
	if (n < 0 || q->d->dry)
		return n < 0 ? n : 0;
	/* The queue of a stream comes in one piece, unless SO_PASSCRED keeps apart who wrote what. */
	if (stream && n == bytes)
		return put_message(q, n, e);
	return read_parked(q, stream, e);
}

static int dump_queue(struct dump *d, const struct fd_look *l, const struct diag_unix *s, uint32_t id, struct cr_err *e)
{
	struct queue q = { .d = d, .l = l, .id = id };
	int ret = read_queue(&q, s, e);

	free(q.buf);
	if (!ret && q.names && s->type == SOCK_DGRAM)
		dump_warn(d, l, CR_E_SOCKET_QUEUE, "the addresses of those who sent the queued datagrams are lost");
	return ret;
}

/* ---- the entry ---- */

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	UnixSkEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	struct diag_unix s;
	SkOptsEntry *opts;
	/* First: sock_diag knows the sockets of one namespace only. */
	int ret = entry ? dump_sockopts(d, l, &opts, e) : cr_err_nomem(e);

	if (!ret)
		ret = get_diag(d, l, &s, e);
	if (!ret)
		ret = note_mine(d, l, &s, e);
	if (!ret)
		ret = check_state(l, &s, e);
	if (ret < 0)
		return ret;
	unix_sk_entry__init(entry);
	fe->usk = entry;
	entry->id = fe->id;
	entry->ino = s.ino;
	entry->type = s.type;
	entry->state = s.state;
	entry->flags = l->flags;
	entry->backlog = s.state == TCP_LISTEN ? s.wqueue : 0;
	entry->peer = s.peer;
	entry->has_ns_id = true;
	entry->ns_id = l->task->ns_id[DNS_NET];
	entry->has_shutdown = s.shutdown != 0;
	entry->shutdown = (SkShutdown)s.shutdown;
	ret = put_name(l, &s, entry, e);
	if (!ret)
		ret = dump_fown(d, l, &entry->fown, e);
	entry->opts = opts;
	return ret < 0 ? ret : dump_queue(d, l, &s, fe->id, e);
}

/* ---- the whole picture ---- */

static bool in_tree(const struct socks *all, uint32_t ino)
{
	for (const struct mine *m = all->mine[ino % BUCKETS]; m; m = m->next)
		if (m->ino == ino)
			return true;
	return false;
}

static int refuse_peer(struct dump *d, const struct mine *m, struct cr_err *e)
{
	struct fd_look l = { .task = m->task, .fd = m->fd, .lfd = -1 };
	struct cr_err why = { 0 };
	char link[32];

	snprintf(link, sizeof(link), "socket:[%u]", m->ino);
	l.link = link;
	dump_refuse(&l, &why, CR_E_SOCKET_PEER, "its peer, unix socket %u, is outside of the tree", m->peer);
	return cr_report_add(d->refusals, &why) < 0 ? cr_err_nomem(e) : 0;
}

static int finish(struct dump *d, struct cr_err *e)
{
	struct socks *all = *dump_kind_state(d, &unix_dump_ops);
	int ret = 0;

	for (size_t i = 0; all && i < BUCKETS; i++)
		for (const struct mine *m = all->mine[i]; m && !ret; m = m->next)
			if (m->peer && !in_tree(all, m->peer))
				ret = refuse_peer(d, m, e);
	return ret;
}

const struct fd_dump_ops unix_dump_ops = {
	.name = "unix socket",
	.type = FD_TYPES__UNIXSK,
	.match = match,
	.dump = dump,
	.finish = finish,
};
