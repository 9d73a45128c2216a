/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of open files and of what is behind them. */
#include "image-valid.h"

#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "fdinfo.pb-c.h"
#include "file-lock.pb-c.h"
#include "ghost-file.pb-c.h"
#include "pipe-data.pb-c.h"
#include "sk-packet.pb-c.h"
#include "tcp-stream.pb-c.h"

enum {
	FD_MOST = 1 << 30,
	SUN_PATH = 110,	   /* sun_path and a NUL or two */
	HANDLE_MOST = 128, /* MAX_HANDLE_SZ */
	BPF_INSNS = 4096,
	CC_MOST = 32,
	WSCALE_MOST = 14,
	PORT_MOST = 65535,
	NSEC = 1000000000,
};

static bool fdinfo(const void *message, char why[VALID_WHY])
{
	const FdinfoEntry *f = message;

	if (f->fd >= FD_MOST)
		return img_invalid(why, "fd %u", f->fd);
	if (f->flags & ~1u) /* FD_CLOEXEC */
		return img_invalid(why, "fd %u: flags %#x", f->fd, f->flags);
	return true;
}

/* Which part of a file_entry belongs to a type. */
static const struct {
	FdTypes type;
	size_t offset;
} parts[] = {
	{ FD_TYPES__REG, offsetof(FileEntry, reg) },	    { FD_TYPES__PIPE, offsetof(FileEntry, pipe) },
	{ FD_TYPES__FIFO, offsetof(FileEntry, fifo) },	    { FD_TYPES__INETSK, offsetof(FileEntry, isk) },
	{ FD_TYPES__UNIXSK, offsetof(FileEntry, usk) },	    { FD_TYPES__EVENTFD, offsetof(FileEntry, efd) },
	{ FD_TYPES__EVENTPOLL, offsetof(FileEntry, epfd) }, { FD_TYPES__INOTIFY, offsetof(FileEntry, ify) },
	{ FD_TYPES__SIGNALFD, offsetof(FileEntry, sgfd) },  { FD_TYPES__PACKETSK, offsetof(FileEntry, psk) },
	{ FD_TYPES__TTY, offsetof(FileEntry, tty) },	    { FD_TYPES__FANOTIFY, offsetof(FileEntry, ffy) },
	{ FD_TYPES__NETLINKSK, offsetof(FileEntry, nlsk) }, { FD_TYPES__NS, offsetof(FileEntry, nsf) },
	{ FD_TYPES__TUNF, offsetof(FileEntry, tunf) },	    { FD_TYPES__EXT, offsetof(FileEntry, ext) },
	{ FD_TYPES__TIMERFD, offsetof(FileEntry, tfd) },    { FD_TYPES__MEMFD, offsetof(FileEntry, memfd) },
	{ FD_TYPES__BPFMAP, offsetof(FileEntry, bpf) },	    { FD_TYPES__PIDFD, offsetof(FileEntry, pidfd) },
};

static uint32_t own_id(const ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "id");

	return *(const uint32_t *)((const char *)m + fd->offset);
}

static bool file(const void *message, char why[VALID_WHY])
{
	const FileEntry *f = message;
	const ProtobufCMessage *own = NULL;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const ProtobufCMessage *part = *(ProtobufCMessage *const *)((const char *)f + parts[i].offset);

		if (part && parts[i].type != f->type)
			return img_invalid(why, "file %u of type %d has a %s", f->id, f->type, part->descriptor->name);
		if (part)
			own = part;
	}
	if (!own)
		return img_invalid(why, "file %u of type %d has no message of that type", f->id, f->type);
	if (own_id(own) != f->id)
		return img_invalid(why, "file %u: its %s has id %u", f->id, own->descriptor->name, own_id(own));
	return true;
}

/* The kernel gives whole names (d_path): one that climbs was made by somebody else. */
static bool climbs(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/..")); p += 3) {
		if (!p[3] || p[3] == '/')
			return true;
	}
	return false;
}

static bool reg(const void *message, char why[VALID_WHY])
{
	const RegFileEntry *r = message;

	if (r->name[0] != '/' && !(r->has_ext && r->ext))
		return img_invalid(why, "file %u: its name is not absolute", r->id);
	if (climbs(r->name))
		return img_invalid(why, "file %u: its name has a .. in it", r->id);
	return strlen(r->name) < PATH_MAX || img_invalid(why, "file %u: its name is too long", r->id);
}

static bool inet(const void *message, char why[VALID_WHY])
{
	const InetSkEntry *s = message;
	size_t words = s->family == AF_INET ? 1 : 4;

	if (s->family != AF_INET && s->family != AF_INET6)
		return img_invalid(why, "socket %u: family %u", s->id, s->family);
	if (s->n_src_addr != words || s->n_dst_addr != words)
		return img_invalid(why, "socket %u: addresses of %zu and %zu words", s->id, s->n_src_addr,
				   s->n_dst_addr);
	if (s->src_port > PORT_MOST || s->dst_port > PORT_MOST)
		return img_invalid(why, "socket %u: port %u or %u", s->id, s->src_port, s->dst_port);
	return true;
}

static bool sk_opts(const void *message, char why[VALID_WHY])
{
	const SkOptsEntry *o = message;

	return o->n_so_filter <= BPF_INSNS || img_invalid(why, "socket filter of %zu instructions", o->n_so_filter);
}

static bool unix_sk(const void *message, char why[VALID_WHY])
{
	const UnixSkEntry *s = message;

	return s->name.len <= SUN_PATH || img_invalid(why, "socket %u: name of %zu bytes", s->id, s->name.len);
}

static bool handle(const void *message, char why[VALID_WHY])
{
	const FhEntry *h = message;

	if (h->bytes > HANDLE_MOST || h->bytes > 8 * h->n_handle)
		return img_invalid(why, "file handle of %u bytes in %zu words", h->bytes, h->n_handle);
	return true;
}

static bool timerfd(const void *message, char why[VALID_WHY])
{
	const TimerfdEntry *t = message;

	return (t->vnsec < NSEC && t->insec < NSEC) ||
	       img_invalid(why, "timerfd %u with more than a second of nanoseconds", t->id);
}

static bool termios(const void *message, char why[VALID_WHY])
{
	const TermiosEntry *t = message;

	return t->n_c_cc <= CC_MOST || img_invalid(why, "%zu control characters", t->n_c_cc);
}

static bool ghost(const void *message, char why[VALID_WHY])
{
	const GhostFileEntry *g = message;

	if (g->has_chunks && g->chunks && !g->has_size)
		return img_invalid(why, "chunks without a size");
	return !g->symlnk_target || strlen(g->symlnk_target) < PATH_MAX ||
	       img_invalid(why, "target of the symlink is too long");
}

static bool chunk(const void *message, char why[VALID_WHY])
{
	const GhostChunkEntry *c = message;

	if (c->off > INT64_MAX || c->len > INT64_MAX - c->off)
		return img_invalid(why, "chunk of %" PRIu64 " bytes at %" PRIu64, c->len, c->off);
	return true;
}

static bool memfd(const void *message, char why[VALID_WHY])
{
	const MemfdInodeEntry *m = message;

	return m->size <= INT64_MAX || img_invalid(why, "memfd of %" PRIu64 " bytes", m->size);
}

static bool pipe_data(const void *message, char why[VALID_WHY])
{
	const PipeDataEntry *p = message;

	return !p->has_size || p->bytes <= p->size ||
	       img_invalid(why, "pipe %u: %u bytes in a pipe of %u", p->pipe_id, p->bytes, p->size);
}

static bool packet(const void *message, char why[VALID_WHY])
{
	const SkPacketEntry *p = message;

	return p->n_scm <= 1 || img_invalid(why, "%zu control messages, CRIU writes one", p->n_scm);
}

static bool tcp(const void *message, char why[VALID_WHY])
{
	const TcpStreamEntry *t = message;

	if (t->has_unsq_len && t->unsq_len > t->outq_len)
		return img_invalid(why, "unsq_len %u is more than outq_len %u", t->unsq_len, t->outq_len);
	if (t->snd_wscale > WSCALE_MOST || (t->has_rcv_wscale && t->rcv_wscale > WSCALE_MOST))
		return img_invalid(why, "window scale %u or %u", t->snd_wscale, t->rcv_wscale);
	return true;
}

static bool lock(const void *message, char why[VALID_WHY])
{
	const FileLockEntry *l = message;

	return (l->pid > 0 && l->fd >= 0) || img_invalid(why, "lock of pid %d, fd %d", l->pid, l->fd);
}

const struct validator img_valid_file[] = {
	{ &fdinfo_entry__descriptor, fdinfo },
	{ &file_entry__descriptor, file },
	{ &reg_file_entry__descriptor, reg },
	{ &inet_sk_entry__descriptor, inet },
	{ &unix_sk_entry__descriptor, unix_sk },
	{ &sk_opts_entry__descriptor, sk_opts },
	{ &fh_entry__descriptor, handle },
	{ &timerfd_entry__descriptor, timerfd },
	{ &termios_entry__descriptor, termios },
	{ &ghost_file_entry__descriptor, ghost },
	{ &ghost_chunk_entry__descriptor, chunk },
	{ &memfd_inode_entry__descriptor, memfd },
	{ &pipe_data_entry__descriptor, pipe_data },
	{ &sk_packet_entry__descriptor, packet },
	{ &tcp_stream_entry__descriptor, tcp },
	{ &file_lock_entry__descriptor, lock },
	{ 0 },
};
