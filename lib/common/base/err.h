/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors: library functions return 0 (or a count) on success and -errno on failure, never print,
 * and describe the failure in a caller-owned struct cr_err. The program prints it once and writes
 * it into the manifest. Every cause has a stable name; the registry is errors.def.
 */
#ifndef CR_BASE_ERR_H
#define CR_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* Exit codes of all tools (contracts: 5). */
enum cr_exit {
	CR_OK = 0,
	CR_REFUSED = 1, /* this cannot be carried, found or allowed */
	CR_BADIMG = 2,
	CR_USAGE = 100,
	CR_SYSTEM = 111,
};

enum cr_code {
	CR_E_NONE,
#define E(name, text, exit, meaning, remedy, ...) CR_E_##name,
#include "errors.def"
#undef L
#undef E
	CR_E_COUNT
};

/* One failure. The strings say: which object, why, what the user can do. */
struct cr_err {
	enum cr_code code;
	int err; /* errno, positive; 0 when no system call is to blame */
	char object[192];
	char reason[384];
	char remedy[256]; /* "": the registry's */
};

/* All the failures of a stage: a user learns everything in one go. */
struct cr_report {
	struct cr_err *v;
	size_t n, cap;
};

/*
 * Describe a failure.
 * @e: filled; NULL is allowed
 * @code: CR_E_SYSTEM for a system call that failed: the code follows from @err where a user can act on it (no room, no
 *	access, too many open files ...)
 * @err: errno, positive, or 0
 * @object: which object, for example "task 12 (bash), fd 3"
 * Return: -err, or -EINVAL when err is 0, so that callers can return it.
 */
int cr_err_set(struct cr_err *e, enum cr_code code, int err, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Replace the registry's remedy by one that fits better. */
void cr_err_remedy(struct cr_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What could not be written, for the reason @err: the code follows from it. @what: "cannot be created" */
int cr_err_write(struct cr_err *e, int err, const char *object, const char *what);
/* For who reads the message: which images directory, where the object is just that. @dir: its descriptor, or negative */
void cr_err_place(struct cr_err *e, int dir);
/* A process could not be made, for the reason @err. */
int cr_err_fork(struct cr_err *e, int err, const char *object);
/* The code of a failure (@err of either sign) to look at a task of the tree: what is not in /proc any more has ended. */
enum cr_code cr_code_of_task(int err);
/* Is all of stdout written? Return: 0, or -errno of what could not be, with @e. */
int cr_err_stdout(struct cr_err *e);
/* -ENOMEM, described. */
int cr_err_nomem(struct cr_err *e);

const char *cr_code_name(enum cr_code code);
const char *cr_code_meaning(enum cr_code code);
enum cr_exit cr_code_exit(enum cr_code code);
/* Options that have to do with it, with blanks between; "" none. */
const char *cr_code_options(enum cr_code code);
/* Is the cause one of features that are to come? */
bool cr_code_later(enum cr_code code);
const char *cr_err_get_remedy(const struct cr_err *e);
/* The code with this stable name, CR_E_NONE if there is none. */
enum cr_code cr_code_by_name(const char *name);

/* One line without newline: "OBJECT: REASON: STRERROR (REMEDY) [NAME]". Return: @buf. */
char *cr_err_text(const struct cr_err *e, char *buf, size_t size);

/* Append a copy of @e. Return: 0 or -ENOMEM. */
int cr_report_add(struct cr_report *r, const struct cr_err *e);
void cr_report_free(struct cr_report *r);

#endif
