// SPDX-License-Identifier: GPL-2.0-or-later
/* Small things that several kinds of descriptors need at restore. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/restore-internal.h"
#include "pipe-data.pb-c.h"
#include "proc/who.h"
#include "sk-opts.pb-c.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.14 */
#endif

const char *files_what(const struct rst *r, const struct FileEntry *fe, char buf[FILES_WHAT])
{
	const struct file_desc *d = files_desc(r, fe);
	const struct files_plan *p = r->files;
	const char *name = d->ops ? d->ops->name : "file";

	if (fe->type == FD_TYPES__REG)
		snprintf(buf, FILES_WHAT, "%s", fe->reg->name);
	else if (p->table != FILES_NONE && d->here_table == p->table && d->first != FILES_NONE)
		snprintf(buf, FILES_WHAT, "task %d, fd %d (%s)", getpid(), p->tables[p->table].rows[d->first].fd, name);
	else
		snprintf(buf, FILES_WHAT, "%s, file id %u", name, fe->id);
	return buf;
}

int files_failed(const struct rst *r, const struct FileEntry *fe, int err, const char *call, struct cr_err *e)
{
	char what[FILES_WHAT];

	return cr_err_set(e, CR_E_SYSTEM, err, files_what(r, fe, what), "%s failed", call);
}

int files_refuse(const struct rst *r, const struct FileEntry *fe, enum cr_code code, struct cr_err *e, const char *fmt,
		 ...)
{
	char what[FILES_WHAT], text[sizeof(((struct cr_err *)0)->reason)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return cr_err_set(e, code, 0, files_what(r, fe, what), "%s", text);
}

int files_address_taken(uint32_t ino, const char *what, struct cr_err *e)
{
	char text[sizeof(e->reason)];
	struct proc_who w;

	if (proc_who_socket(ino, &w))
		return cr_err_set(e, CR_E_ADDRESS_TAKEN, EADDRINUSE, what,
				  "another socket has it, and who has that socket cannot be seen");
	cr_err_set(e, CR_E_ADDRESS_TAKEN, 0, what, "%s", proc_who_text(&w, text, sizeof(text)));
	cr_err_remedy(e, "end process %d, or let it free the address", w.pid);
	return -EADDRINUSE;
}

int files_reopen(int fd, int flags)
{
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = open(path, (flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_NOFOLLOW)) | O_CLOEXEC | O_NOCTTY);
	return ret < 0 ? -errno : ret;
}

int files_set_flags(int fd, uint32_t flags)
{
	const int settable = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;
	int now;

	now = fcntl(fd, F_GETFL);
	if (now < 0)
		return -errno;
	if (((unsigned)now & settable) == (flags & settable))
		return 0;
	return fcntl(fd, F_SETFL, (now & ~settable) | (int)(flags & settable)) < 0 ? -errno : 0;
}

/* ---- payloads ---- */

static int by_key(const void *a, const void *b)
{
	const struct files_blob *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

static int push_blob(struct files_blob **v, size_t *n, size_t *cap, struct files_blob b, struct cr_err *e)
{
	if (*n == *cap) {
		size_t size = *cap ? *cap * 2 : 64;
		struct files_blob *bigger = realloc(*v, size * sizeof(**v));

		if (!bigger)
			return cr_err_nomem(e);
		*v = bigger;
		*cap = size;
	}
	(*v)[(*n)++] = b;
	return 0;
}

static int read_blobs(struct img_reader *rd, struct files_blob **v, size_t *n, struct cr_err *e)
{
	struct arena a = { 0 };
	PipeDataEntry *pd;
	size_t cap = 0;
	int ret;

	while ((ret = img_get(rd, &a, &pd, e)) > 0) {
		ret = push_blob(
			v, n, &cap,
			(struct files_blob){ .key = pd->pipe_id, .bytes = pd->bytes, .size = pd->size, .off = rd->pos },
			e);
		if (!ret)
			ret = img_skip(rd, pd->bytes, e);
		if (ret < 0)
			break;
	}
	arena_free(&a);
	return ret;
}

ssize_t files_pipe_data(struct rst *r, enum img_type type, struct files_blob **ret_v, struct cr_err *e)
{
	struct files_blob *v = NULL, *copy;
	struct img_reader rd;
	size_t n = 0, i;
	int ret;

	*ret_v = NULL;
	ret = img_open(r->img, type, 0, &rd, e);
	if (ret <= 0)
		return ret;
	ret = read_blobs(&rd, &v, &n, e);
	img_close(&rd);
	if (ret < 0)
		goto out;
	if (n)
		qsort(v, n, sizeof(*v), by_key);
	copy = arena_calloc(r->arena, n ? n : 1, sizeof(*copy));
	if (!copy) {
		ret = cr_err_nomem(e);
		goto out;
	}
	memcpy(copy, v, n * sizeof(*v));
	for (i = 1; i < n; i++)
		if (v[i].key == v[i - 1].key) {
			char name[IMG_NAME_MAX];

			ret = cr_err_set(e, CR_E_IMG_CORRUPT, 0, img_name(type, 0, name), "has pipe %u twice",
					 v[i].key);
			goto out;
		}
	*ret_v = copy;
out:
	free(v);
	return ret < 0 ? ret : (ssize_t)n;
}

const struct files_blob *files_find_blob(const struct files_blob *v, size_t n, uint32_t key)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && v[lo].key == key ? &v[lo] : NULL;
}

int files_read_blob(struct rst *r, enum img_type type, const struct files_blob *b, void **ret_data, struct cr_err *e)
{
	char name[IMG_NAME_MAX];
	_cleanup_close_ int fd = -1;
	_cleanup_free_ void *data = NULL;
	int ret;

	img_name(type, 0, name);
	fd = img_open_file(r->img, name, e);
	if (fd < 0)
		return fd;
	data = malloc(b->bytes ? b->bytes : 1);
	if (!data)
		return cr_err_nomem(e);
	ret = pread_full(fd, data, b->bytes, b->off);
	if (ret < 0)
		return cr_err_set(e, CR_E_IMG_TRUNCATED, -ret, name, "%u bytes at %llu cannot be read", b->bytes,
				  (unsigned long long)b->off);
	*ret_data = TAKE_PTR(data);
	return 0;
}

static int set_capacity(struct rst *r, const FileEntry *fe, int fd, uint32_t size, struct cr_err *e)
{
	char what[FILES_WHAT];
	int now;

	now = fcntl(fd, F_GETPIPE_SZ);
	if (now < 0)
		return files_failed(r, fe, errno, "F_GETPIPE_SZ", e);
	if (!size || (uint32_t)now == size)
		return 0;
	if (fcntl(fd, F_SETPIPE_SZ, (int)size) >= 0)
		return 0;
	cr_err_set(e, CR_E_LIMIT, errno, files_what(r, fe, what),
		   "the pipe held up to %u bytes, which is not allowed here", size);
	cr_err_remedy(e, "raise /proc/sys/fs/pipe-max-size and pipe-user-pages-soft");
	return -EPERM;
}

int files_fill_pipe(struct rst *r, const struct FileEntry *fe, int fd, enum img_type type, const struct files_blob *b,
		    struct cr_err *e)
{
	_cleanup_free_ void *data = NULL;
	ssize_t n;
	int ret;

	if (!b)
		return 0;
	ret = set_capacity(r, fe, fd, b->size, e);
	if (ret < 0 || !b->bytes)
		return ret;
	ret = files_read_blob(r, type, b, &data, e);
	if (ret < 0)
		return ret;
	ret = files_set_flags(fd, O_NONBLOCK);
	if (ret < 0)
		return files_failed(r, fe, -ret, "F_SETFL", e);
	n = write(fd, data, b->bytes);
	if (n < 0)
		return files_failed(r, fe, errno, "write", e);
	if ((size_t)n < b->bytes)
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "%u bytes are to go into a pipe that takes %zd",
				    b->bytes, n);
	return 0;
}

int files_try_pipe(struct rst *r, const struct FileEntry *fe, enum img_type type, const struct files_blob *b,
		   struct cr_err *e)
{
	int ends[2], ret;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return files_failed(r, fe, errno, "pipe2", e);
	ret = files_fill_pipe(r, fe, ends[1], type, b, e);
	close(ends[0]);
	close(ends[1]);
	return ret;
}

/* ---- options of sockets ---- */

int files_sockopt(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int sk_error(const char *object, int err, const char *option, struct cr_err *e)
{
	return cr_err_set(e, CR_E_SYSTEM, err, object, "socket option %s", option);
}

/*
 * The image has what getsockopt() tells, which is twice what setsockopt() was given. Beyond the limits of net.core only
 * CAP_NET_ADMIN may go; without it a size within them is set in the plain way, and another is an error.
 */
static int set_buffer(int fd, int name, int force, uint32_t want)
{
	socklen_t len = sizeof(int);
	int now = 0, ret;

	if (getsockopt(fd, SOL_SOCKET, name, &now, &len) < 0)
		return -errno;
	if ((uint32_t)now == want)
		return 0;
	ret = files_sockopt(fd, SOL_SOCKET, force, want / 2);
	if (ret != -EPERM)
		return ret;
	ret = files_sockopt(fd, SOL_SOCKET, name, want / 2);
	if (!ret && getsockopt(fd, SOL_SOCKET, name, &now, &len) < 0)
		ret = -errno;
	return ret || (uint32_t)now == want ? ret : -EPERM;
}

static int set_timeout(int fd, int name, uint64_t sec, uint64_t usec)
{
	struct timeval tv = { .tv_sec = sec, .tv_usec = usec };

	if (!sec && !usec)
		return 0;
	return setsockopt(fd, SOL_SOCKET, name, &tv, sizeof(tv)) < 0 ? -errno : 0;
}

static int set_filter(int fd, const SkOptsEntry *o)
{
	struct sock_fprog prog = { .len = o->n_so_filter, .filter = (void *)o->so_filter };

	_Static_assert(sizeof(struct sock_filter) == sizeof(*o->so_filter), "one instruction a word");
	if (!o->n_so_filter)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

int files_set_sockopts(int fd, const struct SkOptsEntry *o, const char *object, struct cr_err *e)
{
	struct linger linger = { .l_onoff = 1, .l_linger = o->so_linger };
	const struct {
		int name;
		bool set;
		int value;
		const char *text;
	} v[] = {
		{ SO_REUSEADDR, o->reuseaddr, 1, "SO_REUSEADDR" },
		{ SO_REUSEPORT, o->so_reuseport, 1, "SO_REUSEPORT" },
		{ SO_PRIORITY, o->so_priority, o->so_priority, "SO_PRIORITY" },
		{ SO_RCVLOWAT, o->has_so_rcvlowat && o->so_rcvlowat != 1, o->so_rcvlowat, "SO_RCVLOWAT" },
		{ SO_MARK, o->so_mark, o->so_mark, "SO_MARK" },
		{ SO_PASSCRED, o->so_passcred, 1, "SO_PASSCRED" },
		{ SO_PASSSEC, o->so_passsec, 1, "SO_PASSSEC" },
		{ SO_DONTROUTE, o->so_dontroute, 1, "SO_DONTROUTE" },
		{ SO_NO_CHECK, o->so_no_check, 1, "SO_NO_CHECK" },
		{ SO_BROADCAST, o->so_broadcast, 1, "SO_BROADCAST" },
		{ SO_KEEPALIVE, o->so_keepalive, 1, "SO_KEEPALIVE" },
		{ SO_OOBINLINE, o->so_oobinline, 1, "SO_OOBINLINE" },
	};
	size_t i;
	int ret;

	ret = set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, o->so_sndbuf);
	if (!ret)
		ret = set_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, o->so_rcvbuf);
	if (ret < 0)
		return sk_error(object, -ret, "SO_SNDBUF or SO_RCVBUF", e);
	if (o->has_so_buf_lock)
		files_sockopt(fd, SOL_SOCKET, SO_BUF_LOCK,
			      o->so_buf_lock); /* before Linux 5.14: no such lock to lose */
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		ret = v[i].set ? files_sockopt(fd, SOL_SOCKET, v[i].name, v[i].value) : 0;
		if (ret < 0)
			return sk_error(object, -ret, v[i].text, e);
	}
	if (o->has_so_linger && setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
		return sk_error(object, errno, "SO_LINGER", e);
	ret = set_timeout(fd, SO_SNDTIMEO, o->so_snd_tmo_sec, o->so_snd_tmo_usec);
	if (!ret)
		ret = set_timeout(fd, SO_RCVTIMEO, o->so_rcv_tmo_sec, o->so_rcv_tmo_usec);
	if (ret < 0)
		return sk_error(object, -ret, "SO_SNDTIMEO or SO_RCVTIMEO", e);
	if (o->so_bound_dev && *o->so_bound_dev &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->so_bound_dev, strlen(o->so_bound_dev) + 1) < 0)
		return sk_error(object, errno, "SO_BINDTODEVICE", e);
	ret = set_filter(fd, o);
	return ret < 0 ? sk_error(object, -ret, "SO_ATTACH_FILTER", e) : 0;
}
