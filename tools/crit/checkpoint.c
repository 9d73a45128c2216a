/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "mm.pb-c.h"
#include "pstree.pb-c.h"
#include "text.h"

/* Where a kind of file stands in files.img, and in which image it was before there was one. */
static const struct file_kind {
	uint32_t type;
	size_t offset;
	enum img_type old;
} kinds[] = {
	{ FD_TYPES__REG, offsetof(FileEntry, reg), IMG_REG_FILES },
	{ FD_TYPES__INETSK, offsetof(FileEntry, isk), IMG_INETSK },
	{ FD_TYPES__NS, offsetof(FileEntry, nsf), IMG_NS_FILES },
	{ FD_TYPES__PACKETSK, offsetof(FileEntry, psk), IMG_PACKETSK },
	{ FD_TYPES__NETLINKSK, offsetof(FileEntry, nlsk), IMG_NETLINK_SK },
	{ FD_TYPES__EVENTFD, offsetof(FileEntry, efd), IMG_EVENTFD_FILE },
	{ FD_TYPES__EVENTPOLL, offsetof(FileEntry, epfd), IMG_EVENTPOLL_FILE },
	{ FD_TYPES__SIGNALFD, offsetof(FileEntry, sgfd), IMG_SIGNALFD },
	{ FD_TYPES__TUNF, offsetof(FileEntry, tunf), IMG_TUNFILE },
	{ FD_TYPES__TIMERFD, offsetof(FileEntry, tfd), IMG_TIMERFD },
	{ FD_TYPES__INOTIFY, offsetof(FileEntry, ify), IMG_INOTIFY_FILE },
	{ FD_TYPES__FANOTIFY, offsetof(FileEntry, ffy), IMG_FANOTIFY_FILE },
	{ FD_TYPES__EXT, offsetof(FileEntry, ext), IMG_EXT_FILES },
	{ FD_TYPES__UNIXSK, offsetof(FileEntry, usk), IMG_UNIXSK },
	{ FD_TYPES__FIFO, offsetof(FileEntry, fifo), IMG_FIFO },
	{ FD_TYPES__PIPE, offsetof(FileEntry, pipe), IMG_PIPES },
	{ FD_TYPES__TTY, offsetof(FileEntry, tty), IMG_TTY_FILES },
	{ FD_TYPES__MEMFD, offsetof(FileEntry, memfd), IMG_TYPES },
	{ FD_TYPES__BPFMAP, offsetof(FileEntry, bpf), IMG_BPFMAP_FILE },
	{ FD_TYPES__PIDFD, offsetof(FileEntry, pidfd), IMG_PIDFD },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

const char *safe_text(const void *data, size_t len, char *buf, size_t size)
{
	const uint8_t *p = data;
	size_t fill = 0;

	for (; len && fill + 5 < size; len--, p++)
		fill += snprintf(buf + fill, size - fill, *p >= 0x20 && *p != 0x7f ? "%c" : "\\x%02x", *p);
	buf[fill] = '\0';
	return buf;
}

const char *name_text(const struct checkpoint *c, const void *data, size_t len, char *buf, size_t size)
{
	const char *p = data, *end = p + len;
	size_t fill = 0;

	if (!c->spelled)
		return safe_text(data, len, buf, size);
	*buf = '\0';
	while (p < end && fill + 3 < size) {
		size_t n = strnlen(p, end - p);

		fill += bytes_spell(p, n, buf + fill, size - fill);
		p += n;
		if (p < end && fill + 3 < size) {
			memcpy(buf + fill, "\xc0\x80", 3);
			fill += 2;
			p++;
		}
	}
	return buf;
}

size_t checkpoint_read(struct checkpoint *c, enum img_type type, unsigned long id, void *ret)
{
	size_t n = 0, cap = 0;
	void **list = NULL, *m = NULL;
	struct img_reader r;
	struct cr_err e;
	int got;

	got = img_open(c->dir, type, id, &r, &e);
	r.lenient = true;
	while (got > 0 && (got = img_get(&r, &c->arena, &m, &e)) > 0) {
		if (n + 1 >= cap) {
			void **more = arena_calloc(&c->arena, cap = 2 * cap + 16, sizeof(*more));

			if (!more) {
				got = cr_err_nomem(&e);
				break;
			}
			if (n)
				memcpy(more, list, n * sizeof(*more));
			list = more;
		}
		list[n++] = m;
	}
	img_close(&r);
	if (got < 0)
		checkpoint_damaged(c, type, id, &e);
	*(void ***)ret = list;
	return n;
}

const void *checkpoint_one(struct checkpoint *c, enum img_type type, unsigned long id)
{
	struct img_reader r;
	struct cr_err e;
	void *m = NULL;
	int got;

	got = img_open(c->dir, type, id, &r, &e);
	if (got > 0) {
		r.lenient = true;
		got = img_get(&r, &c->arena, &m, &e);
		img_close(&r);
	}
	if (got < 0)
		checkpoint_damaged(c, type, id, &e);
	return got > 0 ? m : NULL;
}

bool checkpoint_is_zombie(struct checkpoint *c, uint32_t pid)
{
	const CoreEntry *core = checkpoint_one(c, IMG_CORE, pid);

	return core && core->tc && (core->tc->task_state == TASK_DEAD || core->tc->task_state == TASK_ZOMBIE);
}

const void *checkpoint_task_one(struct checkpoint *c, enum img_type type, uint32_t pid)
{
	const void *m = checkpoint_one(c, type, pid);
	char name[IMG_NAME_MAX];

	if (!m && faccessat(c->dir, img_name(type, pid, name), F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    (type == IMG_CORE || !checkpoint_is_zombie(c, pid)))
		checkpoint_missing(c, type, pid);
	return m;
}

static int by_type_and_id(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static const struct file_kind *kind_of(uint32_t type)
{
	for (size_t k = 0; k < KINDS; k++)
		if (kinds[k].type == type)
			return &kinds[k];
	return NULL;
}

/* Every file message has its id, as its first field. */
static uint32_t own_id(const ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "id");

	return fd ? *(const uint32_t *)((const char *)m + fd->offset) : 0;
}

static int read_old_files(struct checkpoint *c, struct cr_err *e)
{
	void **lists[KINDS];
	size_t counts[KINDS], all = 0;

	for (size_t k = 0; k < KINDS; k++) {
		counts[k] = kinds[k].old == IMG_TYPES ? 0 : checkpoint_read(c, kinds[k].old, 0, &lists[k]);
		all += counts[k];
	}
	c->files = arena_calloc(&c->arena, all + 1, sizeof(*c->files));
	if (!c->files)
		return cr_err_nomem(e);
	for (size_t k = 0; k < KINDS; k++)
		for (size_t i = 0; i < counts[k]; i++)
			c->files[c->n_files++] = (struct file){ kinds[k].type, own_id(lists[k][i]), lists[k][i] };
	return 0;
}

static int read_files(struct checkpoint *c, struct cr_err *e)
{
	FileEntry **list;
	size_t n = checkpoint_read(c, IMG_FILES, 0, &list);
	int ret = 0;

	if (n) {
		c->files = arena_calloc(&c->arena, n, sizeof(*c->files));
		if (!c->files)
			return cr_err_nomem(e);
		for (size_t i = 0; i < n; i++) {
			const struct file_kind *k = kind_of(list[i]->type);
			const void *entry = k ? *(void **)((char *)list[i] + k->offset) : NULL;

			c->files[c->n_files++] = (struct file){ list[i]->type, list[i]->id, entry };
		}
	} else {
		ret = read_old_files(c, e);
	}
	if (c->n_files)
		qsort(c->files, c->n_files, sizeof(*c->files), by_type_and_id);
	return ret;
}

ssize_t checkpoint_file_index(const struct checkpoint *c, uint32_t type, uint32_t id)
{
	const struct file want = { .type = type, .id = id }, *f = NULL;

	if (c->n_files)
		f = bsearch(&want, c->files, c->n_files, sizeof(want), by_type_and_id);
	return f ? f - c->files : -1;
}

const void *checkpoint_file(const struct checkpoint *c, uint32_t type, uint32_t id)
{
	ssize_t k = checkpoint_file_index(c, type, id);

	return k < 0 ? NULL : c->files[k].entry;
}

/* No pstree.img: what a dump that failed early leaves says why, in its manifest. */
static int no_tasks(struct checkpoint *c, const char *path, struct cr_err *e)
{
	json_t *m = checkpoint_manifest(c), *error;
	const char *state;

	state = json_string_value(json_object_get(m, "state"));
	error = json_object_get(m, "error");
	if (state && strcmp(state, "sealed")) {
		const char *object = json_string_value(json_object_get(error, "object"));
		const char *reason = json_string_value(json_object_get(error, "reason"));
		const char *remedy = json_string_value(json_object_get(error, "remedy"));
		char text[512], shown[600];

		snprintf(text, sizeof(text), "%s: %s", object ?: "no task was written", reason ?: state);
		cr_err_set(e, CR_E_NOT_SEALED, 0, path, "the dump did not come to its end: %s",
			   safe_text(text, strlen(text), shown, sizeof(shown)));
		if (remedy)
			cr_err_remedy(e, "%s", remedy);
	} else if (faccessat(c->dir, "inventory.img", F_OK, 0) < 0) {
		cr_err_set(e, CR_E_NO_CHECKPOINT, 0, path, "there is no pstree.img and no inventory.img");
		cr_err_remedy(e, "name the directory of a dump");
	} else {
		cr_err_set(e, CR_E_IMG_MISSING, 0, path, "there is no pstree.img, or it is empty");
	}
	json_decref(m);
	return -ENOENT;
}

int checkpoint_open(struct checkpoint *c, const char *path, struct cr_err *e)
{
	int ret;

	*c = (struct checkpoint){ 0 };
	c->dir = dir_open(path, e);
	if (c->dir < 0)
		return c->dir;
	c->n_tasks = checkpoint_read(c, IMG_PSTREE, 0, &c->tasks);
	if (c->n_damaged && !c->n_tasks)
		ret = cr_err_set(e, c->damaged[0].code, 0, c->damaged[0].file, "%s", c->damaged[0].problem);
	else
		ret = c->n_tasks ? read_files(c, e) : no_tasks(c, path, e);
	c->round = 1;
	if (ret < 0)
		checkpoint_close(c);
	return ret;
}

void checkpoint_close(struct checkpoint *c)
{
	fd_close(c->dir);
	arena_free(&c->arena);
	*c = (struct checkpoint){ .dir = -1 };
}

const struct TaskKobjIdsEntry *checkpoint_ids(struct checkpoint *c, uint32_t pid)
{
	const TaskKobjIdsEntry *ids = checkpoint_one(c, IMG_IDS, pid);
	const CoreEntry *core;

	if (!ids) { /* old images have it inside of core */
		core = checkpoint_one(c, IMG_CORE, pid);
		ids = core ? core->ids : NULL;
	}
	return ids;
}

size_t checkpoint_fds(struct checkpoint *c, const struct PstreeEntry *t, void *ret)
{
	const TaskKobjIdsEntry *ids = checkpoint_ids(c, t->pid);

	/* still older images, and zombies: the table by pid, or none */
	return checkpoint_read(c, IMG_FDINFO, ids ? ids->files_id : t->pid, ret);
}

size_t checkpoint_vmas(struct checkpoint *c, uint32_t pid, VmaEntry *const **ret)
{
	const MmEntry *mm = checkpoint_task_one(c, IMG_MM, pid);

	if (mm && mm->n_vmas) {
		*ret = mm->vmas;
		return mm->n_vmas;
	}
	return checkpoint_read(c, IMG_VMAS, pid, ret);
}

const char *checkpoint_comm(struct checkpoint *c, uint32_t pid)
{
	const CoreEntry *core = checkpoint_task_one(c, IMG_CORE, pid);

	return core && core->tc && core->tc->comm ? core->tc->comm : "?";
}

unsigned int checkpoint_depth(const struct checkpoint *c, const struct PstreeEntry *t)
{
	unsigned int depth = 0;
	uint32_t ppid = t->ppid;

	/* Parents stand before their children: one walk backwards, which ends whatever the image says. */
	for (size_t i = c->n_tasks; i-- && ppid;)
		if (c->tasks[i]->pid == ppid) {
			ppid = c->tasks[i]->ppid;
			depth++;
		}
	return depth;
}
