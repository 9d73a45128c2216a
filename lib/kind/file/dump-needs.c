/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a restore needs of the file system, for manifest.json: one row for each file that is named, and one for each file
 * system but the root's, with the directory that it is mounted on: where files are missing, that is the likely reason.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "kind/file/dump-internal.h"
#include "kind/file/image-buildid.h"
#include "proc/mountinfo.h"
#include "regfile.pb-c.h"

enum { BUILD_ID_MAX = BUILDID_WORDS * 4, MOUNTINFO_MAX = 16 << 20 };

/* A file system, and a file that is on it. */
struct need_dev {
	struct need_dev *next;
	dev_t dev;
	const char *path;
};

/* Remember an inode. Return: true when it is new (or memory ran out: a row twice does no harm). */
static bool need_is_new(struct file_ids *f, uint64_t key)
{
	size_t at;

	if (f->nr_needs * 2 >= f->size_needs) {
		size_t size = f->size_needs ? f->size_needs * 2 : 256;
		uint64_t *set = calloc(size, sizeof(*set));

		if (!set)
			return true;
		for (size_t i = 0; i < f->size_needs; i++) {
			if (!f->needs[i])
				continue;
			for (at = f->needs[i] & (size - 1); set[at];)
				at = (at + 1) & (size - 1);
			set[at] = f->needs[i];
		}
		free(f->needs);
		f->needs = set;
		f->size_needs = size;
	}
	for (at = key & (f->size_needs - 1); f->needs[at]; at = (at + 1) & (f->size_needs - 1))
		if (f->needs[at] == key)
			return false;
	f->needs[at] = key;
	f->nr_needs++;
	return true;
}

static uint64_t name_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	return mix64(h) | 1; /* 0 is an empty place */
}

static void note_dev(struct dump *d, struct file_ids *f, dev_t dev, const char *path)
{
	struct need_dev *n;

	for (n = f->need_devs; n; n = n->next)
		if (n->dev == dev)
			return;
	n = arena_alloc(d->arena, sizeof(*n));
	if (!n)
		return;
	*n = (struct need_dev){ f->need_devs, dev, arena_strdup(d->arena, path) };
	if (n->path)
		f->need_devs = n;
}

void file_need(struct dump *d, const struct file_need *n)
{
	struct file_ids *f = file_ids_get(d);
	char hex[BUILD_ID_MAX * 2 + 1];
	json_t *row;

	if (!f || !need_is_new(f, name_hash(n->path)))
		return;
	note_dev(d, f, n->dev, n->path);
	row = json_pack("{s:s, s:o, s:i}", "kind", "file", "path", json_bytes(n->path, strlen(n->path)), "mode",
			(int)n->mode);
	if (row && S_ISREG(n->mode) && n->size >= 0)
		json_object_set_new(row, "size", json_integer(n->size));
	if (row && n->reg && n->reg->n_build_id) {
		const uint8_t *id = (const uint8_t *)n->reg->build_id;

		for (size_t i = 0; i < n->reg->n_build_id * sizeof(uint32_t); i++)
			snprintf(hex + i * 2, 3, "%02x", id[i]);
		json_object_set_new(row, "build_id", json_string(hex));
	}
	if (row && n->sum) {
		snprintf(hex, sizeof(hex), "%08x", *n->sum);
		json_object_set_new(row, "crc32c", json_string(hex));
	}
	stage_need(d->facts, row);
}

void dump_need_file(struct dump *d, const char *path, const struct stat *st)
{
	file_need(d, &(struct file_need){ .path = path, .dev = st->st_dev, .mode = st->st_mode, .size = st->st_size });
}

/* ---- mounts ---- */

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

/* The mount that the file is on: the longest one above it, if it is of that device (it is not for btrfs). */
static void need_mount(struct dump *d, const char *mounts, const struct need_dev *n)
{
	_cleanup_free_ char *copy = strdup(mounts);
	struct proc_mount m, best = { .mountpoint = NULL };
	char *p = copy;
	json_t *row;

	while (p && proc_mountinfo_next(&p, &m) == 1)
		if (makedev(m.dev_major, m.dev_minor) == n->dev && strcmp(m.mountpoint, "/") != 0 &&
		    is_below(n->path, m.mountpoint) &&
		    (!best.mountpoint || strlen(m.mountpoint) >= strlen(best.mountpoint)))
			best = m;
	if (!best.mountpoint)
		return;
	row = json_pack("{s:s, s:o, s:s}", "kind", "mount", "path",
			json_bytes(best.mountpoint, strlen(best.mountpoint)), "fstype", best.fstype);
	stage_need(d->facts, row);
}

void needs_finish(struct dump *d)
{
	_cleanup_free_ char *mounts = NULL;

	if (!d->files->need_devs || read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mounts) < 0)
		return;
	for (const struct need_dev *n = d->files->need_devs; n; n = n->next)
		need_mount(d, mounts, n);
}
