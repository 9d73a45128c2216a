/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Stages may run side by side and each adds to one document. So every change is: lock, read, change, write a new file,
 * rename, unlock; a reader sees the old document or the new one, never a part. The lock is flock(2) on the images
 * directory through a description of its own: it needs no file that would have to be removed, and ends with the
 * process.
 *
 * needs[] may have very many rows, which only readers of needs[] have to parse. So it stands last, with one row a line,
 * and who changes the document carries it along as text. A document in another form (a person's, jq's) is parsed as a
 * whole, and comes out in this one.
 *
 * A full file system must not hide the error that it caused: room for the document of a failed dump is kept in .stage/
 * from the beginning. It is turned into the document by rename, so nobody can take it in between.
 *
 * A document is written in few pieces: json_dumpfd() would make a system call per token.
 */
#include "image/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "image/image.h"
#include "image/need-set.h"

enum { MANIFEST_FORMAT = 1, MANIFEST_MAX = 128 << 20, VALUES_MAX = 8 << 20, RESERVE_BYTES = 16 << 10 };
#define RESERVE_NAME STAGE_DIR "/reserve"

/* What is durable when it returns. SYNC_FILE: whatever a power loss leaves, it is the old document or the new one. */
enum sync { SYNC_NONE, SYNC_FILE, SYNC_ALL };

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

/* Room for the error of a dump whose directory is full: a file whose blocks are there becomes the new document. */
static int make_reserve(int img, struct cr_err *e)
{
	static const char zeros[RESERVE_BYTES];
	_cleanup_close_ int fd = openat(img, RESERVE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int ret;

	if (fd < 0)
		return errno == ENOENT ? 0 : cr_err_write(e, errno, "images directory", "cannot write it");
	ret = fallocate(fd, 0, 0, RESERVE_BYTES) ? -errno : 0;
	if (ret == -EOPNOTSUPP)
		ret = write_full(fd, zeros, RESERVE_BYTES);
	return ret ? cr_err_write(e, -ret, "images directory", "there is no room to begin") : 0;
}

static int open_tmp(int dir, const char *tmp, bool reserved)
{
	const int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW;

	if (reserved && renameat(dir, RESERVE_NAME, dir, tmp))
		return -1;
	return openat(dir, tmp, flags | (reserved ? 0 : O_CREAT | O_TRUNC), 0600);
}

/* Replace @name in @dir by rename. @reserved: with the room that was kept for it. */
static int write_text(int dir, const char *name, const struct iovec *iov, size_t n, enum sync sync, bool reserved,
		      struct cr_err *e)
{
	_cleanup_close_ int fd = -1;
	char tmp[64];
	off_t len = 0;
	int ret = 0;

	for (size_t i = 0; i < n; i++)
		len += (off_t)iov[i].iov_len;
	snprintf(tmp, sizeof(tmp), ".%s.%d", name, getpid());
	fd = open_tmp(dir, tmp, reserved);
	if (fd < 0)
		return cr_err_write(e, errno, name, "cannot create it");
	/* ext4 flushes what is not allocated yet when a rename replaces a file (2 ms, measured): have it allocated. */
	(void)!fallocate(fd, 0, 0, len);
	for (size_t i = 0; !ret && i < n; i++)
		ret = write_full(fd, iov[i].iov_base, iov[i].iov_len);
	if (!ret && reserved && ftruncate(fd, len))
		ret = -errno;
	if (!ret && sync && fsync(fd))
		ret = -errno;
	if (!ret && renameat(dir, tmp, dir, name))
		ret = -errno;
	if (ret) {
		unlinkat(dir, tmp, 0);
		return cr_err_write(e, -ret, name, "cannot write it");
	}
	if (sync == SYNC_ALL && fsync(dir))
		return cr_err_write(e, errno, name, "cannot sync its directory");
	return 0;
}

static int write_json(int dir, const char *name, const json_t *doc, struct cr_err *e)
{
	_cleanup_free_ char *text = json_dumps(doc, JSON_INDENT(1));
	struct iovec iov[2] = { { text, text ? strlen(text) : 0 }, { (void *)"\n", 1 } };

	return text ? write_text(dir, name, iov, 2, SYNC_NONE, false, e) : cr_err_nomem(e);
}

/* ---- the document: all but needs[], and the rows of that as text ---- */

#define NEEDS_KEY "\n \"needs\": ["
#define DOC_END	  "]\n}\n"

struct doc {
	json_t *head;
	char *rows; /* joined by NEED_SEPARATOR */
	size_t rows_len;
	char *text;	      /* what was read; rows may lie in it */
	struct need_set made; /* or in here */
};

static void doc_free(struct doc *d)
{
	json_decref(d->head);
	free(d->text);
	need_set_free(&d->made);
}

/* Where needs[] begins in our own form, where it is the last member but not the only one; or NULL. */
static char *find_needs(char *text, size_t len)
{
	char *key = len > strlen(DOC_END) && !memcmp(text + len - strlen(DOC_END), DOC_END, strlen(DOC_END))
			    ? strstr(text, NEEDS_KEY)
			    : NULL;

	return key && key > text && key[-1] == ',' && !strstr(key + 1, "\n \"") ? key : NULL;
}

static int check_format(json_t *m, struct cr_err *e)
{
	json_t *format = json_object_get(m, "format");

	if (!json_is_object(m))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "it is no JSON object");
	if (!json_is_integer(format))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "it has no member \"format\"");
	if (json_integer_value(format) != MANIFEST_FORMAT)
		return cr_err_set(e, CR_E_IMG_VERSION, 0, MANIFEST_NAME, "its format is %lld, this program knows %d",
				  (long long)json_integer_value(format), MANIFEST_FORMAT);
	return 0;
}

/* At most so many values: each takes some 100 bytes, though it may have but two in the text. */
static size_t count_values(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == ',' || text[i] == '[' || text[i] == '{';
	return n;
}

static int parse(const char *text, size_t len, json_t **ret, struct cr_err *e)
{
	json_error_t bad;
	json_t *m;
	int err;

	if (count_values(text, len) > VALUES_MAX)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "it has more than %d values", VALUES_MAX);
	m = json_loadb(text, len, JSON_REJECT_DUPLICATES, &bad);
	if (!m)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "line %d: %s", bad.line, bad.text);
	err = check_format(m, e);
	if (err)
		json_decref(m);
	else
		*ret = m;
	return err;
}

static ssize_t read_text(int img, char **ret, struct cr_err *e)
{
	_cleanup_close_ int fd = img_open_file(img, MANIFEST_NAME, e);
	ssize_t len;

	if (fd == -ENOENT && !faccessat(img, MANIFEST_NAME, F_OK, AT_SYMLINK_NOFOLLOW))
		return cr_err_set(e, CR_E_IMG_MISSING, 0, MANIFEST_NAME,
				  "it is a symbolic link to a file that is not there");
	if (fd == -ENOENT)
		return cr_err_set(e, CR_E_NO_CHECKPOINT, ENOENT, MANIFEST_NAME, "there is none");
	if (fd < 0)
		return fd;
	len = read_file_fd(fd, MANIFEST_MAX, ret);
	return len < 0 ? cr_err_set(e, CR_E_SYSTEM, (int)-len, MANIFEST_NAME, "cannot read it") : len;
}

/* Rows that were parsed become text. */
static int take_rows(struct doc *d)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(d->head, "needs"), i, row)
	{
		int ret = need_set_add_json(&d->made, row);

		if (ret)
			return ret;
	}
	json_object_del(d->head, "needs");
	d->rows = d->made.text;
	d->rows_len = d->made.len;
	return 0;
}

/* On success doc_free() is the caller's. */
static int doc_read(int img, struct doc *ret, struct cr_err *e)
{
	struct doc d = { 0 };
	ssize_t len = read_text(img, &d.text, e);
	char *key = len < 0 ? NULL : find_needs(d.text, (size_t)len);
	int err;

	if (len < 0)
		return (int)len;
	if (key) {
		d.rows = key + strlen(NEEDS_KEY);
		d.rows += strspn(d.rows, "\n ");
		d.rows_len = (size_t)(d.text + len - strlen(DOC_END) - d.rows);
		key[-1] = '}';
		err = parse(d.text, (size_t)(key - d.text), &d.head, e);
	} else {
		err = parse(d.text, (size_t)len, &d.head, e);
		if (!err && take_rows(&d))
			err = cr_err_nomem(e);
	}
	if (err)
		doc_free(&d);
	else
		*ret = d;
	return err;
}

static int doc_write(int img, const struct doc *d, enum sync sync, bool reserved, struct cr_err *e)
{
	_cleanup_free_ char *head = json_dumps(d->head, JSON_INDENT(1));
	size_t len = head ? strlen(head) : 0;

	if (len < 3) /* "{}" would need no comma */
		return head ? cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "it is empty") : cr_err_nomem(e);
	const struct iovec iov[] = {
		{ head, len - 2 },
		{ (void *)("," NEEDS_KEY "\n  "), strlen(NEEDS_KEY) + (d->rows_len ? 4 : 1) },
		{ d->rows, d->rows_len },
		{ (void *)DOC_END, strlen(DOC_END) },
	};

	return write_text(img, MANIFEST_NAME, iov, 4, sync, reserved, e);
}

int manifest_read(int img, json_t **ret, struct cr_err *e)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = read_text(img, &text, e);

	return len < 0 ? (int)len : parse(text, (size_t)len, ret, e);
}

int manifest_read_head(int img, json_t **ret, struct cr_err *e)
{
	struct doc d;
	int err = doc_read(img, &d, e);

	if (err)
		return err;
	*ret = json_incref(d.head);
	doc_free(&d);
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
	struct doc d = { 0 };
	json_t *m;
	int ret;

	m = d.head = json_pack("{s:i, s:o?, s:o, s:s, s:s}", "format", MANIFEST_FORMAT, "id", new_id(), "created",
			       now_text(), "state", "open", "version", CR_VERSION);
	if (!m) {
		json_decref(head);
		return cr_err_nomem(e);
	}
	/* The head may name another id (that of the inventory), but it does not change what this is. */
	if (head)
		json_object_update(m, head);
	json_decref(head);
	ret = json_object_set_new(m, "stages", json_array());
	lock = ret ? cr_err_nomem(e) : lock_dir(img, e);
	ret = lock < 0 ? lock : make_reserve(img, e);
	if (!ret)
		ret = doc_write(img, &d, SYNC_NONE, false, e);
	doc_free(&d);
	return ret;
}

/* ---- what a stage collects ---- */

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

void stage_warn(struct stage_facts *f, const struct cr_err *e)
{
	char text[1024];

	log_warn("%s", cr_err_text(e, text, sizeof(text)));
	cr_report_add(&f->warnings, e);
}

void stage_not_carried(struct stage_facts *f, const char *object, const char *fmt, ...)
{
	struct cr_err e = { 0 };
	char text[sizeof(e.reason)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cr_err_set(&e, CR_E_NOT_CARRIED, 0, object, "%s", text);
	stage_warn(f, &e);
}

void stage_wrote(struct stage_facts *f, const char *image, uint64_t bytes)
{
	if (!f->files)
		f->files = json_array();
	if (!f->sizes)
		f->sizes = json_array();
	json_array_append_new(f->files, json_string(image));
	json_array_append_new(f->sizes, json_integer((json_int_t)bytes));
	f->bytes += bytes;
}

void stage_need(struct stage_facts *f, json_t *row)
{
	if (!f->needs)
		f->needs = calloc(1, sizeof(*f->needs));
	if (f->needs && row)
		need_set_add_json(f->needs, row);
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
	json_t *row =
		json_pack("{s:s, s:s, s:s, s:f, s:I, s:o, s:o, s:o}", "name", f->name, "version", CR_VERSION, "state",
			  failures && failures->n ? "failed" : "done", "seconds", (now_ns() - f->started_ns) / 1e9,
			  "bytes", (json_int_t)f->bytes, "files", f->files ? f->files : json_array(), "sizes",
			  f->sizes ? f->sizes : json_array(), "warnings", error_list(f->name, &f->warnings));

	f->files = f->sizes = NULL;
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
	if (f->needs)
		need_set_free(f->needs);
	free(f->needs);
	json_decref(f->tree);
	f->needs = NULL;
	f->tree = NULL;
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

static bool is_consequence(json_t *error)
{
	const char *code = json_string_value(json_object_get(error, "code"));

	return code && !strcmp(code, cr_code_name(CR_E_HOLDER_VOID));
}

static bool is_sealed(json_t *m)
{
	const char *state = json_string_value(json_object_get(m, "state"));

	return state && !strcmp(state, "sealed");
}

/* @f's rows behind those of @d. */
static int put_needs(struct doc *d, const struct stage_facts *f)
{
	struct need_set all = { 0 };
	int ret;

	if (!f->needs)
		return 0;
	if (!d->rows_len) {
		d->rows = f->needs->text;
		d->rows_len = f->needs->len;
		return 0;
	}
	ret = need_set_add_text(&all, d->rows, d->rows_len);
	if (!ret)
		ret = need_set_add_text(&all, f->needs->text, f->needs->len);
	need_set_free(&d->made);
	d->made = all;
	d->rows = all.text;
	d->rows_len = all.len;
	return ret;
}

int manifest_stage(int img, struct stage_facts *f, const struct cr_report *failures, struct cr_err *e)
{
	_cleanup_close_ int lock = lock_dir(img, e);
	struct doc d = { 0 };
	json_t *m, *row;
	int ret = lock < 0 ? lock : doc_read(img, &d, e);

	if (ret == -ENOENT)
		cr_err_remedy(e, "it was removed while the dump worked: make the dump again");
	row = stage_row(f, failures);
	if (!ret && (!row || put_needs(&d, f)))
		ret = cr_err_nomem(e);
	if (!ret && is_sealed(d.head) && !faccessat(img, "inventory.img", F_OK, 0)) {
		ret = cr_err_set(e, CR_E_DIR_HAS_CHECKPOINT, 0, "images directory",
				 "it is sealed: no stage may change it");
		cr_err_remedy(e, "end the tree (criu-freeze kill -D DIR), or let it run: criu-freeze thaw -D DIR");
	}
	if (!ret) {
		m = d.head;
		put_stage(m, f->name, json_incref(row));
		if (f->tree)
			json_object_set(m, "tree", f->tree);
		if (failures && failures->n) {
			json_object_set_new(m, "state", json_string("failed"));
			/* The first failure of a dump is the cause; that the tree runs again is always its consequence. */
			if (!json_object_get(m, "error") || is_consequence(json_object_get(m, "error")))
				json_object_set_new(m, "error", manifest_error(f->name, &failures->v[0]));
		}
		ret = doc_write(img, &d, SYNC_NONE, false, e);
		if ((ret == -ENOSPC || ret == -EDQUOT) && failures && failures->n) {
			d.rows_len = 0; /* what a restore would need is of no use any more */
			ret = doc_write(img, &d, SYNC_NONE, true, e);
		}
	}
	json_decref(row);
	doc_free(&d);
	stage_release(f);
	return ret;
}

static void drop_sizes(json_t *stages)
{
	json_t *row;
	size_t i;

	json_array_foreach(stages, i, row) json_object_del(row, "sizes");
}

int manifest_change(int img, int (*change)(json_t *head, void *ctx, struct cr_err *e), void *ctx, bool sync,
		    struct cr_err *e)
{
	_cleanup_close_ int lock = lock_dir(img, e);
	struct doc d = { 0 };
	int ret = lock < 0 ? lock : doc_read(img, &d, e);

	if (!ret)
		ret = change(d.head, ctx, e);
	if (!ret)
		ret = doc_write(img, &d, sync ? SYNC_FILE : SYNC_NONE, false, e);
	doc_free(&d);
	return ret < 0 ? ret : 0;
}

int manifest_seal(int img, json_t *files, json_t *extra, bool sync, struct cr_err *e)
{
	json_t *o = json_pack("{s:o, s:s, s:o}", "files", files, "state", "sealed", "sealed", now_text());
	_cleanup_close_ int lock = lock_dir(img, e);
	struct doc d = { 0 };
	int ret = lock < 0 ? lock : doc_read(img, &d, e);

	if (!ret && (!o || (extra && json_object_update(o, extra)) || json_object_update(d.head, o)))
		ret = cr_err_nomem(e);
	if (!ret) {
		drop_sizes(json_object_get(d.head, "stages"));
		ret = doc_write(img, &d, sync ? SYNC_ALL : SYNC_NONE, false, e);
	}
	doc_free(&d);
	json_decref(o);
	json_decref(extra);
	return ret;
}

int manifest_check_sealed(int img, struct cr_err *e)
{
	const char *state;
	json_t *m = NULL;
	int ret = manifest_read_head(img, &m, e);

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

bool manifest_check_only(const json_t *m)
{
	return json_is_true(json_object_get(json_object_get(m, "options"), "check_only"));
}

bool manifest_failed(int img)
{
	struct cr_err ignored = { 0 };
	json_t *m = NULL;
	bool failed = !manifest_read_head(img, &m, &ignored) && json_object_get(m, "error");

	json_decref(m);
	return failed;
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
	ret = o && row ? write_json(work, RESTORE_RECORD_NAME, o, e) : cr_err_nomem(e);
	json_decref(row);
	json_decref(o);
	stage_release(f);
	return ret;
}
