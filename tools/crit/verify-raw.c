/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images without a head: archives of tmpfs, dumps of network tables. They are read in pieces. */
#include "verify.h"

#include <fcntl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"

enum { PIECE = 64 << 10, BLOCK = 512 };

/* A tar archive as it comes out of the decompressor. */
struct tar {
	uint8_t block[BLOCK];
	size_t fill;
	uint64_t skip; /* bytes of a file's data that are still to come, padded */
	bool extended; /* sparse files have more headers behind the first */
	bool ended;    /* a block of zeros */
	const char *problem;
};

static bool all_zero(const uint8_t *p, size_t n)
{
	return !*p && !memcmp(p, p + 1, n - 1);
}

/* Octal digits; or, for what these cannot hold, bytes with the top bit set in front. */
static uint64_t tar_number(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	if (*p & 0x80) {
		for (size_t k = 1; k < n; k++)
			v = v << 8 | p[k];
		return v;
	}
	while (n && *p == ' ')
		p++, n--;
	for (; n && *p >= '0' && *p <= '7'; p++, n--)
		v = v << 3 | (*p - '0');
	return v;
}

static void tar_header(struct tar *t)
{
	uint64_t sum = 8 * ' ', want = tar_number(t->block + 148, 8), size = tar_number(t->block + 124, 12);
	char type = (char)t->block[156];

	if (t->extended) {
		t->extended = t->block[504];
		return;
	}
	if (all_zero(t->block, BLOCK)) {
		t->ended = true;
		return;
	}
	for (size_t k = 0; k < BLOCK; k++)
		sum += k >= 148 && k < 156 ? 0 : t->block[k];
	if (sum != want)
		t->problem = "a header has a wrong checksum";
	t->extended = type == 'S' && t->block[482];
	/* Links and devices have no data, whatever their size says. */
	t->skip = type >= '1' && type <= '6' ? 0 : (size + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
}

static void tar_take(struct tar *t, const uint8_t *p, size_t len)
{
	while (len && !t->problem && !t->ended) {
		bool data = t->skip && !t->fill && !t->extended;
		size_t n = data ? (t->skip < len ? (size_t)t->skip : len) : BLOCK - t->fill;

		n = n < len ? n : len;
		if (data) {
			t->skip -= n;
		} else {
			memcpy(t->block + t->fill, p, n);
			t->fill = (t->fill + n) % BLOCK;
			if (!t->fill)
				tar_header(t);
		}
		p += n;
		len -= n;
	}
}

/* Return: what is wrong, NULL if nothing is. */
static const char *unpack(int fd, struct tar *t, uint8_t *in, uint8_t *out)
{
	z_stream z = { 0 };
	const char *problem = NULL;
	int got = Z_OK;
	ssize_t n;

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return "memory ran out";
	while (!problem && (n = read(fd, in, PIECE)) > 0) {
		z.next_in = in;
		z.avail_in = n;
		do {
			if (got == Z_STREAM_END) /* one more member */
				inflateReset(&z);
			z.next_out = out;
			z.avail_out = PIECE;
			got = inflate(&z, Z_NO_FLUSH);
			if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
				problem = z.msg ? z.msg : "broken data";
			tar_take(t, out, PIECE - z.avail_out);
		} while (!problem && (z.avail_in || !z.avail_out) && got != Z_BUF_ERROR);
	}
	if (!problem && got != Z_STREAM_END)
		problem = "it ends too early";
	inflateEnd(&z);
	return problem;
}

static void check_archive(struct verify *v, const struct vimage *i)
{
	_cleanup_close_ int fd = openat(v->dir, i->name, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ uint8_t *buf = malloc(2 * PIECE);
	struct tar t = { 0 };
	const char *problem;

	if (fd < 0 || !buf)
		return;
	problem = unpack(fd, &t, buf, buf + PIECE);
	if (!problem)
		problem = t.problem;
	if (!problem && (t.skip || t.fill))
		problem = "the archive ends too early";
	v_expect(v, !problem, i->name, -1, "is no gzip tar: %s", problem);
}

/* Whole netlink messages up to the end of the file. */
static void check_netlink(struct verify *v, const struct vimage *i, const uint8_t *data, size_t len, size_t pos,
			  size_t align)
{
	for (long n = 0; pos < len; n++) {
		uint32_t size = 0;

		memcpy(&size, data + pos, len - pos < 4 ? len - pos : 4);
		if (!v_expect(v, size >= 16 && size <= len - pos, i->name, n, "netlink message of %u bytes at %zu",
			      size, pos))
			return;
		pos += (size + align - 1) / align * align;
	}
}

static void check_text(struct verify *v, const struct vimage *i, const char *data, size_t len)
{
	while (len && !data[len - 1])
		len--;
	v_expect(v, !memchr(data, 0, len), i->name, -1, "is not text");
}

static void check_table(struct verify *v, const struct vimage *i)
{
	enum { MOST = 64 << 20 };
	_cleanup_free_ char *data = NULL;
	/* Before memory is taken: it may be a large hole. */
	ssize_t len = i->size > MOST ? -EFBIG : read_file_at(v->dir, i->name, MOST, &data);
	uint32_t first = 0, want = 0;

	if (!len)
		return;
	if (!v_expect(v, len > 0, i->name, -1, "cannot be read: %s", strerror((int)-len)))
		return;
	memcpy(&first, data, len < 4 ? len : 4);
	if (i->type == IMG_IFADDR)
		want = 0x47361222;
	else if (i->type == IMG_ROUTE || i->type == IMG_ROUTE6)
		want = 0x45311224;
	else if (i->type == IMG_RULE)
		want = 0x71706986;
	if (want) {
		v_expect(v, first == want, i->name, -1, "starts with %#x, not %#x", first, want);
		check_netlink(v, i, (const uint8_t *)data, len, 4, 4);
	} else if (i->type == IMG_NETNS_CT || i->type == IMG_NETNS_EXP) {
		check_netlink(v, i, (const uint8_t *)data, len, 0, 1);
	} else {
		check_text(v, i, data, len);
	}
}

void verify_raw(struct verify *v)
{
	for (size_t k = 0; k < v->n_images; k++) {
		const struct vimage *i = &v->images[k];

		if (img_table[i->type].head != IMG_HEAD_RAW || i->type == IMG_PAGES || !i->size)
			continue;
		if (i->type == IMG_TMPFS_DEV || i->type == IMG_TMPFS_IMG)
			check_archive(v, i);
		else
			check_table(v, i);
	}
}
