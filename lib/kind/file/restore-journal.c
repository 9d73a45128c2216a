// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal of names that a restore makes for a moment: one line a name, in the work directory (where the tool runs),
 * written before the name is made. A restore that was killed leaves the journal, and the next one (or --undo) removes
 * what it names. A name is removed only if it still is the object that was made: same device and inode number, or it
 * is a random name of our own (type t), which objects get whose inode number is not known before they are made.
 *
 * Others may write in the directory, or it came from elsewhere with the images: a journal is believed only if it is a file
 * of this user that nobody else can have written.
 *
 * "DEV INO TYPE PATH\n" with TYPE f, d or t; PATH ends at the NUL before the newline, for names with newlines.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "kind/file/restore-file.h"

#define JOURNAL ".criu-restore.names"

#define NOT_OURS "it is a link, or another user's, or others can write into it"

static bool made; /* by this process, on whatever file system */

static bool is_ours(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1 &&
	       !(st.st_mode & 022);
}

/* Return: fd; -EPERM: not ours; -errno. */
static int open_to_add(void)
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	_cleanup_close_ int fd = open(JOURNAL, flags | O_CREAT | O_EXCL, 0600);

	if (fd >= 0) {
		made = true;
		return TAKE_FD(fd);
	}
	if (errno != EEXIST)
		return -errno;
	fd = open(JOURNAL, flags);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -EPERM : -errno;
	return made || is_ours(fd) ? TAKE_FD(fd) : -EPERM;
}

static int add(const char *path, uint64_t dev, uint64_t ino, char type, struct cr_err *e)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *line = NULL;
	int len, err;

	len = asprintf(&line, "%" PRIx64 " %" PRIu64 " %c %s%c\n", dev, ino, type, path, 0);
	if (len < 0) {
		line = NULL;
		return cr_err_nomem(e);
	}
	fd = open_to_add();
	if (fd == -EPERM) {
		cr_err_set(e, CR_E_DIR_UNWRITABLE, 0, JOURNAL, NOT_OURS);
		cr_err_remedy(e, "look at it and remove it, or name another directory with -W");
		return fd;
	}
	err = fd < 0 ? fd : write_full(fd, line, len);
	if (err) {
		cr_err_write(e, -err, JOURNAL, "the journal cannot be written in the work directory");
		cr_err_remedy(e, "name a directory that can be written with -W");
	}
	return err;
}

int files_journal_add(const char *path, uint64_t dev, uint64_t ino, bool dir, struct cr_err *e)
{
	return add(path, dev, ino, dir ? 'd' : 'f', e);
}

int files_journal_add_temp(const char *path, struct cr_err *e)
{
	return add(path, 0, 0, 't', e);
}

void files_journal_done(void)
{
	unlink(JOURNAL);
	made = false;
}

/* The name is one of split_name(): DIR/.cr.ID.RANDOM.ghost. */
static bool is_temp_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	unsigned long long unique;
	unsigned id;
	int n = 0;

	return slash && sscanf(slash, "/.cr.%8x.%16llx.ghost%n", &id, &unique, &n) == 2 && n && !slash[n];
}

static int undo_one(uint64_t dev, uint64_t ino, char type, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (type == 't')
		return is_temp_name(path) && (S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path)) == 0;
	if (st.st_dev != dev || (ino && st.st_ino != ino))
		return 0;
	if (type == 'd')
		return rmdir(path) == 0;
	return ino && unlink(path) == 0;
}

/* @ret: to be freed. Return: length; 0: there is nothing to undo; -errno. */
static ssize_t read_journal(char **ret)
{
	_cleanup_close_ int fd = open(JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char self[32];

	if (fd < 0 && errno != ELOOP && errno != ENXIO)
		return errno == ENOENT ? 0 : -errno;
	if (fd < 0 || (!made && !is_ours(fd))) {
		log_warn(JOURNAL ": " NOT_OURS ": what it names is left alone (look at it, and remove it)");
		return 0;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return read_file_at(AT_FDCWD, self, 16 << 20, ret);
}

int files_journal_undo(struct cr_err *e)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = read_journal(&text);
	char *p, *end;
	int removed = 0;

	if (len < 0)
		return cr_err_set(e, CR_E_SYSTEM, -len, JOURNAL, "cannot be read");
	if (!text)
		return 0;
	for (p = text; p < text + len; p = end + 2) {
		uint64_t dev, ino;
		int skip = 0;
		char type;

		end = memchr(p, 0, text + len - p);
		if (!end)
			break;
		if (sscanf(p, "%" SCNx64 " %" SCNu64 " %c %n", &dev, &ino, &type, &skip) == 3 && skip && p[skip] == '/')
			removed += undo_one(dev, ino, type, p + skip);
	}
	files_journal_done();
	return removed;
}
