// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal of names that a restore makes for a moment: one line a name, in the work directory (where the tool runs),
 * written before the name is made. A restore that was killed leaves the journal, and the next one (or --undo) removes
 * what it names. A name is removed only if it still is the object that was made: same device and inode number, or it
 * is a random name of our own (type t), which objects get whose inode number is not known before they are made.
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
#include "kind/file/restore-file.h"

#define JOURNAL ".criu-restore.names"

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
	fd = open(JOURNAL, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : write_full(fd, line, len);
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
}

static int undo_one(uint64_t dev, uint64_t ino, char type, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (type == 't')
		return (S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path)) == 0;
	if (st.st_dev != dev || (ino && st.st_ino != ino))
		return 0;
	if (type == 'd')
		return rmdir(path) == 0;
	return ino && unlink(path) == 0;
}

int files_journal_undo(struct cr_err *e)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len;
	char *p, *end;
	int removed = 0;

	len = read_file_at(AT_FDCWD, JOURNAL, 16 << 20, &text);
	if (len == -ENOENT)
		return 0;
	if (len < 0)
		return cr_err_set(e, CR_E_SYSTEM, -len, JOURNAL, "cannot be read");
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
