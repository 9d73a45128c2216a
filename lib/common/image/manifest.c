/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Stages may run side by side and each adds to one document. So every change is: lock, read, change, write a new file,
 * rename, unlock; a reader sees the old document or the new one, never a part. The lock is flock(2) on the images
 * directory through a description of its own: it needs no file that would have to be removed, and ends with the
 * process.
 *
 * A document is written in one piece: json_dumpfd() would make a system call per token.
 */
#include "image/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

enum { MANIFEST_FORMAT = 1, MANIFEST_MAX = 512 << 20 };

static int write_error(struct cr_err *e, const char *name, int err, const char *what)
{
	enum cr_code code = CR_E_SYSTEM;

	if (err == ENOSPC || err == EDQUOT || err == EFBIG)
		code = CR_E_DIR_FULL;
	else if (err == EACCES || err == EPERM || err == EROFS)
		code = CR_E_DIR_UNWRITABLE;
	return cr_err_set(e, code, err, name, "cannot %s", what);
}

/* Return: a descriptor that holds the lock until it is closed, or -errno. */
static int lock_dir(int img, struct cr_err *e)
{
	_cleanup_close_ int fd = openat(img, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return cr_err_set(e, CR_E_DIR_MISSING, errno, "images directory", "cannot open it to lock it");
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			return cr_err_set(e, CR_E_SYSTEM, errno, "images directory", "cannot lock it");
	return TAKE_FD(fd);
}

/* Replace @name in @dir by rename. */
static int write_doc(int dir, const char *name, json_t *doc, bool sync, struct cr_err *e)
{
	_cleanup_free_ char *text = json_dumps(doc, JSON_INDENT(1));
	_cleanup_close_ int fd = -1;
	char tmp[64];
	size_t len;
	int ret;

	if (!text)
		return cr_err_nomem(e);
	len = strlen(text);
	text[len++] = '\n'; /* in the place of the NUL */
	snprintf(tmp, sizeof(tmp), ".%s.%d", name, getpid());
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return write_error(e, name, errno, "create it");
	/* ext4 flushes what is not allocated yet when a rename replaces a file (2 ms, measured): have it allocated. */
	(void)!fallocate(fd, 0, 0, (off_t)len);
	ret = write_full(fd, text, len);
	if (!ret && sync && fsync(fd))
		ret = -errno;
	if (!ret && renameat(dir, tmp, dir, name))
		ret = -errno;
	if (ret) {
		unlinkat(dir, tmp, 0);
		return write_error(e, name, -ret, "write it");
	}
	if (sync && fsync(dir))
		return write_error(e, name, errno, "sync its directory");
	return 0;
}

int manifest_write(int img, json_t *m, bool sync, struct cr_err *e)
{
	return write_doc(img, MANIFEST_NAME, m, sync, e);
}

int manifest_read(int img, json_t **ret, struct cr_err *e)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = read_file_at(img, MANIFEST_NAME, MANIFEST_MAX, &text);
	json_error_t bad;
	json_t *m;

	if (len == -ENOENT)
		return cr_err_set(e, CR_E_NO_CHECKPOINT, ENOENT, MANIFEST_NAME, "there is none");
	if (len < 0)
		return cr_err_set(e, CR_E_SYSTEM, (int)-len, MANIFEST_NAME, "cannot read it");
	m = json_loadb(text, len, JSON_REJECT_DUPLICATES, &bad);
	if (!m)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "line %d: %s", bad.line, bad.text);
	if (!json_is_object(m)) {
		json_decref(m);
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "it is no JSON object");
	}
	*ret = m;
	return 0;
}

static json_t *now_text(void)
{
	struct timespec ts;
	char buf[48], full[80];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(full, sizeof(full), "%s.%06ldZ", buf, ts.tv_nsec / 1000);
	return json_string(full);
}

static json_t *new_id(void)
{
	unsigned char b[16];
	char text[40];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return NULL;
	b[6] = (b[6] & 0x0f) | 0x40; /* RFC 4122, version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(text, sizeof(text), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return json_string(text);
}

int manifest_begin(int img, json_t *head, struct cr_err *e)
{
	_cleanup_close_ int lock = -1;
	json_t *m;
	int ret;

	m = json_pack("{s:i, s:o?, s:o, s:s, s:s}", "format", MANIFEST_FORMAT, "id", new_id(), "created", now_text(),
		      "state", "open", "version", CR_VERSION);
	if (!m) {
		json_decref(head);
		return cr_err_nomem(e);
	}
	/* The head may name another id (that of the inventory), but it does not change what this is. */
	if (head)
		json_object_update(m, head);
	json_decref(head);
	ret = json_object_set_new(m, "stages", json_array()) | json_object_set_new(m, "needs", json_array());
	lock = ret ? cr_err_nomem(e) : lock_dir(img, e);
	ret = lock < 0 ? lock : manifest_write(img, m, false, e);
	json_decref(m);
	return ret;
}

/* ---- what a stage collects ---- */

/* Open addressing; a slot holds 1 + index into the array, 0: free. Only hashes are kept: the rows are in the array. */
struct need_set {
	size_t n, size; /* a power of two */
	struct need_slot {
		uint64_t hash;
		size_t at;
	} * slot;
};

static uint64_t row_hash(json_t *row)
{
	_cleanup_free_ char *text = json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS);
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a */

	for (const char *p = text; p && *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3;
	return h;
}

static void set_put(struct need_set *s, uint64_t hash, size_t at)
{
	size_t i = hash & (s->size - 1);

	while (s->slot[i].at)
		i = (i + 1) & (s->size - 1);
	s->slot[i].hash = hash;
	s->slot[i].at = at + 1;
	s->n++;
}

static bool set_has(const struct need_set *s, uint64_t hash, json_t *rows, json_t *row)
{
	if (!s->size)
		return false;
	for (size_t i = hash & (s->size - 1); s->slot[i].at; i = (i + 1) & (s->size - 1))
		if (s->slot[i].hash == hash && json_equal(json_array_get(rows, s->slot[i].at - 1), row))
			return true;
	return false;
}

static int set_grow(struct need_set *s)
{
	struct need_set old = *s;

	if (s->n < s->size / 2)
		return 0;
	s->size = old.size ? 2 * old.size : 64;
	s->slot = calloc(s->size, sizeof(*s->slot));
	if (!s->slot) {
		*s = old;
		return -ENOMEM;
	}
	s->n = 0;
	for (size_t i = 0; i < old.size; i++)
		if (old.slot[i].at)
			set_put(s, old.slot[i].hash, old.slot[i].at - 1);
	free(old.slot);
	return 0;
}

static void set_free(struct need_set *s)
{
	if (s)
		free(s->slot);
	free(s);
}

/* Append @row (taken over) to @rows unless an equal one is there. */
static void add_need(struct need_set *s, json_t *rows, json_t *row)
{
	uint64_t hash = row_hash(row);

	if (set_has(s, hash, rows, row) || set_grow(s)) {
		json_decref(row);
		return;
	}
	set_put(s, hash, json_array_size(rows));
	json_array_append_new(rows, row);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void stage_begin(struct stage_facts *f, const char *name)
{
	*f = (struct stage_facts){ .name = name, .started_ns = now_ns() };
}

void stage_wrote(struct stage_facts *f, const char *image, uint64_t bytes)
{
	if (!f->files)
		f->files = json_array();
	json_array_append_new(f->files, json_string(image));
	f->bytes += bytes;
}

void stage_need(struct stage_facts *f, json_t *row)
{
	if (!f->needs)
		f->needs = json_array();
	if (!f->seen)
		f->seen = calloc(1, sizeof(*f->seen));
	if (f->seen && f->needs && row)
		add_need(f->seen, f->needs, row);
	else
		json_decref(row);
}

json_t *manifest_error(const char *stage, const struct cr_err *e)
{
	const char *remedy = cr_err_get_remedy(e);
	json_t *o =
		json_pack("{s:s, s:o, s:o, s:o, s:s}", "code", cr_code_name(e->code), "object",
			  json_bytes(e->object, strlen(e->object)), "reason", json_bytes(e->reason, strlen(e->reason)),
			  "remedy", json_bytes(remedy, strlen(remedy)), "stage", stage);

	if (o && e->err)
		json_object_set_new(o, "system", json_string(strerror(e->err)));
	return o;
}

static json_t *error_list(const char *stage, const struct cr_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; r && i < r->n; i++)
		json_array_append_new(list, manifest_error(stage, &r->v[i]));
	return list;
}

/* The facts as one row, and release them. needs and tree stay with @f. */
static json_t *stage_row(struct stage_facts *f, const struct cr_report *failures)
{
	json_t *row = json_pack("{s:s, s:s, s:s, s:f, s:I, s:o, s:o}", "name", f->name, "version", CR_VERSION, "state",
				failures && failures->n ? "failed" : "done", "seconds",
				(now_ns() - f->started_ns) / 1e9, "bytes", (json_int_t)f->bytes, "files",
				f->files ? f->files : json_array(), "warnings", error_list(f->name, &f->warnings));

	f->files = NULL;
	cr_report_free(&f->warnings);
	if (row && failures && failures->n)
		json_object_set_new(row, "failures", error_list(f->name, failures));
	if (row && f->extra)
		json_object_update_missing(row, f->extra);
	json_decref(f->extra);
	f->extra = NULL;
	return row;
}

static void stage_release(struct stage_facts *f)
{
	json_decref(f->needs);
	json_decref(f->tree);
	set_free(f->seen);
	f->needs = f->tree = NULL;
	f->seen = NULL;
}

/* A stage that is done again replaces its row. */
static void put_stage(json_t *m, const char *name, json_t *row)
{
	json_t *stages = json_object_get(m, "stages"), *old;
	size_t i;

	if (!json_is_array(stages)) {
		stages = json_array();
		json_object_set_new(m, "stages", stages);
	}
	json_array_foreach(stages, i, old)
	{
		const char *s = json_string_value(json_object_get(old, "name"));

		if (s && !strcmp(s, name)) {
			json_array_set_new(stages, i, row);
			return;
		}
	}
	json_array_append_new(stages, row);
}

static void put_needs(json_t *m, struct stage_facts *f)
{
	json_t *needs = json_object_get(m, "needs"), *row;
	struct need_set set = { 0 };
	size_t i;

	if (!f->needs)
		return;
	if (!json_is_array(needs) || !json_array_size(needs)) {
		json_object_set(m, "needs", f->needs);
		return;
	}
	json_array_foreach(needs, i, row)
	{
		if (set_grow(&set))
			break;
		set_put(&set, row_hash(row), i);
	}
	json_array_foreach(f->needs, i, row) add_need(&set, needs, json_incref(row));
	free(set.slot);
}

int manifest_stage(int img, struct stage_facts *f, const struct cr_report *failures, struct cr_err *e)
{
	_cleanup_close_ int lock = lock_dir(img, e);
	json_t *m = NULL, *row;
	int ret = lock < 0 ? lock : manifest_read(img, &m, e);

	row = stage_row(f, failures);
	if (!ret && !row)
		ret = cr_err_nomem(e);
	if (!ret) {
		put_stage(m, f->name, json_incref(row));
		put_needs(m, f);
		if (f->tree)
			json_object_set(m, "tree", f->tree);
		if (failures && failures->n) {
			json_object_set_new(m, "state", json_string("failed"));
			/* The first failure of a dump is the cause; what fails after it is its consequence. */
			if (!json_object_get(m, "error"))
				json_object_set_new(m, "error", manifest_error(f->name, &failures->v[0]));
		}
		ret = manifest_write(img, m, false, e);
	}
	json_decref(row);
	json_decref(m);
	stage_release(f);
	return ret;
}

static int update(int img, json_t *members, bool sync, struct cr_err *e)
{
	_cleanup_close_ int lock = lock_dir(img, e);
	json_t *m = NULL;
	int ret = lock < 0 ? lock : manifest_read(img, &m, e);

	if (!ret && json_object_update(m, members))
		ret = cr_err_nomem(e);
	if (!ret)
		ret = manifest_write(img, m, sync, e);
	json_decref(m);
	json_decref(members);
	return ret;
}

int manifest_update(int img, json_t *members, struct cr_err *e)
{
	return update(img, members, false, e);
}

int manifest_seal(int img, json_t *files, json_t *extra, bool sync, struct cr_err *e)
{
	json_t *o = json_pack("{s:o, s:s, s:o}", "files", files, "state", "sealed", "sealed", now_text());

	if (!o) {
		json_decref(extra);
		return cr_err_nomem(e);
	}
	if (extra)
		json_object_update(o, extra);
	json_decref(extra);
	return update(img, o, sync, e);
}

int manifest_check_sealed(int img, struct cr_err *e)
{
	const char *state;
	json_t *m = NULL;
	int ret = manifest_read(img, &m, e);

	if (ret && ret != -ENOENT)
		return ret;
	if (ret == -ENOENT) {
		if (!faccessat(img, "inventory.img", F_OK, 0))
			return 1;
		cr_err_set(e, CR_E_NO_CHECKPOINT, 0, "images directory", "it has no inventory.img");
		return 0;
	}
	state = json_string_value(json_object_get(m, "state"));
	ret = 1;
	if (!state || strcmp(state, "sealed") != 0)
		ret = cr_err_set(e, CR_E_NOT_SEALED, 0, "images directory", "its %s says \"%s\", not \"sealed\"",
				 MANIFEST_NAME, state ? state : "?");
	else if (faccessat(img, "inventory.img", F_OK, 0))
		ret = cr_err_set(e, CR_E_IMG_MISSING, errno, "inventory.img",
				 "the %s is sealed, but the image is not there", MANIFEST_NAME);
	json_decref(m);
	return ret;
}

int restore_record_write(int work, struct stage_facts *f, const struct cr_report *failures, struct cr_err *e)
{
	bool failed = failures && failures->n;
	json_t *o = json_pack("{s:i, s:o}", "format", MANIFEST_FORMAT, "time", now_text()), *row;
	int ret;

	if (o && failed)
		json_object_set_new(o, "error", manifest_error(f->name, &failures->v[0]));
	row = stage_row(f, failures);
	if (o && row)
		json_object_update_missing(o, row);
	ret = o && row ? write_doc(work, RESTORE_RECORD_NAME, o, false, e) : cr_err_nomem(e);
	json_decref(row);
	json_decref(o);
	stage_release(f);
	return ret;
}
