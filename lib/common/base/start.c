/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every main() does first: options, help, directories, log.
 *
 * Under the wrapper (CRIU_LOG_OPEN in the environment) the log belongs to the first tool, criu-freeze: it truncates,
 * the others append. A wrong option, and a directory or log that cannot be opened, is told once, by the tool that does
 * not wait for another.
 */
#include "base/opts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

enum { FREEZE_FAILS_MS = 500 };

int cr_exit_code(const struct cr_opts *o, const struct cr_err *e)
{
	if (o->as_criu)
		return e->code == CR_E_NONE ? 0 : 1;
	return (int)cr_code_exit(e->code);
}

/* @letter: the option that names it */
static int open_dir(const char *path, const char *what, char letter, int *ret, struct cr_err *e)
{
	char object[192];
	int err, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		err = errno;
		snprintf(object, sizeof(object), "%s %s", what, *path ? path : "\"\"");
		cr_err_set(e, CR_E_DIR_MISSING, err, object, "cannot open it");
		cr_err_remedy(e,
			      err == ENOENT ? "create it, or name another one with -%c" : "name another one with -%c",
			      letter);
		return -err;
	}
	*ret = fd;
	return 0;
}

/* The log becomes descriptor 2, so that action scripts and libraries write into it too. Of a FIFO no reader is waited for: a
 * tree may be held meanwhile. @ret_first: it is not another tool's. */
static int open_log(const struct cr_opts *o, bool *ret_first, struct cr_err *e)
{
	_cleanup_close_ int fd = -1;
	char object[192];

	*ret_first = !getenv("CRIU_LOG_OPEN");
	if (!o->log_file || !*o->log_file)
		return 0;
	if (!strcmp(o->log_file, "-"))
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(o->log_file,
			  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | (*ret_first ? O_TRUNC : 0), 0600);
	if (fd < 0 && errno == ENXIO && !*ret_first) /* its reader has left: as with a disk that is full */
		return 0;
	if (fd < 0 || dup3(fd, STDERR_FILENO, 0) < 0) {
		int err = errno;

		snprintf(object, sizeof(object), "log file %s", o->log_file);
		cr_err_set(e, CR_E_DIR_UNWRITABLE, err, object, "cannot open it");
		cr_err_remedy(e, err == ENXIO ? "start the reader of this FIFO first"
					      : "name another file with -o, or another directory for it with -W");
		return -err;
	}
	return 0;
}

static void first_lines(void)
{
	struct utsname u;

	log_info("Version: " CRIU_LEVEL " (criu-pipeline " CR_VERSION ")");
	if (!uname(&u))
		log_info("Running on %s %s %s %s %s", u.nodename, u.sysname, u.release, u.version, u.machine);
}

static void help(const char *usage, unsigned who, const struct cr_opts *o)
{
	/* Under the name criu the wrapper has printed the head. */
	if (!o->as_criu)
		printf("%s\n\nOptions:\n", usage);
	cr_opts_help(stdout, o->as_criu ? W_ALL : who);
}

/* Directories and log. @ret_first: the log is not another tool's. */
static int open_all(const struct cr_opts *o, bool need_img, int *ret_img, bool *ret_first, struct cr_err *e)
{
	const char *dir = o->images_dir ? o->images_dir : ".";
	_cleanup_close_ int work = -1, img = -1;
	int err = 0;

	if (need_img)
		err = open_dir(dir, "images directory", 'D', &img, e);
	if (!err && o->work_dir)
		err = open_dir(o->work_dir, "work directory", 'W', &work, e);
	if (!err && (work >= 0 || img >= 0) && fchdir(work >= 0 ? work : img))
		err = cr_err_set(e, CR_E_DIR_MISSING, errno, o->work_dir ? o->work_dir : dir, "cannot change to it");
	if (!err)
		err = open_log(o, ret_first, e);
	*ret_img = TAKE_FD(img);
	return err;
}

static void nothing(int sig)
{
}

/*
 * A limit on the size of files shows as EFBIG, a log that nobody reads as EPIPE, and not as the end of the tool. Not ignored:
 * scripts would inherit that. Who has set SIGCHLD to be ignored would keep waitpid(2) from us.
 */
static void survive(unsigned who)
{
	static const int sigs[] = { SIGXFSZ, SIGPIPE };
	struct sigaction old;

	signal(SIGCHLD, SIG_DFL);
	for (int i = 0; i < 2 && (who & (W_DUMP | W_RESTORE)); i++)
		if (!sigaction(sigs[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(sigs[i], &(struct sigaction){ .sa_handler = nothing, .sa_flags = SA_RESTART }, NULL);
}

/*
 * 0 to 2 must be taken, or what is opened next gets their numbers and the log is written into an image. To a standard output
 * that is closed nothing can be written: who prints something is to fail.
 */
static void fill_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
}

/*
 * A stage that the wrapper started ahead does not tell what criu-freeze, with the same arguments, tells too: the wrapper ends
 * it then. What has hit this process alone is told after a moment.
 */
static void leave_to_freeze(const struct cr_opts *o)
{
	if (o->wait && getenv("CRIU_LOG_OPEN"))
		poll(NULL, 0, FREEZE_FAILS_MS);
}

/*
 * The programs of a dump write one log, so its stamps count from the start of the wrapper: whose the lease is, which
 * `criu-freeze end` has replaced, or which waits.
 */
static void one_clock(const struct cr_opts *o)
{
	if (o->lease > 0)
		cr_log_since(o->lease);
	else if (getenv("CRIU_LOG_OPEN"))
		cr_log_since(o->as_criu ? getpid() : getppid());
}

/* What was asked for is printed. */
static void leave(const struct cr_opts *o)
{
	struct cr_err e;
	int err = cr_err_stdout(&e);

	if (err)
		log_failure(&e);
	exit(err ? cr_exit_code(o, &e) : 0);
}

int cr_tool_start(const char *prog, const char *usage, unsigned who, bool need_img, int argc, char **argv,
		  struct cr_opts *ret, int *ret_img, struct cr_err *e)
{
	bool first = true;
	int err;

	cr_log_init(prog, CR_LOG_WARN);
	err = cr_opts_parse(argc, argv, ret, e);
	if (err) {
		leave_to_freeze(ret);
		if (e->code == CR_E_USAGE && ret->as_criu)
			puts(usage);
		return err;
	}
	if (ret->help) {
		help(usage, who & ~(unsigned)W_CRIU, ret);
		leave(ret);
	}
	if (ret->version) {
		printf("%s %s\n", prog, CR_VERSION);
		leave(ret);
	}
	cr_log_init(prog, ret->verbosity);
	one_clock(ret);
	fill_standard();
	survive(who);
	err = open_all(ret, need_img, ret_img, &first, e);
	if (err)
		leave_to_freeze(ret);
	if (!err && first)
		first_lines();
	return err;
}
