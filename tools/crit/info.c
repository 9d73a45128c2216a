/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit info: what an image is and how many entries it has. */
#include "crit.h"

#include <getopt.h>
#include <stdio.h>

#include "base/fd.h"
#include "payload.h"

/* The head of a pagemap is no entry. Return: 0 or -errno */
static int count_entries(struct img_reader *r, unsigned long *ret, struct cr_err *e)
{
	const uint8_t *data;
	size_t len;
	int got;

	while ((got = img_get_packed(r, &data, &len, e)) > 0) {
		if (!img_descriptor(r->type, r->entry - 1))
			return img_bad(r, e, "is one too many: this image has one entry");
		got = payload_skip_all(r, data, len, e);
		if (got < 0)
			return got;
	}
	*ret = r->entry;
	if (*ret && img_table[r->type].magic == img_table[IMG_PAGEMAP].magic)
		--*ret;
	return got;
}

int crit_info(int argc, char *argv[])
{
	_cleanup_close_ int fd = -1;
	unsigned long count = 0;
	struct img_reader r;
	struct cr_err e;
	int ret;

	if (argc != 2)
		return crit_usage("info", "needs one image");
	fd = input_open(argv[1], &e);
	if (fd < 0)
		return crit_fail(&e);
	ret = img_open_any(fd, input_name(argv[1]), &r, &e);
	if (ret < 0)
		return crit_fail(&e);
	ret = count_entries(&r, &count, &e);
	if (!ret)
		printf("{\n    \"magic\": \"%s\",\n    \"count\": %lu\n}\n", img_table[r.type].name, count);
	img_close(&r);
	return ret < 0 ? crit_fail(&e) : CR_OK;
}
