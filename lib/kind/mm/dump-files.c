/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kind/mm/dump-files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "proc/maps.h"

static uint32_t hash_of(uint64_t ino, const char *path, size_t len)
{
	uint64_t h = ino * 0x9e3779b97f4a7c15ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)path[i]) * 0x100000001b3ull;
	return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

static int grow(struct mm_files *f)
{
	size_t n = f->nr_buckets ? f->nr_buckets * 2 : 64;
	struct mm_file **b = calloc(n, sizeof(struct mm_file *));

	if (!b)
		return -1;
	for (size_t i = 0; i < f->nr_buckets; i++)
		for (struct mm_file *m = f->buckets[i], *next; m; m = next) {
			next = m->next;
			m->next = b[m->hash & (n - 1)];
			b[m->hash & (n - 1)] = m;
		}
	free(f->buckets);
	f->buckets = b;
	f->nr_buckets = n;
	return 0;
}

static struct mm_file *find(const struct mm_files *f, const struct proc_vma *v, uint32_t hash)
{
	struct mm_file *m = f->nr_buckets ? f->buckets[hash & (f->nr_buckets - 1)] : NULL;

	for (; m; m = m->next)
		if (m->hash == hash && m->ino == v->ino && m->major == v->dev_major && m->minor == v->dev_minor &&
		    !strcmp(m->path, v->path))
			return m;
	return NULL;
}

static struct mm_file *insert(struct mm_files *f, const struct proc_vma *v, uint32_t hash)
{
	struct mm_file *m;

	if (f->nr >= f->nr_buckets && grow(f) < 0)
		return NULL;
	m = arena_alloc(f->d->arena, sizeof(*m) + v->path_len + 1);
	if (!m)
		return NULL;
	*m = (struct mm_file){ .ino = v->ino, .major = v->dev_major, .minor = v->dev_minor, .hash = hash };
	memcpy(m->path, v->path, v->path_len + 1);
	m->next = f->buckets[hash & (f->nr_buckets - 1)];
	f->buckets[hash & (f->nr_buckets - 1)] = m;
	f->nr++;
	return m;
}

static int ask(struct mm_files *f, const struct dump_task *t, const char *link, uint32_t *ret_id, int *ret_type,
	       struct cr_err *e)
{
	struct cr_err refusal = { 0 };

	*ret_id = 0;
	if (dump_file_id(f->d, t, link, O_RDONLY, ret_id, ret_type, &refusal) >= 0)
		return 0;
	*ret_id = 0;
	return cr_report_add(f->d->refusals, &refusal) < 0 ? cr_err_nomem(e) : 0;
}

int mm_file_id(struct mm_files *f, const struct dump_task *t, const struct proc_vma *v, const struct mm_file **ret,
	       struct cr_err *e)
{
	uint32_t hash = hash_of(v->ino, v->path, v->path_len);
	struct mm_file *m = find(f, v, hash);
	char link[64];
	int r = 0;

	if (!m) {
		m = insert(f, v, hash);
		if (!m)
			return cr_err_nomem(e);
		snprintf(link, sizeof(link), "map_files/%" PRIx64 "-%" PRIx64, v->start, v->end);
		r = ask(f, t, link, &m->id, &m->type, e);
	}
	*ret = m->id ? m : NULL;
	return r;
}

/* The program is nearly always mapped, so its file is known already: where the key fits, the id is taken from there. */
int mm_exe_id(struct mm_files *f, const struct dump_task *t, uint32_t *ret_id, struct cr_err *e)
{
	char path[4096];
	struct stat st;
	ssize_t n = readlink_at(t->proc, "exe", path, sizeof(path));
	struct mm_file *m = NULL;
	int type;

	if (n > 0 && !fstatat(t->proc, "exe", &st, 0)) {
		struct proc_vma v = { .ino = st.st_ino,
				      .dev_major = major(st.st_dev),
				      .dev_minor = minor(st.st_dev),
				      .path = path,
				      .path_len = (size_t)n };

		m = find(f, &v, hash_of(v.ino, path, v.path_len));
	}
	if (m && m->id) {
		*ret_id = m->id;
		return 0;
	}
	return ask(f, t, "exe", ret_id, &type, e);
}

void mm_files_free(struct mm_files *f)
{
	free(f->buckets);
	f->buckets = NULL;
}
