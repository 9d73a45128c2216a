/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands behind open files: paths, terminals, memfds, deleted files, pipes. */
#include "verify.h"

#include <inttypes.h>

#include "bpfmap-data.pb-c.h"
#include "ghost-file.pb-c.h"
#include "memfd.pb-c.h"
#include "mnt.pb-c.h"
#include "pipe-data.pb-c.h"
#include "remap-file-path.pb-c.h"
#include "tty.pb-c.h"
#include "verify-file-internal.h"

/* The owner of a part is known; CRIU 4.2 writes 0 for it. */
static void check_part(struct verify *v, const struct walk *w, const char *what, uint32_t id, uint32_t owner)
{
	v_expect(v, !id || id == owner, w->image->name, w->entry, "%s of file id %u in %u", what, id, owner);
}

static void check_parts(struct verify *v)
{
	struct walk w = v_walk(v, IMG_FILES);
	const FileEntry *f;

	while ((f = v_next(&w))) {
		const EventpollFileEntry *epoll = file_part(f, FD_TYPES__EVENTPOLL);
		const InotifyFileEntry *inotify = file_part(f, FD_TYPES__INOTIFY);
		const FanotifyFileEntry *fanotify = file_part(f, FD_TYPES__FANOTIFY);

		for (size_t k = 0; epoll && k < epoll->n_tfd; k++)
			check_part(v, &w, "tfd", epoll->tfd[k]->id, epoll->id);
		for (size_t k = 0; inotify && k < inotify->n_wd; k++)
			check_part(v, &w, "wd", inotify->wd[k]->id, inotify->id);
		for (size_t k = 0; fanotify && k < fanotify->n_mark; k++)
			check_part(v, &w, "mark", fanotify->mark[k]->id, fanotify->id);
	}
}

static void check_paths(struct verify *v)
{
	struct walk w = v_walk(v, IMG_MNTS);
	struct idmap mounts = { 0 };
	const RegFileEntry *reg;
	const FileEntry *f;
	const MntEntry *m;

	while ((m = v_next(&w)))
		v_seen(v, &mounts, m->mnt_id);
	w = v_walk(v, IMG_FILES);
	while ((f = v_next(&w))) {
		if (!(reg = file_part(f, FD_TYPES__REG)))
			continue;
		v_expect(v, reg->name[0] == '/' || reg->ext, w.image->name, w.entry, "name %s is not absolute",
			 reg->name);
		v_expect(v,
			 !mounts.n || reg->mnt_id == -1 || reg->mnt_id == 0 ||
				 idmap_has(&mounts, (uint32_t)reg->mnt_id),
			 w.image->name, w.entry, "mnt_id %d is in no mountpoints image", reg->mnt_id);
	}
}

static void check_ttys(struct verify *v)
{
	struct walk w = v_walk(v, IMG_TTY_INFO);
	const TtyFileEntry *tty;
	struct idmap ids = { 0 };
	const TtyInfoEntry *info;
	const TtyDataEntry *data;
	const FileEntry *f;

	while ((info = v_next(&w)))
		v_seen(v, &ids, info->id);
	w = v_walk(v, IMG_FILES);
	while ((f = v_next(&w))) {
		if (!(tty = file_part(f, FD_TYPES__TTY)))
			continue;
		v_expect(v, idmap_has(&ids, tty->tty_info_id), w.image->name, w.entry,
			 "tty_info_id %u is not in tty-info.img", tty->tty_info_id);
		if (tty->has_regf_id)
			verify_ref(v, w.image->name, w.entry, tty->regf_id, FILE_BIT(REG), "regf_id");
	}
	w = v_walk(v, IMG_TTY_DATA);
	while ((data = v_next(&w)))
		v_expect(v, idmap_has(&ids, data->tty_id), w.image->name, w.entry, "tty_id %u is not in tty-info.img",
			 data->tty_id);
}

static void check_memfds(struct verify *v)
{
	struct walk w = v_walk(v, IMG_MEMFD_INODE);
	const MemfdFileEntry *memfd;
	const MemfdInodeEntry *m;
	struct idmap inodes = { 0 };
	const FileEntry *f;
	char name[IMG_NAME_MAX];

	while ((m = v_next(&w))) {
		v_expect(v, !v_seen(v, &inodes, m->inode_id), w.image->name, w.entry,
			 "inode_id %" PRIu64 " is not unique", m->inode_id);
		v_expect(v, !m->size || v_image(v, IMG_PAGEMAP_SHMEM, m->shmid), w.image->name, w.entry, "no %s",
			 img_name(IMG_PAGEMAP_SHMEM, m->shmid, name));
	}
	w = v_walk(v, IMG_FILES);
	while ((f = v_next(&w)))
		if ((memfd = file_part(f, FD_TYPES__MEMFD)))
			v_expect(v, idmap_has(&inodes, memfd->inode_id), w.image->name, w.entry,
				 "inode_id %u is not in memfd.img", memfd->inode_id);
}

static void check_bpf(struct verify *v)
{
	struct walk w = v_walk(v, IMG_FILES);
	const BpfmapDataEntry *data;
	const BpfmapFileEntry *bpf;
	struct idmap maps = { 0 };
	const FileEntry *f;

	while ((f = v_next(&w)))
		if ((bpf = file_part(f, FD_TYPES__BPFMAP)))
			v_seen(v, &maps, bpf->map_id);
	w = v_walk(v, IMG_BPFMAP_DATA);
	while ((data = v_next(&w)))
		v_expect(v, idmap_has(&maps, data->map_id), w.image->name, w.entry, "no file has map_id %u",
			 data->map_id);
}

static void check_ghost(struct verify *v, const struct vimage *i)
{
	const GhostFileEntry *head = i->n ? i->entry[0] : NULL;
	uint64_t end = 0;

	if (!head)
		return;
	v_expect(v, head->has_size || !head->chunks, i->name, 0, "chunks without a size");
	for (size_t n = 1; n < i->n; n++) {
		const GhostChunkEntry *c = i->entry[n];
		uint64_t last;

		if (!c)
			continue;
		if (!v_expect(v,
			      head->chunks && c->off >= end && !__builtin_add_overflow(c->off, c->len, &last) &&
				      last <= head->size,
			      i->name, (long)n, "chunk is out of order or behind the end"))
			last = c->off + c->len;
		end = last;
	}
}

static void check_remaps(struct verify *v)
{
	struct walk w = v_walk(v, IMG_REMAP_FPATH);
	const RemapFilePathEntry *r;
	struct idmap ghosts = { 0 };
	const struct vimage *i;
	char name[IMG_NAME_MAX];

	while ((r = v_next(&w))) {
		uint32_t id = r->remap_id & INT32_MAX;

		verify_ref(v, w.image->name, w.entry, r->orig_id, 0, "orig_id");
		if (r->has_remap_type ? r->remap_type == REMAP_TYPE__GHOST : r->remap_id >> 31) {
			v_seen(v, &ghosts, id);
			v_expect(v, v_image(v, IMG_GHOST_FILE, id), w.image->name, w.entry, "%s is missing",
				 img_name(IMG_GHOST_FILE, id, name));
		} else if (!r->has_remap_type || r->remap_type == REMAP_TYPE__LINKED) {
			verify_ref(v, w.image->name, w.entry, r->remap_id, FILE_BIT(REG), "remap_id");
		}
	}
	for (size_t n = v_images(v, IMG_GHOST_FILE, &i); n; n--, i++) {
		v_expect(v, idmap_has(&ghosts, i->id), i->name, -1, "remap-fpath.img does not name it");
		check_ghost(v, i);
	}
}

static void check_data(struct verify *v, enum img_type type, const struct idmap *known, const char *what)
{
	struct walk w = v_walk(v, type);
	struct idmap seen = { 0 };
	const PipeDataEntry *d;

	while ((d = v_next(&w))) {
		v_expect(v, idmap_has(known, d->pipe_id), w.image->name, w.entry, "no %s has pipe_id %u", what,
			 d->pipe_id);
		v_expect(v, !v_seen(v, &seen, d->pipe_id), w.image->name, w.entry, "pipe_id %u is not unique",
			 d->pipe_id);
		v_expect(v, !d->has_size || d->bytes <= d->size, w.image->name, w.entry, "%u bytes in a pipe of %u",
			 d->bytes, d->size);
	}
}

static void check_pipes(struct verify *v)
{
	struct walk w = v_walk(v, IMG_FILES);
	struct idmap pipes = { 0 }, fifos = { 0 };
	const FileEntry *f;

	while ((f = v_next(&w))) {
		const PipeEntry *pipe = file_part(f, FD_TYPES__PIPE);
		const FifoEntry *fifo = file_part(f, FD_TYPES__FIFO);

		if (pipe)
			v_seen(v, &pipes, pipe->pipe_id);
		if (!fifo)
			continue;
		v_seen(v, &fifos, fifo->pipe_id);
		verify_ref(v, w.image->name, w.entry, fifo->has_regf_id ? fifo->regf_id : fifo->id,
			   FILE_BIT(REG) | FILE_BIT(FIFO), "regf_id");
	}
	check_data(v, IMG_PIPES_DATA, &pipes, "pipe");
	check_data(v, IMG_FIFO_DATA, &fifos, "fifo");
}

void verify_things(struct verify *v)
{
	check_paths(v);
	check_parts(v);
	check_ttys(v);
	check_memfds(v);
	check_bpf(v);
	check_remaps(v);
	check_pipes(v);
}
