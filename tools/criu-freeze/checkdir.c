/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The images directory before a dump. An old checkpoint is taken apart in an order that leaves no mixture which anyone
 * could take for a checkpoint: without inventory.img nothing restores it, whatever else is there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "freeze.h"
#include "image/image.h"

enum { STAGE_TRIES = 8 };

static bool holder_lives(int img)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/.holder", img);
	return fd >= 0 && !connect(fd, (struct sockaddr *)&sa, sizeof(sa));
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

int dir_check(const struct cr_opts *o, int img, bool *ret_old, struct cr_err *e)
{
	if (holder_lives(img))
		return cr_err_set(e, CR_E_DIR_BUSY, 0, "images directory", "a holder keeps a tree for it");
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
	/* Made here once, so that a directory that cannot be written is found before anything stops. */
	if (mkdirat(img, STAGE_DIR, 0700) && errno != EEXIST)
		return cr_err_write(e, errno, "images directory", "cannot write it");
	return 0;
}

static bool is_leftover(const char *name)
{
	enum img_type type;
	unsigned long id;
	size_t n = strlen(name);

	if (name[0] == '.')
		return !strcmp(name, ".holder") || (n > 4 && !strcmp(name + n - 4, ".tmp")) ||
		       !strncmp(name, ".manifest.json.", 15);
	return !strcmp(name, "extra.json") || img_parse_name(name, &type, &id);
}

int dir_clean(int img, struct cr_err *e)
{
	static const char *const first[] = { "inventory.img", MANIFEST_NAME };
	_cleanup_close_ int fd = openat(img, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *d;
	DIR *dir;

	for (int i = 0; i < 2; i++)
		if (unlinkat(img, first[i], 0) && errno != ENOENT)
			return cr_err_write(e, errno, "images directory", "cannot remove the old checkpoint");
	dir_remove_stage(img);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return cr_err_write(e, errno, "images directory", "cannot read it");
	fd = -1;
	while ((d = readdir(dir)))
		if (is_leftover(d->d_name) && strcmp(d->d_name, "stats-restore"))
			unlinkat(img, d->d_name, 0);
	closedir(dir);
	if (mkdirat(img, STAGE_DIR, 0700) && errno != EEXIST)
		return cr_err_write(e, errno, "images directory", "cannot write it");
	return 0;
}

static void empty_stage(int img)
{
	int fd = openat(img, STAGE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		fd_close(fd);
		return;
	}
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			unlinkat(fd, d->d_name, 0);
	closedir(dir);
}

void dir_remove_stage(int img)
{
	/* A stage that has not heard yet that the dump has failed may still make a file in it. */
	for (int i = 0; i < STAGE_TRIES; i++) {
		empty_stage(img);
		if (!unlinkat(img, STAGE_DIR, AT_REMOVEDIR) || errno != ENOTEMPTY)
			return;
	}
}
