/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * mm-PID.img says what the mappings are. Of private ones, what the task has there beyond the file is written: anonymous
 * pages, present or swapped out. Nothing of: the zero page and guard regions (no memory), pages that are still the
 * file's, vvar and vsyscall (the kernel's own), shared file mappings (the file has it). The vDSO and AIO rings are
 * written whole: they are not anonymous, yet a restore needs them. Shared memory belongs to its segment (shmem.c).
 *
 * A uprobe is a breakpoint that the kernel writes into a private page of program code. The kernel does so again where
 * the file is mapped, as long as the probe is there; when it is gone, a restored breakpoint would end the program. So
 * pages of code that differ from their file in breakpoints only are the file's.
 *
 * The page tables are scanned over as many mappings at once as possible, so that 20,000 mappings do not cost as many
 * calls; runs of pages are then cut at the mappings, because their flags differ.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/fd.h"
#include "mm.pb-c.h"
#include "pages.h"
#include "proc/pagemap.h"

/* vma_entry.status */
enum {
	ST_VSYSCALL = 1 << 2,
	ST_VDSO = 1 << 3,
	ST_FILE_PRIVATE = 1 << 6,
	ST_ANON_SHARED = 1 << 8,
	ST_ANON_PRIVATE = 1 << 9,
	ST_SYSVIPC = 1 << 10,
	ST_VVAR = 1 << 12,
	ST_AIORING = 1 << 13,
	ST_MEMFD = 1 << 14,
	ST_GUARD = 1 << 16,
	ST_UPROBES = 1 << 17,
};

enum how { SKIP, WHOLE, SCAN };
enum { BREAKPOINT = 0xcc };

struct area {
	uint64_t start, end;
	uint8_t how;	/* enum how */
	uint8_t flags;	/* IMG_PE_* */
	uint8_t source; /* enum copy_how */
	bool code;	/* of a file; probes may be in it */
	uint64_t pgoff; /* of code: where in the file, in bytes */
};

struct task {
	struct pages_run *run;
	pid_t pid;
	int proc, mem;
	struct area *areas;
	size_t nr;
	bool probed; /* it has uprobes */
	char name[32];
	struct copy_source src;
	struct pages_out out;
	struct proc_pagemap map;
	bool have_map, have_out;
};

static struct area classify(const VmaEntry *v)
{
	struct area a = { .start = v->start,
			  .end = v->end,
			  .how = SKIP,
			  .flags = IMG_PE_PRESENT,
			  .source = v->prot & PROT_READ ? COPY_TASK : COPY_FORCED };

	if (v->status & (ST_VSYSCALL | ST_VVAR | ST_GUARD | ST_UPROBES | ST_SYSVIPC | ST_ANON_SHARED))
		return a;
	if (v->status & (ST_VDSO | ST_AIORING)) {
		a.how = WHOLE;
		return a;
	}
	if (!(v->status & (ST_ANON_PRIVATE | ST_FILE_PRIVATE)))
		return a;
	a.how = SCAN;
	a.code = v->status & ST_FILE_PRIVATE && v->prot & PROT_EXEC;
	a.pgoff = v->pgoff;
	/* May come by userfaultfd after the task has started: ordinary anonymous memory only. */
	if (v->status & ST_ANON_PRIVATE && !(v->flags & (MAP_LOCKED | MAP_HUGETLB)))
		a.flags |= IMG_PE_LAZY;
	return a;
}

static int read_areas(struct task *t, struct cr_err *e)
{
	struct arena arena = { 0 };
	MmEntry *mm = NULL;
	int err = img_read_one(t->run->img, IMG_MM, (unsigned long)t->pid, &arena, &mm, e);

	if (!err) {
		t->areas = calloc(mm->n_vmas + 1, sizeof(*t->areas));
		err = t->areas ? 0 : cr_err_nomem(e);
	}
	for (size_t i = 0; !err && i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];

		if (v->status & ST_GUARD) /* not a mapping; behind all mappings */
			break;
		t->areas[t->nr++] = classify(v);
		t->probed |= v->status & ST_UPROBES;
		if (v->status & ST_ANON_SHARED && !(v->status & (ST_SYSVIPC | ST_MEMFD)))
			err = segment_note(t->run, &(struct segment){ v->shmid, t->pid, v->start, v->end }, e);
	}
	arena_free(&arena);
	return err;
}

static int put_pages(struct task *t, const struct area *a, uint64_t start, uint64_t end, struct cr_err *e)
{
	uint64_t nr = (end - start) / PAGE_BYTES;

	t->run->stats.written += nr;
	return out_pages(&t->out, &t->src, (enum copy_how)a->source, start, start, nr, a->flags, e);
}

/* Is the page at @addr that of the file but for breakpoints? */
static bool same_code(const struct task *t, int file, const struct area *a, uint64_t addr)
{
	uint8_t here[PAGE_BYTES], there[PAGE_BYTES] = { 0 };
	size_t i = 0;

	if (pread_full(t->mem, here, sizeof(here), (off_t)addr))
		return false;
	/* Behind the end of the file a page has zeroes. */
	if (pread(file, there, sizeof(there), (off_t)(a->pgoff + (addr - a->start))) <= 0)
		return false;
	while (i < sizeof(here) && (here[i] == there[i] || here[i] == BREAKPOINT))
		i++;
	return i == sizeof(here);
}

/* Code of a program with probes: not what is the file's. */
static int put_code(struct task *t, const struct area *a, uint64_t start, uint64_t end, struct cr_err *e)
{
	_cleanup_close_ int file = -1;
	char path[64];
	int err = 0;

	snprintf(path, sizeof(path), "map_files/%llx-%llx", (unsigned long long)a->start, (unsigned long long)a->end);
	file = openat(t->proc, path, O_RDONLY | O_CLOEXEC);
	for (uint64_t at = start; at < end && !err; at += PAGE_BYTES)
		if (file < 0 || !same_code(t, file, a, at))
			err = put_pages(t, a, at, at + PAGE_BYTES, e);
	return err;
}

/* Pages [start, end) of one mapping. */
static int put(struct task *t, const struct area *a, uint64_t start, uint64_t end, struct cr_err *e)
{
	return t->probed && a->code ? put_code(t, a, start, end, e) : put_pages(t, a, start, end, e);
}

/* The ranges from where the map stands; the first lies in area *@i, or behind. Return: 0, -errno; 1: to be read by areas. */
static int put_ranges(struct task *t, size_t *i, size_t last, struct cr_err *e)
{
	struct proc_range r;
	int n;

	while ((n = proc_pagemap_next(&t->map, &r)) > 0) {
		for (; *i < last && t->areas[*i].start < r.end; ++*i) {
			const struct area *a = &t->areas[*i];
			uint64_t start = r.start > a->start ? r.start : a->start, end = r.end < a->end ? r.end : a->end;
			int err = start < end ? put(t, a, start, end, e) : 0;

			if (err)
				return err;
			if (a->end > r.end) /* the next range may lie in it too */
				break;
		}
	}
	if (n == -EAGAIN)
		return 1;
	return n < 0 ? cr_err_set(e, CR_E_SYSTEM, -n, t->name, "cannot find out which pages it has") : 0;
}

/* Areas [first, last) are all to be scanned; what lies between them is not mapped. */
static int scan(struct task *t, size_t first, size_t last, struct cr_err *e)
{
	size_t i = first;
	uint64_t from;
	int ret;

	proc_pagemap_seek(&t->map, t->areas[first].start, t->areas[last - 1].end);
	ret = put_ranges(t, &i, last, e);
	if (ret <= 0)
		return ret;
	/* It has to be read, a word for each page: what is not mapped, terabytes of it, is left out. */
	from = t->map.pos;
	ret = 0;
	for (size_t k = first; k < last && !ret; k++) {
		const struct area *a = &t->areas[k];

		if (a->end <= from)
			continue;
		proc_pagemap_seek(&t->map, a->start > from ? a->start : from, a->end);
		ret = put_ranges(t, &i, last, e);
	}
	return ret;
}

static int areas(struct task *t, struct cr_err *e)
{
	int err = 0;

	for (size_t i = 0, next; i < t->nr && !err; i = next) {
		const struct area *a = &t->areas[i];

		next = i + 1;
		if (a->how != SKIP)
			t->run->stats.scanned += (a->end - a->start) / PAGE_BYTES;
		if (a->how == WHOLE)
			err = put(t, a, a->start, a->end, e);
		if (a->how != SCAN)
			continue;
		for (; next < t->nr && t->areas[next].how == SCAN && !t->map.by_reading; next++)
			t->run->stats.scanned += (t->areas[next].end - t->areas[next].start) / PAGE_BYTES;
		err = scan(t, i, next, e);
	}
	return err;
}

static int open_task(struct task *t, bool root, struct cr_err *e)
{
	int err;

	t->proc = open_proc_pid(t->pid);
	if (t->proc < 0)
		return cr_err_set(e, cr_code_of_task(t->proc), -t->proc, t->name, "cannot open /proc/%d", t->pid);
	err = proc_pagemap_open(&t->map, t->proc);
	if (err)
		return cr_err_set(e, cr_code_of_task(err), -err, t->name, "cannot open /proc/%d/pagemap", t->pid);
	t->have_map = true;
	t->mem = openat(t->proc, "mem", O_RDONLY | O_CLOEXEC);
	if (t->mem < 0)
		return cr_err_set(e, cr_code_of_task(errno), errno, t->name, "cannot open /proc/%d/mem", t->pid);
	t->src = (struct copy_source){ .pid = t->pid, .mem = t->mem, .fd = -1, .name = t->name };
	err = out_begin(&t->out, t->run, IMG_PAGEMAP, (unsigned long)t->pid, root, e);
	t->have_out = !err;
	return err;
}

int pages_task(struct pages_run *r, pid_t pid, bool root, struct cr_err *e)
{
	struct task t = { .run = r, .pid = pid, .proc = -1, .mem = -1 };
	int err;

	snprintf(t.name, sizeof(t.name), "task %d", pid);
	err = read_areas(&t, e);
	if (!err)
		err = open_task(&t, root, e);
	if (!err)
		err = areas(&t, e);
	if (!err)
		err = out_finish(&t.out, e);
	else if (t.have_out)
		out_abandon(&t.out);
	if (t.have_map)
		proc_pagemap_close(&t.map);
	fd_close(t.mem);
	fd_close(t.proc);
	free(t.areas);
	return err;
}
