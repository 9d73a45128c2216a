/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The images directory before a dump. An old checkpoint is taken apart in an order that leaves no mixture which anyone
 * could take for a checkpoint: without inventory.img nothing restores it, whatever else is there.
 *
 * One dump at a time: while criu-freeze looks at the directory and makes its holder, it has a lock (flock(2)) on .stage/; from
 * then on the holder's socket shows it. The lock is on a directory, so it needs no file that would be left, and no
 * locks of the file server: on NFS, too, the kernel keeps it to itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "freeze.h"
#include "image/image.h"
#include "proc/stat.h"

enum { STAGE_TRIES = 8, LOCK_TRIES = 100, LOCKS_MAX = 16 << 20 };

/* Return: its pid, 0: there is none, -1: it cannot be told. */
static pid_t lives_at(int dir, const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct ucred cred = { .pid = -1 };
	socklen_t len = sizeof(cred);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", dir, name);
	while (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		if (fd < 0 || errno != EINTR)
			return fd < 0 || (errno != ENOENT && errno != ECONNREFUSED && errno != ENOTSOCK) ? -1 : 0;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return cred.pid;
}

static pid_t holder_lives(int img)
{
	return lives_at(img, HOLD_SOCKET);
}

/* Who has the lock on @fd (proc_locks(5)). Return: pid, or 0. */
static pid_t lock_owner(int fd)
{
	_cleanup_free_ char *text = NULL;
	char want[64], *at;
	struct stat st;
	pid_t pid;

	if (fstat(fd, &st) || read_file_at(AT_FDCWD, "/proc/locks", LOCKS_MAX, &text) < 0)
		return 0;
	snprintf(want, sizeof(want), " %02x:%02x:%llu ", major(st.st_dev), minor(st.st_dev),
		 (unsigned long long)st.st_ino);
	at = strstr(text, want);
	while (at && at > text && at[-1] != ' ')
		at--;
	return at && sscanf(at, "%d", &pid) == 1 ? pid : 0;
}

static int busy(struct cr_err *e, pid_t pid, const char *what, const char *does)
{
	char who[32] = "another one";

	if (pid)
		snprintf(who, sizeof(who), "%d", pid);
	cr_err_set(e, CR_E_DIR_BUSY, 0, "images directory", "%s %s %s", what, who, does);
	return -EBUSY;
}

/* Return: 0: it is ours; 1: again; -errno with @e. */
static int lock(int fd, int *tries, struct cr_err *e)
{
	pid_t owner;

	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno == EINTR)
		return 1;
	if (errno != EWOULDBLOCK)
		return cr_err_set(e, CR_E_SYSTEM, errno, STAGE_DIR, "cannot lock it");
	owner = lock_owner(fd);
	if (owner || !(*tries)--)
		return busy(e, owner, "process", "begins a dump in it");
	poll(NULL, 0, 1); /* it has let go in between */
	return 1;
}

/* Make .stage/ and lock it. @ret: holds the lock until it is closed. @ret_made: it was not there before. */
static int lock_stage(int img, int *ret, bool *ret_made, struct cr_err *e)
{
	int err, tries = LOCK_TRIES;

	for (;;) {
		_cleanup_close_ int fd = -1;
		struct stat have, named;
		bool made;

		/* Made here once, so that a directory that cannot be written is found before anything stops. */
		made = !mkdirat(img, STAGE_DIR, 0700);
		if (!made && errno != EEXIST)
			return cr_err_write(e, errno, "images directory", "cannot write it");
		fd = openat(img, STAGE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0) {
			err = cr_err_write(e, errno, STAGE_DIR, "cannot open it");
			if (made)
				unlinkat(img, STAGE_DIR, AT_REMOVEDIR);
			return err;
		}
		err = lock(fd, &tries, e);
		if (err < 0)
			return err;
		if (err)
			continue;
		/* Who had it may have removed it meanwhile. */
		if (fstat(fd, &have) || (fstatat(img, STAGE_DIR, &named, AT_SYMLINK_NOFOLLOW) && errno != ENOENT)) {
			err = cr_err_set(e, CR_E_SYSTEM, errno, STAGE_DIR, "cannot look at it");
			unlinkat(img, STAGE_DIR, AT_REMOVEDIR);
			return err;
		}
		if (!have.st_nlink || have.st_ino != named.st_ino)
			continue;
		*ret = TAKE_FD(fd);
		*ret_made = made;
		return 0;
	}
}

static bool is_check_only(int img)
{
	struct cr_err ignored = { 0 };
	json_t *m = NULL;
	bool ret = !manifest_read_head(img, &m, &ignored) && manifest_check_only(m);

	json_decref(m);
	return ret;
}

static bool exists(int img, const char *name)
{
	return !faccessat(img, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static int check_locked(const struct cr_opts *o, int img, bool *ret_old, struct cr_err *e)
{
	pid_t holder = holder_lives(img);

	if (holder > 0)
		return busy(e, holder, "holder", "keeps a tree for it");
	if (holder < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, "images directory", "cannot ask whether a holder uses it");
	*ret_old = exists(img, "inventory.img");
	/* A dry run replaces no checkpoint, whatever the wrapper asks for in the name of a real dump. */
	if (*ret_old && o->check_only && !is_check_only(img)) {
		cr_err_set(e, CR_E_DIR_HAS_CHECKPOINT, 0, "images directory",
			   "it holds a checkpoint, which a dry run does not replace");
		cr_err_remedy(e, "name another directory with -D");
		return -EINVAL;
	}
	if (*ret_old && !o->force)
		return cr_err_set(e, CR_E_DIR_HAS_CHECKPOINT, 0, "images directory", "it holds a checkpoint");
	return 0;
}

int dir_check(const struct cr_opts *o, int img, bool *ret_old, int *ret_lock, struct cr_err *e)
{
	_cleanup_close_ int lock = -1;
	bool made = false;
	int err = lock_stage(img, &lock, &made, e);

	if (err)
		return err;
	err = check_locked(o, img, ret_old, e);
	if (err && (err != -EBUSY || made)) /* else it is the holder's */
		dir_remove_stage(img);
	*ret_lock = TAKE_FD(lock);
	return err;
}

/* .NAME.tmp of a socket or file that was being written. */
static bool is_temporary(const char *name)
{
	char of[IMG_NAME_MAX];
	enum img_type type;
	unsigned long id;
	size_t n = strlen(name);

	if (n < 6 || n - 5 >= sizeof(of) || strcmp(name + n - 4, ".tmp"))
		return false;
	memcpy(of, name + 1, n - 5);
	of[n - 5] = 0;
	return !strncmp(of, "holder", 6) || !strcmp(of, "extra.json") || img_parse_name(of, &type, &id);
}

static bool is_leftover(const char *name)
{
	enum img_type type;
	unsigned long id;

	if (name[0] == '.')
		return !strcmp(name, ".holder") || is_temporary(name) || !strncmp(name, ".manifest.json.", 15);
	return !strcmp(name, "extra.json") || img_parse_name(name, &type, &id);
}

DIR *dir_list(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (list)
		fd = -1;
	return list;
}

/* Remove what is in a directory and @chosen. */
static void remove_names(int img, const char *name, bool (*chosen)(const char *name))
{
	DIR *list = dir_list(img, name);
	struct dirent *d;

	while (list && (d = readdir(list)))
		if (chosen(d->d_name))
			unlinkat(dirfd(list), d->d_name, 0);
	if (list)
		closedir(list);
}

static bool is_entry(const char *name)
{
	return strcmp(name, ".") && strcmp(name, "..");
}

static void empty_stage(int img)
{
	remove_names(img, STAGE_DIR, is_entry);
}

int dir_clean(int img, struct cr_err *e)
{
	static const char *const first[] = { "inventory.img", MANIFEST_NAME };
	struct dirent *d;
	int err = 0;
	DIR *dir;

	for (int i = 0; i < 2; i++)
		if (unlinkat(img, first[i], 0) && errno != ENOENT)
			return cr_err_write(e, errno, "images directory", "cannot remove the old checkpoint");
	empty_stage(img);
	dir = dir_list(img, ".");
	if (!dir)
		return cr_err_write(e, errno, "images directory", "cannot read it");
	/* An old image that stayed would be sealed with the new ones. */
	while (!err && (errno = 0, d = readdir(dir)))
		if (is_leftover(d->d_name) && strcmp(d->d_name, "stats-restore") && unlinkat(img, d->d_name, 0) &&
		    errno != ENOENT)
			err = cr_err_write(e, errno, d->d_name, "an old image cannot be removed");
	if (!err && errno)
		err = cr_err_write(e, errno, "images directory", "cannot read it");
	closedir(dir);
	return err;
}

void dir_remove_stage(int img)
{
	/* A stage that has not heard yet that the dump has failed may still make a file in it. */
	for (int i = 0; i < STAGE_TRIES; i++) {
		empty_stage(img);
		if (!unlinkat(img, STAGE_DIR, AT_REMOVEDIR) || errno == ENOENT)
			return;
	}
}

static void remove_socket(int dir, const char *name)
{
	if (!lives_at(dir, name))
		unlinkat(dir, name, 0);
}

void dir_remove_socket(int img)
{
	_cleanup_close_ int work = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[HOLD_NAME_MAX];

	remove_socket(img, HOLD_SOCKET);
	if (work >= 0 && !hold_socket_name(img, true, name))
		remove_socket(work, name);
}

/* A manifest that a stage was writing when it was killed: .manifest.json.PID */
static bool is_torn(const char *name)
{
	static const char prefix[] = "." MANIFEST_NAME ".";
	_cleanup_close_ int proc = -1;
	struct proc_stat st;
	char *end;
	long pid;

	if (strncmp(name, prefix, sizeof(prefix) - 1))
		return false;
	pid = strtol(name + sizeof(prefix) - 1, &end, 10);
	if (pid <= 0 || pid > INT_MAX || *end)
		return false;
	proc = open_proc_pid((pid_t)pid);
	return proc < 0 || proc_stat_read(proc, "stat", &st) || st.state == 'Z';
}

void dir_release(int img)
{
	_cleanup_close_ int fd = openat(img, STAGE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* The next dump may have begun. */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || holder_lives(img))
		return;
	remove_names(img, ".", is_torn);
	dir_remove_stage(img);
}
