/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON and other files that stand beside images: manifest.json (the first byte is 0 to 2), extra.json, .stage/threads,
 * .stage/shmem, and the form of bytes in JSON strings.
 */
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>

#include "base/arena.h"
#include "image/manifest.h"
#include "image/stage.h"
#include "kind/extra/extra.h"
#include "kind/restore-task.h"

static void try_manifest(int dir)
{
	json_t *m = NULL, *head = NULL, *row;
	struct cr_err e = { 0 };
	char name[256];
	int err = manifest_read(dir, &m, &e), sealed;
	size_t i;

	FUZZ_ASSERT(err <= 0 && (!err || e.code != CR_E_NONE));
	json_array_foreach(json_object_get(m, "files"), i, row)
	{
		const char *s = json_string_value(json_object_get(row, "name"));

		if (s)
			json_bytes_decode(s, name, sizeof(name));
	}
	json_decref(m);
	if (!manifest_read_head(dir, &head, &e))
		json_decref(head);
	sealed = manifest_check_sealed(dir, &e);
	FUZZ_ASSERT(sealed <= 0 || !err);
	manifest_failed(dir);
}

static int set_x(json_t *head, void *ctx, struct cr_err *e)
{
	(void)ctx;
	(void)e;
	return json_object_set_new(head, "x", json_integer(1)) ? -EINVAL : 0;
}

/* Change it as a stage does: what is written must be readable again. */
static void try_update(int dir)
{
	struct stage_facts f;
	struct cr_err e = { 0 };
	json_t *m = NULL;

	stage_begin(&f, "criu-pages");
	stage_need(&f, json_pack("{s:s}", "kind", "file"));
	if (manifest_stage(dir, &f, NULL, &e))
		return;
	if (!manifest_change(dir, set_x, NULL, false, &e))
		json_decref(manifest_read(dir, &m, &e) ? NULL : m);
}

static bool any_thread(void *arg, pid_t tid)
{
	return tid & 1;
}

static void try_extra(int dir)
{
	struct arena a = { 0 };
	struct rst r = { .img = dir, .arena = &a, .own = true };
	struct extra_plan *plan = NULL;
	struct cr_err e = { 0 };

	extra_plan_load(&r, any_thread, NULL, &plan, &e);
	arena_free(&a);
}

static void try_stage(int dir, bool shmem)
{
	struct stage_thread *threads = NULL;
	struct stage_shmem *segments = NULL;
	struct cr_err e = { 0 };

	if (shmem)
		stage_read_shmem(dir, &segments, &e);
	else
		stage_read_threads(dir, &threads, &e);
	free(threads);
	free(segments);
}

static void try_bytes(const char *text, size_t len)
{
	json_t *j = json_bytes(text, len);
	char *back = malloc(len + 1), *small = malloc(8);

	/* There and back again. */
	if (j && !memchr(text, 0, len)) {
		FUZZ_ASSERT(json_bytes_decode(json_string_value(j), back, len + 1) == (ssize_t)len);
		FUZZ_ASSERT(!memcmp(back, text, len));
	}
	json_bytes_decode(text, small, 8);
	json_decref(j);
	free(back);
	free(small);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_quiet("fuzz");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { MANIFEST_NAME, MANIFEST_NAME, MANIFEST_NAME,
					     "extra.json",  STAGE_THREADS, STAGE_SHMEM };
	struct fuzz_in in = { data, size };
	uint8_t which = fuzz_u8(&in) % 7;
	int dir = fuzz_dir();
	size_t len;
	char *text = fuzz_text(&in, &len);

	if (which < 6) {
		mkdirat(dir, STAGE_DIR, 0700);
		fuzz_put_file(dir, names[which], text, len);
	}
	switch (which) {
	case 0:
	case 1:
		try_manifest(dir);
		break;
	case 2:
		try_update(dir);
		break;
	case 3:
		try_extra(dir);
		break;
	case 4:
	case 5:
		try_stage(dir, which == 5);
		break;
	case 6:
		try_bytes(text, len);
		break;
	}
	free(text);
	fuzz_dir_empty();
	return 0;
}
