/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit x --json: the same, for programs. Addresses are text, since many readers of JSON lose digits above 2^53. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fdinfo.pb-c.h"
#include "fs.pb-c.h"
#include "json-out.h"
#include "mm.pb-c.h"
#include "overview.h"
#include "pagemap.pb-c.h"
#include "pstree.pb-c.h"
#include "x.h"

static void put_file(struct json_out *o, struct checkpoint *c, const char *key, uint32_t type, uint32_t id)
{
	char text[NAME_TEXT_SIZE];

	jo_put_text(o, key, checkpoint_file_text(c, type, id, text, sizeof(text)));
}

static void put_type(struct json_out *o, uint32_t type)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, (int)type);

	jo_put_text(o, "type", v ? v->name : "?");
}

static void put_ps(struct json_out *o, struct checkpoint *c, const PstreeEntry *t)
{
	const char *comm = checkpoint_comm(c, t->pid);
	char text[80];

	jo_put_number(o, "ppid", t->ppid);
	jo_put_number(o, "pgid", t->pgid);
	jo_put_number(o, "sid", t->sid);
	jo_put_text(o, "comm", name_text(c, comm, strlen(comm), text, sizeof(text)));
	jo_key(o, "threads");
	jo_begin(o, '[');
	for (size_t k = 0; k < t->n_threads; k++)
		jo_unsigned(o, t->threads[k]);
	jo_end(o, ']');
}

static void put_fd(struct json_out *o, struct checkpoint *c, const FdinfoEntry *fd)
{
	jo_put_number(o, "fd", fd->fd);
	put_type(o, fd->type);
	jo_put_number(o, "id", fd->id);
}

static void put_fds(struct json_out *o, struct checkpoint *c, const PstreeEntry *t)
{
	const FsEntry *fs = checkpoint_task_one(c, IMG_FS, t->pid);
	FdinfoEntry **fds;
	size_t n = checkpoint_fds(c, t, &fds);

	jo_key(o, "fds");
	jo_begin(o, '[');
	for (size_t k = 0; k < n; k++) {
		jo_begin(o, '{');
		put_fd(o, c, fds[k]);
		jo_put_flag(o, "cloexec", fds[k]->flags & 1);
		put_file(o, c, "file", fds[k]->type, fds[k]->id);
		jo_end(o, '}');
	}
	jo_end(o, ']');
	if (fs) {
		put_file(o, c, "cwd", FD_TYPES__REG, fs->cwd_id);
		put_file(o, c, "root", FD_TYPES__REG, fs->root_id);
	}
}

static void put_mems(struct json_out *o, struct checkpoint *c, const PstreeEntry *t)
{
	const MmEntry *mm = checkpoint_task_one(c, IMG_MM, t->pid);
	VmaEntry *const *vmas;
	size_t n = checkpoint_vmas(c, t->pid, &vmas);
	char text[NAME_TEXT_SIZE];

	if (mm)
		put_file(o, c, "exe", FD_TYPES__REG, mm->exe_file_id);
	jo_key(o, "mappings");
	jo_begin(o, '[');
	for (size_t k = 0; k < n; k++) {
		const VmaEntry *v = vmas[k];
		const char prot[] = { v->prot & 1 ? 'r' : '-', v->prot & 2 ? 'w' : '-', v->prot & 4 ? 'x' : '-', '\0' };

		jo_begin(o, '{');
		jo_put_address(o, "start", v->start);
		jo_put_address(o, "end", v->end);
		jo_put_text(o, "prot", prot);
		jo_put_flag(o, "shared", v->flags & 1);
		jo_put_text(o, "what", vma_text(c, v, text, sizeof(text)));
		jo_put_flag(o, "regular", v->status & 1);
		jo_end(o, '}');
	}
	jo_end(o, ']');
}

static void put_owners(struct json_out *o, const struct checkpoint *c, struct owners *owners, const PagemapEntry *p)
{
	uint64_t end = p->vaddr + img_pagemap_pages(p) * 4096;
	const VmaEntry *v;
	char text[NAME_TEXT_SIZE];

	jo_key(o, "mappings");
	jo_begin(o, '[');
	while (owner_next(owners, p->vaddr, end, &v))
		jo_text(o, *vma_text(c, v, text, sizeof(text)) ? text : "anonymous");
	jo_end(o, ']');
}

/* Entry by entry: there can be millions. */
static void put_rss(struct json_out *o, struct checkpoint *c, const PstreeEntry *t)
{
	struct owners owners = { 0 };
	struct arena a = { 0 };
	struct img_reader r;
	struct cr_err e;
	PagemapEntry *p;
	int got;

	owners.n = checkpoint_vmas(c, t->pid, &owners.vmas);
	owners.n = mappings_in_order(owners.vmas, owners.n);
	jo_key(o, "runs");
	jo_begin(o, '[');
	got = img_open(c->dir, IMG_PAGEMAP, t->pid, &r, &e);
	r.lenient = true;
	while (got > 0 && (arena_reset(&a), got = img_get(&r, &a, &p, &e)) > 0) {
		if (r.entry == 1) /* the head */
			continue;
		jo_begin(o, '{');
		jo_put_address(o, "start", p->vaddr);
		jo_put_number(o, "pages", img_pagemap_pages(p));
		jo_put_flag(o, "present", img_pagemap_flags(p) & IMG_PE_PRESENT);
		jo_put_flag(o, "parent", img_pagemap_flags(p) & IMG_PE_PARENT);
		jo_put_flag(o, "lazy", img_pagemap_flags(p) & IMG_PE_LAZY);
		put_owners(o, c, &owners, p);
		jo_end(o, '}');
	}
	if (got < 0)
		checkpoint_damaged(c, IMG_PAGEMAP, t->pid, &e);
	img_close(&r);
	arena_free(&a);
	jo_end(o, ']');
}

static void put_sk(struct json_out *o, struct checkpoint *c, const PstreeEntry *t)
{
	FdinfoEntry **fds;
	size_t n = checkpoint_fds(c, t, &fds);
	char text[2400];

	jo_key(o, "sockets");
	jo_begin(o, '[');
	for (size_t k = 0; k < n; k++) {
		if (!socket_text(c, fds[k]->type, fds[k]->id, text, sizeof(text)))
			continue;
		jo_begin(o, '{');
		put_fd(o, c, fds[k]);
		jo_put_text(o, "socket", text);
		jo_end(o, '}');
	}
	jo_end(o, ']');
}

int x_json(struct checkpoint *c, const char *what, struct cr_err *e)
{
	static const struct {
		const char *name;
		void (*put)(struct json_out *o, struct checkpoint *c, const PstreeEntry *t);
	} puts[] = { { "ps", put_ps }, { "fd", put_fds }, { "mem", put_mems }, { "rss", put_rss }, { "sk", put_sk } };
	struct json_out o = { .pretty = true, .spelled = true };
	struct output out;
	int ret;

	c->spelled = true;
	ret = output_open(&out, NULL, e);
	if (ret < 0)
		return ret;
	o.ob = out.ob;
	jo_begin(&o, '[');
	for (size_t i = 0; i < c->n_tasks; i++) {
		c->round++;
		jo_begin(&o, '{');
		jo_put_number(&o, "pid", c->tasks[i]->pid);
		for (size_t k = 0; k < sizeof(puts) / sizeof(puts[0]); k++)
			if (!strncmp(what, puts[k].name, strlen(puts[k].name))) /* fd and fds, mem and mems */
				puts[k].put(&o, c, c->tasks[i]);
		damages_json(c, &o, false);
		jo_end(&o, '}');
	}
	jo_end(&o, ']');
	ob_text(out.ob, "\n");
	ret = output_finish(&out, e);
	output_abandon(&out);
	return ret;
}
