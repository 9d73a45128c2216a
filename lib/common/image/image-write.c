/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing images. One buffer of 64 KiB per open image: entries are small (a pagemap entry is about 15 bytes), and a
 * write() for each would cost more than all the rest. Data larger than the buffer goes past it.
 */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

enum { BUF_SIZE = 64 << 10, TMP_MAX_NAME = IMG_NAME_MAX + 8 };

/*
 * The inventory appears by rename, because it is what makes a directory a checkpoint. Of the others nobody takes one
 * before that, so they are written in place: a rename costs as much as creating a file, and there are five a task.
 */
static const char *first_name(const struct img_writer *w, char buf[TMP_MAX_NAME])
{
	char name[IMG_NAME_MAX];

	img_name(w->type, w->id, name);
	snprintf(buf, TMP_MAX_NAME, w->type == IMG_INVENTORY ? ".%s.tmp" : "%s", name);
	return buf;
}

static int write_error(const struct img_writer *w, int err, const char *what, struct cr_err *e)
{
	char name[IMG_NAME_MAX];

	return cr_err_write(e, err, img_name(w->type, w->id, name), what);
}

static int put_head(struct img_writer *w, struct cr_err *e)
{
	const struct img_info *info = &img_table[w->type];
	uint32_t head[2] = { IMG_MAGIC_COMMON, info->magic };

	switch (info->head) {
	case IMG_HEAD_RAW:
		return 0;
	case IMG_HEAD_INVENTORY:
		return img_put_bytes(w, &head[1], sizeof(head[1]), e);
	case IMG_HEAD_SERVICE:
		head[0] = IMG_MAGIC_SERVICE;
		break;
	case IMG_HEAD_COMMON:
		break;
	}
	return img_put_bytes(w, head, sizeof(head), e);
}

int img_create(int dir, enum img_type type, unsigned long id, struct img_writer *w, struct cr_err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char tmp[TMP_MAX_NAME];
	int ret;

	*w = (struct img_writer){ .dir = dir, .fd = -1, .type = type, .id = id };
	w->fd = openat(dir, first_name(w, tmp), flags, 0600);
	if (w->fd < 0 && errno == EEXIST) {
		/* Of an earlier dump, or left behind by a killed run. Made new, so that its mode and links are ours. */
		unlinkat(dir, tmp, 0);
		w->fd = openat(dir, tmp, flags, 0600);
	}
	if (w->fd < 0)
		return write_error(w, errno, "cannot be created", e);
	w->buf = malloc(BUF_SIZE);
	ret = w->buf ? put_head(w, e) : cr_err_nomem(e);
	if (ret < 0)
		img_abandon(w);
	return ret;
}

int img_create_from(int dir, enum img_type type, unsigned long id, int fd, struct img_writer *w, struct cr_err *e)
{
	char tmp[TMP_MAX_NAME], from[32];

	*w = (struct img_writer){ .dir = dir, .fd = fd, .type = type, .id = id };
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	unlinkat(dir, first_name(w, tmp), 0);
	w->buf = linkat(AT_FDCWD, from, dir, tmp, AT_SYMLINK_FOLLOW) ? NULL : malloc(BUF_SIZE);
	if (w->buf)
		return 0;
	w->fd = -1;
	return write_error(w, errno, "cannot be given a name", e);
}

static int flush(struct img_writer *w, struct cr_err *e)
{
	int ret = write_full(w->fd, w->buf, w->fill);

	if (ret < 0)
		return write_error(w, -ret, "cannot be written", e);
	w->fill = 0;
	return 0;
}

int img_put_bytes(struct img_writer *w, const void *data, size_t len, struct cr_err *e)
{
	int ret;

	if (len > BUF_SIZE - w->fill) {
		ret = flush(w, e);
		if (ret < 0)
			return ret;
	}
	w->bytes += len;
	if (len < BUF_SIZE) {
		if (len) /* @data may be NULL then */
			memcpy(w->buf + w->fill, data, len);
		w->fill += len;
		return 0;
	}
	ret = write_full(w->fd, data, len);
	return ret < 0 ? write_error(w, -ret, "cannot be written", e) : 0;
}

int img_put(struct img_writer *w, const void *message, struct cr_err *e)
{
	_cleanup_free_ uint8_t *large = NULL;
	size_t len;
	uint32_t size;
	int ret;

	if (!protobuf_c_message_check(message))
		return write_error(w, EINVAL, "an entry lacks a required field", e);
	len = protobuf_c_message_get_packed_size(message);
	if (len > IMG_ENTRY_MAX)
		return write_error(w, EMSGSIZE, "an entry is larger than 64 MiB", e);
	size = len;
	ret = img_put_bytes(w, &size, sizeof(size), e);
	if (ret < 0)
		return ret;
	if (len <= BUF_SIZE) {
		if (len > BUF_SIZE - w->fill) {
			ret = flush(w, e);
			if (ret < 0)
				return ret;
		}
		w->fill += protobuf_c_message_pack(message, w->buf + w->fill);
		w->bytes += len;
		return 0;
	}
	large = malloc(len);
	if (!large)
		return cr_err_nomem(e);
	protobuf_c_message_pack(message, large);
	return img_put_bytes(w, large, len, e);
}

static void release(struct img_writer *w)
{
	w->fd = fd_close(w->fd);
	free(w->buf);
	w->buf = NULL;
}

int img_finish(struct img_writer *w, struct cr_err *e)
{
	char tmp[TMP_MAX_NAME], name[IMG_NAME_MAX];
	int ret;

	ret = flush(w, e);
	if (ret < 0)
		return ret;
	if (w->type == IMG_INVENTORY &&
	    renameat(w->dir, first_name(w, tmp), w->dir, img_name(w->type, w->id, name)) < 0)
		return write_error(w, errno, "cannot be renamed into place", e);
	release(w);
	return 0;
}

void img_abandon(struct img_writer *w)
{
	char tmp[TMP_MAX_NAME];

	/* A writer that was never created has fd 0 or -1, and no buffer either way. */
	if (!w->buf && w->fd <= 0)
		return;
	unlinkat(w->dir, first_name(w, tmp), 0);
	release(w);
}

int img_write_one(int dir, enum img_type type, unsigned long id, const void *message, struct cr_err *e)
{
	struct img_writer w;
	int ret;

	ret = img_create(dir, type, id, &w, e);
	if (ret < 0)
		return ret;
	ret = img_put(&w, message, e);
	if (!ret)
		ret = img_finish(&w, e);
	img_abandon(&w);
	return ret;
}
