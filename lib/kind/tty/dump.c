/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a terminal that the tree has from its caller (--shell-job)
 *
 * The tree holds slaves of a pseudo terminal whose master is a terminal emulator or sshd, outside. The image has the
 * slave (tty_info_entry: index, settings, window size, foreground group) and the descriptors that mean it; restore
 * gives the tree the terminal that the restore runs on. Settings are read by ioctls on our copy of the descriptor,
 * which change nothing. Session and foreground group come from /proc/PID/stat: TIOCGSID answers for the caller's own
 * terminal only. Masters, consoles and virtual terminals are not carried yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <asm/termbits.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"

/* Majors (Documentation/admin-guide/devices.txt); CTTY_INDEX: as the image format numbers /dev/tty. */
enum { VT_MAJOR = 4, TTYAUX_MAJOR = 5, PTS_MAJOR = 136, PTS_MAJOR_LAST = 143, CTTY_INDEX = 1006 };

struct tty_seen {
	struct tty_seen *next;
	uint32_t id;
};

static bool is_slave(dev_t rdev)
{
	return major(rdev) >= PTS_MAJOR && major(rdev) <= PTS_MAJOR_LAST;
}

static bool match(const struct fd_look *l)
{
	unsigned m = major(l->st.st_rdev);

	return S_ISCHR(l->st.st_mode) && !(l->flags & O_PATH) &&
	       (m == VT_MAJOR || m == TTYAUX_MAJOR || is_slave(l->st.st_rdev) || m == 204 /* serial */ ||
		m == 229 /* hvc */);
}

/* Whose terminal is it? Fields 6 to 8 of stat: session, tty_nr, tpgid. */
static void find_session(const struct dump *d, dev_t rdev, TtyInfoEntry *info)
{
	for (size_t i = 0; i < d->nr_tasks; i++) {
		char buf[1024], *p;
		int session, tty, foreground;

		if (d->tasks[i].proc < 0 || read_buf_at(d->tasks[i].proc, "stat", buf, sizeof(buf)) <= 0)
			continue;
		p = strrchr(buf, ')');
		if (!p || sscanf(p + 1, " %*c %*d %*d %d %d %d", &session, &tty, &foreground) != 3)
			continue;
		/* tty_nr: minor bits 31-20 and 7-0, major 15-8 (proc_pid_stat(5)) */
		if (tty && makedev((tty >> 8) & 0xff, (tty & 0xff) | ((tty >> 12) & 0xfff00)) == rdev) {
			info->sid = session;
			info->pgrp = foreground > 0 ? foreground : 0;
			return;
		}
	}
}

static void fill_termios(TermiosEntry *ret, const struct termios *t, uint32_t *cc)
{
	termios_entry__init(ret);
	ret->c_iflag = t->c_iflag;
	ret->c_oflag = t->c_oflag;
	ret->c_cflag = t->c_cflag;
	ret->c_lflag = t->c_lflag;
	ret->c_line = t->c_line;
	for (unsigned i = 0; i < NCCS; i++)
		cc[i] = t->c_cc[i];
	ret->n_c_cc = NCCS;
	ret->c_cc = cc;
}

struct tty_parts {
	TtyInfoEntry info;
	TermiosEntry termios, locked;
	WinsizeEntry winsize;
	TtyPtyEntry pty;
	uint32_t cc[2][NCCS];
};

static int fill_settings(const struct fd_look *l, struct tty_parts *p, struct cr_err *e)
{
	struct termios2 now = { 0 };
	struct termios old = { 0 }, locked = { 0 };
	struct winsize size = { 0 };

	if (ioctl(l->lfd, TCGETS, &old) < 0 || ioctl(l->lfd, TCGETS2, &now) < 0)
		return dump_failed(l, errno, "ioctl(TCGETS)", e);
	fill_termios(&p->termios, &old, p->cc[0]);
	p->termios.c_ispeed = now.c_ispeed;
	p->termios.c_ospeed = now.c_ospeed;
	p->info.termios = &p->termios;
	if (ioctl(l->lfd, TIOCGLCKTRMIOS, &locked) == 0) {
		fill_termios(&p->locked, &locked, p->cc[1]);
		p->info.termios_locked = &p->locked;
	}
	if (ioctl(l->lfd, TIOCGWINSZ, &size) == 0) {
		winsize_entry__init(&p->winsize);
		p->winsize.ws_row = size.ws_row;
		p->winsize.ws_col = size.ws_col;
		p->winsize.ws_xpixel = size.ws_xpixel;
		p->winsize.ws_ypixel = size.ws_ypixel;
		p->info.winsize = &p->winsize;
	}
	return 0;
}

/* The terminal of the restore belongs to the caller's session: another one cannot have it. */
static bool leads_session(const struct dump *d, uint32_t sid)
{
	for (size_t i = 0; sid && i < d->nr_tasks; i++)
		if ((uint32_t)d->tasks[i].pid == sid)
			return true;
	return false;
}

static int put_info(struct dump *d, const struct fd_look *l, uint32_t id, bool slave, struct cr_err *e)
{
	struct tty_parts *p = arena_alloc(l->scratch, sizeof(*p));
	struct img_writer *w;
	int exclusive = 0, ret;

	if (!p)
		return cr_err_nomem(e);
	tty_info_entry__init(&p->info);
	p->info.id = id;
	p->info.type = slave ? TTY_TYPE__PTY : TTY_TYPE__CTTY;
	p->info.rdev = dump_kdev(l->st.st_rdev);
	p->info.has_dev = p->info.has_uid = p->info.has_gid = true;
	p->info.dev = dump_kdev(l->st.st_dev);
	p->info.uid = l->st.st_uid;
	p->info.gid = l->st.st_gid;
	p->info.exclusive = ioctl(l->lfd, TIOCGEXCL, &exclusive) == 0 && exclusive;
	if (slave) {
		tty_pty_entry__init(&p->pty);
		p->pty.index = (major(l->st.st_rdev) - PTS_MAJOR) * 256 + minor(l->st.st_rdev);
		p->info.pty = &p->pty;
		find_session(d, l->st.st_rdev, &p->info);
	}
	if (leads_session(d, p->info.sid))
		return dump_refuse(
			l, e, CR_E_TTY_SESSION,
			"it is the controlling terminal of session %u, which is in the tree: not supported yet",
			p->info.sid);
	ret = fill_settings(l, p, e);
	if (!ret)
		ret = dump_image(d, IMG_TTY_INFO, &w, e);
	return ret < 0 ? ret : img_put(w, &p->info, e);
}

/* One row of tty-info.img for each terminal. */
static int note_terminal(struct dump *d, const struct fd_look *l, bool slave, uint32_t *ret_id, struct cr_err *e)
{
	uint32_t index = slave ? (major(l->st.st_rdev) - PTS_MAJOR) * 256 + minor(l->st.st_rdev) : CTTY_INDEX;
	void **state = dump_kind_state(d, &tty_dump_ops);
	struct tty_seen *s;

	/* A master of the same index would have 1 more. */
	*ret_id = index << 1;
	for (s = *state; s; s = s->next)
		if (s->id == *ret_id)
			return 0;
	s = arena_alloc(d->arena, sizeof(*s));
	if (!s)
		return cr_err_nomem(e);
	*s = (struct tty_seen){ *state, *ret_id };
	*state = s;
	return put_info(d, l, *ret_id, slave, e);
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	bool slave = is_slave(l->st.st_rdev), ctty = l->st.st_rdev == makedev(TTYAUX_MAJOR, 0);
	TtyFileEntry *entry = arena_alloc(l->scratch, sizeof(*entry));
	int ret;

	if (!entry)
		return cr_err_nomem(e);
	if (l->st.st_rdev == makedev(TTYAUX_MAJOR, 2)) {
		ret = dump_refuse(l, e, CR_E_TTY_KIND, "masters of pseudo terminals are not supported yet");
		cr_err_remedy(e, "close it before the dump; programs that make terminals (script, tmux, sshd) cannot "
				 "be dumped yet");
		return ret;
	}
	if (!slave && !ctty)
		return dump_refuse(l, e, CR_E_TTY_KIND, "terminals other than pseudo terminals are not supported yet");
	if (!d->opts->shell_job)
		return dump_refuse(l, e, CR_E_TTY, "it is a terminal that comes from outside of the tree");
	tty_file_entry__init(entry);
	entry->id = fe->id;
	entry->flags = l->flags;
	entry->has_regf_id = true;
	fe->tty = entry;
	ret = dump_fown(d, l, &entry->fown, e);
	if (!ret)
		ret = dump_reg_entry(d, l, &entry->regf_id, e);
	return ret < 0 ? ret : note_terminal(d, l, slave, &entry->tty_info_id, e);
}

const struct fd_dump_ops tty_dump_ops = { .name = "terminal", .type = FD_TYPES__TTY, .match = match, .dump = dump };
