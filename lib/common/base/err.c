/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const struct row *row(enum cr_code code)
{
	return &rows[(unsigned)code < CR_E_COUNT ? code : CR_E_SYSTEM];
}

int cr_err_set(struct cr_err *e, enum cr_code code, int err, const char *object, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		e->code = code;
		e->err = err;
		e->remedy[0] = 0;
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
	else if (err == EACCES || err == EPERM || err == EROFS)
		code = CR_E_DIR_UNWRITABLE;
	cr_err_set(e, code, err, object, "%s", what);
	if (err == EFBIG)
		cr_err_remedy(e, "allow larger files (ulimit -f), or name a directory on another file system with -D");
	return -err;
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
