/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files: ids, the tables of descriptors, and all that names a file. */
#include "verify.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "file-lock.pb-c.h"
#include "fs.pb-c.h"
#include "inventory.pb-c.h"
#include "mnt.pb-c.h"
#include "pstree.pb-c.h"
#include "seccomp.pb-c.h"
#include "sk-packet.pb-c.h"
#include "tcp-stream.pb-c.h"
#include "verify-file-internal.h"

static const char *type_name(uint32_t type)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, (int)type);

	return value ? value->name : "?";
}

const void *file_part(const FileEntry *f, uint32_t type)
{
	const void *parts[] = {
		[FD_TYPES__REG] = f->reg,	 [FD_TYPES__PIPE] = f->pipe,   [FD_TYPES__FIFO] = f->fifo,
		[FD_TYPES__INETSK] = f->isk,	 [FD_TYPES__UNIXSK] = f->usk,  [FD_TYPES__EVENTFD] = f->efd,
		[FD_TYPES__EVENTPOLL] = f->epfd, [FD_TYPES__INOTIFY] = f->ify, [FD_TYPES__SIGNALFD] = f->sgfd,
		[FD_TYPES__PACKETSK] = f->psk,	 [FD_TYPES__TTY] = f->tty,     [FD_TYPES__FANOTIFY] = f->ffy,
		[FD_TYPES__NETLINKSK] = f->nlsk, [FD_TYPES__NS] = f->nsf,      [FD_TYPES__TUNF] = f->tunf,
		[FD_TYPES__EXT] = f->ext,	 [FD_TYPES__TIMERFD] = f->tfd, [FD_TYPES__MEMFD] = f->memfd,
		[FD_TYPES__BPFMAP] = f->bpf,	 [FD_TYPES__PIDFD] = f->pidfd,
	};

	return f->type == (FdTypes)type && type < sizeof(parts) / sizeof(parts[0]) ? parts[type] : NULL;
}

static uint32_t bit(uint32_t type)
{
	return type < 31 ? 1u << type : 1u << 31;
}

/* The opened path may have the id of the file itself. */
static bool may_share(uint32_t types)
{
	return types == FILE_BIT(REG) || types == (FILE_BIT(REG) | FILE_BIT(TUNF)) ||
	       types == (FILE_BIT(REG) | FILE_BIT(FIFO)) || types == (FILE_BIT(REG) | FILE_BIT(TTY));
}

/* Exactly the sub-message of the type, with the same id: img_valid() has looked; here the ids among each other. */
void verify_files(struct verify *v)
{
	struct walk w = v_walk(v, IMG_FILES);
	const FileEntry *f;

	while ((f = v_next(&w))) {
		uint64_t *types = idmap_put(&v->files, &v->arena, f->id);

		if (!types)
			continue;
		v_expect(v, !*types || (!(*types & bit(f->type)) && may_share(*types | bit(f->type))), w.image->name,
			 w.entry, "id %u is not unique", f->id);
		*types |= bit(f->type);
	}
}

void verify_ref(struct verify *v, const char *file, long entry, uint32_t id, uint32_t types, const char *what)
{
	const uint64_t *have = idmap_get(&v->files, id);

	if (!v_expect(v, have, file, entry, "%s: file id %u is not in files.img", what, id))
		return;
	if (!types || *have & types)
		return;
	for (uint32_t t = 0; t < 32; t++)
		if (*have & 1u << t)
			v_error(v, file, entry, "%s: file id %u is a %s", what, id, type_name(t));
}

static void check_tables(struct verify *v)
{
	struct walk w = v_walk(v, IMG_FDINFO);
	const FdinfoEntry *f;
	char what[32];

	while ((f = v_next(&w))) {
		v_expect(v, !v_seen(v, &v->tables, idmap_key((uint32_t)w.image->id, f->fd)), w.image->name, w.entry,
			 "fd %u is not unique", f->fd);
		snprintf(what, sizeof(what), "fd %u", f->fd);
		verify_ref(v, w.image->name, w.entry, f->id, bit(f->type), what);
	}
}

static void check_dirs(struct verify *v)
{
	struct walk w = v_walk(v, IMG_FS);
	const FsEntry *fs;

	while ((fs = v_next(&w))) {
		verify_ref(v, w.image->name, w.entry, fs->cwd_id, FILE_BIT(REG), "cwd");
		verify_ref(v, w.image->name, w.entry, fs->root_id, FILE_BIT(REG), "root");
	}
}

static void check_queues(struct verify *v)
{
	struct walk w = v_walk(v, IMG_SK_QUEUES);
	const SkPacketEntry *q;

	while ((q = v_next(&w))) {
		verify_ref(v, w.image->name, w.entry, q->id_for, FILE_BIT(UNIXSK), "id_for");
		v_expect(v, q->n_scm <= 1, w.image->name, w.entry, "more than one scm");
		for (size_t s = 0; s < q->n_scm; s++)
			for (size_t k = 0; k < q->scm[s]->n_rights; k++)
				verify_ref(v, w.image->name, w.entry, q->scm[s]->rights[k], 0, "passed descriptor");
	}
}

static void check_locks(struct verify *v)
{
	struct walk w = v_walk(v, IMG_FILE_LOCKS);
	const FileLockEntry *l;

	while ((l = v_next(&w))) {
		const uint64_t *files = idmap_get(&v->alive, (uint32_t)l->pid);

		v_expect(v,
			 files && *files && idmap_has(&v->tables, idmap_key((uint32_t)(*files - 1), (uint32_t)l->fd)),
			 w.image->name, w.entry, "pid %d has no fd %d", l->pid, l->fd);
	}
}

static void check_unix(struct verify *v)
{
	struct walk w = v_walk(v, IMG_FILES);
	struct idmap inodes = { 0 };
	const UnixSkEntry *sk;
	const FileEntry *f;

	while ((f = v_next(&w)))
		if ((sk = file_part(f, FD_TYPES__UNIXSK)))
			v_expect(v, !v_seen(v, &inodes, sk->ino), w.image->name, w.entry,
				 "unix socket inode %u is not unique", sk->ino);
	w = v_walk(v, IMG_FILES);
	while ((f = v_next(&w)))
		if ((sk = file_part(f, FD_TYPES__UNIXSK)))
			v_expect(v, !sk->peer || sk->uflags || idmap_has(&inodes, sk->peer), w.image->name, w.entry,
				 "no unix socket has inode %u, the peer", sk->peer);
}

enum { TCP_CLOSED = 7, TCP_LISTENING = 10, PROTO_TCP = 6 };

static void check_inet(struct verify *v)
{
	const InventoryEntry *inv = v_one(v, IMG_INVENTORY, 0);
	struct walk w = v_walk(v, IMG_FILES);
	struct idmap streams = { 0 };
	char name[IMG_NAME_MAX];
	const TcpStreamEntry *t;
	const struct vimage *i;
	const InetSkEntry *sk;
	const FileEntry *f;

	while ((f = v_next(&w))) {
		size_t words;

		if (!(sk = file_part(f, FD_TYPES__INETSK)))
			continue;
		words = sk->family == AF_INET ? 1 : sk->family == AF_INET6 ? 4 : 0;
		v_expect(v, words && sk->n_src_addr == words && sk->n_dst_addr == words, w.image->name, w.entry,
			 "length of an address");
		if (sk->type != SOCK_STREAM || sk->proto != PROTO_TCP)
			continue;
		if (v_image(v, IMG_TCP_STREAM, sk->ino))
			v_seen(v, &streams, sk->ino);
		else if (sk->state != TCP_LISTENING && sk->state != TCP_CLOSED)
			v_expect(v, inv && inv->tcp_close, w.image->name, w.entry, "%s is missing",
				 img_name(IMG_TCP_STREAM, sk->ino, name));
	}
	for (size_t n = v_images(v, IMG_TCP_STREAM, &i); n; n--, i++) {
		v_expect(v, idmap_has(&streams, i->id), i->name, -1, "no TCP socket has this inode");
		t = i->n ? i->entry[0] : NULL;
		v_expect(v, !t || t->unsq_len <= t->outq_len, i->name, 0, "unsq_len is more than outq_len");
	}
}

static void check_seccomp(struct verify *v)
{
	struct walk w = v_walk(v, IMG_SECCOMP);
	const SeccompEntry *s;

	while ((s = v_next(&w)))
		for (size_t k = 0; k < s->n_seccomp_filters; k++) {
			const SeccompFilter *f = s->seccomp_filters[k];

			v_expect(v, f->filter.len && f->filter.len % 8 == 0, w.image->name, 0,
				 "filter %zu has %zu bytes", k, f->filter.len);
			v_expect(v, !f->has_prev || (f->prev < s->n_seccomp_filters && f->prev != k), w.image->name, 0,
				 "prev of filter %zu", k);
		}
}

void verify_file_refs(struct verify *v)
{
	check_tables(v);
	check_dirs(v);
	verify_things(v);
	check_unix(v);
	check_inet(v);
	check_queues(v);
	check_locks(v);
	check_seccomp(v);
}
