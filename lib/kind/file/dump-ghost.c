/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A file without a name lives as long as someone has it open or mapped; its contents go into ghost-file-N.img, and
 * remap-fpath.img says which entries of files.img mean it. It is read by pread() through the task's own description,
 * which leaves the offset alone; lseek(SEEK_DATA) would move it, so holes are found as blocks of zeros. Where the
 * description cannot be read (opened for writing only, or there is a mapping only) the inode is opened again: nobody
 * can watch or lease a file that has no name but by a descriptor of his own.
 */
#include "kind/file/dump-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#include "ghost-file.pb-c.h"
#include "remap-file-path.pb-c.h"

enum { GHOST_BLOCK = 4096, GHOST_BUF = 256 << 10, GHOST_CHUNKS_FROM = 12288 };

struct ghost {
	struct ghost *next;
	dev_t dev;
	ino_t ino;
	uint32_t id;
};

static int put_remap(struct dump *d, uint32_t id, uint32_t ghost, struct cr_err *e)
{
	RemapFilePathEntry row = REMAP_FILE_PATH_ENTRY__INIT;
	struct img_writer *w;
	int ret = dump_image(d, IMG_REMAP_FPATH, &w, e);

	row.orig_id = id;
	row.remap_id = ghost;
	row.has_remap_type = true;
	row.remap_type = REMAP_TYPE__GHOST;
	return ret < 0 ? ret : img_put(w, &row, e);
}

static bool all_zero(const char *p, size_t len)
{
	return !*p && !memcmp(p, p + 1, len - 1);
}

/* The pieces of @buf that hold data. @chunks: else all of it, as it stands */
static int put_data(struct img_writer *w, const char *buf, size_t len, uint64_t off, bool chunks, struct cr_err *e)
{
	size_t from = 0, to;

	if (!chunks)
		return img_put_bytes(w, buf, len, e);
	while (from < len) {
		GhostChunkEntry head = GHOST_CHUNK_ENTRY__INIT;
		size_t block = len - from < GHOST_BLOCK ? len - from : GHOST_BLOCK;
		int ret;

		if (all_zero(buf + from, block)) {
			from += block;
			continue;
		}
		for (to = from; to < len; to += block) {
			block = len - to < GHOST_BLOCK ? len - to : GHOST_BLOCK;
			if (all_zero(buf + to, block))
				break;
		}
		head.off = off + from;
		head.len = to - from;
		ret = img_put(w, &head, e);
		if (!ret)
			ret = img_put_bytes(w, buf + from, head.len, e);
		if (ret < 0)
			return ret;
		from = to;
	}
	return 0;
}

static int put_contents(const struct fd_look *l, int fd, struct img_writer *w, bool chunks, struct cr_err *e)
{
	_cleanup_free_ char *buf = malloc(GHOST_BUF);
	uint64_t size = l->st.st_size;

	if (!buf)
		return cr_err_nomem(e);
	for (uint64_t off = 0; off < size;) {
		size_t len = size - off < GHOST_BUF ? size - off : GHOST_BUF;
		int ret = pread_full(fd, buf, len, off);

		if (!ret)
			ret = put_data(w, buf, len, off, chunks, e);
		else
			ret = dump_failed(l, -ret, "reading the deleted file", e);
		if (ret < 0)
			return ret;
		off += len;
	}
	return 0;
}

/* A descriptor that can be read: the copy itself, or (@ret_own) a new description. */
static int readable(const struct fd_look *l, int *ret_own)
{
	char path[32];

	if (l->fd >= 0 && (l->flags & O_ACCMODE) != O_WRONLY && !(l->flags & (O_PATH | O_DIRECT)))
		return l->lfd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", l->lfd);
	*ret_own = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return *ret_own < 0 ? -errno : *ret_own;
}

static int write_ghost(struct dump *d, const struct fd_look *l, uint32_t ghost, struct cr_err *e)
{
	GhostFileEntry head = GHOST_FILE_ENTRY__INIT;
	Timeval atim = TIMEVAL__INIT, mtim = TIMEVAL__INIT;
	bool regular = S_ISREG(l->st.st_mode);
	_cleanup_close_ int own = -1;
	char name[IMG_NAME_MAX];
	struct img_writer w;
	int fd, ret;

	fd = regular ? readable(l, &own) : -1;
	if (regular && fd < 0)
		return dump_failed(l, -fd, "opening the deleted file", e);
	atim.tv_sec = l->st.st_atim.tv_sec;
	atim.tv_usec = l->st.st_atim.tv_nsec / 1000;
	mtim.tv_sec = l->st.st_mtim.tv_sec;
	mtim.tv_usec = l->st.st_mtim.tv_nsec / 1000;
	head.uid = l->st.st_uid;
	head.gid = l->st.st_gid;
	head.mode = l->st.st_mode;
	head.has_dev = head.has_ino = true;
	head.dev = dump_kdev(l->st.st_dev);
	head.ino = l->st.st_ino;
	head.atim = &atim;
	head.mtim = &mtim;
	head.has_chunks = head.chunks = head.has_size = regular && l->st.st_size >= GHOST_CHUNKS_FROM;
	head.size = l->st.st_size;
	ret = img_create(d->img, IMG_GHOST_FILE, ghost, &w, e);
	if (ret < 0)
		return ret;
	ret = img_put(&w, &head, e);
	if (!ret && regular)
		ret = put_contents(l, fd, &w, head.chunks, e);
	if (!ret)
		ret = img_finish(&w, e);
	if (!ret)
		stage_wrote(d->facts, img_name(IMG_GHOST_FILE, ghost, name), w.bytes);
	img_abandon(&w);
	return ret;
}

int dump_ghost(struct dump *d, const struct fd_look *l, uint32_t id, uint64_t limit, struct cr_err *e)
{
	struct file_ids *f = d->files;
	struct ghost *g;
	int ret;

	for (g = f->ghosts; g; g = g->next)
		if (g->dev == l->st.st_dev && g->ino == l->st.st_ino)
			return put_remap(d, id, g->id, e);
	if (limit && (uint64_t)l->st.st_blocks * 512 > limit && (uint64_t)l->st.st_size > limit)
		return dump_refuse(
			l, e, CR_E_GHOST_LIMIT,
			"a deleted file of %lld bytes is larger than 1 MiB: --ghost-limit is not supported yet",
			(long long)l->st.st_size);
	g = arena_alloc(d->arena, sizeof(*g));
	if (!g)
		return cr_err_nomem(e);
	*g = (struct ghost){ f->ghosts, l->st.st_dev, l->st.st_ino, ++f->nr_ghosts };
	f->ghosts = g;
	ret = d->dry ? 0 : write_ghost(d, l, g->id, e);
	return ret < 0 ? ret : put_remap(d, id, g->id, e);
}
