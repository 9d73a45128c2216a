/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --check-only: files that have no descriptor (mapped ones, programs, working and root directories), and mounts.
 *
 * Tasks map the same few libraries many times: each file is looked at once for each way of opening it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "fs.pb-c.h"
#include "kind/file/restore-file.h"
#include "kind/restore-check.h"
#include "mm.pb-c.h"
#include "proc/mountinfo.h"
#include "restore.h"

enum { MOUNTINFO_MAX = 16 << 20 };

/* id << 32 | flags */
static uint64_t key(uint32_t id, int flags)
{
	return (uint64_t)id << 32 | (uint32_t)flags;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static size_t task_files(const struct plan_task *t, uint64_t *v)
{
	size_t n = mm_file_keys(t->mm, v);

	v[n++] = key(t->mm->exe_file_id, O_RDONLY);
	v[n++] = key(t->fs->cwd_id, O_PATH | O_DIRECTORY);
	v[n++] = key(t->fs->root_id, O_PATH | O_DIRECTORY);
	return n;
}

int check_files(struct restore *x, struct cr_err *e)
{
	_cleanup_free_ uint64_t *v = NULL;
	size_t cap = 1, n = 0;
	int err = 0;

	for (size_t i = 0; i < x->plan.nr_images; i++)
		cap += x->plan.tasks[i].mm ? x->plan.tasks[i].mm->n_vmas + 3 : 0;
	v = calloc(cap, sizeof(*v));
	if (!v)
		return cr_err_nomem(e);
	for (size_t i = 0; i < x->plan.nr_images; i++)
		n += x->plan.tasks[i].mm ? task_files(&x->plan.tasks[i], v + n) : 0;
	qsort(v, n, sizeof(*v), by_value);
	for (size_t i = 0; i < n && !err; i++) {
		if (i && v[i] == v[i - 1])
			continue;
		rst_area(&x->rst, "files", 1);
		err = rst_found(&x->rst, files_check_id(&x->rst, (uint32_t)(v[i] >> 32), (int)(uint32_t)v[i], e), e);
	}
	return err;
}

/* ---- mounts ---- */

static bool is_mounted(const char *mounts, const char *path)
{
	_cleanup_free_ char *copy = strdup(mounts);
	char *p = copy;
	struct proc_mount m;

	while (p && proc_mountinfo_next(&p, &m) == 1)
		if (!strcmp(m.mountpoint, path))
			return true;
	return false;
}

static void check_mount(struct restore *x, const char *mounts, const json_t *row)
{
	const char *escaped = json_string_value(json_object_get(row, "path")),
		   *type = json_string_value(json_object_get(row, "fstype"));
	struct cr_err e = { 0 };
	char path[PATH_MAX];

	if (!escaped || json_bytes_decode(escaped, path, sizeof(path)) <= 0)
		return;
	rst_area(&x->rst, "mounts", 1);
	if (is_mounted(mounts, path))
		return;
	cr_err_set(&e, CR_E_MOUNT_MISSING, 0, path,
		   "files of the tree were on a file system (%.40s) that was mounted there; nothing is now",
		   type ? type : "?");
	rst_doubt(&x->rst, &e);
}

/* What counts is whether the files are there: a mount that is not is a hint why not. */
int check_mounts(struct restore *x, struct cr_err *e)
{
	_cleanup_free_ char *mounts = NULL;
	json_t *m = NULL, *row;
	size_t i;

	if (manifest_read(x->rst.img, &m, e)) {
		*e = (struct cr_err){ 0 };
		return 0; /* images of CRIU: it does not tell */
	}
	if (read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mounts) > 0)
		json_array_foreach(json_object_get(m, "needs"), i, row)
		{
			const char *kind = json_string_value(json_object_get(row, "kind"));

			if (kind && !strcmp(kind, "mount"))
				check_mount(x, mounts, row);
		}
	json_decref(m);
	return 0;
}
