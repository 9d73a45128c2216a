/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What crit reads as JSON. First byte: 0 strict and 1 lenient: an image (crit encode), whose encoding must survive
 * crit decode and crit encode; 2: a tree of values (crit edit); 3: PATH=VALUE of crit edit for a core image.
 */
#include "fuzz.h"

#include "core.pb-c.h"
#include "edit.h"
#include "encode.h"
#include "print.h"
#include "show.h"

static struct obuf *new_out(int fd)
{
	struct obuf *ob = calloc(1, sizeof(*ob));

	if (!ob)
		abort();
	ob->fd = fd;
	return ob;
}

struct run {
	struct encoder enc;
};

static int on_magic(void *ctx, const char *name, struct cr_err *e)
{
	return encoder_magic(ctx, name, e);
}

static int on_entry(void *ctx, const struct json *entry, struct cr_err *e)
{
	return encoder_entry(ctx, entry, e);
}

/* @out: gets the image; @ret_type: its type */
static int encode(int in, bool lenient, int out, enum img_type *ret_type)
{
	struct encoder *enc = calloc(1, sizeof(*enc));
	const struct json_image image = { on_magic, on_entry, enc };
	struct obuf *ob = new_out(out);
	struct cr_err e = { 0 };
	int ret;

	enc->b.file = "fuzz";
	enc->b.lenient = lenient;
	enc->ob = ob;
	ret = json_read_image(in, "fuzz", &image, &e);
	FUZZ_ASSERT(ret <= 0);
	FUZZ_ASSERT(ret == 0 || e.code != CR_E_NONE || ob->err);
	if (!ret)
		ret = ob_flush(ob);
	*ret_type = enc->type;
	free(enc->b.out.data);
	free(enc);
	free(ob);
	return ret;
}

static int decode(int in, enum img_type type, int out)
{
	struct printer *p = calloc(1, sizeof(*p));
	struct img_reader r;
	struct cr_err e = { 0 };
	int ret;

	lseek(in, 0, SEEK_SET);
	ret = img_open_fd(in, "fuzz", type, &r, &e);
	p->out.ob = new_out(out);
	if (!ret) {
		ret = print_image(p, &r, false, &e);
		ob_flush(p->out.ob);
	}
	img_close(&r);
	free(p->out.ob);
	free(p);
	return ret;
}

static bool same(int a, int b)
{
	off_t size = lseek(a, 0, SEEK_END);
	char *x = malloc(size + 1), *y = malloc(size + 1);
	bool ret = lseek(b, 0, SEEK_END) == size && pread(a, x, size, 0) == size && pread(b, y, size, 0) == size &&
		   !memcmp(x, y, size);

	free(x);
	free(y);
	return ret;
}

static int fresh(int *fd)
{
	if (*fd < 0)
		*fd = memfd_create("fuzz-out", MFD_CLOEXEC);
	if (ftruncate(*fd, 0) || lseek(*fd, 0, SEEK_SET))
		abort();
	return *fd;
}

static void try_image(const char *text, size_t len, bool lenient)
{
	static int image = -1, json = -1, again = -1;
	enum img_type type, type2;

	if (encode(fuzz_file(text, len), lenient, fresh(&image), &type))
		return;
	/* What was made can be read (--lenient promises less), and is the same when it is made again. */
	if (decode(image, type, fresh(&json))) {
		FUZZ_ASSERT(lenient);
		return;
	}
	lseek(json, 0, SEEK_SET);
	FUZZ_ASSERT(!encode(json, lenient, fresh(&again), &type2));
	FUZZ_ASSERT(same(image, again));
}

static void try_tree(const char *text)
{
	struct arena a = { 0 };
	struct cr_err e = { 0 };
	struct json *v, *copy;

	if (!tree_parse(text, &a, &v, "fuzz", &e)) {
		copy = tree_copy(v, true, &a);
		FUZZ_ASSERT(!copy || tree_equal(v, copy));
	}
	arena_free(&a);
}

static void try_edit(const char *text)
{
	static const char core[] =
		"{\"mtype\": \"X86_64\", \"tc\": {\"comm\": \"a\", \"timers\": {\"posix\": [{}, {}]}},"
		" \"thread_core\": {\"creds\": {\"groups\": [1, 2], \"cap_inh\": [0]}}}";
	struct edit edit = { 0 };
	struct arena a = { 0 };
	struct cr_err e = { 0 };
	struct json *entry;

	if (!edit_parse(text, strchr(text, '=') == NULL, &edit, &e) && !tree_parse(core, &a, &entry, "core", &e))
		edit_entry(&edit, &core_entry__descriptor, 0, true, entry, &a, &e);
	arena_free(&a);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_quiet("crit");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint8_t which = fuzz_u8(&in);
	size_t len;
	char *text = fuzz_text(&in, &len);

	switch (which & 3) {
	case 0:
	case 1:
		try_image(text, len, which & 1);
		break;
	case 2:
		try_tree(text);
		break;
	case 3:
		try_edit(text);
		break;
	}
	free(text);
	return 0;
}
