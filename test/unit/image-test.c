/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/common/image: registry, writer and reader. */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "inventory.pb-c.h"
#include "pipe-data.pb-c.h"
#include "pstree.pb-c.h"
#include "tap.h"
#include "utsns.pb-c.h"

static int dir;
static struct cr_err e;

static const char *error_name(void)
{
	return cr_code_name(e.code);
}

static bool exists(const char *name)
{
	return faccessat(dir, name, F_OK, 0) == 0;
}

static void put_file(const char *name, const void *data, size_t len)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (write(fd, data, len) != (ssize_t)len)
		exit(1);
	close(fd);
}

/* ---- names ---- */
static void names(void)
{
	static const char *const bad[] = { "core-05.img",
					   "core--1.img",
					   "core-.img",
					   "core-1.img ",
					   "core-+1.img",
					   "ghost-file-1F.img",
					   "pstree.img.gz",
					   "core-1x.img",
					   "ghost-file-0x1.img",
					   "core-99999999999999999999.img",
					   "pages-1",
					   "" };
	char name[IMG_NAME_MAX], again[IMG_NAME_MAX];
	bool all = true, refused = true;
	enum img_type type;
	unsigned long id;

	for (int t = 0; t < IMG_TYPES; t++) {
		img_name(t, 26, name);
		all = all && img_parse_name(name, &type, &id) && type == (enum img_type)t &&
		      !strcmp(img_name(type, id, again), name);
	}
	ok(all, "every name is parsed back to its type and id");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused = refused && !img_parse_name(bad[i], &type, &id);
	ok(refused, "names that are no image names are refused");
	ok(!strcmp(img_name(IMG_GHOST_FILE, 0x1f, name), "ghost-file-1f.img"), "ghost files have hex ids");
	ok(!strcmp(img_name(IMG_TCP_STREAM, 255, name), "tcp-stream-ff.img"), "TCP streams have hex ids");
	ok(!strcmp(img_name(IMG_TMPFS_DEV, 42, name), "tmpfs-dev-42.tar.gz.img"), "tmpfs archives");
	ok(!strcmp(img_name(IMG_STATS_DUMP, 0, name), "stats-dump"), "stats have no suffix");
	ok(img_by_magic(0x50273030) == IMG_PSTREE && img_by_magic(0) == IMG_TYPES && img_by_magic(1) == IMG_TYPES,
	   "types by magic");
	ok(img_by_printed_name("MNTS") == IMG_MNTS && img_by_printed_name("PAGES") == IMG_TYPES,
	   "types by printed name");
}

static void formats_fit(void)
{
	char name[IMG_NAME_MAX], again[IMG_NAME_MAX];
	bool fit = true;
	enum img_type type;
	unsigned long id;

	for (int t = 0; t < IMG_TYPES; t++)
		fit = fit && img_parse_name(img_name(t, ~0ul, name), &type, &id) &&
		      !strcmp(img_name(type, id, again), name);
	ok(fit, "the largest id fits into every name");
}

/* ---- a message with every field set ---- */
static void fill(ProtobufCMessage *m, struct arena *a, int depth);

static void fill_value(void *at, const ProtobufCFieldDescriptor *fd, struct arena *a, int depth)
{
	ProtobufCBinaryData bytes = { 3, (uint8_t *)"a\0b" };
	ProtobufCMessage *sub;

	switch (fd->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		sub = arena_alloc(a, ((const ProtobufCMessageDescriptor *)fd->descriptor)->sizeof_message);
		protobuf_c_message_init(fd->descriptor, sub);
		fill(sub, a, depth + 1);
		memcpy(at, &sub, sizeof(sub));
		break;
	case PROTOBUF_C_TYPE_STRING:
		*(const char **)at = "/string";
		break;
	case PROTOBUF_C_TYPE_BYTES:
		memcpy(at, &bytes, sizeof(bytes));
		break;
	case PROTOBUF_C_TYPE_ENUM:
		*(int *)at = ((const ProtobufCEnumDescriptor *)fd->descriptor)->values[0].value;
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = 1;
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		*(uint64_t *)at = 0xfedcba9876543210;
		break;
	default:
		*(uint32_t *)at = 0x87654321;
	}
}

static size_t width(const ProtobufCFieldDescriptor *fd)
{
	switch (fd->type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_BOOL:
		return 4;
	default:
		return 8;
	}
}

static void fill(ProtobufCMessage *m, struct arena *a, int depth)
{
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *fd = &m->descriptor->fields[i];
		char *at = (char *)m + fd->offset, *quantifier = (char *)m + fd->quantifier_offset;

		if (fd->label == PROTOBUF_C_LABEL_REPEATED) {
			if (depth > 3)
				continue; /* messages that hold themselves */
			*(void **)at = arena_calloc(a, 2, 16);
			fill_value(*(char **)at, fd, a, depth);
			fill_value(*(char **)at + width(fd), fd, a, depth);
			*(size_t *)quantifier = 2;
			continue;
		}
		fill_value(at, fd, a, depth);
		if (fd->label == PROTOBUF_C_LABEL_OPTIONAL && fd->quantifier_offset)
			*(protobuf_c_boolean *)quantifier = 1;
	}
}

static bool same(const ProtobufCMessage *x, const ProtobufCMessage *y)
{
	size_t n = protobuf_c_message_get_packed_size(x);
	uint8_t *a = malloc(n + 1), *b = malloc(n + 1);
	bool equal = protobuf_c_message_get_packed_size(y) == n;

	if (equal) {
		protobuf_c_message_pack(x, a);
		protobuf_c_message_pack(y, b);
		equal = !memcmp(a, b, n);
	}
	free(a);
	free(b);
	return equal;
}

static ProtobufCMessage *filled(const ProtobufCMessageDescriptor *d, struct arena *a)
{
	ProtobufCMessage *m = arena_alloc(a, d->sizeof_message);

	protobuf_c_message_init(d, m);
	fill(m, a, 0);
	return m;
}

static bool write_entries(enum img_type t, ProtobufCMessage **m, size_t n)
{
	struct img_writer w;
	int ret;

	ret = img_create(dir, t, 7, &w, &e);
	for (size_t i = 0; !ret && i < n; i++)
		ret = img_put(&w, m[i], &e);
	if (!ret)
		ret = img_finish(&w, &e);
	img_abandon(&w);
	return !ret;
}

static bool round_trip(enum img_type t)
{
	const struct img_info *info = &img_table[t];
	struct arena a = { 0 };
	ProtobufCMessage *m[3], *got;
	size_t n = info->rest ? 3 : 1;
	struct img_reader r;
	bool good;

	for (size_t i = 0; i < n; i++)
		m[i] = filled(img_descriptor(t, i), &a);
	good = write_entries(t, m, n) && img_open(dir, t, 7, &r, &e) == 1;
	if (good) {
		r.lenient = true; /* the values are not sane */
		for (size_t i = 0; i < n; i++)
			good = good && img_get(&r, &a, &got, &e) == 1 && same(got, m[i]);
		good = good && img_get(&r, &a, &got, &e) == 0;
		img_close(&r);
	}
	arena_free(&a);
	return good;
}

static bool round_trip_raw(enum img_type t)
{
	struct img_writer w;
	struct img_reader r;
	char buf[8] = "";
	bool good;

	good = !img_create(dir, t, 7, &w, &e) && !img_put_bytes(&w, "payload", 7, &e) && !img_finish(&w, &e);
	good = good && img_open(dir, t, 7, &r, &e) == 1 && r.size == 7 && !img_get_bytes(&r, buf, 7, &e);
	img_close(&r);
	return good && !strcmp(buf, "payload");
}

static void round_trips(void)
{
	for (int t = 0; t < IMG_TYPES; t++)
		ok(img_table[t].magic ? round_trip(t) : round_trip_raw(t), "round trip: %s", img_table[t].format);
}

/* ---- writer ---- */
static void writer(void)
{
	UtsnsEntry uts = UTSNS_ENTRY__INIT, *got;
	char *large = malloc(200001);
	struct arena a = { 0 };
	struct img_writer w, inventory;
	struct stat st;

	memset(large, 'x', 200000);
	large[200000] = '\0';
	put_file("utsns-1.img", "left over", 9);
	if (fchmodat(dir, "utsns-1.img", 0666, 0))
		exit(1);
	uts.nodename = (char *)"host";
	uts.domainname = large;
	ok(!img_create(dir, IMG_UTSNS, 1, &w, &e) && !img_put(&w, &uts, &e),
	   "an entry larger than the buffer is written");
	ok(!img_finish(&w, &e) && exists("utsns-1.img"), "the file is there");
	unlinkat(dir, "inventory.img", 0);
	ok(!img_create(dir, IMG_INVENTORY, 0, &inventory, &e) && !exists("inventory.img"),
	   "the inventory is not, at first");
	img_abandon(&inventory);
	ok(!exists(".inventory.img.tmp"), "nothing is left of it");
	fstatat(dir, "utsns-1.img", &st, 0);
	ok((st.st_mode & 0777) == 0600, "its mode is 0600");
	ok((uint64_t)st.st_size == w.bytes, "bytes counts all that was written");
	img_abandon(&w);
	ok(exists("utsns-1.img"), "img_abandon() after img_finish() does nothing");

	ok(!img_create(dir, IMG_UTSNS, 2, &w, &e) && !img_put(&w, &uts, &e), "another one");
	img_abandon(&w);
	ok(!exists("utsns-2.img") && !exists(".utsns-2.img.tmp"), "img_abandon() leaves nothing");
	ok(img_read_one(dir, IMG_UTSNS, 1, &a, &got, &e) == -EINVAL && e.code == CR_E_IMG_CORRUPT,
	   "a name of 200000 bytes does not pass the validator (%s)", e.reason);
	uts.domainname = NULL;
	uts.nodename = NULL;
	ok(img_write_one(dir, IMG_UTSNS, 3, &uts, &e) < 0 && !exists("utsns-3.img"),
	   "a message without a required field is refused");
	ok(img_create(-1, IMG_UTSNS, 3, &w, &e) < 0, "img_create() in no directory");
	img_abandon(&w);
	arena_free(&a);
	free(large);
}

/* ---- reader ---- */
static void heads(void)
{
	static const uint32_t v1[] = { 0x54473203 }, wrong[] = { IMG_MAGIC_COMMON, 0x50273030 },
			      service[] = { IMG_MAGIC_SERVICE, 0x54473203 };
	struct arena a = { 0 };
	struct img_reader r;
	UtsnsEntry *got;

	put_file("utsns-4.img", v1, sizeof(v1));
	ok(img_open(dir, IMG_UTSNS, 4, &r, &e) == 1 && !img_get(&r, &a, &got, &e), "a v1 head, and no entry");
	img_close(&r);
	put_file("utsns-4.img", wrong, sizeof(wrong));
	ok(img_open(dir, IMG_UTSNS, 4, &r, &e) == -EINVAL && e.code == CR_E_IMG_MAGIC, "wrong magic: %s", e.reason);
	put_file("utsns-4.img", service, sizeof(service));
	ok(img_open(dir, IMG_UTSNS, 4, &r, &e) == -EINVAL && e.code == CR_E_IMG_MAGIC,
	   "service magic on another image");
	put_file("utsns-4.img", wrong, 3);
	ok(img_open(dir, IMG_UTSNS, 4, &r, &e) == -EINVAL, "three bytes: %s", error_name());
	put_file("utsns-4.img", wrong, 0);
	ok(img_open(dir, IMG_UTSNS, 4, &r, &e) == -EINVAL && e.code == CR_E_IMG_TRUNCATED, "no bytes");
	ok(img_open(dir, IMG_UTSNS, 99, &r, &e) == 0, "a missing file is no error");
	ok(img_read_one(dir, IMG_UTSNS, 99, &a, &got, &e) == -ENOENT && e.code == CR_E_IMG_MISSING,
	   "but where one entry is needed");
	arena_free(&a);
}

/* Read all of what a file says is a pstree. Return: entries, or -errno */
static int read_tree(const void *data, size_t len)
{
	struct arena a = { 0 };
	void **list;
	ssize_t n;

	put_file("pstree.img", data, len);
	e = (struct cr_err){ 0 };
	n = img_read_all(dir, IMG_PSTREE, 0, &a, &list, &e);
	arena_free(&a);
	return n;
}

static void broken(void)
{
	static const uint8_t good[] = { 0x19, 0x43, 0x56, 0x54, 0x30, 0x30, 0x27, 0x50, 10, 0, 0,  0,
					8,    5,    16,	  0,	24,   5,    32,	  5,	40, 5, 10, 0,
					0,    0,    8,	  6,	16,   5,    24,	  5,	32, 5, 40, 6 };
	uint8_t bad[sizeof(good)];
	bool all = true;

	ok(read_tree(good, sizeof(good)) == 2, "two tasks");
	for (size_t n = 8; n < sizeof(good); n++) {
		int ret = read_tree(good, n), want = n == 8 ? 0 : n == 22 ? 1 : -EINVAL;

		all = all && ret == want && (ret >= 0 || e.code == CR_E_IMG_TRUNCATED);
	}
	ok(all, "cut at any byte: truncated, or fewer entries");
	memcpy(bad, good, sizeof(good));
	memset(bad + 8, 0xff, 4);
	ok(read_tree(bad, sizeof(bad)) == -EINVAL && e.code == CR_E_IMG_CORRUPT, "a size of 4 GiB: %s", e.reason);
	memcpy(bad, good, sizeof(good));
	bad[8] = 20;
	bad[9] = 0;
	bad[11] = 1; /* 16 MiB: allowed, but not there */
	ok(read_tree(bad, sizeof(bad)) == -EINVAL && e.code == CR_E_IMG_TRUNCATED, "a size beyond the file: %s",
	   e.reason);
	memcpy(bad, good, sizeof(good));
	bad[12] = 0x0b; /* a group */
	ok(read_tree(bad, sizeof(bad)) == -EINVAL && e.code == CR_E_IMG_CORRUPT, "bytes that are no message: %s",
	   e.reason);
	bad[12] = 48; /* field 6 in place of the pid */
	ok(read_tree(bad, sizeof(bad)) == -EINVAL && e.code == CR_E_IMG_CORRUPT, "a required field is missing");
	unlinkat(dir, "pstree.img", 0);
}

/* aa_namespace holds aa_namespace: @depth of them, each in the one before. */
static void nesting(int depth, bool good)
{
	size_t len = 0, cap = 16 * (size_t)depth + 64;
	uint8_t *buf = malloc(cap), *p;
	struct arena a = { 0 };
	uint32_t head[3] = { IMG_MAGIC_COMMON, 0x59423047 };
	struct img_writer w;
	void *got;
	int ret;

	p = buf + cap;
	for (int i = 0; i < depth; i++) { /* from the inside out: name "n", namespaces */
		size_t n = buf + cap - p, v = n;
		uint8_t varint[8], k = 0;

		if (n) {
			do {
				varint[k++] = (v & 0x7f) | (v > 0x7f ? 0x80 : 0);
				v >>= 7;
			} while (v);
			while (k)
				*--p = varint[--k];
			*--p = 3 << 3 | 2;
		}
		p -= 3;
		memcpy(p, "\x0a\x01n", 3);
	}
	len = buf + cap - p;
	/* apparmor_entry: one namespace */
	ret = img_create(dir, IMG_APPARMOR, 0, &w, &e);
	head[0] = len + 6;
	ok(!ret && !img_put_bytes(&w, head, 4, &e) &&
		   !img_put_bytes(
			   &w, (uint8_t[]){ 0x0a, len | 0x80, len >> 7 | 0x80, len >> 14 | 0x80, len >> 21 | 0x80, 0 },
			   6, &e) &&
		   !img_put_bytes(&w, p, len, &e) && !img_finish(&w, &e),
	   "an image %d levels deep", depth);
	ret = img_read_one(dir, IMG_APPARMOR, 0, &a, &got, &e);
	ok(good ? !ret : ret == -EINVAL && e.code == CR_E_IMG_CORRUPT, "is %s", good ? "read" : "refused");
	arena_free(&a);
	free(buf);
}

static void one_entry_only(void)
{
	InventoryEntry inv = INVENTORY_ENTRY__INIT;
	ProtobufCMessage *m[2] = { &inv.base, &inv.base };
	struct arena a = { 0 };
	void *got;

	inv.img_version = 2;
	ok(write_entries(IMG_INVENTORY, m, 2) && img_read_one(dir, IMG_INVENTORY, 0, &a, &got, &e) == -EINVAL &&
		   e.code == CR_E_IMG_CORRUPT,
	   "two entries where one is due: %s", e.reason);
	ok(write_entries(IMG_INVENTORY, m, 1) && !img_read_one(dir, IMG_INVENTORY, 0, &a, &got, &e), "one is right");
	arena_free(&a);
}

static void payloads(void)
{
	PipeDataEntry pd = PIPE_DATA_ENTRY__INIT, *got;
	size_t len = 150000;
	uint8_t *data = malloc(len), *back = malloc(len);
	struct arena a = { 0 };
	struct img_writer w;
	struct img_reader r;
	int pipes[2], fd;

	for (size_t i = 0; i < len; i++)
		data[i] = i * 7;
	pd.pipe_id = 5;
	pd.bytes = len;
	ok(!img_create(dir, IMG_PIPES_DATA, 0, &w, &e) && !img_put(&w, &pd, &e) && !img_put_bytes(&w, data, len, &e) &&
		   !img_put(&w, &pd, &e) && !img_put_bytes(&w, data, len, &e) && !img_finish(&w, &e),
	   "two entries with payload");
	ok(img_open(dir, IMG_PIPES_DATA, 0, &r, &e) == 1 && img_get(&r, &a, &got, &e) == 1 && got->bytes == len &&
		   !img_get_bytes(&r, back, len, &e) && !memcmp(data, back, len),
	   "the first payload is read");
	ok(img_get(&r, &a, &got, &e) == 1 && !img_skip(&r, len, &e) && img_get(&r, &a, &got, &e) == 0,
	   "the second is skipped");
	ok(img_skip(&r, 1, &e) == -EINVAL && e.code == CR_E_IMG_TRUNCATED, "there is nothing behind it");
	img_close(&r);
	fd = openat(dir, "pipes-data.img", O_RDONLY | O_CLOEXEC);
	if (pipe(pipes))
		exit(1);
	if (!fork()) {
		close(pipes[0]);
		while ((len = read(fd, back, 5000)) > 0)
			write_full(pipes[1], back, len);
		_exit(0);
	}
	close(pipes[1]);
	ok(!img_open_any(pipes[0], "stdin", &r, &e) && r.type == IMG_PIPES_DATA && r.size == -1 &&
		   img_get(&r, &a, &got, &e) == 1 && !img_skip(&r, got->bytes, &e) && img_get(&r, &a, &got, &e) == 1 &&
		   !img_get_bytes(&r, back, got->bytes, &e) && !memcmp(data, back, got->bytes) &&
		   img_get(&r, &a, &got, &e) == 0,
	   "all of it comes through a pipe too");
	ok(fcntl(pipes[0], F_GETFD) >= 0 && (img_close(&r), fcntl(pipes[0], F_GETFD) >= 0),
	   "whose descriptor stays ours");
	close(pipes[0]);
	close(fd);
	arena_free(&a);
	free(data);
	free(back);
}

int main(void)
{
	char path[] = "/tmp/image-test.XXXXXX", remove[64];

	dir = open(mkdtemp(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	names();
	formats_fit();
	round_trips();
	writer();
	heads();
	broken();
	nesting(90, true);
	nesting(200, false);
	nesting(100000, false);
	one_entry_only();
	payloads();
	snprintf(remove, sizeof(remove), "rm -rf %s", path);
	return system(remove) ? 1 : tap_done();
}
