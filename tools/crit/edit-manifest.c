/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit edit and our own JSON files beside the images: manifest.json, extra.json. */
#include "edit-rules.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "file-sum.h"
#include "image/manifest.h"

static const char extra_name[] = "extra.json";

/* Before the seal: the image @name, as its stage notes it. Return: whether it does. */
static bool note_size(json_t *stages, const char *name, off_t bytes)
{
	bool found = false;
	json_t *row, *own;
	size_t i, k;

	json_array_foreach(stages, i, row)
	{
		json_t *sizes = json_object_get(row, "sizes");

		json_array_foreach(json_object_get(row, "files"), k, own)
		{
			if (k >= json_array_size(sizes) || !json_string_value(own) ||
			    strcmp(json_string_value(own), name))
				continue;
			json_array_set_new(sizes, k, json_integer(bytes));
			found = true;
		}
	}
	return found;
}

struct edited {
	int dir;
	const char *name;
};

/* After the seal files[] has it, before it the row of its stage. */
static int note_edited(json_t *m, void *ctx, struct cr_err *e)
{
	const struct edited *d = ctx;
	json_t *row, *files = json_object_get(m, "files");
	bool listed = false;
	struct stat st;
	size_t k;
	int ret = 0;

	json_array_foreach(files, k, row)
	{
		const char *own = json_string_value(json_object_get(row, "name"));

		if (!own || strcmp(own, d->name))
			continue;
		ret = file_row_update(d->dir, d->name, row);
		listed = true;
	}
	if (ret < 0)
		return cr_err_set(e, CR_E_SYSTEM, -ret, d->name, "cannot be read again for its checksum");
	if (files)
		return !listed;
	if (fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW))
		return cr_err_set(e, CR_E_SYSTEM, errno, d->name, "cannot be looked at for its size");
	return !note_size(json_object_get(m, "stages"), d->name, st.st_size);
}

int edit_manifest(const char *path, struct cr_err *e)
{
	char dir[PATH_MAX], base[PATH_MAX];
	struct edited d;
	int ret = 0;

	snprintf(dir, sizeof(dir), "%s", path);
	snprintf(base, sizeof(base), "%s", path);
	d.name = basename(base);
	d.dir = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d.dir >= 0 && !faccessat(d.dir, MANIFEST_NAME, F_OK, 0))
		ret = manifest_change(d.dir, note_edited, &d, false, e);
	fd_close(d.dir);
	return ret;
}

static void change_pid(struct rule *r, json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);

	if (!json_is_integer(v) || json_integer_value(v) != r->old_pid)
		return;
	json_object_set_new(object, key, json_integer(r->now_pid));
	r->hits++;
}

static void change_list(struct rule *r, json_t *pids)
{
	const json_t *v;
	size_t k;

	json_array_foreach(pids, k, v)
	{
		if (json_is_integer(v) && json_integer_value(v) == r->old_pid) {
			json_array_set_new(pids, k, json_integer(r->now_pid));
			r->hits++;
		}
	}
}

static void change_tree(struct rule *r, json_t *tree)
{
	static const char *const keys[] = { "pid", "vpid", "ppid", "pgid", "sid" };
	json_t *task;
	size_t k;

	json_array_foreach(tree, k, task)
	{
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			change_pid(r, task, keys[i]);
		change_list(r, json_object_get(task, "threads"));
	}
}

/* Paths stand there with the manifest's escapes: the rule's are given the same. */
static void change_path(struct rule *r, json_t *need)
{
	const char *path = json_string_value(json_object_get(need, "path")), *prefix;
	json_t *old = json_bytes(r->old, strlen(r->old)), *now = json_bytes(r->now, strlen(r->now));
	char text[2 * PATH_MAX];
	size_t len;

	prefix = json_string_value(old);
	len = prefix ? strlen(prefix) : 0;
	if (path && prefix && json_string_value(now) && !strncmp(path, prefix, len) &&
	    (!path[len] || path[len] == '/')) {
		snprintf(text, sizeof(text), "%s%s", json_string_value(now), path + len);
		json_object_set_new(need, "path", json_string(text));
	}
	json_decref(old);
	json_decref(now);
}

static void change_needs(struct rule *r, json_t *needs)
{
	json_t *need;
	size_t k;

	json_array_foreach(needs, k, need)
	{
		const char *kind = json_string_value(json_object_get(need, "kind"));

		if (kind && !strcmp(kind, "file"))
			change_path(r, need);
	}
}

/* What the stages wrote, by the new names. */
static void change_stages(const struct rule *rules, size_t n, json_t *stages)
{
	json_t *stage, *files;
	const json_t *v;
	size_t s, k;

	json_array_foreach(stages, s, stage)
	{
		files = json_object_get(stage, "files");
		json_array_foreach(files, k, v)
		{
			const char *name = json_string_value(v);
			char buf[IMG_NAME_MAX];
			enum img_type type;
			unsigned long id;

			if (name && img_parse_name(name, &type, &id))
				json_array_set_new(files, k,
						   json_string(img_name(type, rules_id(rules, n, type, id), buf)));
		}
	}
}

/* The list of files by their new names, as they are in @to now. */
static int change_files(const struct rule *rules, size_t n, int to, json_t *files, struct cr_err *e)
{
	json_t *row;
	size_t k;

	json_array_foreach(files, k, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));
		char buf[IMG_NAME_MAX];
		enum img_type type;
		unsigned long id;
		int ret;

		if (!name)
			continue;
		if (img_parse_name(name, &type, &id)) {
			img_name(type, rules_id(rules, n, type, id), buf);
			json_object_set_new(row, "name", json_string(buf));
			name = json_string_value(json_object_get(row, "name"));
		}
		ret = file_row_update(to, name, row);
		if (ret < 0 && ret != -ENOENT)
			return cr_err_set(e, CR_E_SYSTEM, -ret, name, "cannot be read again for its checksum");
	}
	return 0;
}

/* needs[] among the other members: the next stage that changes the manifest puts it last again. */
static int write_manifest(int to, json_t *m, struct cr_err *e)
{
	_cleanup_close_ int fd = openat(to, MANIFEST_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	_cleanup_free_ char *text = json_dumps(m, JSON_INDENT(1));
	int ret = fd < 0 ? -errno : !text ? -ENOMEM : write_full(fd, text, strlen(text));

	if (!ret)
		ret = write_full(fd, "\n", 1);
	return ret < 0 ? cr_err_set(e, CR_E_SYSTEM, -ret, MANIFEST_NAME, "cannot be written") : 0;
}

int rules_manifest(struct rule *rules, size_t n, int from, int to, struct cr_err *e)
{
	json_t *m = NULL;
	int ret;

	if (faccessat(from, MANIFEST_NAME, F_OK, 0) < 0)
		return 0;
	ret = manifest_read(from, &m, e);
	if (ret < 0)
		return ret;
	for (size_t k = 0; k < n; k++) {
		if (rules[k].kind == RULE_PID)
			change_tree(&rules[k], json_object_get(m, "tree"));
		else if (rules[k].kind == RULE_PATH)
			change_needs(&rules[k], json_object_get(m, "needs"));
	}
	change_stages(rules, n, json_object_get(m, "stages"));
	ret = change_files(rules, n, to, json_object_get(m, "files"), e);
	if (!ret)
		ret = write_manifest(to, m, e);
	json_decref(m);
	return ret;
}

bool rules_document(const char *name)
{
	return !strcmp(name, extra_name) || !strcmp(name, MANIFEST_NAME);
}

/* extra.json: threads by their ids. The manifest is for later. */
int rules_rewrite(struct rule *rules, size_t n, int from, int to, const char *name, bool *ret_changed, struct cr_err *e)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	json_t *doc, *tasks, *row;
	json_error_t bad;
	ssize_t len;
	size_t k;
	int ret;

	if (strcmp(name, extra_name))
		return 0;
	len = read_file_at(from, name, 64 << 20, &text);
	doc = len < 0 ? NULL : json_loadb(text, len, 0, &bad);
	if (!doc)
		return cr_err_set(e, CR_E_IMG_CORRUPT, len < 0 ? (int)-len : 0, name, "cannot be read");
	tasks = json_object_get(doc, "tasks");
	json_array_foreach(tasks, k, row)
	{
		for (size_t i = 0; i < n; i++)
			if (rules[i].kind == RULE_PID)
				change_pid(&rules[i], row, "tid");
	}
	fd = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ret = fd < 0 ? -errno : json_dumpfd(doc, fd, JSON_COMPACT) ? -EIO : 0;
	json_decref(doc);
	*ret_changed = true;
	return ret < 0 ? cr_err_set(e, CR_E_SYSTEM, -ret, name, "cannot be written") : 0;
}
