/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "overview.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "mm.pb-c.h"
#include "pagemap.pb-c.h"

enum { PAGE = 4096 };

static void credit(struct page_sum *s, uint32_t flags, uint64_t pages)
{
	if (flags & IMG_PE_PRESENT)
		s->here += pages;
	else if (flags & IMG_PE_PARENT)
		s->parent += pages;
	else
		s->lazy += pages;
}

/* Both are by address: @at moves on with the runs. */
static void credit_mappings(uint64_t start, uint64_t end, uint32_t flags, VmaEntry *const *vmas, size_t n,
			    struct page_sum *sums, size_t *at)
{
	while (*at < n && vmas[*at]->end <= start)
		++*at;
	for (size_t k = *at; k < n && vmas[k]->start < end; k++) {
		uint64_t from = vmas[k]->start > start ? vmas[k]->start : start;
		uint64_t to = vmas[k]->end < end ? vmas[k]->end : end;

		if (from < to)
			credit(&sums[k], flags, (to - from) / PAGE);
	}
}

size_t mappings_in_order(VmaEntry *const *vmas, size_t n)
{
	size_t k = 0;

	while (k < n && vmas[k]->start < vmas[k]->end && (!k || vmas[k - 1]->end <= vmas[k]->start))
		k++;
	return k;
}

void pagemap_sums(struct checkpoint *c, enum img_type type, unsigned long id, VmaEntry *const *vmas, size_t n,
		  struct page_sum *sums, struct page_sum *all)
{
	struct arena a = { 0 };
	struct img_reader r;
	PagemapEntry *m;
	struct cr_err e;
	size_t at = 0;
	int got;

	got = img_open(c->dir, type, id, &r, &e);
	r.lenient = true;
	n = vmas ? mappings_in_order(vmas, n) : 0;
	while (got > 0 && (arena_reset(&a), got = img_get(&r, &a, &m, &e)) > 0) {
		uint64_t pages, bytes, end;

		if (r.entry == 1) /* the head */
			continue;
		pages = img_pagemap_pages(m);
		credit(all, img_pagemap_flags(m), pages);
		if (n && !__builtin_mul_overflow(pages, (uint64_t)PAGE, &bytes) &&
		    !__builtin_add_overflow(m->vaddr, bytes, &end))
			credit_mappings(m->vaddr, end, img_pagemap_flags(m), vmas, n, sums, &at);
	}
	if (got < 0)
		checkpoint_damaged(c, type, id, &e);
	img_close(&r);
	arena_free(&a);
}

void overview_images(struct checkpoint *c, struct overview *o)
{
	int fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char link[1024];
	ssize_t len;

	while (d && (entry = readdir(d))) {
		enum img_type type;
		unsigned long id;
		struct stat st;

		if (!img_parse_name(entry->d_name, &type, &id) || fstatat(c->dir, entry->d_name, &st, 0) < 0)
			continue;
		o->images[type].n++;
		o->images[type].bytes += st.st_size;
		o->all.n++;
		o->all.bytes += st.st_size;
		if (type == IMG_PAGEMAP_SHMEM) {
			o->n_segments++;
			pagemap_sums(c, type, id, NULL, 0, NULL, &o->segments);
		}
	}
	if (d)
		closedir(d);
	else
		fd_close(fd);
	len = readlinkat(c->dir, "parent", link, sizeof(link) - 1);
	if (len >= 0) {
		char text[NAME_TEXT_SIZE];

		o->parent = arena_strdup(&c->arena, name_text(c, link, len, text, sizeof(text)));
	}
	o->inventory = o->images[IMG_INVENTORY].n;
}

const char *task_state_name(const CoreEntry *core)
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

const char *ns_name(unsigned int k)
{
	static const char *const names[NS_KINDS] = { "pid", "net", "ipc", "uts", "mnt", "user", "cgroup", "time" };

	return names[k];
}

uint32_t ns_id(const TaskKobjIdsEntry *ids, unsigned int k)
{
	const uint32_t all[NS_KINDS] = { ids->pid_ns_id, ids->net_ns_id,  ids->ipc_ns_id,    ids->uts_ns_id,
					 ids->mnt_ns_id, ids->user_ns_id, ids->cgroup_ns_id, ids->time_ns_id };

	return all[k];
}

const char *bytes_text(uint64_t bytes, char buf[32])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes / 1024;
	size_t k = 0;

	for (; v >= 1024 && k < 5; k++)
		v /= 1024;
	if (bytes < 1024)
		snprintf(buf, 32, "%" PRIu64 " bytes", bytes);
	else
		snprintf(buf, 32, v < 10 ? "%.1f %s" : "%.0f %s", v, units[k]);
	return buf;
}

const char *time_text(double seconds, char buf[32])
{
	if (seconds < 1e-3)
		snprintf(buf, 32, "%.0f us", seconds * 1e6);
	else if (seconds < 1)
		snprintf(buf, 32, "%.1f ms", seconds * 1e3);
	else
		snprintf(buf, 32, "%.2f s", seconds);
	return buf;
}
