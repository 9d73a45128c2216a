/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit show: an image for reading; of a directory, an overview of the checkpoint in it. */
#include "show.h"

#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "checkpoint.h"
#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "inventory.pb-c.h"
#include "mm.pb-c.h"
#include "pagemap.pb-c.h"
#include "pstree.pb-c.h"

enum { TASK_ALIVE = 1, TASK_DEAD = 2, TASK_STOPPED = 3, TASK_ZOMBIE = 6 };

struct totals {
	unsigned long images, tasks, threads, fds, vmas;
	uint64_t bytes, pages;
};

static const char *state_name(const CoreEntry *core)
{
	if (!core || !core->tc)
		return "?";
	switch (core->tc->task_state) {
	case TASK_ALIVE:
		return "alive";
	case TASK_STOPPED:
		return "stopped";
	case TASK_DEAD:
	case TASK_ZOMBIE:
		return "zombie";
	default:
		return "?";
	}
}

/* Pages whose data is here, in the parent or still to come: what the task will have. */
static uint64_t count_pages(struct checkpoint *c, uint32_t pid)
{
	struct arena a = { 0 };
	struct img_reader r;
	ProtobufCMessage *m;
	uint64_t pages = 0;
	struct cr_err e;
	int got;

	/* Entry by entry: there can be millions. */
	got = img_open(c->dir, IMG_PAGEMAP, pid, &r, &e);
	r.lenient = true;
	while (got > 0 && (arena_reset(&a), got = img_get(&r, &a, &m, &e)) > 0)
		if (r.entry > 1) /* the first one is the head */
			pages += img_pagemap_pages((const PagemapEntry *)m);
	img_close(&r);
	arena_free(&a);
	return pages;
}

static int print_task(struct checkpoint *c, const PstreeEntry *t, struct totals *all, struct cr_err *e)
{
	const CoreEntry *core = checkpoint_one(c, IMG_CORE, t->pid);
	bool zombie = !strcmp(state_name(core), "zombie");
	uint64_t pages = count_pages(c, t->pid);
	const char *name = checkpoint_comm(c, t->pid);
	VmaEntry *const *vmas;
	size_t n_vmas = checkpoint_vmas(c, t->pid, &vmas), threads = zombie ? 1 : t->n_threads;
	FdinfoEntry **fds;
	ssize_t n_fds = zombie ? 0 : checkpoint_fds(c, t, &fds, e);
	char comm[80];

	if (n_fds < 0)
		return n_fds;
	printf("%7u%7u%7u%7u%8zu  %-8s%6zd%7zu%10" PRIu64 "  %*s%s\n", t->pid, t->ppid, t->pgid, t->sid, threads,
	       state_name(core), n_fds, n_vmas, pages, (int)(2 * checkpoint_depth(c, t)), "",
	       safe_text(name, strlen(name), comm, sizeof(comm)));
	all->tasks++;
	all->threads += threads;
	all->fds += n_fds;
	all->vmas += n_vmas;
	all->pages += pages;
	return 0;
}

static void count_images(int dir, struct totals *all)
{
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		enum img_type type;
		unsigned long id;
		struct stat st;

		if (!img_parse_name(entry->d_name, &type, &id) || fstatat(dir, entry->d_name, &st, 0) < 0)
			continue;
		all->images++;
		all->bytes += st.st_size;
	}
	if (d)
		closedir(d);
}

int show_dir(const char *path)
{
	struct totals all = { 0 };
	const InventoryEntry *inv;
	struct checkpoint c;
	struct cr_err e;
	int ret;

	ret = checkpoint_open(&c, path, &e);
	if (ret < 0)
		return crit_fail(&e);
	printf("%7s%7s%7s%7s%8s  %-8s%6s%7s%10s  %s\n", "PID", "PPID", "PGID", "SID", "THREADS", "STATE", "FDS", "VMAS",
	       "PAGES", "COMM");
	for (size_t i = 0; !ret && i < c.n_tasks; i++)
		ret = print_task(&c, c.tasks[i], &all, &e);
	if (!ret) {
		count_images(c.dir, &all);
		inv = checkpoint_one(&c, IMG_INVENTORY, 0);
		printf("\n%lu tasks, %lu threads, %lu descriptors, %zu open files, %lu mappings, %" PRIu64 " pages\n",
		       all.tasks, all.threads, all.fds, c.n_files, all.vmas, all.pages);
		printf("%lu images, %" PRIu64 " bytes%s\n", all.images, all.bytes,
		       inv ? "" : "; no inventory.img: this is no finished checkpoint");
	}
	checkpoint_close(&c);
	return ret < 0 ? crit_fail(&e) : CRIT_OK;
}

int crit_show(int argc, char *argv[])
{
	static const struct option options[] = { { "nopl", no_argument, NULL, 'n' }, { 0 } };
	bool nopl = false;
	struct stat st;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'n')
			return crit_usage("show", "wrong options");
		nopl = true;
	}
	if (argc - optind != 1)
		return crit_usage("show", "needs one image or directory");
	if (!stat(argv[optind], &st) && S_ISDIR(st.st_mode))
		return show_dir(argv[optind]);
	return decode_file(argv[optind], NULL, true, nopl);
}
