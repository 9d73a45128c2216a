// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: terminals (with --shell-job)
 *
 * The tree's terminal was the caller's, and the restored tree gets the terminal of who calls the restore: its standard
 * input, output or error, or /dev/tty. The main process keeps a descriptor of it; each description is opened from that
 * through /proc/self/fd at its own flags. /dev/tty itself is opened by its name: the root task stays in the caller's
 * session. Settings (termios, size) are left as the caller's terminal has them: it is his. Terminals of the tree's own
 * (PTY masters) are refused by name until they are supported.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fdinfo.pb-c.h"
#include "kind/file/restore-file.h"
#include "tty.pb-c.h"

struct terminals {
	ssize_t n;
	TtyInfoEntry **info;
	int fd;	   /* of the main process; -1: none yet */
	bool need; /* there is a description to be opened */
};

static struct terminals *load(struct rst *r, struct cr_err *e)
{
	void **slot = files_kind_data(r, FD_TYPES__TTY);
	struct terminals *t = *slot;
	void **v;

	if (t)
		return t;
	t = arena_alloc(r->arena, sizeof(*t));
	if (!t) {
		cr_err_nomem(e);
		return NULL;
	}
	t->fd = -1;
	t->n = img_read_all(r->img, IMG_TTY_INFO, 0, r->arena, &v, e);
	if (t->n < 0)
		return NULL;
	t->info = (TtyInfoEntry **)v;
	return *slot = t;
}

static const TtyInfoEntry *info_of(const struct rst *r, const struct FileEntry *fe)
{
	const struct terminals *t = *files_kind_data(r, FD_TYPES__TTY);
	ssize_t i;

	for (i = 0; i < t->n; i++)
		if (t->info[i]->id == fe->tty->tty_info_id)
			return t->info[i];
	return NULL;
}

static int check(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	struct terminals *t = load(r, e);
	const TtyInfoEntry *info;

	if (!t)
		return -EINVAL;
	info = info_of(r, fe);
	if (!info)
		return files_refuse(r, fe, CR_E_IMG_REF, e, "tty-info.img does not hold terminal %u",
				    fe->tty->tty_info_id);
	if (info->type == TTY_TYPE__PTY && info->id & 1)
		return files_refuse(r, fe, CR_E_TTY_KIND, e,
				    "it is a terminal's master (ptmx), which is not supported yet");
	if (info->type != TTY_TYPE__PTY && info->type != TTY_TYPE__CTTY && info->type != TTY_TYPE__CONSOLE &&
	    info->type != TTY_TYPE__VT && info->type != TTY_TYPE__SERIAL)
		return files_refuse(r, fe, CR_E_TTY_KIND, e, "a terminal of type %d is not supported yet", info->type);
	if (!(r->opts && r->opts->shell_job)) {
		files_refuse(r, fe, CR_E_TTY, e, "the tree used the terminal of its caller");
		cr_err_remedy(e, "pass --shell-job to give it the terminal of this restore");
		return -EPERM;
	}
	t->need |= info->type != TTY_TYPE__CTTY;
	return 0;
}

/* The caller's terminal: what a standard descriptor is, or else the controlling one. */
static int find_terminal(struct cr_err *e)
{
	struct winsize ws;
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (isatty(fd))
			return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, TIOCGWINSZ, &ws) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return cr_err_set(e, CR_E_TERMINAL_MISSING, ENOTTY, "terminal",
			  "neither standard input, output nor error is one, and there is no /dev/tty");
}

static int prepare(struct rst *r, struct cr_err *e)
{
	struct terminals *t = *files_kind_data(r, FD_TYPES__TTY);

	if (!t || !t->need)
		return 0;
	t->fd = find_terminal(e);
	return t->fd < 0 ? t->fd : 0;
}

static int precheck(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const struct terminals *t = *files_kind_data(r, FD_TYPES__TTY);
	int fd = t->need ? find_terminal(e) : 0;

	if (fd < 0)
		return fd;
	if (t->need)
		close(fd);
	return 0;
}

static int open_tty(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const struct terminals *t = *files_kind_data(r, FD_TYPES__TTY);
	const TtyInfoEntry *info = info_of(r, fe);
	int flags = (int)fe->tty->flags & ~(O_ASYNC | O_CREAT | O_EXCL | O_TRUNC), kept, fd;

	if (info->type == TTY_TYPE__CTTY) {
		fd = open("/dev/tty", flags | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		return files_refuse(r, fe, CR_E_TERMINAL_MISSING, e, "the task's session has no controlling terminal");
	}
	kept = files_from_main(r, t->fd, e);
	if (kept < 0)
		return kept;
	fd = files_reopen(kept, flags);
	close(kept);
	return fd < 0 ? files_failed(r, fe, -fd, "opening the caller's terminal", e) : fd;
}

/*
 * The foreground group of the dump, if it is there again: else a job that reads would stop by SIGTTIN. Whoever is not
 * in the foreground and does this gets SIGTTOU, unless it is blocked (tcsetpgrp(3)).
 */
static int set_foreground(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e)
{
	const TtyInfoEntry *info = info_of(r, fe);
	sigset_t block, old;

	if (!info->pgrp || tcgetpgrp(fd) == (pid_t)info->pgrp)
		return 0;
	sigemptyset(&block);
	sigaddset(&block, SIGTTOU);
	sigprocmask(SIG_BLOCK, &block, &old);
	tcsetpgrp(fd, (pid_t)info->pgrp); /* not this task's terminal, or no such group in the session: leave it */
	sigprocmask(SIG_SETMASK, &old, NULL);
	return 0;
}

const struct fd_rst_ops tty_rst_ops = {
	.name = "terminal",
	.type = FD_TYPES__TTY,
	.check = check,
	.open = open_tty,
	.late = set_foreground,
	.prepare = prepare,
	.precheck = precheck,
	.area = "terminals",
};
