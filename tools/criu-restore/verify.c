/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is the directory what was sealed? The manifest lists each image with its size, and most with a checksum. Page images
 * must have their size: nothing else shows that a copy of them ended early. The others show by themselves whether they
 * are whole, and may have been edited since (crit): a difference is only told. With --checksum everything must be as it was.
 * Images without a manifest are CRIU's own: there is nothing to compare.
 *
 * A dump with --checksum noted the checksums of the programs and libraries that are mapped; a restore with --checksum
 * compares those too.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "core.pb-c.h"
#include "image/image.h"
#include "image/manifest.h"
#include "kind/restore-check.h"
#include "restore.h"

static int check_sum(int img, const char *name, const char *want, struct cr_err *e)
{
	_cleanup_close_ int fd = img_open_file(img, name, e);
	uint64_t size;
	uint32_t crc;
	int err = fd < 0 ? 0 : img_sum(fd, &size, &crc);

	if (fd < 0)
		return fd;
	if (err)
		return cr_err_set(e, CR_E_SYSTEM, -err, name, "cannot be read");
	if (crc != strtoul(want, NULL, 16))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, name, "its checksum is %08x, the manifest says %.16s", crc,
				  want);
	return 0;
}

static int check_file(int img, const json_t *row, bool sums, struct cr_err *e)
{
	const json_t *size = json_object_get(row, "size");
	const char *escaped = json_string_value(json_object_get(row, "name"));
	const char *sum = json_string_value(json_object_get(row, "crc32c"));
	char name[NAME_MAX + 1];
	struct stat st;

	if (!escaped || json_bytes_decode(escaped, name, sizeof(name)) <= 0 || strchr(name, '/') ||
	    !json_is_integer(size))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "a row of files[] has no name or size");
	if (fstatat(img, name, &st, 0))
		return cr_err_set(e, errno == ENOENT ? CR_E_IMG_MISSING : CR_E_SYSTEM, errno, name,
				  "the manifest lists it, but it cannot be found");
	if (st.st_size != json_integer_value(size)) {
		cr_err_set(e, st.st_size < json_integer_value(size) ? CR_E_IMG_TRUNCATED : CR_E_IMG_CORRUPT, 0, name,
			   "it has %lld bytes, the manifest says %lld", (long long)st.st_size,
			   (long long)json_integer_value(size));
		if (sums || !strncmp(name, "pages-", 6))
			return -EINVAL;
		log_info("%s: %s: changed since the dump", name, e->reason);
		*e = (struct cr_err){};
	}
	return sums && sum ? check_sum(img, name, sum, e) : 0;
}

int verify_files(int img, bool sums, struct cr_err *e)
{
	json_t *m = NULL, *row;
	int err = manifest_read(img, &m, e);
	size_t i;

	if (err)
		return err == -ENOENT ? 0 : err;
	json_array_foreach(json_object_get(m, "files"), i, row)
	{
		err = check_file(img, row, sums, e);
		if (err)
			break;
	}
	json_decref(m);
	return err;
}

/*
 * A table without an image is an empty one: a task may have closed all. No manifest says whether it was there, or
 * verify_files() had missed it; so this is only told.
 */
void verify_tables(struct restore *x)
{
	for (size_t i = 0; i < x->plan.nr_images; i++) {
		const struct plan_task *t = &x->plan.tasks[i];
		char name[IMG_NAME_MAX], who[64], text[1024];
		struct cr_err e = { 0 };

		if (!t->ids || t->files_first != (int)i ||
		    !faccessat(x->rst.img, img_name(IMG_FDINFO, t->ids->files_id, name), F_OK, 0))
			continue;
		cr_err_set(&e, CR_E_IMG_MISSING, 0, name, "it is not there: %s would have no descriptors at all",
			   plan_who(t, who, sizeof(who)));
		if (x->rst.check)
			rst_doubt(&x->rst, &e);
		else
			log_warn("%s", cr_err_text(&e, text, sizeof(text)));
	}
}

/* One row of needs[]. */
static int check_program(struct rst *r, const json_t *row, struct cr_err *e)
{
	const char *escaped = json_string_value(json_object_get(row, "path")),
		   *want = json_string_value(json_object_get(row, "crc32c"));
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	uint64_t size;
	uint32_t crc;
	int err;

	if (!escaped || !want || json_bytes_decode(escaped, path, sizeof(path)) <= 0)
		return 0;
	rst_area(r, "checksums", 1);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return 0; /* who opens it for the task says so */
	if (fd < 0)
		return cr_err_set(e, CR_E_FILE_MISSING, errno, path, "cannot be read for its checksum");
	err = img_sum(fd, &size, &crc);
	if (err)
		return cr_err_set(e, CR_E_SYSTEM, -err, path, "cannot be read");
	if (crc != strtoul(want, NULL, 16))
		return cr_err_set(e, CR_E_FILE_CHANGED, 0, path, "its checksum is %08x, at the dump it was %.16s", crc,
				  want);
	return 0;
}

int verify_programs(struct rst *r, struct cr_err *e)
{
	json_t *m = NULL, *row;
	int err = manifest_read(r->img, &m, e);
	size_t i;

	if (err)
		return err == -ENOENT ? 0 : err;
	json_array_foreach(json_object_get(m, "needs"), i, row)
	{
		err = rst_found(r, check_program(r, row, e), e);
		if (err)
			break;
	}
	json_decref(m);
	return err;
}
