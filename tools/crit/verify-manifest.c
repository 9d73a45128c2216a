/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manifest, where there is one: sealed, and its list of files as they are now, checksums included. */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file-sum.h"
#include "image/manifest.h"

static void check_sum(struct verify *v, const char *name, const char *want)
{
	uint64_t size = 0;
	uint32_t sum = 0;
	char text[16];
	int ret = file_sum(v->dir, name, &size, &sum);

	snprintf(text, sizeof(text), "%08" PRIx32, sum);
	if (ret < 0)
		v_error(v, name, -1, "cannot be read: %s", strerror(-ret));
	else
		v_expect(v, !strcmp(text, want), name, -1, "its checksum is %s, %s in manifest.json", text, want);
}

static void check_row(struct verify *v, json_t *row, struct idmap *listed)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	json_t *size = json_object_get(row, "size"), *sum = json_object_get(row, "crc32c");
	enum img_type type;
	unsigned long id;
	struct stat st;

	if (!v_expect(v, name && !strchr(name, '/') && json_is_integer(size), MANIFEST_NAME, -1,
		      "a row of files[] is broken"))
		return;
	if (img_parse_name(name, &type, &id))
		v_seen(v, listed, (uint64_t)type << 56 ^ id);
	if (fstatat(v->dir, name, &st, 0) < 0) {
		v_error(v, name, -1, "is in manifest.json, but missing here");
		return;
	}
	if (!v_expect(v, st.st_size == json_integer_value(size), name, -1, "has %lld bytes, %lld in manifest.json",
		      (long long)st.st_size, (long long)json_integer_value(size)))
		return;
	if (json_is_string(sum))
		check_sum(v, name, json_string_value(sum));
}

/* Images that the seal did not see: somebody put them there. The inventory is the seal's own. */
static void check_unlisted(struct verify *v, const struct idmap *listed)
{
	for (size_t k = 0; k < v->n_images; k++) {
		const struct vimage *i = &v->images[k];

		if (i->type == IMG_INVENTORY || i->type == IMG_STATS_DUMP || i->type == IMG_STATS_RESTORE ||
		    i->type == IMG_IRMAP_CACHE)
			continue;
		if (!idmap_has(listed, (uint64_t)i->type << 56 ^ i->id))
			v_warn(v, i->name, -1, "is not in manifest.json");
	}
}

void verify_manifest(struct verify *v)
{
	struct idmap listed = { 0 };
	json_t *m = NULL, *files, *row;
	const char *state;
	struct cr_err e;
	size_t k;

	if (faccessat(v->dir, MANIFEST_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (manifest_read(v->dir, &m, &e) < 0) {
		v_error(v, MANIFEST_NAME, -1, "%s", e.reason);
		return;
	}
	state = json_string_value(json_object_get(m, "state"));
	files = json_object_get(m, "files");
	if (!state || strcmp(state, "sealed"))
		v_error(v, MANIFEST_NAME, -1, "is not sealed: this is no finished dump");
	else if (v_expect(v, json_is_array(files), MANIFEST_NAME, -1, "has no list of files")) {
		json_array_foreach(files, k, row) check_row(v, row, &listed);
		check_unlisted(v, &listed);
	}
	json_decref(m);
}
