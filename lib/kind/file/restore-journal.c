// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal of names that a restore makes for a moment: one line a name, in the work directory (where the tool runs),
 * written before the name is made. A restore that was killed leaves the journal, and the next one (or --undo) removes
 * what it names. A name is removed only if it still is the object that was made: same device and inode number, or it
 * is a random name of our own (type t), which objects get whose inode number is not known before they are made.
 *
 * Others may write in the directory, or it came from elsewhere with the images. So a journal is believed only if it is a file of
 * this user that nobody else can have written, and if its first line has its own inode number and birth time: who makes a
 * file up, or unpacks one, does not know them before. Device numbers change with mounts, and are no part of that.
 *
 * "BIRTH INO j /\n", then "DEV INO TYPE PATH\n" with TYPE f, d or t; PATH ends at the NUL before the newline, for names with
 * newlines. Numbers in base 16, INO in base 10. A journal without a whole first line was begun when the restore was killed.
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

#define JOURNAL	 ".criu-restore.names"
#define NOT_OURS "it was not made by a restore here, or others can write into it"

enum { HEAD_MAX = 64, JOURNAL_MAX = 16 << 20 };

/* Writable by nobody else. @head: the first line that it has to have, with the NUL. Return: its length; -EPERM: not ours. */
static int head_of(int fd, char head[HEAD_MAX])
{
	const unsigned want = STATX_TYPE | STATX_MODE | STATX_UID | STATX_NLINK | STATX_INO | STATX_BTIME;
	unsigned long long birth = 0;
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, want, &st) < 0)
		return -errno;
	if (!S_ISREG(st.stx_mode) || st.stx_uid != geteuid() || st.stx_nlink != 1 || (st.stx_mode & 022))
		return -EPERM;
	if (st.stx_mask & STATX_BTIME) /* not every file system notes it */
		birth = (unsigned long long)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
	return snprintf(head, HEAD_MAX, "%llx %llu j /%c\n", birth, (unsigned long long)st.stx_ino, 0);
}

/*
 * @ret: what stands behind the first line; to be freed with @ret_text.
 * Return: length; -ENOENT: there is no journal, or one that was only begun; -EPERM: not ours; -errno.
 */
static ssize_t read_journal(char **ret_text, char **ret)
{
	_cleanup_close_ int fd = open(JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char self[32], head[HEAD_MAX];
	ssize_t len;
	int n;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -EPERM : -errno;
	n = head_of(fd, head);
	if (n < 0)
		return n;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	len = read_file_at(AT_FDCWD, self, JOURNAL_MAX, ret_text);
	if (len < 0)
		return len;
	if (!memmem(*ret_text, len, "\0\n", 2))
		return unlink(JOURNAL) < 0 ? -errno : -ENOENT;
	if (len < n || memcmp(*ret_text, head, n))
		return -EPERM;
	*ret = *ret_text + n;
	return len - n;
}

/* Return: fd; -EPERM: not ours; -errno. */
static int open_to_add(void)
{
	const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	_cleanup_close_ int fd = open(JOURNAL, flags | O_CREAT | O_EXCL, 0600);
	char head[HEAD_MAX], there[HEAD_MAX];
	bool made = fd >= 0;
	int n, err = 0;

	if (fd < 0 && errno == EEXIST)
		fd = open(JOURNAL, flags);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -EPERM : -errno;
	n = head_of(fd, head);
	if (n < 0)
		err = n;
	else if (made)
		err = write_full(fd, head, n);
	else if (pread(fd, there, n, 0) != n || memcmp(there, head, n))
		err = -EPERM;
	if (err && made)
		unlink(JOURNAL);
	return err ? err : TAKE_FD(fd);
}

static int refuse(struct cr_err *e)
{
	cr_err_set(e, CR_E_DIR_UNWRITABLE, 0, JOURNAL, NOT_OURS);
	cr_err_remedy(e, "look at it and remove it, or name another directory with -W");
	return -EPERM;
}

int files_journal_usable(struct cr_err *e)
{
	_cleanup_free_ char *text = NULL;
	char *lines;

	return read_journal(&text, &lines) == -EPERM ? refuse(e) : 0;
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
	err = fd < 0 ? fd : write_full(fd, line, len);
	if (err == -EPERM)
		return refuse(e);
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
	_cleanup_free_ char *text = NULL;
	char *lines = NULL;

	if (read_journal(&text, &lines) >= 0)
		unlink(JOURNAL);
}

/* The name is one of split_name(): DIR/.cr.ID.RANDOM.ghost. */
static bool is_temp_name(const char *path)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = strrchr(path, '/');
	size_t id;

	if (!p || strncmp(p, "/.cr.", 5))
		return false;
	p += 5;
	id = strspn(p, digits);
	if (id < 1 || id > 8 || p[id] != '.')
		return false;
	p += id + 1;
	return strspn(p, digits) == 16 && !strcmp(p + 16, ".ghost");
}

static int undo_one(uint64_t dev, uint64_t ino, char type, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (type == 't' ? !is_temp_name(path) : !ino || st.st_dev != dev || st.st_ino != ino) {
		log_warn(JOURNAL ": %s is not what a restore has made there: it is left alone", path);
		return 0;
	}
	return (S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path)) == 0;
}

int files_journal_undo(struct cr_err *e)
{
	_cleanup_free_ char *text = NULL;
	char *lines = NULL, *p, *end;
	ssize_t len = read_journal(&text, &lines);
	int removed = 0;

	if (len == -ENOENT)
		return 0;
	if (len == -EPERM) {
		log_warn(JOURNAL ": " NOT_OURS ": what it names is left alone (look at it, and remove it)");
		return 0;
	}
	if (len < 0)
		return cr_err_set(e, CR_E_SYSTEM, -len, JOURNAL, "cannot be read");
	for (p = lines; p < lines + len; p = end + 2) {
		uint64_t dev, ino;
		int skip = 0;
		char type;

		end = memchr(p, 0, lines + len - p);
		if (!end)
			break;
		if (sscanf(p, "%" SCNx64 " %" SCNu64 " %c %n", &dev, &ino, &type, &skip) == 3 && skip && p[skip] == '/')
			removed += undo_one(dev, ino, type, p + skip);
	}
	files_journal_done();
	return removed;
}
