/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct row {
	const char *name, *meaning, *remedy, *options;
	enum cr_exit exit;
	bool later;
} rows[CR_E_COUNT] = {
	[CR_E_NONE] = { "none", "No error.", "", "", CR_OK, false },
#define E(name_, text, exit_, meaning_, remedy_, ...) \
	[CR_E_##name_] = { text, meaning_, remedy_, "" __VA_ARGS__, exit_, false },
#define L(name_, text, exit_, meaning_, remedy_, ...) \
	[CR_E_##name_] = { text, meaning_, remedy_, "" __VA_ARGS__, exit_, true },
#include "errors.def"
#undef L
#undef E
};

/*
 * Causes that a user can meet at any system call: the errno tells which. What is not here stays CR_E_SYSTEM. EAGAIN
 * means a limit of processes only where one is made: cr_err_fork().
 */
static const struct cause {
	int err;
	enum cr_code code;
	const char *remedy; /* NULL: the registry's */
} causes[] = {
	{ ENOMEM, CR_E_NOMEM, NULL },
	{ EMFILE, CR_E_LIMIT_FILES, NULL },
	{ ENFILE, CR_E_LIMIT_FILES, "close files of other programs, or raise /proc/sys/fs/file-max" },
	{ ENOSPC, CR_E_DISK_FULL, NULL },
	{ EDQUOT, CR_E_DISK_FULL, NULL },
	{ EFBIG, CR_E_DISK_FULL, "allow larger files (ulimit -f), or write to another file system" },
	{ EROFS, CR_E_READ_ONLY, NULL },
	{ EACCES, CR_E_ACCESS, NULL },
	{ EPERM, CR_E_PRIVILEGE, NULL },
	{ ENOENT, CR_E_NO_FILE, NULL },
	{ ENOTDIR, CR_E_NO_FILE, NULL },
	{ EEXIST, CR_E_FILE_EXISTS, NULL },
	{ ESRCH, CR_E_TASK_GONE, NULL },
	{ ENOSYS, CR_E_KERNEL, NULL },
	{ EOPNOTSUPP, CR_E_KERNEL, NULL },
	{ EIO, CR_E_IO, NULL },
	{ EUCLEAN, CR_E_IO, NULL },
	{ ESTALE, CR_E_IO, NULL },
};

static const struct row *row(enum cr_code code)
{
	return &rows[(unsigned)code < CR_E_COUNT ? code : CR_E_SYSTEM];
}

static void set_code(struct cr_err *e, enum cr_code code, int err)
{
	e->code = code;
	e->err = err;
	e->remedy[0] = 0;
	for (size_t i = 0; code == CR_E_SYSTEM && i < sizeof(causes) / sizeof(causes[0]); i++)
		if (causes[i].err == err) {
			e->code = causes[i].code;
			if (causes[i].remedy)
				cr_err_remedy(e, "%s", causes[i].remedy);
		}
}

int cr_err_set(struct cr_err *e, enum cr_code code, int err, const char *object, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		set_code(e, code, err);
		snprintf(e->object, sizeof(e->object), "%s", object);
		va_start(ap, fmt);
		vsnprintf(e->reason, sizeof(e->reason), fmt, ap);
		va_end(ap);
	}
	return err > 0 ? -err : -EINVAL;
}

void cr_err_remedy(struct cr_err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	vsnprintf(e->remedy, sizeof(e->remedy), fmt, ap);
	va_end(ap);
}

int cr_err_write(struct cr_err *e, int err, const char *object, const char *what)
{
	enum cr_code code = CR_E_SYSTEM;

	if (err == ENOSPC || err == EDQUOT || err == EFBIG)
		code = CR_E_DIR_FULL;
	else if (err == EACCES || err == EPERM || err == EROFS || err == ENOENT)
		code = CR_E_DIR_UNWRITABLE;
	cr_err_set(e, code, err, object, "%s", what);
	if (err == EFBIG)
		cr_err_remedy(e, "allow larger files (ulimit -f), or name a directory on another file system with -D");
	if (err == ENOENT)
		cr_err_remedy(
			e, "the directory was removed, or no files can be made in it (/proc, /sys): name another one "
			   "with -D, and make the dump again");
	return -err;
}

void cr_err_place(struct cr_err *e, int dir)
{
	char fd[32], path[sizeof(e->object)];
	ssize_t n;

	snprintf(fd, sizeof(fd), "/proc/self/fd/%d", dir);
	if (strcmp(e->object, "images directory") || (n = readlink(fd, path, sizeof(path) - 1)) <= 0)
		return;
	path[n] = 0;
	snprintf(e->object, sizeof(e->object), "images directory %.*s", (int)sizeof(e->object) - 20, path);
}

int cr_err_fork(struct cr_err *e, int err, const char *object)
{
	return cr_err_set(e, err == EAGAIN ? CR_E_LIMIT_PROCESSES : CR_E_SYSTEM, err, object, "cannot make a process");
}

enum cr_code cr_code_of_task(int err)
{
	return err == ENOENT || err == -ENOENT || err == ESRCH || err == -ESRCH ? CR_E_TASK_GONE : CR_E_SYSTEM;
}

int cr_err_stdout(struct cr_err *e)
{
	int err = fflush(stdout) ? errno : ferror(stdout) ? EIO : 0;

	if (!err)
		return 0;
	cr_err_set(e, CR_E_SYSTEM, err, "standard output", "cannot be written, so it is not complete");
	return -err;
}

int cr_err_nomem(struct cr_err *e)
{
	return cr_err_set(e, CR_E_NOMEM, ENOMEM, "this process", "no memory left");
}

const char *cr_code_name(enum cr_code code)
{
	return row(code)->name;
}

const char *cr_code_meaning(enum cr_code code)
{
	return row(code)->meaning;
}

enum cr_exit cr_code_exit(enum cr_code code)
{
	return row(code)->exit;
}

const char *cr_code_options(enum cr_code code)
{
	return row(code)->options;
}

bool cr_code_later(enum cr_code code)
{
	return row(code)->later;
}

const char *cr_err_get_remedy(const struct cr_err *e)
{
	return e->remedy[0] ? e->remedy : row(e->code)->remedy;
}

enum cr_code cr_code_by_name(const char *name)
{
	for (unsigned i = 1; i < CR_E_COUNT; i++)
		if (!strcmp(rows[i].name, name))
			return (enum cr_code)i;
	return CR_E_NONE;
}

char *cr_err_text(const struct cr_err *e, char *buf, size_t size)
{
	snprintf(buf, size, "%s: %s%s%s (%s) [%s]", e->object, e->reason, e->err ? ": " : "",
		 e->err ? strerror(e->err) : "", cr_err_get_remedy(e), cr_code_name(e->code));
	return buf;
}

int cr_report_add(struct cr_report *r, const struct cr_err *e)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 8;
		struct cr_err *v = reallocarray(r->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = *e;
	return 0;
}

void cr_report_free(struct cr_report *r)
{
	free(r->v);
	*r = (struct cr_report){ 0 };
}
