/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading images. One read-ahead buffer of 64 KiB per open image; an entry that fits is unpacked straight from it.
 * Nothing that the file says is believed: sizes are compared with the limit and with the rest of the file before
 * memory is taken, nesting is bounded before protobuf-c (which recurses) sees the message.
 */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/wire.h"

enum { BUF_SIZE = 64 << 10, UNPACKED_MAX = 1 << 30 };

static int io_error(const struct img_reader *r, int err, struct cr_err *e)
{
	return cr_err_set(e, CR_E_SYSTEM, err, r->name, "cannot be read");
}

static int truncated(const struct img_reader *r, struct cr_err *e)
{
	cr_err_set(e, CR_E_IMG_TRUNCATED, 0, r->name, "ends at byte %lld, inside entry %lu", (long long)r->pos,
		   r->entry);
	return -EINVAL;
}

int img_bad(const struct img_reader *r, struct cr_err *e, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cr_err_set(e, CR_E_IMG_CORRUPT, 0, r->name, "entry %lu: %s", r->entry ? r->entry - 1 : 0, text);
	return -EINVAL;
}

/* Make @want bytes (at most BUF_SIZE) available, or all up to the end of the file. Return: 0 or -errno. */
static int ahead(struct img_reader *r, size_t want)
{
	if (r->end - r->start >= want)
		return 0;
	memmove(r->buf, r->buf + r->start, r->end - r->start);
	r->end -= r->start;
	r->start = 0;
	while (r->end < want) {
		ssize_t n = read(r->fd, r->buf + r->end, BUF_SIZE - r->end);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		r->end += n;
	}
	return 0;
}

static size_t take(struct img_reader *r, size_t len)
{
	size_t have = r->end - r->start;

	if (len > have)
		len = have;
	r->start += len;
	r->pos += len;
	return len;
}

ssize_t img_read(struct img_reader *r, void *buf, size_t len, struct cr_err *e)
{
	uint8_t *to = buf;
	size_t done;

	done = take(r, len);
	memcpy(to, r->buf + r->start - done, done);
	while (done < len) {
		ssize_t n = read(r->fd, to + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return io_error(r, errno, e);
		if (!n)
			break;
		done += n;
		r->pos += n;
	}
	return done;
}

static uint32_t word_ahead(const struct img_reader *r, size_t index)
{
	uint32_t word = 0;

	if (r->end - r->start >= (index + 1) * sizeof(word))
		memcpy(&word, r->buf + r->start + index * sizeof(word), sizeof(word));
	return word;
}

/*
 * v1.1 images begin with two words, the inventory and v1 images with the type's alone.
 * @ret_magic: the type's magic. Return: length of the head.
 */
static size_t parse_head(const struct img_reader *r, uint32_t *ret_magic, uint32_t *ret_first)
{
	*ret_first = word_ahead(r, 0);
	if (*ret_first == IMG_MAGIC_COMMON || *ret_first == IMG_MAGIC_SERVICE) {
		*ret_magic = word_ahead(r, 1);
		return 8;
	}
	*ret_magic = *ret_first;
	return 4;
}

/* Is it too short for a head? Of a file that is empty the magic says nothing. */
static int head_there(const struct img_reader *r, struct cr_err *e)
{
	size_t have = r->end - r->start, want;
	uint32_t magic, first;

	want = parse_head(r, &magic, &first);
	if (have >= want)
		return 0;
	if (have)
		cr_err_set(e, CR_E_IMG_TRUNCATED, 0, r->name, "ends after %zu bytes, inside its magic", have);
	else
		cr_err_set(e, CR_E_IMG_TRUNCATED, 0, r->name, "is empty");
	return -EINVAL;
}

static int reader_init(int fd, const char *name, struct img_reader *r, struct cr_err *e)
{
	struct stat st;
	int ret;

	*r = (struct img_reader){ .fd = fd, .type = IMG_TYPES, .borrowed = true };
	snprintf(r->name, sizeof(r->name), "%s", name);
	if (fstat(fd, &st) < 0)
		return io_error(r, errno, e);
	r->size = S_ISREG(st.st_mode) ? st.st_size : -1;
	r->buf = malloc(BUF_SIZE);
	if (!r->buf)
		return cr_err_nomem(e);
	ret = ahead(r, 8);
	return ret < 0 ? io_error(r, -ret, e) : 0;
}

static int check_head(struct img_reader *r, struct cr_err *e)
{
	const struct img_info *info = &img_table[r->type];
	uint32_t magic, first, want = info->head == IMG_HEAD_SERVICE ? IMG_MAGIC_SERVICE : IMG_MAGIC_COMMON;
	size_t len;

	if (info->head == IMG_HEAD_RAW)
		return 0;
	if (head_there(r, e) < 0)
		return -EINVAL;
	len = parse_head(r, &magic, &first);
	if (magic == info->magic && len == (info->head == IMG_HEAD_INVENTORY ? 4 : len) &&
	    (len == 4 || first == want)) {
		take(r, len);
		return 0;
	}
	cr_err_set(e, CR_E_IMG_MAGIC, 0, r->name, "magic is 0x%08x, not 0x%08x (%s)", magic, info->magic, info->name);
	return -EINVAL;
}

int img_open_fd(int fd, const char *name, enum img_type type, struct img_reader *r, struct cr_err *e)
{
	int ret;

	ret = reader_init(fd, name, r, e);
	r->type = type;
	if (!ret)
		ret = check_head(r, e);
	if (ret < 0)
		img_close(r);
	return ret;
}

int img_open_any(int fd, const char *name, struct img_reader *r, struct cr_err *e)
{
	const char *base = strrchr(name, '/');
	enum img_type by_name;
	uint32_t magic, first;
	unsigned long id;
	int ret;

	base = base ? base + 1 : name;
	ret = reader_init(fd, base, r, e);
	ret = ret ? ret : head_there(r, e);
	if (ret < 0) {
		img_close(r);
		return ret;
	}
	parse_head(r, &magic, &first);
	r->type = img_by_magic(magic);
	if (r->type == IMG_TYPES) {
		img_close(r);
		cr_err_set(e, CR_E_IMG_MAGIC, 0, base, "unknown magic 0x%x", magic);
		cr_err_remedy(e,
			      "this may be raw data: pages-*, tmpfs-* and the dumps of network tables have no magic");
		return -EINVAL;
	}
	if (img_parse_name(base, &by_name, &id) && img_table[by_name].magic == magic)
		r->type = by_name;
	ret = check_head(r, e);
	if (ret < 0)
		img_close(r);
	return ret;
}

int img_open(int dir, enum img_type type, unsigned long id, struct img_reader *r, struct cr_err *e)
{
	char name[IMG_NAME_MAX];
	int fd, ret;

	*r = (struct img_reader){ .fd = -1, .type = type, .borrowed = true };
	fd = img_open_file(dir, img_name(type, id, name), e);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	ret = img_open_fd(fd, name, type, r, e);
	if (ret < 0) {
		fd_close(fd);
		return ret;
	}
	r->borrowed = false;
	return 1;
}

void img_close(struct img_reader *r)
{
	/* Without a buffer it is a reader that was never opened: its fd 0 would be stdin. */
	if (r->buf && !r->borrowed)
		fd_close(r->fd);
	free(r->buf);
	free(r->large);
	r->buf = r->large = NULL;
	r->fd = -1;
}

int img_get_bytes(struct img_reader *r, void *buf, size_t len, struct cr_err *e)
{
	ssize_t n;

	if (r->size >= 0 && (len > (size_t)r->size || r->pos > r->size - (off_t)len))
		return truncated(r, e);
	n = img_read(r, buf, len, e);
	if (n < 0)
		return n;
	return (size_t)n < len ? truncated(r, e) : 0;
}

int img_skip(struct img_reader *r, uint64_t len, struct cr_err *e)
{
	if (r->size >= 0 && (r->pos > r->size || len > (uint64_t)(r->size - r->pos)))
		return truncated(r, e);
	len -= take(r, len);
	if (r->size >= 0) {
		if (len && lseek(r->fd, len, SEEK_CUR) < 0)
			return io_error(r, errno, e);
		r->pos += len;
		return 0;
	}
	while (len) {
		int ret = ahead(r, 1);

		if (ret < 0)
			return io_error(r, -ret, e);
		if (r->start == r->end)
			return truncated(r, e);
		len -= take(r, len);
	}
	return 0;
}

/* Nothing but zeros, as in a file that was never written (and may be sparse, without an end): no entry but the only one can be so. */
static bool needs_bytes(const ProtobufCMessageDescriptor *d)
{
	for (unsigned int i = 0; d && i < d->n_fields; i++)
		if (d->fields[i].label == PROTOBUF_C_LABEL_REQUIRED)
			return true;
	return false;
}

int img_get_packed(struct img_reader *r, const uint8_t **ret_data, size_t *ret_len, struct cr_err *e)
{
	uint32_t size;
	int ret;

	free(r->large);
	r->large = NULL;
	ret = ahead(r, sizeof(size));
	if (ret < 0)
		return io_error(r, -ret, e);
	if (r->start == r->end)
		return 0;
	if (r->end - r->start < sizeof(size))
		return truncated(r, e);
	size = word_ahead(r, 0);
	if (size > IMG_ENTRY_MAX) {
		r->entry++;
		return img_bad(r, e, "says it is %u bytes long, more than 64 MiB", size);
	}
	take(r, sizeof(size));
	if (!size && needs_bytes(img_descriptor(r->type, r->entry))) {
		r->entry++;
		return img_bad(r, e, "is empty");
	}
	if (r->size >= 0 && size > r->size - r->pos)
		return truncated(r, e);
	if (size > BUF_SIZE) {
		r->large = malloc(size);
		if (!r->large)
			return cr_err_nomem(e);
		ret = img_get_bytes(r, r->large, size, e);
		*ret_data = r->large;
	} else {
		ret = ahead(r, size);
		if (ret < 0)
			return io_error(r, -ret, e);
		*ret_data = r->buf + r->start;
		ret = take(r, size) < size ? truncated(r, e) : 0;
	}
	if (ret < 0)
		return ret;
	*ret_len = size;
	r->entry++;
	return 1;
}

int img_get_as(struct img_reader *r, const ProtobufCMessageDescriptor *d, struct arena *a, void *ret, struct cr_err *e)
{
	ProtobufCMessage *m;
	const uint8_t *data;
	char why[160];
	size_t len;
	int got;

	got = img_get_packed(r, &data, &len, e);
	if (got <= 0)
		return got;
	if (!wire_depth_ok(d, data, len))
		return img_bad(r, e, "is not a %s: broken, or nested too deeply", d->name);
	m = img_unpack(d, a, data, len);
	if (!m)
		return img_bad(r, e, "is not a %s: broken, a required field is missing, or it is too large", d->name);
	if (!r->lenient && !img_valid(m, why))
		return img_bad(r, e, "%s", why);
	*(ProtobufCMessage **)ret = m;
	return 1;
}

int img_get(struct img_reader *r, struct arena *a, void *ret, struct cr_err *e)
{
	const ProtobufCMessageDescriptor *d = img_descriptor(r->type, r->entry);
	int got;

	if (d)
		return img_get_as(r, d, a, ret, e);
	got = ahead(r, 1);
	if (got < 0)
		return io_error(r, -got, e);
	if (r->start == r->end)
		return 0;
	return img_bad(r, e, "has %s behind it", img_table[r->type].magic ? "more data" : "no entries, but data");
}

int img_read_one(int dir, enum img_type type, unsigned long id, struct arena *a, void *ret, struct cr_err *e)
{
	ProtobufCMessage *m, *more;
	struct img_reader r;
	char name[IMG_NAME_MAX];
	int got;

	got = img_open(dir, type, id, &r, e);
	if (got > 0)
		got = img_get(&r, a, &m, e);
	if (got > 0 && img_table[type].payload == IMG_NOPL) {
		int behind = img_get(&r, a, &more, e);

		/* What cannot be read is not damaged. */
		if (behind > 0 || (behind < 0 && (!e || e->code == CR_E_IMG_CORRUPT)))
			behind = img_bad(&r, e, "is followed by more data");
		got = behind ? behind : got;
	}
	img_close(&r);
	if (!got) {
		cr_err_set(e, CR_E_IMG_MISSING, 0, img_name(type, id, name), "is missing or empty");
		return -ENOENT;
	}
	if (got < 0)
		return got;
	*(ProtobufCMessage **)ret = m;
	return 0;
}

/* Grown by doubling; the outgrown halves stay in the arena. */
static int append(struct arena *a, void ***list, size_t *cap, size_t n, void *m)
{
	if (n + 1 >= *cap) {
		size_t want = *cap ? 2 * *cap : 64;
		void **more = arena_calloc(a, want, sizeof(*more));

		if (!more)
			return -ENOMEM;
		if (n)
			memcpy(more, *list, n * sizeof(*more));
		*list = more;
		*cap = want;
	}
	(*list)[n] = m;
	return 0;
}

ssize_t img_read_all(int dir, enum img_type type, unsigned long id, struct arena *a, void ***ret, struct cr_err *e)
{
	size_t n = 0, cap = 0;
	struct img_reader r;
	void **list = NULL, *m = NULL;
	int got;

	got = img_open(dir, type, id, &r, e);
	while (got > 0 && (got = img_get(&r, a, &m, e)) > 0) {
		if (append(a, &list, &cap, n++, m) < 0)
			got = cr_err_nomem(e);
	}
	img_close(&r);
	if (got < 0)
		return got;
	/* One more for the NULL at the end (arena memory is zeroed); also makes the list of an empty image. */
	if (append(a, &list, &cap, n, NULL) < 0)
		return cr_err_nomem(e);
	*ret = list;
	return n;
}

/* What a message may take when it is unpacked: empty ones inside of it have 2 bytes there and up to 200 here. */
struct budget {
	struct arena *arena;
	size_t left;
};

static void *allocate(void *data, size_t size)
{
	struct budget *b = data;

	if (size > b->left)
		return NULL;
	b->left -= size;
	return arena_alloc(b->arena, size);
}

static void release(void *data, void *p)
{
}

ProtobufCMessage *img_unpack(const ProtobufCMessageDescriptor *d, struct arena *a, const uint8_t *data, size_t len)
{
	struct budget b = { a, UNPACKED_MAX };
	ProtobufCAllocator alloc = { .alloc = allocate, .free = release, .allocator_data = &b };

	return protobuf_c_message_unpack(d, &alloc, len, data);
}
