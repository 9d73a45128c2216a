/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors: the code of a system call that failed follows from its errno. */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "tap.h"

static const struct {
	int err;
	enum cr_code code;
	const char *says; /* a word of the remedy */
} rows[] = {
	{ ENOMEM, CR_E_NOMEM, "memory.max" },
	{ EMFILE, CR_E_LIMIT_FILES, "ulimit -n" },
	{ ENFILE, CR_E_LIMIT_FILES, "file-max" },
	{ ENOSPC, CR_E_DISK_FULL, "df" },
	{ EDQUOT, CR_E_DISK_FULL, "quota" },
	{ EFBIG, CR_E_DISK_FULL, "ulimit -f" },
	{ EROFS, CR_E_READ_ONLY, "remount" },
	{ EACCES, CR_E_ACCESS, "ls -ld" },
	{ EPERM, CR_E_PRIVILEGE, "SYS_ADMIN" },
	{ ENOENT, CR_E_NO_FILE, "name" },
	{ EEXIST, CR_E_FILE_EXISTS, "remove" },
	{ ESRCH, CR_E_TASK_GONE, "again" },
	{ ENOSYS, CR_E_KERNEL, "criu check" },
	{ EIO, CR_E_IO, "dmesg" },
	{ EINVAL, CR_E_SYSTEM, "report" },
	{ EAGAIN, CR_E_SYSTEM, "report" },
	{ 0, CR_E_SYSTEM, "report" },
};

static void test_errno(void)
{
	struct cr_err e = { 0 };
	char text[1024];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int ret = cr_err_set(&e, CR_E_SYSTEM, rows[i].err, "the object", "cannot be read");

		ok(ret == (rows[i].err ? -rows[i].err : -EINVAL) && e.code == rows[i].code && e.err == rows[i].err,
		   "errno %d is %s", rows[i].err, cr_code_name(e.code));
		cr_err_text(&e, text, sizeof(text));
		ok(!strncmp(text, "the object: cannot be read", 26) && strstr(text, rows[i].says) &&
			   (!e.err || strstr(text, strerror(e.err))),
		   "%s", text);
	}
	cr_err_set(&e, CR_E_FD_KIND, ENOMEM, "x", "y");
	ok(e.code == CR_E_FD_KIND && !strstr(cr_err_get_remedy(&e), "memory"), "a code that the caller knows stays");
	cr_err_set(&e, CR_E_SYSTEM, ENFILE, "x", "y");
	cr_err_set(&e, CR_E_SYSTEM, EMFILE, "x", "y");
	ok(strstr(cr_err_get_remedy(&e), "file-max") == NULL, "the remedy of an error before is not kept");
}

int main(void)
{
	struct cr_err e = { 0 };

	test_errno();
	ok(cr_err_fork(&e, EAGAIN, "x") == -EAGAIN && e.code == CR_E_LIMIT_PROCESSES, "fork: a limit of processes");
	ok(cr_err_fork(&e, ENOMEM, "x") == -ENOMEM && e.code == CR_E_NOMEM, "fork: no memory");
	ok(cr_code_of_task(-ESRCH) == CR_E_TASK_GONE && cr_code_of_task(ENOENT) == CR_E_TASK_GONE, "a task has ended");
	ok(cr_code_of_task(-EMFILE) == CR_E_SYSTEM, "it has not");
	cr_err_write(&e, ENOSPC, "pages-1.img", "cannot be written");
	ok(e.code == CR_E_DIR_FULL, "an image that cannot be written: dir-full");
	cr_err_write(&e, EIO, "pages-1.img", "cannot be written");
	ok(e.code == CR_E_IO, "a disk that fails");
	ok(cr_err_set(NULL, CR_E_SYSTEM, EIO, "x", "y") == -EIO && cr_err_fork(NULL, EAGAIN, "x") == -EAGAIN,
	   "no record");
	return tap_done();
}
