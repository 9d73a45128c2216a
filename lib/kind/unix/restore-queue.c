// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queues of unix sockets (sk-queues.img): packets in the order in which the receiver is to get them, sent again by its
 * peer or, for a named datagram socket, by one made for it. Descriptors in a packet (SCM_RIGHTS) are files of
 * files.img; the plan sees to it that the owner of the socket has them at hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/unix/restore-unix.h"
#include "sk-packet.pb-c.h"
#include "sk-unix.pb-c.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.14 */
#endif

enum { MAX_RIGHTS = 253 }; /* SCM_MAX_FD */

struct packet {
	struct files_blob blob; /* key: id_for */
	size_t nr_rights;
	const struct FileEntry **rights;
};

struct queues {
	size_t n, cap;
	struct packet *v; /* by key, then by place in the image */
};

static int by_key(const void *a, const void *b)
{
	const struct packet *x = a, *y = b;

	if (x->blob.key != y->blob.key)
		return x->blob.key < y->blob.key ? -1 : 1;
	return x->blob.off < y->blob.off ? -1 : x->blob.off > y->blob.off;
}

static const struct FileEntry *any_type(const struct rst *r, uint32_t id)
{
	const struct FileEntry *fe;
	int type;

	for (type = 1; type <= FD_TYPES__PIDFD; type++) {
		fe = files_by_id(r, id, type);
		if (fe && type != FD_TYPES__UND)
			return fe;
	}
	return NULL;
}

static int load_rights(struct rst *r, struct img_reader *rd, const SkPacketEntry *pk, struct packet *p,
		       struct cr_err *e)
{
	size_t i;

	if (!pk->n_scm)
		return 0;
	if (pk->n_scm > 1 || pk->scm[0]->type != SCM_RIGHTS || pk->scm[0]->n_rights > MAX_RIGHTS)
		return img_bad(rd, e, "control messages other than at most %d descriptors", MAX_RIGHTS);
	p->rights = arena_calloc(r->arena, pk->scm[0]->n_rights + 1, sizeof(*p->rights));
	if (!p->rights)
		return cr_err_nomem(e);
	for (i = 0; i < pk->scm[0]->n_rights; i++) {
		p->rights[i] = any_type(r, pk->scm[0]->rights[i]);
		if (!p->rights[i])
			return img_bad(rd, e, "a descriptor of file %u, which files.img does not hold",
				       pk->scm[0]->rights[i]);
	}
	p->nr_rights = i;
	return 0;
}

static int push(struct queues *q, const struct packet *p, struct cr_err *e)
{
	if (q->n == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 64;
		struct packet *v = realloc(q->v, cap * sizeof(*v));

		if (!v)
			return cr_err_nomem(e);
		q->v = v;
		q->cap = cap;
	}
	q->v[q->n++] = *p;
	return 0;
}

static int load(struct rst *r, struct queues *q, struct cr_err *e)
{
	struct arena a = { 0 };
	struct img_reader rd;
	SkPacketEntry *pk;
	int ret;

	ret = img_open(r->img, IMG_SK_QUEUES, 0, &rd, e);
	if (ret <= 0)
		return ret;
	while ((ret = img_get(&rd, &a, &pk, e)) > 0) {
		struct packet p = { .blob = { .key = pk->id_for, .bytes = pk->length, .off = rd.pos } };

		ret = load_rights(r, &rd, pk, &p, e);
		if (!ret)
			ret = push(q, &p, e);
		if (!ret)
			ret = img_skip(&rd, pk->length, e);
		if (ret < 0)
			break;
	}
	img_close(&rd);
	arena_free(&a);
	if (q->n)
		qsort(q->v, q->n, sizeof(*q->v), by_key);
	return ret;
}

/* The packets of a socket: from the returned one on, while the key is the same. */
static size_t first_packet(const struct queues *q, uint32_t id)
{
	size_t lo = 0, hi = q ? q->n : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (q->v[mid].blob.key < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int unix_check_queue(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	void **slot = files_kind_data(r, FD_TYPES__UNIXSK);
	struct queues *q = *slot;
	size_t i, k;
	int ret;

	if (!q) {
		q = arena_alloc(r->arena, sizeof(*q));
		if (!q)
			return cr_err_nomem(e);
		*slot = q;
		ret = load(r, q, e);
		if (ret < 0)
			return ret;
	}
	for (i = first_packet(q, fe->id); i < q->n && q->v[i].blob.key == fe->id; i++) {
		if (fe->usk->state == UNIX_LISTEN)
			return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "a listening socket with packets");
		if (q->v[i].nr_rights && !fe->usk->peer)
			return files_refuse(r, fe, CR_E_SOCKET_QUEUE, e,
					    "descriptors in its queue, and its peer is gone: not supported yet");
		for (k = 0; k < q->v[i].nr_rights; k++) {
			ret = files_carry(r, fe, q->v[i].rights[k], e);
			if (ret < 0)
				return ret;
		}
	}
	return 0;
}

/* ---- sending ---- */

static int add_rights(struct rst *r, const struct FileEntry *fe, const struct packet *p, struct msghdr *mh,
		      struct cr_err *e)
{
	struct cmsghdr *cm = mh->msg_control;
	int *fds = (int *)CMSG_DATA(cm);
	size_t i;

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(p->nr_rights * sizeof(int));
	mh->msg_controllen = CMSG_SPACE(p->nr_rights * sizeof(int));
	for (i = 0; i < p->nr_rights; i++) {
		fds[i] = files_here(r, p->rights[i]);
		if (fds[i] < 0)
			return files_refuse(r, fe, CR_E_RESTORE_TASK, e, "a descriptor for its queue is not at hand");
	}
	return 0;
}

/* The sender's buffer, larger for the moment, as the queue may have been written by smaller pieces or a larger buffer.
 */
struct buffer {
	int size, lock;
};

static void enlarge(int from, size_t bytes, struct buffer *b)
{
	socklen_t len = sizeof(int);

	b->size = b->lock = 0;
	if (getsockopt(from, SOL_SOCKET, SO_SNDBUF, &b->size, &len) < 0 || (size_t)b->size > 4 * bytes + (64 << 10)) {
		b->size = 0;
		return;
	}
	len = sizeof(int);
	getsockopt(from, SOL_SOCKET, SO_BUF_LOCK, &b->lock, &len);
	files_sockopt(from, SOL_SOCKET, SO_SNDBUFFORCE, b->size / 2 + 2 * (int)bytes + (1 << 20));
}

static void shrink(int from, const struct buffer *b)
{
	if (!b->size)
		return;
	files_sockopt(from, SOL_SOCKET, SO_SNDBUFFORCE, b->size / 2);
	files_sockopt(from, SOL_SOCKET, SO_BUF_LOCK, b->lock);
}

/* Never blocks. A stream may take it in pieces; descriptors go with the first. */
static int send_packet(int from, struct msghdr *mh)
{
	struct iovec *iov = mh->msg_iov;
	ssize_t n;

	do {
		n = sendmsg(from, mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		iov->iov_base = (char *)iov->iov_base + n;
		iov->iov_len -= n;
		mh->msg_control = NULL;
		mh->msg_controllen = 0;
	} while (iov->iov_len);
	return 0;
}

static int send_one(struct rst *r, const struct FileEntry *fe, const struct packet *p, int from, struct cr_err *e)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MAX_RIGHTS * sizeof(int))];
	} control = { 0 };
	_cleanup_free_ void *data = NULL;
	struct iovec iov = { .iov_len = p->blob.bytes };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct buffer sndbuf;
	int ret;

	ret = files_read_blob(r, IMG_SK_QUEUES, &p->blob, &data, e);
	if (ret < 0)
		return ret;
	iov.iov_base = data;
	if (p->nr_rights) {
		mh.msg_control = &control;
		ret = add_rights(r, fe, p, &mh, e);
		if (ret < 0)
			return ret;
	}
	enlarge(from, p->blob.bytes, &sndbuf);
	ret = send_packet(from, &mh);
	shrink(from, &sndbuf);
	return ret < 0 ? files_failed(r, fe, -ret, "filling its queue", e) : 0;
}

int unix_send_queue(struct rst *r, const struct FileEntry *fe, int from, struct cr_err *e)
{
	const struct queues *q = *files_kind_data(r, FD_TYPES__UNIXSK);
	size_t i;
	int ret = 0;

	for (i = first_packet(q, fe->id); q && i < q->n && q->v[i].blob.key == fe->id && !ret; i++)
		ret = send_one(r, fe, &q->v[i], from, e);
	return ret;
}

bool unix_has_queue(const struct rst *r, const struct FileEntry *fe)
{
	const struct queues *q = *files_kind_data(r, FD_TYPES__UNIXSK);
	size_t i = first_packet(q, fe->id);

	return q && i < q->n && q->v[i].blob.key == fe->id;
}

/* A socket connected to @fe by its name, for datagrams whose sender is not known. */
static int stranger(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	int sk, ret;

	sk = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sk < 0)
		return files_failed(r, fe, errno, "socket", e);
	ret = unix_connect_named(fe->usk, sk, e);
	if (ret < 0) {
		close(sk);
		return ret;
	}
	return sk;
}

static int fill_queue(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const struct FileEntry *peer = unix_peer(r, fe);
	_cleanup_close_ int own = -1;

	if (!unix_has_queue(r, fe))
		return 0;
	if (peer && peer->usk->peer == fe->usk->ino)
		return unix_send_queue(r, fe, files_here(r, peer), e);
	if (fe->usk->type != SOCK_DGRAM || !fe->usk->name.len)
		return 0; /* written when it was made: its peer is gone */
	own = stranger(r, fe, e);
	return own < 0 ? own : unix_send_queue(r, fe, own, e);
}

static int shut(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e)
{
	if (!fe->usk->has_shutdown || fe->usk->shutdown == SK_SHUTDOWN__NONE)
		return 0;
	return shutdown(fd, (int)fe->usk->shutdown - 1) < 0 ? files_failed(r, fe, errno, "shutdown", e) : 0;
}

/* The whole group at its first member: all queues, then all shutdowns. */
int unix_late(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e)
{
	const struct FileEntry *m;
	int ret = 0;

	for (m = files_group_next(r, fe); m != fe; m = files_group_next(r, m))
		if (m->id < fe->id)
			return 0;
	do {
		ret = fill_queue(r, m, e);
		m = files_group_next(r, m);
	} while (m != fe && !ret);
	do {
		if (!ret)
			ret = shut(r, m, files_here(r, m), e);
		m = files_group_next(r, m);
	} while (m != fe && !ret);
	return ret;
}
