// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of unix sockets: in the file system, relative to the directory that the program was in, and abstract ones.
 *
 * A name in the file system that a killed program left is removed before the bind; whether somebody listens there is
 * found by connecting a socket of another type, which cannot succeed: EPROTOTYPE says alive, ECONNREFUSED says dead
 * (unix(7)).
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "kind/unix/restore-unix.h"
#include "proc/sockdiag.h"
#include "sk-unix.pb-c.h"

static bool is_path(const UnixSkEntry *s)
{
	return s->name.len && s->name.data[0];
}

static const char *name_text(const UnixSkEntry *s, char buf[FILES_WHAT])
{
	int len = (int)s->name.len;

	if (is_path(s))
		snprintf(buf, FILES_WHAT, "unix socket %s%s%.*s", s->name_dir ? s->name_dir : "",
			 s->name_dir ? "/" : "", len, (const char *)s->name.data);
	else
		snprintf(buf, FILES_WHAT, "unix socket @%.*s", len ? len - 1 : 0,
			 len ? (const char *)s->name.data + 1 : "");
	return buf;
}

static socklen_t address(const UnixSkEntry *s, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, s->name.data, s->name.len);
	return offsetof(struct sockaddr_un, sun_path) + s->name.len;
}

/* Is a socket bound there that somebody has open? Return: 1 yes, 0 no, -errno: it cannot be told. */
static int alive(const struct sockaddr_un *a, socklen_t len, int type)
{
	_cleanup_close_ int fd =
		socket(AF_UNIX, (type == SOCK_DGRAM ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	while (connect(fd, (const struct sockaddr *)a, len))
		if (errno == ECONNREFUSED)
			return 0;
		else if (errno == ENOMEM || errno == ENOBUFS)
			return -errno;
		else if (errno != EINTR)
			return 1;
	return 1;
}

/* The socket that has a name which another one is to get. */
struct rival {
	const UnixSkEntry *s;
	uint32_t file; /* inode number of the path, as sock_diag cuts it */
	uint32_t ino;  /* the socket's; 0: not found */
	bool listens;
};

static const char *base_name(const char *name, size_t len, size_t *ret_len)
{
	const char *slash;

	len = strnlen(name, len);
	slash = memrchr(name, '/', len);
	*ret_len = slash ? len - (size_t)(slash + 1 - name) : len;
	return slash ? slash + 1 : name;
}

/* Of a path the last part: it may have been bound relative to another directory. */
static bool same_name(const struct rival *r, const struct diag_unix *d)
{
	const char *name = (const char *)r->s->name.data;
	const char *theirs;
	size_t n, k;

	if (!is_path(r->s))
		return d->name_len == r->s->name.len && !memcmp(d->name, name, d->name_len);
	if (!d->has_vfs || d->vfs_ino != r->file)
		return false;
	name = base_name(name, r->s->name.len, &n);
	theirs = base_name(d->name, d->name_len, &k);
	return n == k && !memcmp(name, theirs, n);
}

static int look(void *ctx, const struct diag_unix *d)
{
	struct rival *r = ctx;

	/* What a listener accepted has its name too. */
	if (!r->listens && (!r->ino || d->state == UNIX_LISTEN) && same_name(r, d)) {
		r->ino = d->ino;
		r->listens = d->state == UNIX_LISTEN;
	}
	return 0;
}

/* @file: inode number of its path */
static int taken(const UnixSkEntry *s, ino_t file, struct cr_err *e)
{
	struct rival r = { .s = s, .file = (uint32_t)file };
	char what[FILES_WHAT];

	(void)diag_unix_all(look, &r); /* without an answer it remains unknown */
	return files_address_taken(r.ino, name_text(s, what), e);
}

/*
 * May a socket be bound at its path?
 * @ours: a socket of this group has the name already, and this one is to have it as well
 * Return: 0 there is no such name, 1 a dead one stands there, -errno with @e: another has it
 */
static int look_at_path(const UnixSkEntry *s, const struct sockaddr_un *a, socklen_t len, bool ours, struct cr_err *e)
{
	char path[sizeof(a->sun_path) + 1] = "", what[FILES_WHAT];
	struct stat st;
	int live;

	memcpy(path, a->sun_path, s->name.len);
	if (lstat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : cr_err_set(e, CR_E_SYSTEM, errno, path, "cannot be looked at");
	if (!S_ISSOCK(st.st_mode))
		return cr_err_set(e, CR_E_ADDRESS_TAKEN, EADDRINUSE, name_text(s, what),
				  "another file has its name now");
	live = ours ? 0 : alive(a, len, s->type);
	if (live < 0)
		return cr_err_set(e, CR_E_SYSTEM, -live, path, "cannot tell whether a process has this socket");
	if (live)
		return taken(s, st.st_ino, e);
	return 1;
}

static int clear_path(const UnixSkEntry *s, const struct sockaddr_un *a, socklen_t len, bool ours, struct cr_err *e)
{
	char path[sizeof(a->sun_path) + 1] = "", what[FILES_WHAT];
	int there = look_at_path(s, a, len, ours, e);

	memcpy(path, a->sun_path, s->name.len);
	if (there <= 0)
		return there;
	return unlink(path) < 0
		       ? cr_err_set(e, CR_E_SYSTEM, errno, name_text(s, what), "the old file cannot be removed")
		       : 0;
}

bool unix_is_deleted(const UnixSkEntry *s)
{
	return is_path(s) && s->has_deleted && s->deleted;
}

static int unlink_here(const UnixSkEntry *s, int fd, bool ours, struct cr_err *e)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "", what[FILES_WHAT];

	memcpy(path, s->name.data, s->name.len);
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	return cr_err_set(e, CR_E_SYSTEM, errno, name_text(s, what), "its file cannot be removed");
}

static int set_perms(const UnixSkEntry *s)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "";
	const FilePermsEntry *f = s->file_perms;

	if (!is_path(s) || !f)
		return 0;
	memcpy(path, s->name.data, s->name.len);
	return chmod(path, f->mode & 07777) < 0 || chown(path, f->uid, f->gid) < 0 ? -errno : 0;
}

static int bind_here(const UnixSkEntry *s, int fd, bool ours, struct cr_err *e)
{
	struct sockaddr_un a;
	char what[FILES_WHAT];
	socklen_t len = address(s, &a);
	int ret;

	ret = is_path(s) ? clear_path(s, &a, len, ours, e) : 0;
	if (ret < 0)
		return ret;
	if (bind(fd, (struct sockaddr *)&a, len) < 0) {
		if (errno == EADDRINUSE)
			return taken(s, 0, e);
		if (errno == ENOENT)
			return cr_err_set(e, CR_E_FILE_MISSING, errno, name_text(s, what),
					  "its directory is not there");
		return cr_err_set(e, CR_E_SYSTEM, errno, name_text(s, what), "bind failed");
	}
	ret = set_perms(s);
	if (ret < 0)
		return cr_err_set(e, CR_E_SYSTEM, -ret, name_text(s, what),
				  "the permissions of its file cannot be set");
	/* A listener's name is still needed, to connect to it: see make_group(). */
	return unix_is_deleted(s) && s->state != UNIX_LISTEN ? unlink_here(s, fd, ours, e) : 0;
}

static int connect_here(const UnixSkEntry *s, int fd, bool ours, struct cr_err *e)
{
	struct sockaddr_un a;
	char what[FILES_WHAT];
	socklen_t len = address(s, &a);

	if (connect(fd, (struct sockaddr *)&a, len) == 0)
		return 0;
	return cr_err_set(e, CR_E_SYSTEM, errno, name_text(s, what), "connect failed");
}

typedef int (*name_fn)(const UnixSkEntry *s, int fd, bool ours, struct cr_err *e);

/* Run @fn with the working directory that a relative name is relative to. */
static int in_name_dir(const UnixSkEntry *s, int fd, bool ours, name_fn fn, struct cr_err *e)
{
	_cleanup_close_ int cwd = -1;
	int ret;

	if (!is_path(s) || s->name.data[0] == '/' || !s->name_dir)
		return fn(s, fd, ours, e);
	cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cwd < 0 || chdir(s->name_dir) < 0)
		return cr_err_set(e, errno == ENOENT ? CR_E_FILE_MISSING : CR_E_SYSTEM, errno, s->name_dir,
				  "a unix socket has its name in this directory, which cannot be entered");
	ret = fn(s, fd, ours, e);
	if (fchdir(cwd) < 0 && !ret)
		ret = cr_err_set(e, CR_E_SYSTEM, errno, "working directory", "cannot be returned to");
	return ret;
}

int unix_bind_named(const struct UnixSkEntry *s, int fd, bool ours, struct cr_err *e)
{
	return in_name_dir(s, fd, ours, bind_here, e);
}

int unix_unlink_named(const struct UnixSkEntry *s, struct cr_err *e)
{
	return in_name_dir(s, -1, true, unlink_here, e);
}

int unix_connect_named(const struct UnixSkEntry *s, int fd, struct cr_err *e)
{
	return in_name_dir(s, fd, false, connect_here, e);
}

/* A path: nothing is removed or made. An abstract name is bound for a moment; it goes with the socket. */
static int check_name(const UnixSkEntry *s, int fd, bool ours, struct cr_err *e)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "", what[FILES_WHAT], *slash;
	struct sockaddr_un a;
	socklen_t len = address(s, &a);
	int ret;

	if (!is_path(s)) {
		if (bind(fd, (struct sockaddr *)&a, len) == 0)
			return 0;
		return errno == EADDRINUSE ? taken(s, 0, e)
					   : cr_err_set(e, CR_E_SYSTEM, errno, name_text(s, what), "bind failed");
	}
	ret = look_at_path(s, &a, len, ours, e);
	if (ret < 0)
		return ret;
	memcpy(path, s->name.data, s->name.len);
	slash = strrchr(path, '/');
	if (slash)
		slash[slash == path] = 0;
	if (faccessat(AT_FDCWD, slash ? path : ".", W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		return cr_err_set(e, CR_E_FILE_MISSING, errno, name_text(s, what), "its directory is not there");
	return cr_err_set(e, CR_E_SYSTEM, errno, name_text(s, what), "its directory cannot be written");
}

int unix_check_named(const struct UnixSkEntry *s, int fd, struct cr_err *e)
{
	return in_name_dir(s, fd, false, check_name, e);
}
