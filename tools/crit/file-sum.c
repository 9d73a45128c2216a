/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "file-sum.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "image/image.h"

int file_sum(int dir, const char *name, uint64_t *ret_size, uint32_t *ret_sum)
{
	struct cr_err e = { 0 };
	_cleanup_close_ int fd = img_open_file(dir, name, &e);

	return fd < 0 ? fd : img_sum(fd, ret_size, ret_sum);
}

int file_row_update(int dir, const char *name, json_t *row)
{
	uint64_t size = 0;
	uint32_t sum = 0;
	struct stat st;
	char text[16];
	int ret;

	if (!json_object_get(row, "crc32c")) {
		if (fstatat(dir, name, &st, 0) < 0)
			return -errno;
		return json_object_set_new(row, "size", json_integer(st.st_size)) ? -ENOMEM : 0;
	}
	ret = file_sum(dir, name, &size, &sum);
	if (ret < 0)
		return ret;
	snprintf(text, sizeof(text), "%08" PRIx32, sum);
	ret = json_object_set_new(row, "size", json_integer((json_int_t)size));
	return ret || json_object_set_new(row, "crc32c", json_string(text)) ? -ENOMEM : 0;
}
