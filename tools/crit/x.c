/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit x: what the tasks of a checkpoint have, for reading by people. */
#include "checkpoint.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fdinfo.pb-c.h"
#include "fs.pb-c.h"
#include "mm.pb-c.h"
#include "overview.h"
#include "pagemap.pb-c.h"
#include "pstree.pb-c.h"
#include "x.h"

static void show_ps(struct checkpoint *c)
{
	char comm[80];

	printf("%7s%7s%7s   %s\n", "PID", "PGID", "SID", "COMM");
	for (size_t i = 0; i < c->n_tasks; i++) {
		const PstreeEntry *t = c->tasks[i];
		const char *name = checkpoint_comm(c, t->pid);

		printf("%7u%7u%7u   %*s%s\n", t->pid, t->pgid, t->sid, (int)(4 * checkpoint_depth(c, t)), "",
		       safe_text(name, strlen(name), comm, sizeof(comm)));
	}
}

static void show_fds(struct checkpoint *c)
{
	char text[4096];

	for (size_t i = 0; i < c->n_tasks; i++) {
		const PstreeEntry *t = c->tasks[i];
		const FsEntry *fs = checkpoint_task_one(c, IMG_FS, t->pid);
		FdinfoEntry **fds;
		size_t n = checkpoint_fds(c, t, &fds);

		printf("%u\n", t->pid);
		for (size_t k = 0; k < n; k++)
			printf("\t%7u: %s\n", fds[k]->fd,
			       checkpoint_file_text(c, fds[k]->type, fds[k]->id, text, sizeof(text)));
		if (!fs)
			continue;
		printf("\t%7s: %s\n", "cwd", checkpoint_file_text(c, FD_TYPES__REG, fs->cwd_id, text, sizeof(text)));
		printf("\t%7s: %s\n", "root", checkpoint_file_text(c, FD_TYPES__REG, fs->root_id, text, sizeof(text)));
	}
}

const char *vma_text(const struct checkpoint *c, const VmaEntry *v, char *buf, size_t size)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ VMA_STACK, "[stack]" }, { VMA_VSYSCALL, "[vsyscall]" }, { VMA_VDSO, "[vdso]" },
		{ VMA_VVAR, "[vvar]" },	  { VMA_HEAP, "[heap]" },
	};
	uint32_t kind = v->status & VMA_MEMFD ? FD_TYPES__MEMFD : FD_TYPES__REG;
	size_t fill;

	*buf = '\0';
	if (v->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)) {
		checkpoint_file_text(c, kind, v->shmid, buf, size);
		fill = strlen(buf);
		if (v->pgoff && fill < size)
			snprintf(buf + fill, size - fill, " + %#" PRIx64, v->pgoff);
		fill = strlen(buf);
		if ((v->status & VMA_FILE_SHARED) && fill < size)
			snprintf(buf + fill, size - fill, " (s)");
		return buf;
	}
	if (v->status & (VMA_SYSVIPC | VMA_SOCKET | VMA_ANON_SHARED)) {
		const char *what = v->status & VMA_SYSVIPC ? "ips" : v->status & VMA_SOCKET ? "packet" : "shmem";

		snprintf(buf, size, "%s[%" PRIu64 "]", what, v->shmid);
		return buf;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (v->status & names[i].bit)
			snprintf(buf, size, "%s", names[i].name);
	return buf;
}

static void show_mems(struct checkpoint *c)
{
	char text[4096];

	for (size_t i = 0; i < c->n_tasks; i++) {
		uint32_t pid = c->tasks[i]->pid;
		const MmEntry *mm = checkpoint_task_one(c, IMG_MM, pid);
		VmaEntry *const *vmas;
		size_t n = checkpoint_vmas(c, pid, &vmas);

		printf("%u\n", pid);
		if (mm)
			printf("\t%37s %s\n", "exe",
			       checkpoint_file_text(c, FD_TYPES__REG, mm->exe_file_id, text, sizeof(text)));
		for (size_t k = 0; k < n; k++) {
			const VmaEntry *v = vmas[k];

			printf("\t%16" PRIx64 "-%-16" PRIx64 " %c%c%c %s%s\n", v->start, v->end,
			       v->prot & 1 ? 'r' : '-', v->prot & 2 ? 'w' : '-', v->prot & 4 ? 'x' : '-',
			       vma_text(c, v, text, sizeof(text)), v->status & VMA_REGULAR ? "" : " *");
		}
	}
}

bool owner_next(struct owners *o, uint64_t start, uint64_t end, const VmaEntry **ret)
{
	/* Runs and mappings are by address, so those that lie behind are done with. Guard ranges have no pages. */
	while (o->at < o->n && o->vmas[o->at]->end <= start)
		o->next = ++o->at;
	o->next = o->next < o->at ? o->at : o->next;
	if (o->next >= o->n || o->vmas[o->next]->start >= end) {
		o->next = o->at;
		return false;
	}
	*ret = o->vmas[o->next++];
	return true;
}

/* The mappings that a range of pages lies in, one line each. */
static void print_owners(const struct checkpoint *c, struct owners *o, uint64_t start, uint64_t end)
{
	const VmaEntry *v;
	char text[4096];

	while (owner_next(o, start, end, &v))
		printf("\t\t%s\n", *vma_text(c, v, text, sizeof(text)) ? text : "anonymous");
}

static void show_rss_of(struct checkpoint *c, uint32_t pid)
{
	struct owners owners = { 0 };
	struct arena a = { 0 };
	struct img_reader r;
	struct cr_err e;
	PagemapEntry *p;
	int got;

	owners.n = checkpoint_vmas(c, pid, &owners.vmas);
	owners.n = mappings_in_order(owners.vmas, owners.n);
	printf("%u\n", pid);
	got = img_open(c->dir, IMG_PAGEMAP, pid, &r, &e);
	r.lenient = true;
	while (got > 0 && (arena_reset(&a), got = img_get(&r, &a, &p, &e)) > 0) {
		uint64_t pages;
		uint32_t flags;

		if (r.entry == 1) /* the head */
			continue;
		pages = img_pagemap_pages(p);
		flags = img_pagemap_flags(p);
		printf("\t%16" PRIx64 " %8" PRIu64 " pages%s%s\n", p->vaddr, pages,
		       flags & IMG_PE_PARENT ? ", in parent" : "",
		       (flags & (IMG_PE_LAZY | IMG_PE_PRESENT)) == IMG_PE_LAZY ? ", lazy" : "");
		print_owners(c, &owners, p->vaddr, p->vaddr + pages * 4096);
	}
	if (got < 0)
		checkpoint_damaged(c, IMG_PAGEMAP, pid, &e);
	img_close(&r);
	arena_free(&a);
}

static void show_rss(struct checkpoint *c)
{
	for (size_t i = 0; i < c->n_tasks; i++)
		show_rss_of(c, c->tasks[i]->pid);
}

int crit_x(int argc, char *argv[])
{
	static const struct {
		const char *name;
		void (*show)(struct checkpoint *c);
	} what[] = {
		{ "ps", show_ps },    { "fds", show_fds }, { "fd", show_fds }, { "mems", show_mems },
		{ "mem", show_mems }, { "rss", show_rss }, { "sk", show_sk },
	};
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
	struct checkpoint c;
	bool json = false;
	struct cr_err e;
	int o, ret = 0;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o != 'j')
			return crit_usage("x", "wrong options");
		json = true;
	}
	if (argc - optind != 2)
		return crit_usage("x", "needs a directory and one of ps, fds, mems, rss, sk");
	argv += optind;
	for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		if (strcmp(what[i].name, argv[1]))
			continue;
		ret = checkpoint_open(&c, argv[0], &e);
		if (ret < 0)
			return crit_fail(&e);
		if (json)
			ret = x_json(&c, argv[1], &e);
		else
			what[i].show(&c);
		ret = ret < 0 ? crit_fail(&e) : damages_tell(&c);
		checkpoint_close(&c);
		return ret;
	}
	return crit_usage("x", "knows ps, fds, mems, rss and sk");
}
