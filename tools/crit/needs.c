/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: everything is taken from the images, so that checkpoints of CRIU have it too; the manifest adds the
 * machine, and kinds of needs that no image has. Whether a machine has all this, criu restore --check-only finds out.
 */
#include "needs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.pb-c.h"
#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "idmap.h"
#include "image/manifest.h"
#include "inventory.pb-c.h"
#include "mnt.pb-c.h"
#include "overview.h"
#include "pstree.pb-c.h"
#include "remap-file-path.pb-c.h"
#include "tty.pb-c.h"
#include "x.h"

enum { NEEDS_MOST = 100000, TCP_LISTEN_STATE = 10, TCP_CLOSE_STATE = 7, USK_EXTERNAL = 1 };

struct collect {
	struct checkpoint *c;
	struct needs *needs;
	bool nomem;
};

static void need(struct collect *n, const char *kind, const char *object, const char *detail)
{
	struct needs *all = n->needs;
	struct arena *a = &n->c->arena;

	if (all->n == NEEDS_MOST) {
		all->dropped++;
		return;
	}
	if (all->n == all->cap) {
		struct need *more = arena_calloc(a, all->cap = 2 * all->cap + 64, sizeof(*more));

		if (more && all->n)
			memcpy(more, all->v, all->n * sizeof(*more));
		all->v = more;
		n->nomem = n->nomem || !more;
	}
	if (n->nomem)
		return;
	all->v[all->n] = (struct need){ kind, arena_strdup(a, object), arena_strdup(a, detail) };
	n->nomem = !all->v[all->n].object || !all->v[all->n].detail;
	all->n++;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* "12 20-29", as many as there is room for */
static void need_pids(struct collect *n)
{
	size_t fill = 0, count = 0, all = 0;
	char text[2000] = "", detail[64];
	uint32_t *pids;

	for (size_t i = 0; i < n->c->n_tasks; i++)
		all += n->c->tasks[i]->n_threads + 1;
	pids = arena_calloc(&n->c->arena, all, sizeof(*pids));
	n->nomem = n->nomem || !pids;
	for (size_t i = 0; pids && i < n->c->n_tasks; i++) {
		const PstreeEntry *t = n->c->tasks[i];

		pids[count++] = t->pid; /* the first thread is the process; in a zombie's list may stand anything */
		for (size_t k = 1; k < t->n_threads; k++)
			pids[count++] = t->threads[k];
	}
	if (count)
		qsort(pids, count, sizeof(*pids), by_number);
	for (size_t k = 0, end; k < count && fill < sizeof(text) - 40; k = end) {
		for (end = k + 1; end < count && pids[end] == pids[end - 1] + 1; end++)
			;
		fill += snprintf(text + fill, sizeof(text) - fill, "%s%u", fill ? " " : "", pids[k]);
		if (end > k + 1)
			fill += snprintf(text + fill, sizeof(text) - fill, "-%u", pids[end - 1]);
		if (end < count && fill >= sizeof(text) - 40)
			snprintf(text + fill, sizeof(text) - fill, " ...");
	}
	snprintf(detail, sizeof(detail), count == 1 ? "must be free" : "%zu, all must be free", count);
	need(n, "pid", text, detail);
}

static void need_machine(struct collect *n, const json_t *manifest)
{
	const CoreEntry *core = checkpoint_one(n->c, IMG_CORE, n->c->tasks[0]->pid);
	const json_t *host = json_object_get(manifest, "host"), *cpu = json_object_get(host, "cpu");
	const ProtobufCEnumValue *arch =
		core ? protobuf_c_enum_descriptor_get_value(&core_entry__march__descriptor, core->mtype) : NULL;
	json_int_t xsave = json_integer_value(json_object_get(cpu, "xsave_size"));
	char detail[160] = "";

	if (xsave)
		snprintf(detail, sizeof(detail),
			 "with the CPU features noted in manifest.json, %" JSON_INTEGER_FORMAT " bytes of XSAVE state",
			 xsave);
	need(n, "machine", arch ? arch->name : "?", detail);
}

static void need_pages(struct collect *n, const json_t *manifest)
{
	struct page_sum all = { 0 };
	char text[64];

	for (size_t i = 0; i < n->c->n_tasks; i++)
		pagemap_sums(n->c, IMG_PAGEMAP, n->c->tasks[i]->pid, NULL, 0, NULL, &all);
	if (faccessat(n->c->dir, "parent", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		snprintf(text, sizeof(text), "%" PRIu64 " pages are there", all.parent);
		need(n, "images", "parent", text);
	}
	if (all.lazy && !json_is_true(json_object_get(json_object_get(manifest, "options"), "check_only"))) {
		snprintf(text, sizeof(text), "%" PRIu64, all.lazy);
		need(n, "lazy pages", text, "a page server has their contents, or the file pages-*.img");
	}
}

static void need_namespaces(struct collect *n)
{
	const InventoryEntry *inv = checkpoint_one(n->c, IMG_INVENTORY, 0);
	const TaskKobjIdsEntry *root = inv ? inv->root_ids : NULL;
	struct idmap seen = { 0 };
	char text[32];

	for (size_t i = 0; i < n->c->n_tasks; i++) {
		const TaskKobjIdsEntry *ids = checkpoint_ids(n->c, n->c->tasks[i]->pid);

		for (unsigned int k = 0; ids && k < NS_KINDS; k++) {
			uint32_t id = ns_id(ids, k);

			if (!id || (root && ns_id(root, k) == id) || idmap_has(&seen, idmap_key(k, id)))
				continue;
			n->nomem = n->nomem || !idmap_put(&seen, &n->c->arena, idmap_key(k, id));
			snprintf(text, sizeof(text), "%s:%u", ns_name(k), id);
			need(n, "namespace", text, root ? "is made" : "");
		}
	}
}

/* Files whose contents are in the images, or that belong to a task which is gone. */
static void read_remaps(struct collect *n, struct idmap *carried)
{
	RemapFilePathEntry **list;
	size_t count = checkpoint_read(n->c, IMG_REMAP_FPATH, 0, &list);

	for (size_t k = 0; k < count; k++)
		n->nomem = n->nomem || !idmap_put(carried, &n->c->arena, list[k]->orig_id);
}

static void need_reg(struct collect *n, const RegFileEntry *reg)
{
	char path[NAME_TEXT_SIZE], detail[160] = "";
	size_t fill = 0;

	if (reg->has_mode && (reg->mode & 0170000) == 0040000)
		fill = snprintf(detail, sizeof(detail), "directory");
	else if (reg->has_size)
		fill = snprintf(detail, sizeof(detail), "%" PRIu64 " bytes", reg->size);
	if (reg->n_build_id)
		fill += snprintf(detail + fill, sizeof(detail) - fill, "%sbuild id %08x...", fill ? ", " : "",
				 __builtin_bswap32(reg->build_id[0]));
	if (reg->has_checksum)
		snprintf(detail + fill, sizeof(detail) - fill, "%schecksum %08x", fill ? ", " : "", reg->checksum);
	need(n, reg->has_ext && reg->ext ? "external" : "file",
	     name_text(n->c, reg->name, strlen(reg->name), path, sizeof(path)), detail);
}

static int by_name(const void *a, const void *b)
{
	const RegFileEntry *x = *(RegFileEntry *const *)a, *y = *(RegFileEntry *const *)b;

	return strcmp(x->name, y->name);
}

static void need_files(struct collect *n)
{
	const RegFileEntry **list = arena_calloc(&n->c->arena, n->c->n_files + 1, sizeof(*list));
	struct idmap carried = { 0 };
	size_t count = 0;

	n->nomem = n->nomem || !list;
	if (n->nomem)
		return;
	read_remaps(n, &carried);
	for (size_t k = 0; k < n->c->n_files; k++) {
		const struct file *f = &n->c->files[k];

		if (f->type == FD_TYPES__REG && f->entry && !idmap_has(&carried, f->id))
			list[count++] = f->entry;
	}
	if (count)
		qsort(list, count, sizeof(*list), by_name);
	for (size_t k = 0; k < count; k++)
		if (!k || strcmp(list[k - 1]->name, list[k]->name))
			need_reg(n, list[k]);
}

static void need_inet(struct collect *n, const InetSkEntry *sk)
{
	struct socket_words w;
	char object[sizeof(w.proto) + sizeof(w.src) + 2];

	if (!sk->src_port || (sk->state == TCP_CLOSE_STATE && sk->proto == IPPROTO_TCP))
		return;
	inet_words(sk, &w);
	snprintf(object, sizeof(object), "%s %s", w.proto, w.src);
	if (sk->proto == IPPROTO_TCP && sk->state != TCP_LISTEN_STATE)
		need(n, "connection", object, w.dst);
	else
		need(n, "port", object, sk->proto == IPPROTO_TCP ? "listens" : "is bound");
}

static void need_unix(struct collect *n, const struct file *f)
{
	const UnixSkEntry *sk = f->entry;
	char text[1024];

	if (!sk->name.len && !(sk->uflags & USK_EXTERNAL))
		return;
	if (sk->uflags & USK_EXTERNAL)
		need(n, "external", checkpoint_file_text(n->c, f->type, f->id, text, sizeof(text)),
		     "its peer is outside of the checkpoint");
	else
		need(n, "unix name", unix_name_text(n->c, sk, text, sizeof(text)), "");
}

static void need_terminals(struct collect *n)
{
	TtyInfoEntry **list;
	struct idmap have = { 0 };
	size_t count = checkpoint_read(n->c, IMG_TTY_INFO, 0, &list);
	char text[64];

	for (size_t k = 0; k < count; k++)
		n->nomem = n->nomem || !idmap_put(&have, &n->c->arena, list[k]->id);
	for (size_t k = 0; k < count; k++) {
		const TtyInfoEntry *t = list[k];

		if (t->type == TTY_TYPE__PTY && ((t->id & 1) || idmap_has(&have, t->id | 1)))
			continue; /* both ends are in the checkpoint */
		if (t->type == TTY_TYPE__PTY)
			snprintf(text, sizeof(text), "pts/%u", t->pty ? t->pty->index : t->id / 2);
		else
			snprintf(text, sizeof(text), "terminal %u:%u", t->rdev >> 8, t->rdev & 0xff);
		need(n, "terminal", text, t->type == TTY_TYPE__PTY ? "its other end is outside (--shell-job)" : "");
	}
}

static void need_mounts(struct collect *n)
{
	const struct InventoryEntry *inv = checkpoint_one(n->c, IMG_INVENTORY, 0);
	struct idmap seen = { 0 };

	for (size_t i = 0; inv && i < n->c->n_tasks; i++) {
		const TaskKobjIdsEntry *ids = checkpoint_ids(n->c, n->c->tasks[i]->pid);
		uint32_t id = ids ? ids->mnt_ns_id : 0;
		MntEntry **list;
		size_t count;

		if (!id || idmap_has(&seen, id))
			continue;
		n->nomem = n->nomem || !idmap_put(&seen, &n->c->arena, id);
		count = checkpoint_read(n->c, IMG_MNTS, id, &list);
		for (size_t k = 0; k < count; k++) {
			char point[NAME_TEXT_SIZE], key[NAME_TEXT_SIZE];

			if (!list[k]->ext_key && !list[k]->ext_mount)
				continue;
			name_text(n->c, list[k]->mountpoint, strlen(list[k]->mountpoint), point, sizeof(point));
			need(n, "mount", point,
			     list[k]->ext_key
				     ? name_text(n->c, list[k]->ext_key, strlen(list[k]->ext_key), key, sizeof(key))
				     : "");
		}
	}
}

static void need_cgroups(struct collect *n)
{
	const InventoryEntry *inv = checkpoint_one(n->c, IMG_INVENTORY, 0);
	const CgroupEntry *cg = checkpoint_one(n->c, IMG_CGROUP, 0);

	for (size_t i = 0; cg && i < cg->n_sets; i++)
		for (size_t k = 0; k < cg->sets[i]->n_ctls; k++) {
			const CgMemberEntry *m = cg->sets[i]->ctls[k];
			char path[NAME_TEXT_SIZE], name[256];

			if (inv && inv->has_root_cg_set && cg->sets[i]->id == inv->root_cg_set)
				continue;
			need(n, "cgroup", name_text(n->c, m->path, strlen(m->path), path, sizeof(path)),
			     name_text(n->c, m->name, strlen(m->name), name, sizeof(name)));
		}
}

/* A row of a path, and at most the type of its file system. */
static bool need_path(struct collect *n, const json_t *row, const char *kind)
{
	const char *path = json_string_value(json_object_get(row, "path")), *shown = path;
	const char *fstype = json_string_value(json_object_get(row, "fstype"));
	char word[64], object[NAME_TEXT_SIZE], real[4096], detail[64];

	if (!path || json_object_size(row) != (fstype ? 3 : 2))
		return false;
	safe_text(kind, strlen(kind), word, sizeof(word));
	safe_text(fstype ?: "", fstype ? strlen(fstype) : 0, detail, sizeof(detail));
	if (n->c->spelled && json_bytes_decode(path, real, sizeof(real)) > 0)
		shown = real;
	name_text(n->c, shown, strlen(shown), object, sizeof(object));
	need(n, arena_strdup(&n->c->arena, word) ?: "?", object, detail);
	return true;
}

/* Rows of the manifest that are of no kind above: as they are. */
static void need_others(struct collect *n, const json_t *manifest)
{
	const json_t *rows = json_object_get(manifest, "needs"), *row;
	size_t k;

	json_array_foreach(rows, k, row)
	{
		const char *kind = json_string_value(json_object_get(row, "kind"));
		char *text, word[64], object[2048];

		if (!kind || !strcmp(kind, "file") || !strcmp(kind, "cgroup"))
			continue;
		if (need_path(n, row, kind))
			continue;
		text = json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS);
		safe_text(kind, strlen(kind), word, sizeof(word));
		if (text)
			safe_text(text, strlen(text), object, sizeof(object));
		need(n, arena_strdup(&n->c->arena, word) ?: "?", text ? object : "?", "");
		free(text);
	}
}

int checkpoint_needs(struct checkpoint *c, const json_t *manifest, struct needs *ret, struct cr_err *e)
{
	struct collect n = { .c = c, .needs = ret };

	need_pids(&n);
	need_machine(&n, manifest);
	need_pages(&n, manifest);
	need_namespaces(&n);
	need_files(&n);
	need_mounts(&n);
	need_terminals(&n);
	for (size_t k = 0; k < c->n_files; k++) {
		if (c->files[k].entry && c->files[k].type == FD_TYPES__INETSK)
			need_inet(&n, c->files[k].entry);
		else if (c->files[k].entry && c->files[k].type == FD_TYPES__UNIXSK)
			need_unix(&n, &c->files[k]);
		else if (c->files[k].type == FD_TYPES__EXT)
			need(&n, "external", "a descriptor that a plugin carries", "");
	}
	need_cgroups(&n);
	need_others(&n, manifest);
	return n.nomem ? cr_err_nomem(e) : 0;
}
