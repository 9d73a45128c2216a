/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "crit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

void ob_put(struct obuf *o, const void *data, size_t len)
{
	if (len > sizeof(o->buf) - o->fill)
		ob_flush(o);
	if (o->err || !len)
		return;
	if (len > sizeof(o->buf)) {
		o->err = write_full(o->fd, data, len);
		return;
	}
	memcpy(o->buf + o->fill, data, len);
	o->fill += len;
}

void ob_text(struct obuf *o, const char *s)
{
	ob_put(o, s, strlen(s));
}

int ob_flush(struct obuf *o)
{
	if (!o->err)
		o->err = write_full(o->fd, o->buf, o->fill);
	o->fill = 0;
	return o->err;
}

static bool is_std(const char *path)
{
	return !path || !strcmp(path, "-");
}

/*
 * Images hold memory and keys: a new file is for its owner alone; one that was there keeps its mode, and its owner where
 * that may be set.
 * @was: of the file that was there; NULL: none
 */
static int open_temporary(struct output *out, const char *path, const struct stat *was)
{
	int n = snprintf(out->tmp, sizeof(out->tmp), "%s.crit-XXXXXX", path);
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *name = strdup(path);

	if (!name)
		return -ENOMEM;
	if (n < 0 || (size_t)n >= sizeof(out->tmp))
		return -ENAMETOOLONG;
	fd = mkostemp(out->tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (was &&
	    ((fchown(fd, was->st_uid, was->st_gid) < 0 && errno != EPERM) || fchmod(fd, was->st_mode & 0777) < 0)) {
		int err = errno;

		unlink(out->tmp);
		return -err;
	}
	out->path = TAKE_PTR(name);
	return TAKE_FD(fd);
}

/* Return: fd or -errno */
static int open_output(struct output *out, const char *path)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	struct stat st;
	int fd;

	if (!real && errno == ENOENT && lstat(path, &st) < 0)
		return open_temporary(out, path, NULL);
	if (real && stat(real, &st) == 0 && S_ISREG(st.st_mode))
		return open_temporary(out, real, &st);
	/* A pipe or a device is written as it is; a link that leads nowhere makes its file. */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int output_open(struct output *out, const char *path, struct cr_err *e)
{
	int fd = STDOUT_FILENO;

	*out = (struct output){ 0 };
	if (!is_std(path)) {
		fd = open_output(out, path);
		if (fd < 0)
			return cr_err_set(e, CR_E_SYSTEM, -fd, path, "cannot be opened for writing");
	}
	out->ob = calloc(1, sizeof(*out->ob));
	if (!out->ob)
		return cr_err_nomem(e);
	out->ob->fd = fd;
	return 0;
}

static void output_release(struct output *out)
{
	if (out->ob && out->ob->fd != STDOUT_FILENO)
		fd_close(out->ob->fd);
	free(out->ob);
	free(out->path);
	*out = (struct output){ 0 };
}

int output_flush(struct output *out, struct cr_err *e)
{
	int ret = ob_flush(out->ob);

	return ret < 0 ? cr_err_set(e, CR_E_SYSTEM, -ret, out->path ? out->path : "output", "cannot be written") : 0;
}

int output_finish(struct output *out, struct cr_err *e)
{
	const char *name = out->path ? out->path : "output";
	int ret = output_flush(out, e);

	if (!ret && out->path && rename(out->tmp, out->path) < 0)
		ret = cr_err_set(e, CR_E_SYSTEM, errno, name, "cannot be renamed into place");
	if (!ret)
		output_release(out);
	return ret;
}

void output_abandon(struct output *out)
{
	if (out->path)
		unlink(out->tmp);
	output_release(out);
}

int input_open(const char *path, struct cr_err *e)
{
	struct stat st;
	int fd;

	if (is_std(path))
		return STDIN_FILENO;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, path, "cannot be opened");
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		fd_close(fd);
		cr_err_set(e, CR_E_NO_FILE, 0, path, "is a directory, not a file");
		cr_err_remedy(e, "name an image in it, or use crit show DIR");
		return -EISDIR;
	}
	return fd;
}

int dir_open(const char *path, struct cr_err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = errno;

	if (fd >= 0)
		return fd;
	if (err == ENOTDIR)
		cr_err_set(e, CR_E_DIR_MISSING, 0, path, "is not a directory");
	else
		cr_err_set(e, CR_E_DIR_MISSING, err, path, "cannot be opened");
	cr_err_remedy(e, "name the directory of a checkpoint; for a single image there is crit show FILE");
	return -err;
}

bool same_file(int fd, const char *path)
{
	struct stat in, out;

	return !is_std(path) && fstat(fd, &in) == 0 && stat(path, &out) == 0 && S_ISREG(in.st_mode) &&
	       in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

const char *input_name(const char *path)
{
	return is_std(path) ? "stdin" : path;
}

int crit_fail(const struct cr_err *e)
{
	char text[1024];

	fprintf(stderr, "crit: %s\n", cr_err_text(e, text, sizeof(text)));
	return (int)cr_code_exit(e->code);
}

int crit_usage(const char *verb, const char *what)
{
	fprintf(stderr, "crit: %s: %s (see crit --help)\n", verb, what);
	return CR_USAGE;
}
