/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "tap.h"

static struct cr_err e;

static void bytes_one(const char *s, size_t len, const char *want, const char *what)
{
	json_t *j = json_bytes(s, len);
	char back[64];
	ssize_t n;

	ok(j && !strcmp(json_string_value(j), want), "%s is written as %s", what, want);
	n = j ? json_bytes_decode(json_string_value(j), back, sizeof(back)) : -1;
	ok(n == (ssize_t)len && !memcmp(back, s, len), "and comes back");
	json_decref(j);
}

static void bytes(void)
{
	char buf[8];

	bytes_one("/tmp/a b", 8, "/tmp/a b", "a plain path");
	bytes_one("a\\b", 3, "a\\\\b", "a backslash");
	bytes_one("\xc3\xa4", 2, "\xc3\xa4", "UTF-8");
	bytes_one("\xe4x", 2, "\\xe4x", "Latin-1");
	bytes_one("\xc0\x80", 2, "\\xc0\\x80", "an overlong form");
	bytes_one("\xed\xa0\x80", 3, "\\xed\\xa0\\x80", "a surrogate");
	bytes_one("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80", "four bytes");
	bytes_one("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80", "above U+10FFFF");
	bytes_one("a\0b", 3, "a\\x00b", "NUL");
	bytes_one("\xe2\x82", 2, "\\xe2\\x82", "a cut character");
	bytes_one("", 0, "", "nothing");
	ok(json_bytes_decode("\\q", buf, sizeof(buf)) == -EINVAL &&
		   json_bytes_decode("\\x0G", buf, sizeof(buf)) == -EINVAL &&
		   json_bytes_decode("\\", buf, sizeof(buf)) == -EINVAL,
	   "bad escapes");
	ok(json_bytes_decode("12345678", buf, sizeof(buf)) == -ENAMETOOLONG, "too long");
}

static void touch(int dir, const char *name)
{
	close(openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void sealing(int dir)
{
	json_t *m = NULL;
	struct stat st;

	ok(manifest_check_sealed(dir, &e) == 0 && e.code == CR_E_NO_CHECKPOINT, "an empty directory");
	touch(dir, "inventory.img");
	ok(manifest_check_sealed(dir, &e) == 1, "CRIU's own");
	ok(!manifest_begin(dir, json_pack("{s:{s:s}}", "host", "arch", "x86_64"), &e), "begin");
	ok(!fstatat(dir, MANIFEST_NAME, &st, 0) && (st.st_mode & 0777) == 0600, "mode 0600");
	ok(manifest_check_sealed(dir, &e) < 0 && e.code == CR_E_NOT_SEALED, "not sealed");
	ok(!manifest_seal(dir, json_pack("[{s:s,s:i}]", "name", "core-1.img", "size", 7), NULL, true, &e), "seal");
	ok(manifest_check_sealed(dir, &e) == 1, "sealed");
	unlinkat(dir, "inventory.img", 0);
	ok(manifest_check_sealed(dir, &e) < 0 && e.code == CR_E_IMG_MISSING, "sealed without inventory");
	ok(!manifest_read(dir, &m, &e) && json_object_get(m, "files") && !json_object_get(m, "error"), "read");
	ok(!strcmp(json_string_value(json_object_get(json_object_get(m, "host"), "arch")), "x86_64"),
	   "the head is there");
	json_decref(m);
}

static void damaged(int dir)
{
	int fd = openat(dir, MANIFEST_NAME, O_WRONLY | O_TRUNC | O_CLOEXEC);

	write_full(fd, "{\"a\": 1, \"a\"", 12);
	close(fd);
	ok(manifest_check_sealed(dir, &e) < 0 && e.code == CR_E_IMG_CORRUPT, "damaged: %s", e.reason);
}

static void stages(int dir)
{
	struct stage_facts f, g;
	struct cr_report failures = { 0 };
	json_t *m = NULL, *s;

	manifest_begin(dir, NULL, &e);
	stage_begin(&f, "criu-collect");
	for (int i = 0; i < 1000; i++)
		stage_need(&f, json_pack("{s:s, s:i}", "kind", "file", "size", i % 300));
	stage_wrote(&f, "files.img", 100);
	cr_err_set(&e, CR_E_UNSUPPORTED, 0, "task 1, \xff", "timer slack is not kept");
	stage_warn(&f, &e);
	f.extra = json_pack("{s:i}", "fds", 5);
	ok(!manifest_stage(dir, &f, NULL, &e), "a stage");
	stage_begin(&g, "criu-parasite");
	stage_need(&g, json_pack("{s:s, s:i}", "kind", "file", "size", 7));
	stage_need(&g, json_pack("{s:s, s:i}", "kind", "file", "size", 1007));
	cr_err_set(&e, CR_E_TRACED, 1, "task 2", "no");
	cr_report_add(&failures, &e);
	ok(!manifest_stage(dir, &g, &failures, &e), "a stage that failed");
	cr_report_free(&failures);
	ok(!manifest_read(dir, &m, &e), "read");
	ok(json_array_size(json_object_get(m, "needs")) == 301, "equal needs are kept once");
	s = json_array_get(json_object_get(m, "stages"), 0);
	ok(json_integer_value(json_object_get(s, "bytes")) == 100 && json_integer_value(json_object_get(s, "fds")) == 5,
	   "its row");
	s = json_array_get(json_object_get(s, "warnings"), 0);
	ok(s && !strcmp(json_string_value(json_object_get(s, "object")), "task 1, \\xff"), "its warning");
	s = json_object_get(m, "error");
	ok(s && !strcmp(json_string_value(json_object_get(s, "code")), "task-traced"), "the error");
	ok(!strcmp(json_string_value(json_object_get(m, "state")), "failed"), "the state");
	json_decref(m);
}

static int set_x(json_t *head, void *ctx, struct cr_err *err)
{
	(void)err;
	return json_object_set_new(head, "x", json_string(ctx));
}

/* needs[] in another form than ours. */
static void reformatted(int dir)
{
	json_t *m = NULL;
	char *text;
	int fd;

	ok(!manifest_read(dir, &m, &e), "read");
	text = json_dumps(m, JSON_COMPACT);
	json_decref(m);
	fd = openat(dir, MANIFEST_NAME, O_WRONLY | O_TRUNC | O_CLOEXEC);
	write_full(fd, text, strlen(text));
	close(fd);
	free(text);
	ok(!manifest_change(dir, set_x, (char *)"y", false, &e), "change what another program wrote");
	ok(!manifest_read(dir, &m, &e) && json_array_size(json_object_get(m, "needs")) == 301, "all rows are there");
	json_decref(m);
	ok(!manifest_change(dir, set_x, (char *)"\n \"needs\": [\n", false, &e), "change it again");
	ok(!manifest_read(dir, &m, &e) && json_array_size(json_object_get(m, "needs")) == 301, "all rows are there");
	json_decref(m);
	ok(!manifest_read_head(dir, &m, &e) && !json_object_get(m, "needs") && json_object_get(m, "x"),
	   "the head alone");
	json_decref(m);
}

/* Many writers at a time: no row is lost. */
static void race(int dir)
{
	char name[16];
	json_t *m = NULL;

	manifest_begin(dir, NULL, &e);
	for (int i = 0; i < 8; i++)
		if (!fork()) {
			struct stage_facts f;

			snprintf(name, sizeof(name), "stage-%d", i);
			stage_begin(&f, name);
			_exit(manifest_stage(dir, &f, NULL, &e) != 0);
		}
	for (int i = 0; i < 8; i++)
		wait(NULL);
	ok(!manifest_read(dir, &m, &e) && json_array_size(json_object_get(m, "stages")) == 8, "eight stages at once");
	json_decref(m);
}

static void record(int dir)
{
	struct stage_facts f;

	stage_begin(&f, "criu-restore");
	f.extra = json_pack("{s:i}", "pid", 5);
	ok(!restore_record_write(dir, &f, NULL, &e) && !faccessat(dir, "restore.json", F_OK, 0), "restore.json");
	unlinkat(dir, "restore.json", 0);
	ok(restore_record_write(open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC), &f, NULL, &e) < 0,
	   "where it cannot be");
}

int main(void)
{
	char path[] = "/tmp/manifest-test-XXXXXX";
	int dir = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	bytes();
	sealing(dir);
	damaged(dir);
	stages(dir);
	reformatted(dir);
	race(dir);
	record(dir);
	unlinkat(dir, MANIFEST_NAME, 0);
	ok(!rmdir(path), "nothing else was left");
	return tap_done();
}
