/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Before the seal there is no inventory.img, so neither CRIU nor we take the directory for a checkpoint. The order is:
 * every image is on disk, then inventory.img appears by rename, then the sealed manifest by rename, then the directory
 * is on disk. Only after that may anybody end the tree: a power loss at any instant leaves the tree or the checkpoint.
 *
 * The stages have noted which images they wrote, and how many bytes (stages[].files, sizes). An image that is not there, or has
 * another size, was removed or cut by somebody since: then there is no seal, and the tree is not ended.
 *
 * Checksums cover all images but pages-*, which would have to be read again (0.2 s a GiB); --checksum covers those too.
 */
#include "seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "freeze.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/stage.h"
#include "core.pb-c.h"
#include "inventory.pb-c.h"

enum { LOCK_METHOD_SKIP = 2, ROOT_CG_SET = 1, IDS_MAX = 4096, FSYNC_MAX = 64 };

static const char *const stages[] = { "criu-freeze", "criu-collect", "criu-parasite", "criu-pages" };

static const char *stage_state(json_t *m, const char *name)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(m, "stages"), i, row)
	{
		const char *s = json_string_value(json_object_get(row, "name"));

		if (s && !strcmp(s, name))
			return json_string_value(json_object_get(row, "state"));
	}
	return NULL;
}

bool seal_stage_done(json_t *m, const char *name)
{
	const char *state = stage_state(m, name);

	return state && !strcmp(state, "done");
}

bool seal_is(json_t *m)
{
	const char *state = json_string_value(json_object_get(m, "state"));

	return state && !strcmp(state, "sealed");
}

static int check_stages(json_t *m, struct cr_err *e)
{
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		const char *state = stage_state(m, stages[i]);

		if (state && !strcmp(state, "done"))
			continue;
		cr_err_set(e, CR_E_NOT_SEALED, 0, "images directory", "%s %s, so the dump is not complete", stages[i],
			   state ? "failed" : "has not run");
		cr_err_remedy(e, state ? "make the dump again" : "run it: %s -D DIR", stages[i]);
		return -EINVAL;
	}
	return 0;
}

/* What stands in files[]: images and our own facts; no logs, links, sockets, nor what is written later or by others. */
static bool is_listed(const char *name)
{
	size_t len = strlen(name);
	enum img_type type;
	unsigned long id;

	if (!strcmp(name, "extra.json"))
		return true;
	/* Statistics have a type too, but another end. */
	return len > 4 && !strcmp(name + len - 4, ".img") && strcmp(name, "inventory.img") &&
	       img_parse_name(name, &type, &id);
}

struct seal {
	int img;
	struct seal_how how;
	json_t *want;  /* what the stages wrote and was not seen yet */
	json_t *files; /* rows of files[] */
};

/* What the stages wrote: name of the image to its size, or to null where the stage has not noted it. NULL: no memory. */
static json_t *written(json_t *m)
{
	json_t *all = json_object(), *row, *name;
	size_t i, k;

	json_array_foreach(json_object_get(m, "stages"), i, row)
	{
		json_t *sizes = json_object_get(row, "sizes");

		json_array_foreach(json_object_get(row, "files"), k, name)
		{
			json_t *size = json_array_get(sizes, k);

			if (json_object_set_new(all, json_string_value(name) ?: "",
						json_is_integer(size) ? json_incref(size) : json_null())) {
				json_decref(all);
				return NULL;
			}
		}
	}
	return all;
}

static int not_as_written(struct cr_err *e)
{
	cr_err_remedy(e, "make the dump again, or run the stage that wrote it again while the tree is held; before the "
			 "seal nobody may change the directory but crit edit");
	return -EINVAL;
}

/* The image @name has @size bytes: as a stage wrote it? Takes it out of @want. */
static int check_written(json_t *want, const char *name, off_t size, struct cr_err *e)
{
	json_t *noted = json_object_get(want, name);
	json_int_t bytes = json_integer_value(noted);

	if (json_is_integer(noted) && bytes != size) {
		cr_err_set(e, CR_E_IMG_TRUNCATED, 0, name, "it has %lld bytes, and %lld were written", (long long)size,
			   (long long)bytes);
		return not_as_written(e);
	}
	json_object_del(want, name);
	return 0;
}

/* What is left in @want was found nowhere. */
static int check_all_there(json_t *want, struct cr_err *e)
{
	const char *name = json_object_iter_key(json_object_iter(want));

	if (!name)
		return 0;
	cr_err_set(e, CR_E_IMG_MISSING, 0, name, "it was written, and is not there any more");
	return not_as_written(e);
}

/* One file: as it was written, durable, and a row of files[]. */
static int seal_file(const struct seal *s, const char *name, struct cr_err *e)
{
	_cleanup_close_ int fd = openat(s->img, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint64_t size;
	uint32_t crc;
	char text[16];
	struct stat st;
	json_t *row;
	int err;

	if (fd < 0 || fstat(fd, &st))
		return cr_err_set(e, CR_E_SYSTEM, errno, name, "cannot open it to seal it");
	if (!S_ISREG(st.st_mode))
		return 0;
	err = check_written(s->want, name, st.st_size, e);
	if (err)
		return err;
	if (s->how.sync && fsync(fd))
		return cr_err_write(e, errno, name, "cannot make it durable");
	row = json_pack("{s:o, s:I}", "name", json_bytes(name, strlen(name)), "size", (json_int_t)st.st_size);
	if (!row || json_array_append(s->files, row)) {
		json_decref(row);
		return cr_err_nomem(e);
	}
	if (s->how.checksum_pages || strncmp(name, "pages-", 6)) {
		err = img_sum(fd, &size, &crc);
		if (err) {
			json_decref(row);
			return cr_err_set(e, CR_E_SYSTEM, -err, name, "cannot read it for its checksum");
		}
		snprintf(text, sizeof(text), "%08x", crc);
		json_object_set_new(row, "crc32c", json_string(text));
	}
	json_decref(row);
	return 0;
}

/*
 * Few files: begin to write all out, so that the fsync of the first commits them in one transaction of the journal, then
 * fsync each. Many files: an fsync costs 0.1 ms even when nothing is left to do (measured on ext4: 700 files 77 ms), so
 * the whole file system is synced at once, at the risk of waiting for what others wrote.
 * Return: 1: all is durable; 0: fsync each; -errno.
 */
static int start_sync(int img)
{
	DIR *d = dir_list(img, ".");
	struct dirent *de;
	unsigned n = 0;

	if (!d)
		return -errno;
	while ((de = readdir(d)))
		n += is_listed(de->d_name);
	if (n > FSYNC_MAX) {
		closedir(d);
		return syncfs(img) ? -errno : 1;
	}
	rewinddir(d);
	while ((de = readdir(d))) {
		_cleanup_close_ int fd = -1;

		if (is_listed(de->d_name))
			fd = openat(img, de->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0)
			sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
	closedir(d);
	return 0;
}

static int seal_files(const struct seal *s, struct cr_err *e)
{
	int ret = s->how.sync ? start_sync(s->img) : 0;
	struct seal each = *s;
	struct dirent *de;
	DIR *d;

	if (ret < 0)
		return cr_err_write(e, -ret, "images directory", "cannot make it durable");
	each.how.sync = s->how.sync && !ret;
	ret = 0;
	d = dir_list(s->img, ".");
	if (!d)
		return cr_err_set(e, CR_E_DIR_MISSING, errno, "images directory", "cannot list it");
	while (!ret && (errno = 0, de = readdir(d)))
		if (is_listed(de->d_name))
			ret = s->how.stop(e) ?: seal_file(&each, de->d_name, e);
	if (!ret && errno)
		ret = cr_err_set(e, CR_E_SYSTEM, errno, "images directory", "cannot list it");
	closedir(d);
	return ret ? ret : check_all_there(s->want, e);
}

static int write_inventory(int img, const char *id, bool check_only, struct cr_err *e)
{
	char *plugins[] = { (char *)IMG_PLUGIN_CHECK_ONLY };
	PluginsEntry need = PLUGINS_ENTRY__INIT;
	InventoryEntry inv = INVENTORY_ENTRY__INIT;
	TaskKobjIdsEntry *ids;
	uint8_t buf[IDS_MAX];
	ssize_t len = read_buf_at(img, STAGE_ROOT_IDS, (char *)buf, sizeof(buf));
	int ret;

	ids = len > 0 && len < IDS_MAX - 1 ? task_kobj_ids_entry__unpack(NULL, (size_t)len, buf) : NULL;
	if (!ids)
		return cr_err_set(e, CR_E_NOT_SEALED, len < 0 && len != -ENOENT ? (int)-len : 0, STAGE_ROOT_IDS,
				  "it is missing or damaged; criu-collect writes it");
	inv.img_version = 2;
	inv.has_fdinfo_per_id = inv.fdinfo_per_id = 1;
	inv.has_ns_per_id = inv.ns_per_id = 1;
	inv.root_ids = ids;
	inv.has_root_cg_set = 1;
	inv.root_cg_set = ROOT_CG_SET;
	inv.has_lsmtype = 1;
	inv.lsmtype = LSMTYPE__NO_LSM;
	inv.has_network_lock_method = 1;
	inv.network_lock_method = LOCK_METHOD_SKIP;
	inv.dump_criu_run_id = (char *)id;
	if (check_only) {
		need.plugins = plugins;
		need.n_plugins = 1;
		inv.plugins_entry = &need;
	}
	ret = img_write_one(img, IMG_INVENTORY, 0, &inv, e);
	task_kobj_ids_entry__free_unpacked(ids, NULL);
	return ret;
}

static int sync_name(int img, const char *name, struct cr_err *e)
{
	_cleanup_close_ int fd = openat(img, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? cr_err_write(e, errno, name, "cannot make it durable") : 0;
}

/* Every task has what its threads were doing. */
static int check_cores(json_t *m, json_t *files, struct cr_err *e)
{
	json_t *names = json_object(), *row;
	char name[IMG_NAME_MAX];
	size_t i;
	int ret = 0;

	json_array_foreach(files, i, row)
		json_object_set(names, json_string_value(json_object_get(row, "name")) ?: "", row);
	json_array_foreach(json_object_get(m, "tree"), i, row)
	{
		img_name(IMG_CORE, (unsigned long)json_integer_value(json_object_get(row, "pid")), name);
		if (ret || json_object_get(names, name))
			continue;
		cr_err_set(e, CR_E_IMG_MISSING, 0, name, "a task of the tree would have none");
		ret = not_as_written(e);
	}
	json_decref(names);
	return ret;
}

/* The last images, and the seal. */
static int close_seal(int img, json_t *m, struct seal *s, struct cr_err *e)
{
	bool sync = s->how.sync;
	int ret = write_inventory(img, json_string_value(json_object_get(m, "id")), manifest_check_only(m), e);

	if (!ret && sync)
		ret = sync_name(img, "inventory.img", e);
	if (ret)
		return ret;
	dir_remove_stage(img);
	ret = manifest_seal(img, TAKE_PTR(s->files), json_pack("{s:b}", "synced", sync), sync, e);
	if (ret)
		unlinkat(img, "inventory.img", 0); /* no checkpoint without its seal */
	return ret;
}

int seal_images(int img, json_t *m, const struct seal_how *how, struct cr_err *e)
{
	struct seal s = { img, *how, written(m), json_array() };
	int ret = check_stages(m, e);

	if (!ret && (!s.files || !s.want))
		ret = cr_err_nomem(e);
	if (!ret)
		ret = seal_files(&s, e);
	if (!ret)
		ret = check_cores(m, s.files, e);
	if (!ret)
		ret = how->stop(e);
	if (!ret)
		ret = close_seal(img, m, &s, e);
	json_decref(s.files);
	json_decref(s.want);
	return ret;
}

/* A row of files[]. */
static int check_sealed(int img, json_t *row, struct cr_err *e)
{
	const char *text = json_string_value(json_object_get(row, "name"));
	json_int_t size = json_integer_value(json_object_get(row, "size"));
	char name[NAME_MAX + 1];
	struct stat st;

	if (!text || json_bytes_decode(text, name, sizeof(name)) < 0)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "files[] has no names");
	if (fstatat(img, name, &st, AT_SYMLINK_NOFOLLOW))
		cr_err_set(e, CR_E_IMG_MISSING, errno, name, "it was sealed");
	else if (st.st_size != size)
		cr_err_set(e, CR_E_IMG_TRUNCATED, 0, name, "it has %lld bytes, and had %lld when it was sealed",
			   (long long)st.st_size, (long long)size);
	else
		return 0;
	cr_err_remedy(e, "put it back, or let the tree run: criu-freeze thaw -D DIR");
	return -EINVAL;
}

/* The list of what was sealed is trusted no more than the rest. */
static int check_whole(int img, json_t *m, struct cr_err *e)
{
	json_t *files = json_object_get(m, "files"), *row;
	struct arena arena = { 0 };
	InventoryEntry *inv;
	size_t i;
	int ret = check_cores(m, files, e);

	json_array_foreach(files, i, row)
	{
		if (!ret)
			ret = check_sealed(img, row, e);
	}
	if (!ret)
		ret = img_read_one(img, IMG_INVENTORY, 0, &arena, &inv, e);
	arena_free(&arena);
	return ret < 0 ? ret : 0;
}

int seal_whole(int img, struct cr_err *e)
{
	json_t *m = NULL;
	int ret = manifest_check_sealed(img, e);

	if (ret != 1) {
		if (e->code == CR_E_NOT_SEALED)
			cr_err_remedy(
				e,
				"seal it, then end the tree: criu-freeze end -D DIR; or let the tree run: criu-freeze "
				"thaw -D DIR");
		return ret ? ret : -EINVAL;
	}
	ret = manifest_read_head(img, &m, e);
	if (!ret)
		ret = check_whole(img, m, e);
	json_decref(m);
	return ret;
}
