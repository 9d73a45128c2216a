// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation (restore of descriptors)
 *
 * files.img holds descriptions (what open(2) makes), fdinfo-N.img the tables: number -> description. A description may
 * stand in several tables (fork, SCM_RIGHTS) and several times in one (dup); it must be made once, and then be shared.
 *
 * The plan, made here by the main process: each description gets an owner, the first table in pre-order that has it;
 * its task makes it. Descriptions that can only be made together (the ends of a pipe, connected sockets) form a group
 * with one owner. What other tables need is announced in a slot in shared memory; their tasks wait on it and take
 * the descriptor by pidfd_getfd(2). No task waits before it has made all that it owns, so waiting cannot be circular.
 *
 * The index is a hash by (type, id): ids are unique per type only, as CRIU gives a TUN file the id of its device node.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fdinfo.pb-c.h"
#include "kind/file/restore-internal.h"
#include "kind/restore-check.h"

static uint64_t mix(uint64_t v)
{
	v ^= v >> 33;
	v *= 0xff51afd7ed558ccdull;
	v ^= v >> 33;
	v *= 0xc4ceb9fe1a85ec53ull;
	return v ^ v >> 33;
}

static uint32_t pow2_mask(size_t n)
{
	uint32_t size = 16;

	while (size < n * 2)
		size *= 2;
	return size - 1;
}

static uint32_t *id_cell(const struct files_plan *p, uint32_t id, int type)
{
	uint32_t i = mix((uint64_t)type << 32 | id) & p->mask;

	while (p->by_id[i] != FILES_NONE) {
		const struct FileEntry *fe = p->descs[p->by_id[i]].fe;

		if (fe->id == id && (int)fe->type == type)
			break;
		i = (i + 1) & p->mask;
	}
	return &p->by_id[i];
}

const struct FileEntry *files_by_id(const struct rst *r, uint32_t id, int type)
{
	uint32_t i;

	if (!r->files || !r->files->by_id)
		return NULL;
	i = *id_cell(r->files, id, type);
	return i == FILES_NONE ? NULL : r->files->descs[i].fe;
}

struct file_desc *files_desc(const struct rst *r, const struct FileEntry *fe)
{
	return &r->files->descs[*id_cell(r->files, fe->id, fe->type)];
}

void **files_kind_data(const struct rst *r, int type)
{
	return &r->files->kind[type >= 0 && type < FILES_TYPES ? type : 0];
}

/* ---- groups ---- */

static uint32_t leader(struct files_plan *p, uint32_t i)
{
	while (p->descs[i].leader != i)
		i = p->descs[i].leader = p->descs[p->descs[i].leader].leader;
	return i;
}

static void merge(struct files_plan *p, uint32_t a, uint32_t b)
{
	uint32_t next;

	a = leader(p, a);
	b = leader(p, b);
	if (a == b)
		return;
	next = p->descs[a].next;
	p->descs[a].next = p->descs[b].next;
	p->descs[b].next = next;
	if (a < b)
		p->descs[b].leader = a;
	else
		p->descs[a].leader = b;
}

static struct file_key *key_cell(struct files_plan *p, uint32_t type, uint64_t key)
{
	uint32_t i = mix(key + type) & p->key_mask;

	while (p->keys[i].desc != FILES_NONE && (p->keys[i].type != type || p->keys[i].key != key))
		i = (i + 1) & p->key_mask;
	return &p->keys[i];
}

static int grow_keys(struct files_plan *p, struct cr_err *e)
{
	uint32_t old_size = p->keys ? p->key_mask + 1 : 0, size = old_size ? old_size * 2 : 64, i;
	struct file_key *old = p->keys;

	p->keys = malloc(size * sizeof(*p->keys));
	if (!p->keys) {
		p->keys = old;
		return cr_err_nomem(e);
	}
	p->key_mask = size - 1;
	for (i = 0; i < size; i++)
		p->keys[i].desc = FILES_NONE;
	for (i = 0; i < old_size; i++)
		if (old[i].desc != FILES_NONE)
			*key_cell(p, old[i].type, old[i].key) = old[i];
	free(old);
	return 0;
}

int files_join(struct rst *r, const struct FileEntry *fe, uint64_t key, struct cr_err *e)
{
	struct files_plan *p = r->files;
	uint32_t i = files_desc(r, fe) - p->descs;
	struct file_key *cell;
	int ret;

	if (!p->keys || p->nr_keys * 2 > p->key_mask) {
		ret = grow_keys(p, e);
		if (ret < 0)
			return ret;
	}
	cell = key_cell(p, fe->type, key);
	if (cell->desc != FILES_NONE) {
		merge(p, cell->desc, i);
		return 0;
	}
	*cell = (struct file_key){ .key = key, .type = fe->type, .desc = i };
	p->nr_keys++;
	return 0;
}

const struct FileEntry *files_group_next(const struct rst *r, const struct FileEntry *fe)
{
	return r->files->descs[files_desc(r, fe)->next].fe;
}

static int add_pair(struct file_extra **v, size_t *n, size_t *cap, uint32_t table, uint32_t desc, struct cr_err *e)
{
	if (*n == *cap) {
		size_t size = *cap ? *cap * 2 : 16;
		struct file_extra *bigger = realloc(*v, size * sizeof(**v));

		if (!bigger)
			return cr_err_nomem(e);
		*v = bigger;
		*cap = size;
	}
	(*v)[(*n)++] = (struct file_extra){ .table = table, .desc = desc };
	return 0;
}

int files_carry(struct rst *r, const struct FileEntry *fe, const struct FileEntry *other, struct cr_err *e)
{
	struct files_plan *p = r->files;

	return add_pair(&p->carry, &p->nr_carry, &p->cap_carry, files_desc(r, fe) - p->descs,
			files_desc(r, other) - p->descs, e);
}

/* ---- files.img ---- */

static const struct fd_rst_ops *ops_of(int type)
{
	size_t i;

	for (i = 0; rst_fd_order[i]; i++)
		if (rst_fd_order[i]->type == type)
			return rst_fd_order[i];
	return NULL;
}

/* The sub-message that the type promises. */
static const void *sub_message(const struct FileEntry *fe)
{
	switch (fe->type) {
	case FD_TYPES__REG:
		return fe->reg;
	case FD_TYPES__PIPE:
		return fe->pipe;
	case FD_TYPES__FIFO:
		return fe->fifo;
	case FD_TYPES__INETSK:
		return fe->isk;
	case FD_TYPES__UNIXSK:
		return fe->usk;
	case FD_TYPES__EVENTFD:
		return fe->efd;
	case FD_TYPES__EVENTPOLL:
		return fe->epfd;
	case FD_TYPES__SIGNALFD:
		return fe->sgfd;
	case FD_TYPES__TTY:
		return fe->tty;
	case FD_TYPES__TIMERFD:
		return fe->tfd;
	case FD_TYPES__MEMFD:
		return fe->memfd;
	default:
		return NULL;
	}
}

static const char *type_name(int type)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, type);

	return v ? v->name : "unknown";
}

static int index_desc(struct rst *r, struct FileEntry *fe, struct cr_err *e)
{
	struct files_plan *p = r->files;
	uint32_t *cell = id_cell(p, fe->id, fe->type), i = p->nr_descs;

	if (*cell != FILES_NONE)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, "files.img", "has id %u of type %s twice", fe->id,
				  type_name(fe->type));
	p->descs[i] = (struct file_desc){ .fe = fe,
					  .ops = ops_of(fe->type),
					  .owner = FILES_NONE,
					  .last_table = FILES_NONE,
					  .slot = FILES_NONE,
					  .leader = i,
					  .next = i,
					  .here_table = FILES_NONE,
					  .here = -1 };
	if (p->descs[i].ops && !sub_message(fe))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, "files.img", "id %u of type %s has no %s part", fe->id,
				  type_name(fe->type), p->descs[i].ops->name);
	*cell = i;
	p->nr_descs++;
	return 0;
}

static int load_descs(struct rst *r, struct cr_err *e)
{
	struct files_plan *p = r->files;
	ssize_t i, n;
	void **v;
	int ret;

	n = img_read_all(r->img, IMG_FILES, 0, r->arena, &v, e);
	if (n < 0)
		return n;
	p->mask = pow2_mask(n);
	p->by_id = malloc(((size_t)p->mask + 1) * sizeof(*p->by_id));
	p->descs = arena_calloc(r->arena, n ? n : 1, sizeof(*p->descs));
	if (!p->by_id || !p->descs)
		return cr_err_nomem(e);
	memset(p->by_id, 0xff, ((size_t)p->mask + 1) * sizeof(*p->by_id));
	for (i = 0; i < n; i++) {
		ret = index_desc(r, v[i], e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int check_descs(struct rst *r, struct cr_err *e)
{
	struct files_plan *p = r->files;
	size_t i;
	int ret;

	for (i = 0; i < p->nr_descs; i++) {
		struct file_desc *d = &p->descs[i];

		rst_area(r, d->ops && d->ops->area ? d->ops->area : "files", 1);
		if (!d->ops)
			ret = cr_err_set(e, CR_E_FD_KIND, 0, "files.img",
					 "id %u is of type %s, which is not supported yet at restore", d->fe->id,
					 type_name(d->fe->type));
		else
			ret = d->ops->check ? d->ops->check(r, d->fe, e) : 0;
		if (ret < 0)
			d->ops = NULL; /* --check-only goes on */
		ret = rst_found(r, ret, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* --check-only: of what some table holds, and is not refused. */
static int precheck(struct rst *r, struct cr_err *e)
{
	struct files_plan *p = r->files;
	int ret = 0;

	for (size_t i = 0; i < p->nr_descs && !ret; i++) {
		const struct file_desc *d = &p->descs[i];

		if (d->owner == FILES_NONE || !d->ops || !d->ops->precheck)
			continue;
		rst_area(r, d->ops->area ? d->ops->area : "files", 0);
		ret = rst_found(r, d->ops->precheck(r, d->fe, e), e);
	}
	rst_area(r, "limits", p->nr_tables);
	for (size_t i = 0; i < p->nr_tables && !ret; i++)
		ret = rst_found(r, files_raise_limit(&p->tables[i], e), e);
	return ret;
}

/* ---- fdinfo-N.img ---- */

static int by_number(const void *a, const void *b)
{
	const struct file_row *x = a, *y = b;

	return x->fd < y->fd ? -1 : x->fd > y->fd;
}

static int load_row(struct rst *r, const struct FdinfoEntry *fi, const char *name, struct file_row *row,
		    struct cr_err *e)
{
	const struct FileEntry *fe = files_by_id(r, fi->id, fi->type);

	if (!fe)
		return cr_err_set(e, CR_E_IMG_REF, 0, name,
				  "fd %u is file %u of type %s, which files.img does not hold", fi->fd, fi->id,
				  type_name(fi->type));
	if (fi->fd > INT32_MAX - 1)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, name, "fd %u is no descriptor", fi->fd);
	*row = (struct file_row){ .fd = fi->fd, .desc = files_desc(r, fe) - r->files->descs, .cloexec = fi->flags & 1 };
	return 0;
}

static int load_table(struct rst *r, struct file_table *t, struct cr_err *e)
{
	struct arena a = { 0 };
	char name[IMG_NAME_MAX];
	ssize_t n, i;
	void **v;
	int ret = 0;

	n = img_read_all(r->img, IMG_FDINFO, t->id, &a, &v, e);
	if (n < 0) {
		ret = n;
		goto out;
	}
	img_name(IMG_FDINFO, t->id, name);
	t->rows = arena_calloc(r->arena, n ? n : 1, sizeof(*t->rows));
	if (!t->rows) {
		ret = cr_err_nomem(e);
		goto out;
	}
	for (i = 0; i < n && !ret; i++)
		ret = load_row(r, v[i], name, &t->rows[i], e);
	if (ret < 0)
		goto out;
	t->n = n;
	qsort(t->rows, n, sizeof(*t->rows), by_number);
	for (i = 1; i < n && !ret; i++)
		if (t->rows[i].fd == t->rows[i - 1].fd)
			ret = cr_err_set(e, CR_E_IMG_CORRUPT, 0, name, "has fd %d twice", t->rows[i].fd);
out:
	arena_free(&a);
	return ret;
}

size_t files_row(const struct file_table *t, int fd)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->rows[mid].fd < fd)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* ---- owners ---- */

static int extra(struct files_plan *p, uint32_t table, uint32_t desc, struct cr_err *e)
{
	return add_pair(&p->extra, &p->nr_extra, &p->cap_extra, table, desc, e);
}

/* All of a group go to the first table that has one of it. */
static void own_group(struct files_plan *p, uint32_t i, uint32_t table)
{
	uint32_t k = i;

	do {
		p->descs[k].owner = table;
		k = p->descs[k].next;
	} while (k != i);
}

static void need_slot(struct files_plan *p, struct file_desc *d, uint32_t table)
{
	if (d->owner != table && d->slot == FILES_NONE)
		d->slot = p->nr_slots++;
}

static int choose_owners(struct files_plan *p, struct cr_err *e)
{
	size_t t, i;
	int ret;

	for (t = 0; t < p->nr_tables; t++)
		for (i = 0; i < p->tables[t].n; i++) {
			uint32_t d = p->tables[t].rows[i].desc;

			if (p->descs[d].owner == FILES_NONE)
				own_group(p, d, t);
			need_slot(p, &p->descs[d], t);
		}
	/* What is carried may be a socket that carries again: until nothing changes. The list is short. */
	for (bool again = true; again;) {
		again = false;
		for (i = 0; i < p->nr_carry; i++) {
			struct file_desc *by = &p->descs[p->carry[i].table], *d = &p->descs[p->carry[i].desc];

			if (by->owner == FILES_NONE || p->carry[i].table == FILES_NONE)
				continue;
			if (d->owner == FILES_NONE) {
				own_group(p, p->carry[i].desc, by->owner);
				again = true;
			}
		}
	}
	for (i = 0; i < p->nr_carry; i++) {
		struct file_desc *by = &p->descs[p->carry[i].table], *d = &p->descs[p->carry[i].desc];

		if (by->owner == FILES_NONE)
			continue;
		need_slot(p, d, by->owner);
		ret = extra(p, by->owner, p->carry[i].desc, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int make_slots(struct files_plan *p, struct cr_err *e)
{
	void *map;

	if (!p->nr_slots)
		return 0;
	map = mmap(NULL, p->nr_slots * sizeof(*p->slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return cr_err_set(e, CR_E_SYSTEM, errno, "plan of the files", "shared memory for it cannot be made");
	p->slots = map;
	return 0;
}

/* A tree without its locks would be wrong, and nobody would know. */
static int refuse_locks(struct rst *r, struct cr_err *e)
{
	struct arena a = { 0 };
	struct img_reader rd;
	void *lock;
	int ret;

	ret = img_open(r->img, IMG_FILE_LOCKS, 0, &rd, e);
	if (ret <= 0)
		return ret;
	ret = img_get(&rd, &a, &lock, e);
	if (ret > 0) {
		ret = cr_err_set(e, CR_E_FILE_LOCK, 0, rd.name, "file locks are not supported yet at restore");
		cr_err_remedy(e, "make the dump when the tasks hold no lock");
	}
	img_close(&rd);
	arena_free(&a);
	return ret;
}

static int prepare(struct rst *r, struct cr_err *e)
{
	int ret;
	size_t i;

	ret = files_remap_prepare(r, e);
	for (i = 0; !ret && rst_fd_order[i]; i++)
		if (rst_fd_order[i]->prepare)
			ret = rst_fd_order[i]->prepare(r, e);
	return ret;
}

int files_plan_load(struct rst *r, const uint32_t *files_ids, size_t n, struct files_plan **ret_plan, struct cr_err *e)
{
	struct files_plan *p;
	size_t t;
	int ret;

	p = arena_alloc(r->arena, sizeof(*p));
	if (!p)
		return cr_err_nomem(e);
	p->table = FILES_NONE;
	p->cached_pid = p->cached_pidfd = -1;
	r->files = p;
	p->tables = arena_calloc(r->arena, n ? n : 1, sizeof(*p->tables));
	if (!p->tables)
		return cr_err_nomem(e);
	ret = load_descs(r, e);
	rst_area(r, "files", 0);
	if (!ret)
		ret = rst_found(r, refuse_locks(r, e), e);
	if (!ret)
		ret = files_remap_load(r, e);
	if (!ret)
		ret = check_descs(r, e);
	for (t = 0; t < n && !ret; t++) {
		p->tables[t].id = files_ids[t];
		ret = load_table(r, &p->tables[t], e);
		p->nr_tables += !ret;
	}
	if (!ret)
		ret = choose_owners(p, e);
	if (!ret)
		ret = make_slots(p, e);
	if (!ret && r->check)
		ret = precheck(r, e);
	else if (!ret && !(r->opts && r->opts->plan))
		ret = prepare(r, e);
	free(p->keys);
	p->keys = NULL;
	if (ret < 0)
		return ret;
	*ret_plan = p;
	return 0;
}
