/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks with their mappings, and descriptor tables. Rows of numbers, to be short:
 *   mapping: start (hex), pages, PROT_* bits, kind, file (index in "files", -1) or id of a segment, pages here, in the parent,
 *            lazy, number of mappings in this row
 *   table:   descriptor, close on exec, file; and so on
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "fs.pb-c.h"
#include "idmap.h"
#include "mm.pb-c.h"
#include "overview.h"
#include "pstree.pb-c.h"
#include "report.h"
#include "x.h"

enum { TASKS_MOST = 20000, MAPS_LEAST = 16, PAGE = 4096 };

/* What a mapping is drawn as; report.js has the names. */
enum draw_kind { DRAW_ANON, DRAW_HEAP, DRAW_STACK, DRAW_FILE, DRAW_FILE_SHARED, DRAW_SEGMENT, DRAW_KERNEL, DRAW_GUARD };

struct row {
	uint64_t start, end;
	uint32_t prot;
	enum draw_kind kind;
	int64_t what;
	struct page_sum pages;
	unsigned int n;
};

static enum draw_kind kind_of(const VmaEntry *v)
{
	if (v->status & (VMA_VSYSCALL | VMA_VDSO | VMA_VVAR))
		return DRAW_KERNEL;
	if (v->status & VMA_GUARD)
		return DRAW_GUARD;
	if (v->status & VMA_FILE_PRIVATE)
		return DRAW_FILE;
	if (v->status & VMA_FILE_SHARED)
		return DRAW_FILE_SHARED;
	if (v->status & (VMA_SYSVIPC | VMA_SOCKET | VMA_ANON_SHARED))
		return DRAW_SEGMENT;
	if (v->status & VMA_STACK || v->flags & MAP_GROWSDOWN)
		return DRAW_STACK;
	return v->status & VMA_HEAP ? DRAW_HEAP : DRAW_ANON;
}

static int64_t file_of(const struct checkpoint *c, const VmaEntry *v, enum draw_kind kind)
{
	if (kind == DRAW_SEGMENT)
		return (int64_t)(v->shmid & INT64_MAX);
	if (kind != DRAW_FILE && kind != DRAW_FILE_SHARED)
		return -1;
	return checkpoint_file_index(c, v->status & VMA_MEMFD ? FD_TYPES__MEMFD : FD_TYPES__REG, (uint32_t)v->shmid);
}

static void put_row(struct report *r, const struct row *m)
{
	char start[24];

	snprintf(start, sizeof(start), "%" PRIx64, m->start);
	jo_begin(r->out, '[');
	jo_text(r->out, start);
	jo_unsigned(r->out, (m->end - m->start) / PAGE);
	jo_unsigned(r->out, m->prot & 7);
	jo_unsigned(r->out, m->kind);
	jo_signed(r->out, m->what);
	jo_unsigned(r->out, m->pages.here);
	jo_unsigned(r->out, m->pages.parent);
	jo_unsigned(r->out, m->pages.lazy);
	jo_unsigned(r->out, m->n);
	jo_end(r->out, ']');
}

/* Where there are too many for the page, neighbours of one kind are one row. */
static bool joins(const struct row *m, const struct row *next, unsigned int most)
{
	return m->n && m->n < most && m->kind == next->kind && m->end <= next->start;
}

static void join(struct row *m, const struct row *next)
{
	m->end = next->end;
	m->prot |= next->prot;
	m->what = m->what == next->what ? m->what : -1;
	m->pages.here += next->pages.here;
	m->pages.parent += next->pages.parent;
	m->pages.lazy += next->pages.lazy;
	m->n++;
}

/* Return: how many mappings are not in the rows. */
static size_t put_maps(struct report *r, VmaEntry *const *vmas, size_t n, const struct page_sum *sums)
{
	size_t room = r->maps / (r->c->n_tasks < 1000 ? r->c->n_tasks : 1000), rows = 0;
	unsigned int most;
	struct row m = { 0 };
	size_t k;

	if (room < MAPS_LEAST)
		room = MAPS_LEAST;
	/* What is left is for the tasks to come; the first ones must not take all. */
	room = n < MAPS_LEAST * 4 && n < r->maps ? n + 1 : room < r->maps ? room : r->maps;
	most = room ? n / room + 1 : 1;
	for (k = 0; k < n; k++) {
		enum draw_kind kind = kind_of(vmas[k]);
		struct row next = {
			vmas[k]->start, vmas[k]->end, vmas[k]->prot, kind, file_of(r->c, vmas[k], kind), sums[k], 1
		};

		if (joins(&m, &next, most)) {
			join(&m, &next);
			continue;
		}
		if (m.n)
			put_row(r, &m);
		rows += m.n != 0;
		m = (struct row){ 0 };
		if (rows >= room)
			break;
		m = next;
	}
	if (m.n)
		put_row(r, &m);
	rows += m.n != 0;
	r->maps -= rows < r->maps ? rows : r->maps;
	return n - k;
}

static int put_memory(struct report *r, uint32_t pid, struct cr_err *e)
{
	const MmEntry *mm = checkpoint_one(r->c, IMG_MM, pid);
	struct page_sum all = { 0 }, *sums;
	VmaEntry *const *vmas;
	size_t n = checkpoint_vmas(r->c, pid, &vmas), cut;
	uint64_t bytes = 0;

	sums = calloc(n + 1, sizeof(*sums));
	if (!sums)
		return cr_err_nomem(e);
	pagemap_sums(r->c, IMG_PAGEMAP, pid, vmas, n, sums, &all);
	for (size_t k = 0; k < n; k++)
		bytes += kind_of(vmas[k]) == DRAW_GUARD ? 0 : vmas[k]->end - vmas[k]->start;
	if (mm) {
		jo_key(r->out, "exe");
		jo_signed(r->out, checkpoint_file_index(r->c, FD_TYPES__REG, mm->exe_file_id));
	}
	jo_put_number(r->out, "pages", bytes / PAGE);
	jo_put_number(r->out, "here", all.here);
	jo_put_number(r->out, "parent", all.parent);
	jo_put_number(r->out, "lazy", all.lazy);
	jo_put_number(r->out, "mappings", n);
	jo_key(r->out, "maps");
	jo_begin(r->out, '[');
	cut = put_maps(r, vmas, n, sums);
	jo_end(r->out, ']');
	if (cut)
		jo_put_number(r->out, "cut", cut);
	free(sums);
	return 0;
}

static void put_creds(struct report *r, const CoreEntry *core)
{
	const CredsEntry *creds = core && core->thread_core ? core->thread_core->creds : NULL;

	if (!creds)
		return;
	jo_put_number(r->out, "uid", creds->uid);
	jo_put_number(r->out, "gid", creds->gid);
}

static void put_namespaces(struct report *r, const TaskKobjIdsEntry *ids)
{
	jo_key(r->out, "ns");
	jo_begin(r->out, '[');
	for (unsigned int k = 0; k < NS_KINDS; k++)
		jo_unsigned(r->out, ns_id(ids, k));
	jo_end(r->out, ']');
}

static int put_task(struct report *r, const PstreeEntry *t, struct cr_err *e)
{
	const CoreEntry *core = checkpoint_task_one(r->c, IMG_CORE, t->pid);
	const TaskKobjIdsEntry *ids = checkpoint_ids(r->c, t->pid);
	const FsEntry *fs = checkpoint_task_one(r->c, IMG_FS, t->pid);
	int ret;

	jo_begin(r->out, '{');
	jo_put_number(r->out, "pid", t->pid);
	jo_put_number(r->out, "ppid", t->ppid);
	jo_put_number(r->out, "pgid", t->pgid);
	jo_put_number(r->out, "sid", t->sid);
	jo_key(r->out, "comm");
	report_text(r, core && core->tc && core->tc->comm ? core->tc->comm : "?");
	jo_put_text(r->out, "state", task_state_name(core));
	jo_key(r->out, "threads");
	jo_begin(r->out, '[');
	for (size_t k = 0; k < t->n_threads && k < 1000; k++)
		jo_unsigned(r->out, t->threads[k]);
	jo_end(r->out, ']');
	jo_put_number(r->out, "nthreads", t->n_threads);
	jo_put_number(r->out, "table", ids ? ids->files_id : t->pid);
	if (ids)
		put_namespaces(r, ids);
	put_creds(r, core);
	if (fs) {
		jo_key(r->out, "cwd");
		jo_signed(r->out, checkpoint_file_index(r->c, FD_TYPES__REG, fs->cwd_id));
		jo_key(r->out, "root");
		jo_signed(r->out, checkpoint_file_index(r->c, FD_TYPES__REG, fs->root_id));
	}
	ret = put_memory(r, t->pid, e);
	jo_end(r->out, '}');
	return ret;
}

static void put_table(struct report *r, const PstreeEntry *t, uint32_t id)
{
	FdinfoEntry **fds;
	size_t n = checkpoint_fds(r->c, t, &fds);

	jo_begin(r->out, '{');
	jo_put_number(r->out, "id", id);
	jo_put_number(r->out, "n", n);
	jo_key(r->out, "fds");
	jo_begin(r->out, '[');
	for (size_t k = 0; k < n && r->fds; k++, r->fds--) {
		jo_unsigned(r->out, fds[k]->fd);
		jo_unsigned(r->out, fds[k]->flags & 1);
		jo_signed(r->out, checkpoint_file_index(r->c, fds[k]->type, fds[k]->id));
	}
	jo_end(r->out, ']');
	jo_end(r->out, '}');
}

int report_tasks(struct report *r, struct cr_err *e)
{
	size_t n = r->c->n_tasks < TASKS_MOST ? r->c->n_tasks : TASKS_MOST;
	struct idmap seen = { 0 };
	int ret = 0;

	jo_put_number(r->out, "ntasks", r->c->n_tasks);
	jo_key(r->out, "tasks");
	jo_begin(r->out, '[');
	for (size_t k = 0; !ret && k < n; k++)
		ret = put_task(r, r->c->tasks[k], e);
	jo_end(r->out, ']');
	jo_key(r->out, "tables");
	jo_begin(r->out, '[');
	for (size_t k = 0; !ret && k < n; k++) {
		const TaskKobjIdsEntry *ids = checkpoint_ids(r->c, r->c->tasks[k]->pid);
		uint32_t id = ids ? ids->files_id : r->c->tasks[k]->pid;

		if (idmap_has(&seen, id))
			continue;
		if (!idmap_put(&seen, &r->c->arena, id))
			ret = cr_err_nomem(e);
		put_table(r, r->c->tasks[k], id);
	}
	jo_end(r->out, ']');
	return ret;
}
