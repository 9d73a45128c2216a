/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Working directory, root and umask, dump half.
 *
 * Theory of operation: cwd and root are links of /proc/PID and become entries of files.img. Most tasks of a tree share
 * them with each other, so a directory that was seen is not written again (the id names a path, not a description:
 * nothing is shared by it). umask came with the status of the task.
 */
#include "kind/fs/fs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "fs.pb-c.h"
#include "image/stage.h"
#include "kind/dump.h"

struct dir {
	struct dir *next;
	uint64_t dev, ino;
	uint32_t id;
	char path[];
};

struct fs_run {
	struct dump *d;
	struct dir *dirs;
};

/* Return: 0; 1 refused (noted); -errno. */
static int dir_id(struct fs_run *r, const struct dump_task *t, const char *link, uint32_t *ret, struct cr_err *e)
{
	char path[4096];
	struct cr_err refusal = { 0 };
	struct dir *dir;
	struct stat st;
	ssize_t n = readlink_at(t->proc, link, path, sizeof(path));
	int type, err;

	if (n < 0 || fstatat(t->proc, link, &st, 0))
		st = (struct stat){ 0 };
	for (dir = r->dirs; dir; dir = dir->next)
		if (n > 0 && dir->ino == st.st_ino && dir->dev == st.st_dev && !strcmp(dir->path, path)) {
			*ret = dir->id;
			return 0;
		}
	err = dump_file_id(r->d, t, link, O_RDONLY, ret, &type, &refusal);
	if (err < 0)
		return cr_report_add(r->d->refusals, &refusal) < 0 ? cr_err_nomem(e) : 1;
	if (n <= 0 || !st.st_ino)
		return 0;
	dir = arena_alloc(r->d->arena, sizeof(*dir) + (size_t)n + 1);
	if (!dir)
		return cr_err_nomem(e);
	*dir = (struct dir){ .next = r->dirs, .dev = st.st_dev, .ino = st.st_ino, .id = *ret };
	memcpy(dir->path, path, (size_t)n + 1);
	r->dirs = dir;
	return 0;
}

static int dump_one(struct fs_run *r, const struct dump_task *t, struct cr_err *e)
{
	FsEntry fs = FS_ENTRY__INIT;
	int cwd = dir_id(r, t, "cwd", &fs.cwd_id, e);
	int root = cwd < 0 ? cwd : dir_id(r, t, "root", &fs.root_id, e);

	if (cwd || root)
		return root < 0 ? root : 0;
	fs.has_umask = true;
	fs.umask = t->umask;
	return stage_write_image(r->d->facts, r->d->img, IMG_FS, (unsigned long)t->pid, &fs, e);
}

static int run(struct dump *d, struct cr_err *e)
{
	struct fs_run r = { .d = d };
	int ret = 0;

	for (size_t i = 0; !ret && i < d->nr_tasks; i++)
		if (d->tasks[i].proc >= 0)
			ret = dump_one(&r, &d->tasks[i], e);
	return ret;
}

const struct dump_hook fs_dump = { "fs", run, "after the descriptors: anywhere before files.img is finished would do" };
