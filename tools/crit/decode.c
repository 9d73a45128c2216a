/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit decode and crit show FILE: an image as JSON. */
#include "crit.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/wire.h"
#include "print.h"
#include "show.h"

static int print_entry(struct printer *p, struct img_reader *r, const uint8_t *data, size_t len, bool nopl,
		       struct cr_err *e)
{
	const ProtobufCMessageDescriptor *d = img_descriptor(r->type, r->entry - 1);
	int ret;

	if (!d)
		return img_bad(r, e, "is one too many, or what is behind it is: this image has one entry");
	if (!wire_depth_ok(d, data, len))
		return img_bad(r, e, "is not a %s: broken, or nested too deeply", d->name);
	jo_begin(&p->out, '{');
	ret = print_fields(p, d, data, len) < 0 ? img_bad(r, e, "is not a %s", d->name) : 0;
	if (!ret)
		ret = print_payload(p, r, data, len, nopl, e);
	jo_end(&p->out, '}');
	return ret;
}

int print_image(struct printer *p, struct img_reader *r, bool nopl, struct cr_err *e)
{
	const uint8_t *data;
	size_t len;
	int got = 0;

	jo_begin(&p->out, '{');
	jo_key(&p->out, "magic");
	jo_text(&p->out, img_table[r->type].name);
	jo_key(&p->out, "entries");
	jo_begin(&p->out, '[');
	while (!p->out.ob->err && (got = img_get_packed(r, &data, &len, e)) > 0) {
		got = print_entry(p, r, data, len, nopl, e);
		if (got < 0)
			return got;
	}
	jo_end(&p->out, ']');
	jo_end(&p->out, '}');
	return p->out.ob->err ? 0 : got;
}

int decode_file(const char *in, const char *out, unsigned int how)
{
	struct printer p = { .out.pretty = how & DECODE_PRETTY, .out.quote_large = how & DECODE_QUOTE_LARGE };
	struct output output;
	struct img_reader r;
	struct cr_err e;
	int fd, ret;

	fd = input_open(in, &e);
	if (fd < 0)
		return crit_fail(&e);
	if (same_file(fd, out))
		return fd_close(fd), crit_usage("decode", "the JSON would replace the image: name another file");
	ret = img_open_any(fd, input_name(in), &r, &e);
	if (ret < 0)
		return fd_close(fd), crit_fail(&e);
	ret = output_open(&output, out, &e);
	if (!ret) {
		p.out.ob = output.ob;
		ret = print_image(&p, &r, how & DECODE_NOPL, &e);
		if (output.ob->fd == STDOUT_FILENO)
			ob_text(output.ob, "\n");
		if (ret < 0)
			ob_flush(output.ob); /* on stdout, what could be read is there to be seen */
		else
			ret = output_finish(&output, &e);
		output_abandon(&output);
	}
	img_close(&r);
	fd_close(fd);
	return ret < 0 ? crit_fail(&e) : CR_OK;
}

int crit_decode(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "in", required_argument, NULL, 'i' },	   { "input", required_argument, NULL, 'i' },
		{ "out", required_argument, NULL, 'o' },   { "output", required_argument, NULL, 'o' },
		{ "pretty", no_argument, NULL, 'p' },	   { "nopl", no_argument, NULL, 'n' },
		{ "quote-large", no_argument, NULL, 'q' }, { 0 },
	};
	const char *in = NULL, *out = NULL;
	unsigned int how = 0;
	int c;

	while ((c = getopt_long(argc, argv, "i:o:", options, NULL)) != -1) {
		switch (c) {
		case 'i':
			in = optarg;
			break;
		case 'o':
			out = optarg;
			break;
		case 'p':
			how |= DECODE_PRETTY;
			break;
		case 'n':
			how |= DECODE_NOPL;
			break;
		case 'q':
			how |= DECODE_QUOTE_LARGE;
			break;
		default:
			return crit_usage("decode", "wrong options");
		}
	}
	if (optind < argc)
		return crit_usage("decode", "takes no arguments; name the image with -i");
	return decode_file(in, out, how);
}
