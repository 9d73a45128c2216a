/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One image. First byte: type (all of images.def); second: bit 0: the head is put before the rest, which is entries;
 * bit 1: without payloads, bit 2: pretty, bit 3: old (img_version 1). Read as the stages read it (img_get() with
 * its validators), as crit decode prints it, and as crit verify checks it.
 */
#include "mutate.h"

#include "image/image.h"
#include "payload.h"
#include "print.h"
#include "verify.h"

static struct obuf out;

static void read_entries(int fd, enum img_type type)
{
	struct arena a = { 0 };
	struct img_reader r;
	struct cr_err e = { 0 };
	ProtobufCMessage *m;
	int got = img_open_fd(fd, "fuzz", type, &r, &e);

	FUZZ_ASSERT(got <= 0 && (!got || e.code != CR_E_NONE));
	while (!got && (got = img_get(&r, &a, &m, &e)) > 0) {
		FUZZ_ASSERT(m->descriptor == img_descriptor(type, r.entry - 1));
		if (a.total > 64 << 20)
			arena_reset(&a);
		got = 0;
	}
	img_close(&r);
	arena_free(&a);
}

static void print(int fd, enum img_type type, unsigned mode)
{
	struct printer *p = calloc(1, sizeof(*p));
	struct img_reader r;
	struct cr_err e = { 0 };
	int err;

	lseek(fd, 0, SEEK_SET);
	err = mode & 1 ? img_open_fd(fd, "fuzz", type, &r, &e) : img_open_any(fd, "fuzz", &r, &e);
	p->out.ob = &out;
	p->out.pretty = mode & 4;
	out.fd = fuzz_null();
	if (!err) {
		err = print_image(p, &r, mode & 2, &e);
		FUZZ_ASSERT(err <= 0 && (!err || e.code != CR_E_NONE));
		img_close(&r);
	}
	ob_flush(&out);
	free(p);
}

static void verify(int fd, enum img_type type, unsigned mode)
{
	struct findings found = { 0 };
	struct verify v = { .dir = -1, .path = "fuzz", .found = &found, .page = 4096 };
	struct vimage image = { .type = type, .name = "fuzz", .old = mode & 8 };

	lseek(fd, 0, SEEK_SET);
	verify_image_fd(&v, &image, fd);
	verify_print(&found, false, stdout);
	arena_free(&v.arena);
	arena_free(&v.scratch);
	findings_free(&found);
}

static size_t make_head(enum img_type type, uint8_t head[8], bool old)
{
	const struct img_info *info = &img_table[type];
	uint32_t first = info->head == IMG_HEAD_SERVICE ? IMG_MAGIC_SERVICE : IMG_MAGIC_COMMON;

	if (info->head == IMG_HEAD_RAW)
		return 0;
	if (info->head == IMG_HEAD_INVENTORY || old) {
		memcpy(head, &info->magic, 4);
		return 4;
	}
	memcpy(head, &first, 4);
	memcpy(head + 4, &info->magic, 4);
	return 8;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_quiet("crit");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	enum img_type type = fuzz_u8(&in) % IMG_TYPES;
	unsigned mode = fuzz_u8(&in);
	uint8_t *file = malloc(in.left + 8);
	size_t head = mode & 1 ? make_head(type, file, mode & 8) : 0;
	int fd;

	memcpy(file + head, in.p, in.left);
	fd = fuzz_file(file, head + in.left);
	read_entries(fd, type);
	print(fd, type, mode);
	verify(fd, type, mode);
	free(file);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	if (size < 2 || !(data[1] & 1) || fuzz_rand(&seed) % 4 == 0)
		return LLVMFuzzerMutate(data, size, max);
	return mutate_entries(data, size, max, 2, &seed);
}
