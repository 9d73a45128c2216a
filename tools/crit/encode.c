/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit encode: JSON to an image, entry by entry. */
#include "crit.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>

#include "base/fd.h"
#include "encode.h"

int encoder_magic(struct encoder *enc, const char *name, struct cr_err *e)
{
	const struct img_info *info;
	uint32_t first = IMG_MAGIC_COMMON;

	enc->type = img_by_printed_name(name);
	if (enc->type == IMG_TYPES) {
		cr_err_set(e, CR_E_JSON, 0, enc->b.file, "no image has the magic \"%.60s\"", name);
		return -EINVAL;
	}
	info = &img_table[enc->type];
	if (info->head == IMG_HEAD_SERVICE)
		first = IMG_MAGIC_SERVICE;
	if (info->head != IMG_HEAD_INVENTORY)
		ob_put(enc->ob, &first, sizeof(first));
	ob_put(enc->ob, &info->magic, sizeof(info->magic));
	return 0;
}

int encoder_entry(struct encoder *enc, const struct json *entry, struct cr_err *e)
{
	struct builder *b = &enc->b;
	const ProtobufCMessageDescriptor *d = img_descriptor(enc->type, b->entry);
	const struct json *chunks;
	uint32_t size;
	int ret;

	if (!d || (b->entry && img_table[enc->type].payload == IMG_PL_GHOST && !enc->chunks))
		return build_bad(b, NULL, entry, e, "is one too many: this image has one entry");
	b->out.len = 0;
	ret = build_message(b, d, entry, img_table[enc->type].payload != IMG_NOPL, NULL, e);
	if (ret < 0)
		return ret;
	if (b->out.len > IMG_ENTRY_MAX)
		return build_bad(b, NULL, entry, e, "is larger than 64 MiB");
	size = b->out.len;
	ob_put(enc->ob, &size, sizeof(size));
	ob_put(enc->ob, b->out.data, b->out.len);
	ret = build_payload(b, enc->type, entry, enc->ob, e);
	chunks = b->entry ? NULL : json_member(entry, "chunks");
	if (chunks)
		enc->chunks = chunks->truth || chunks->kind != JSON_BOOL;
	b->entry++;
	return ret ? ret : enc->ob->err;
}

static int on_magic(void *ctx, const char *name, struct cr_err *e)
{
	return encoder_magic(ctx, name, e);
}

static int on_entry(void *ctx, const struct json *entry, struct cr_err *e)
{
	return encoder_entry(ctx, entry, e);
}

/* Return: 0 or -errno with @e */
static int encode_fd(int fd, const char *name, bool lenient, struct obuf *ob, struct cr_err *e)
{
	struct encoder *enc = calloc(1, sizeof(*enc));
	const struct json_image image = { on_magic, on_entry, enc };
	int ret;

	if (!enc)
		return cr_err_nomem(e);
	enc->b.file = name;
	enc->b.lenient = lenient;
	enc->ob = ob;
	ret = json_read_image(fd, name, &image, e);
	free(enc->b.out.data);
	free(enc);
	return ret;
}

int encode_to(const char *in, struct obuf *ob, struct cr_err *e)
{
	_cleanup_close_ int fd = open(in, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? cr_err_set(e, CR_E_SYSTEM, errno, in, "cannot be opened") : encode_fd(fd, in, false, ob, e);
}

static int encode(const char *in, const char *out, bool lenient)
{
	struct output output;
	struct cr_err e = { 0 };
	int fd, ret;

	fd = input_open(in, &e);
	if (fd < 0)
		return crit_fail(&e);
	if (same_file(fd, out))
		return fd_close(fd), crit_usage("encode", "the image would replace the JSON: name another file");
	ret = output_open(&output, out, &e);
	if (!ret)
		ret = encode_fd(fd, input_name(in), lenient, output.ob, &e);
	if (!ret || (output.ob && output.ob->err))
		ret = output_finish(&output, &e);
	output_abandon(&output);
	fd_close(fd);
	return ret < 0 ? crit_fail(&e) : CR_OK;
}

int crit_encode(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "in", required_argument, NULL, 'i' },	 { "input", required_argument, NULL, 'i' },
		{ "out", required_argument, NULL, 'o' }, { "output", required_argument, NULL, 'o' },
		{ "lenient", no_argument, NULL, 'l' },	 { 0 },
	};
	const char *in = NULL, *out = NULL;
	bool lenient = false;
	int c;

	while ((c = getopt_long(argc, argv, "i:o:", options, NULL)) != -1) {
		switch (c) {
		case 'i':
			in = optarg;
			break;
		case 'o':
			out = optarg;
			break;
		case 'l':
			lenient = true;
			break;
		default:
			return crit_usage("encode", "wrong options");
		}
	}
	if (optind < argc)
		return crit_usage("encode", "takes no arguments; name the JSON with -i");
	return encode(in, out, lenient);
}
