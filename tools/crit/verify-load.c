/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each image by itself: head, framing, wire form, payloads, and what img_valid() says. Entries are kept unpacked for the
 * checks across images, except those of pagemaps (there can be millions); pages are never read.
 */
#include "verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/wire.h"
#include "inventory.pb-c.h"
#include "payload.h"

/* Findings about one image: who wants more of them has made them. */
enum { FINDINGS_MAX = 1000 };

static int by_type_and_id(const void *a, const void *b)
{
	const struct vimage *x = a, *y = b;

	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

const struct vimage *v_image(const struct verify *v, enum img_type type, unsigned long id)
{
	const struct vimage want = { .type = type, .id = id };

	return v->n_images ? bsearch(&want, v->images, v->n_images, sizeof(want), by_type_and_id) : NULL;
}

size_t v_images(const struct verify *v, enum img_type type, const struct vimage **ret)
{
	size_t low = 0, high = v->n_images, n = 0;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (v->images[mid].type < type)
			low = mid + 1;
		else
			high = mid;
	}
	*ret = low < v->n_images ? v->images + low : NULL;
	while (low + n < v->n_images && v->images[low + n].type == type)
		n++;
	return n;
}

struct walk v_walk(const struct verify *v, enum img_type type)
{
	struct walk w = { .entry = -1 };
	size_t n = v_images(v, type, &w.image);

	w.end = n ? w.image + n : w.image;
	return w;
}

const void *v_next(struct walk *w)
{
	for (; w->image < w->end; w->image++, w->next = 0)
		while (w->next < w->image->n) {
			w->entry = (long)w->next++;
			if (w->image->entry[w->entry])
				return w->image->entry[w->entry];
		}
	return NULL;
}

const void *v_one(const struct verify *v, enum img_type type, unsigned long id)
{
	const struct vimage *i = v_image(v, type, id);

	return i && i->n ? i->entry[0] : NULL;
}

/* Things that stand beside the images, by their names. */
static bool no_image(const char *name)
{
	static const char *const patterns[] = { "parent",	    "manifest.json", "restore.json", "extra.json",
						"descriptors.json", "*.log",	     "*.log.*",	     "*.pid",
						"*.pid.*",	    "*.txt",	     "*.txt.*",	     "*.sock",
						"*.sock.*",	    "*.socket",	     "*.socket.*",   "*.md",
						"*.md.*",	    "*.cropt",	     "*.cropt.*",    ".*",
						"amdgpu-*.img",	    "cuda-*.img",    "*pidfile" };

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (!fnmatch(patterns[i], name, 0))
			return true;
	return false;
}

static int add_name(struct verify *v, const char *name, size_t *cap)
{
	struct vimage image = { 0 };
	size_t len = strlen(name);

	if (!img_parse_name(name, &image.type, &image.id)) {
		if (no_image(name))
			return 0;
		if (len >= 4 && !strcmp(name + len - 4, ".img"))
			v_error(v, name, -1, "no image type has this name");
		else
			v_warn(v, name, -1, "no image type has this name");
		return 0;
	}
	image.name = arena_strdup(&v->arena, name);
	if (v->n_images == *cap) {
		struct vimage *more = realloc(v->images, (*cap = 2 * *cap + 64) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		v->images = more;
	}
	if (!image.name)
		return -ENOMEM;
	v->images[v->n_images++] = image;
	return 0;
}

static int list_images(struct verify *v, struct cr_err *e)
{
	DIR *d = fdopendir(openat(v->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	size_t cap = 0;
	int ret = 0;

	if (!d)
		return cr_err_set(e, CR_E_DIR_MISSING, errno, v->path, "cannot be listed");
	while (!ret && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = add_name(v, entry->d_name, &cap);
	closedir(d);
	if (ret < 0)
		return cr_err_nomem(e);
	if (v->n_images)
		qsort(v->images, v->n_images, sizeof(*v->images), by_type_and_id);
	return 0;
}

static void told(struct verify *v, const struct vimage *i, long entry, const struct cr_err *e)
{
	const char *reason = e->reason;
	int behind = 0;
	long own;

	if (sscanf(reason, "entry %ld: %n", &own, &behind) == 1 && behind) { /* img_bad() knows it */
		entry = own;
		reason += behind;
	}
	v_error(v, i->name, entry, "%s%s%s", reason, e->err ? ": " : "", e->err ? strerror(e->err) : "");
}

/* Keep @m as the next entry. */
static int keep(struct verify *v, struct vimage *i, void *m)
{
	if (!(i->n & (i->n - 1))) { /* 0, 1, 2, 4 ...: full */
		void **more = arena_calloc(&v->arena, i->n ? 2 * i->n : 1, sizeof(*more));

		if (!more)
			return -ENOMEM;
		if (i->n)
			memcpy(more, i->entry, i->n * sizeof(*more));
		i->entry = more;
	}
	i->entry[i->n++] = m;
	return 0;
}

static bool is_pagemap(enum img_type type)
{
	return type == IMG_PAGEMAP || type == IMG_PAGEMAP_SHMEM;
}

/* One message: its wire form, what it says by itself. @ret: NULL if it cannot be unpacked. */
static void check_message(struct verify *v, const char *name, long entry, const ProtobufCMessageDescriptor *d,
			  const uint8_t *data, size_t len, struct arena *a, void **ret)
{
	size_t errors = v->found->errors;
	char why[160];

	*ret = NULL;
	if (!wire_depth_ok(d, data, len)) {
		v_error(v, name, entry, "%s does not decode: broken, or nested too deeply", d->name);
		return;
	}
	if (!verify_wire(v, name, entry, d, data, len))
		return;
	*ret = img_unpack(d, a, data, len);
	if (!*ret)
		v_error(v, name, entry, "%s does not decode", d->name);
	else if (v->found->errors == errors && !img_valid(*ret, why))
		v_weak(v, name, entry, why);
}

static int check_padding(struct verify *v, struct img_reader *r, const char *name, unsigned int len, const char *what,
			 struct cr_err *e)
{
	uint8_t bytes[8] = { 0 };
	int ret = img_get_bytes(r, bytes, len, e);

	for (unsigned int k = 0; !ret && k < len; k++)
		if (bytes[k]) {
			v_error(v, name, (long)r->entry - 1, "%s: padding is not zero", what);
			break;
		}
	return ret;
}

static int check_messages(struct verify *v, struct img_reader *r, const char *name, uint64_t n, struct cr_err *e)
{
	int ret = 0;

	for (; !ret && n; n--) {
		const uint8_t *data;
		uint64_t size;
		size_t len;
		void *m;

		arena_reset(&v->scratch);
		ret = payload_get_msg(r, &data, &len, &size, e);
		if (ret)
			break;
		check_message(v, name, (long)r->entry - 1, payload_msg_descriptor, data, len, &v->scratch, &m);
		ret = img_skip(r, size, e);
		if (!ret)
			ret = check_padding(v, r, name, payload_padding(size, 8), "text of a message", e);
	}
	return ret;
}

/* What stands behind the entry that was read last. */
static int check_payload(struct verify *v, struct img_reader *r, const char *name, const struct payload *p,
			 struct cr_err *e)
{
	uint64_t skipped;
	int ret;

	ret = check_messages(v, r, name, p->messages, e);
	if (!ret)
		ret = payload_skip(r, p->len, &skipped, e);
	if (!ret && p->padding)
		ret = check_padding(v, r, name, p->padding, r->type == IMG_IPCNS_SEM ? "semaphores" : "segment", e);
	return ret;
}

/* Return: 1 go on, 0 end, -errno with @e */
static int check_entry(struct verify *v, struct vimage *i, struct img_reader *r, struct cr_err *e)
{
	const ProtobufCMessageDescriptor *d = img_descriptor(i->type, r->entry);
	bool passing = is_pagemap(i->type) && r->entry;
	struct payload p = { 0 };
	const uint8_t *data;
	size_t len;
	bool more;
	void *m;
	int got;

	if (!d && r->size > r->pos) {
		v_error(v, i->name, (long)r->entry, "%lld bytes after the only entry", (long long)(r->size - r->pos));
		return 0;
	}
	got = img_get_packed(r, &data, &len, e);
	if (got <= 0)
		return got;
	if (passing)
		arena_reset(&v->scratch);
	more = payload_of(i->type, r->entry - 1, data, len, &p);
	check_message(v, i->name, (long)r->entry - 1, d, data, len, passing ? &v->scratch : &v->arena, &m);
	if (!passing && keep(v, i, m) < 0)
		return cr_err_nomem(e);
	got = more ? check_payload(v, r, i->name, &p, e) : 0;
	return got < 0 ? got : 1;
}

static bool head_ok(struct verify *v, const struct vimage *i, const struct img_reader *r)
{
	bool one_word = i->old || i->type == IMG_INVENTORY;

	if (r->pos == (one_word ? 4 : 8))
		return true;
	if (one_word)
		v_error(v, i->name, 0, "two magics, where images of version 1 have one");
	else
		v_error(v, i->name, 0, "the first magic is missing (img_version 1 in inventory.img would say so)");
	return false;
}

static void check_count(struct verify *v, const struct vimage *i, unsigned long entries)
{
	if (!img_table[i->type].rest && entries != 1)
		v_error(v, i->name, -1, "%lu entries, exactly one is due", entries);
	else if (!entries && img_table[i->type].first != img_table[i->type].rest)
		v_error(v, i->name, 0, "the first entry is missing");
}

void verify_image_fd(struct verify *v, struct vimage *i, int fd)
{
	size_t before = v->found->n;
	struct img_reader r = { 0 };
	struct stat st;
	struct cr_err e;
	int got;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		v_error(v, i->name, -1, "is no regular file");
		return;
	}
	i->size = st.st_size;
	if (img_table[i->type].head == IMG_HEAD_RAW)
		return;
	got = img_open_fd(fd, i->name, i->type, &r, &e);
	if (got < 0) {
		told(v, i, 0, &e);
		return;
	}
	if (head_ok(v, i, &r)) {
		do
			got = check_entry(v, i, &r, &e);
		while (got > 0 && v->found->n - before < FINDINGS_MAX);
		if (got > 0)
			v_error(v, i->name, -1, "%d findings: the rest is not looked at", FINDINGS_MAX);
		if (got < 0)
			told(v, i, (long)r.entry, &e);
		check_count(v, i, r.entry);
	}
	img_close(&r);
}

static void verify_image(struct verify *v, struct vimage *i)
{
	_cleanup_close_ int fd = openat(v->dir, i->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		v_error(v, i->name, -1, "cannot be opened: %s", strerror(errno));
	else
		verify_image_fd(v, i, fd);
}

int verify_load(struct verify *v, struct cr_err *e)
{
	const InventoryEntry *inv;
	struct vimage *first;
	bool old = false;
	int ret;

	ret = list_images(v, e);
	if (ret < 0)
		return ret;
	first = (struct vimage *)v_image(v, IMG_INVENTORY, 0);
	if (first) {
		verify_image(v, first);
		inv = v_one(v, IMG_INVENTORY, 0);
		old = inv && inv->img_version == 1;
	}
	for (size_t k = 0; k < v->n_images; k++) {
		v->images[k].old = old;
		if (&v->images[k] != first)
			verify_image(v, &v->images[k]);
	}
	return v->found->nomem ? cr_err_nomem(e) : 0;
}
