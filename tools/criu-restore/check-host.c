/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --check-only: memory and limits.
 *
 * Pages that a child shares with its parent stand in both pagemaps, and nobody knows before the restore how many of them
 * are equal. So two sums are made: without the children that share, which is the least that is needed (more than there is
 * is refused), and with them (more than there is may go wrong: a warning).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "inventory.pb-c.h"
#include "kind/file/restore-file.h"
#include "kind/mm/mm.h"
#include "kind/restore-check.h"
#include "mm.pb-c.h"
#include "pagemap.pb-c.h"
#include "restore.h"

enum { RESTORER_MAPS = 64 }; /* this program's own mappings, beside the task's */

/* A number behind "NAME:" in a text of /proc; -1: there is none. In kB for /proc/meminfo. */
static long long field(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p += p != NULL)
		if (!strncmp(p, name, n) && p[n] == ':')
			return strtoll(p + n + 1, NULL, 10);
	return -1;
}

static long long number(const char *path)
{
	char buf[64];

	return read_buf_at(AT_FDCWD, path, buf, sizeof(buf)) > 0 ? strtoll(buf, NULL, 10) : -1;
}

/* ---- what the images fill ---- */

/* @ret_file: bytes that the pages file must have */
static int add_pagemap(struct restore *x, struct img_reader *rd, uint64_t *ret_bytes, uint64_t *ret_file,
		       uint32_t *ret_pages_id, struct cr_err *e)
{
	struct arena a = { 0 };
	PagemapHead *head;
	PagemapEntry *pe;
	int err = img_get(rd, &a, &head, e);

	if (err > 0)
		*ret_pages_id = head->pages_id;
	while (err > 0 && (err = img_get(rd, &a, &pe, e)) > 0) {
		uint64_t len = img_pagemap_pages(pe) * MM_PAGE;
		uint32_t flags = img_pagemap_flags(pe);

		*ret_bytes += len;
		if (flags & IMG_PE_PRESENT)
			*ret_file += len;
		else if (flags & IMG_PE_PARENT)
			err = cr_err_set(e, CR_E_IMG_PARENT, 0, rd->name,
					 "pages are in parent images, not supported yet");
		else if (flags & IMG_PE_LAZY && !check_marked(x->rst.img))
			err = cr_err_set(e, CR_E_IMG_LAZY, 0, rd->name, "pages were left to a page server");
	}
	arena_free(&a);
	return err;
}

/* One pagemap. The pages file must be as long as it says. */
static int pagemap(struct restore *x, enum img_type type, unsigned long id, uint64_t *bytes, struct cr_err *e)
{
	struct img_reader rd;
	char name[IMG_NAME_MAX];
	uint64_t file = 0;
	uint32_t pages_id = 0;
	struct stat st = { 0 };
	int err = img_open(x->rst.img, type, id, &rd, e);

	if (err <= 0)
		return err;
	err = add_pagemap(x, &rd, bytes, &file, &pages_id, e);
	img_close(&rd);
	if (err || !file)
		return err;
	img_name(IMG_PAGES, pages_id, name);
	if (fstatat(x->rst.img, name, &st, 0) || (uint64_t)st.st_size < file)
		return cr_err_set(e, CR_E_IMG_TRUNCATED, 0, name, "it has %lld bytes, the pagemap says %llu",
				  (long long)st.st_size, (unsigned long long)file);
	return 0;
}

struct memory {
	uint64_t least, most; /* bytes: without and with children that share */
};

static int filled(struct restore *x, struct memory *m, struct cr_err *e)
{
	uint64_t bytes;
	int err = 0;

	for (size_t i = 0; !err && i < x->plan.nr_images; i++) {
		const struct plan_task *t = &x->plan.tasks[i];

		bytes = 0;
		if (t->mm)
			err = pagemap(x, IMG_PAGEMAP, (unsigned long)t->pid, &bytes, e);
		m->most += bytes;
		m->least += t->cow ? 0 : bytes;
	}
	bytes = 0;
	for (size_t i = 0; !err && i < x->segs.n; i++)
		err = pagemap(x, IMG_PAGEMAP_SHMEM, x->segs.v[i].pagemap, &bytes, e);
	m->most += bytes;
	m->least += bytes;
	return err;
}

/* ---- what there is ---- */

static void short_of(struct cr_err *e, uint64_t need, uint64_t have, const char *what)
{
	cr_err_set(e, CR_E_MEMORY_SHORT, 0, "memory", "the images fill %llu MiB, %llu MiB %s",
		   (unsigned long long)need >> 20, (unsigned long long)have >> 20, what);
}

static int available(struct restore *x, const struct memory *m, const char *info, struct cr_err *e)
{
	long long free_kb = field(info, "MemAvailable"), swap_kb = field(info, "SwapFree");
	uint64_t ram = free_kb > 0 ? (uint64_t)free_kb << 10 : 0,
		 all = ram + (swap_kb > 0 ? (uint64_t)swap_kb << 10 : 0);

	if (free_kb < 0)
		return 0;
	if (m->least > all) {
		short_of(e, m->least, all, "are available, swap included");
		return rst_found(&x->rst, -ENOMEM, e);
	}
	if (m->most > ram) {
		short_of(e, m->most, ram, "are available without swapping");
		rst_doubt(&x->rst, e);
		*e = (struct cr_err){ 0 };
	}
	return 0;
}

/* Private writable mappings: what the kernel reckons against its limit. */
static uint64_t committed(const MmEntry *mm, uint64_t *largest)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];

		if (!(v->status & (MM_ANON_PRIVATE | MM_FILE_PRIVATE)) || !(v->prot & PROT_WRITE))
			continue;
		sum += v->end - v->start;
		if (v->end - v->start > *largest && !(v->flags & MAP_NORESERVE))
			*largest = v->end - v->start;
	}
	return sum;
}

/* vm.overcommit_memory: 0 refuses single mappings beyond all memory, 2 everything beyond a limit (proc_sys_vm(5)). */
static int overcommit(struct restore *x, const char *info, struct cr_err *e)
{
	long long mode = number("/proc/sys/vm/overcommit_memory"), total = field(info, "MemTotal"),
		  swap = field(info, "SwapTotal"), limit = field(info, "CommitLimit"),
		  used = field(info, "Committed_AS");
	uint64_t sum = 0, largest = 0;
	int err = 0;

	for (size_t i = 0; i < x->plan.nr_images; i++)
		sum += x->plan.tasks[i].mm ? committed(x->plan.tasks[i].mm, &largest) : 0;
	if (mode == 0 && total > 0 && largest >> 10 > (uint64_t)(total + swap))
		err = cr_err_set(e, CR_E_MEMORY_SHORT, ENOMEM, "memory",
				 "a mapping takes %llu MiB, which is more than all memory, and overcommit is limited",
				 (unsigned long long)largest >> 20);
	else if (mode == 2 && limit >= 0 && (long long)(sum >> 10) > limit - used)
		err = cr_err_set(e, CR_E_MEMORY_SHORT, ENOMEM, "memory",
				 "the mappings take %llu MiB, the kernel grants %lld MiB more",
				 (unsigned long long)sum >> 20, limit > used ? (limit - used) >> 10 : 0);
	if (err)
		cr_err_remedy(e, "set /proc/sys/vm/overcommit_memory to 1, or raise overcommit_ratio");
	return rst_found(&x->rst, err, e);
}

int check_memory(struct restore *x, uint64_t *ret_bytes, struct cr_err *e)
{
	_cleanup_free_ char *info = NULL;
	struct memory m = { 0 };
	int err;

	rst_area(&x->rst, "memory", 1);
	err = filled(x, &m, e);
	if (err)
		return err;
	*ret_bytes = m.most;
	if (read_file_at(AT_FDCWD, "/proc/meminfo", 1 << 16, &info) < 0)
		return 0;
	err = available(x, &m, info, e);
	return err ? err : overcommit(x, info, e);
}

/* ---- limits ---- */

static int sysctl(struct restore *x, const char *path, long long need, const char *what, struct cr_err *e)
{
	long long have = number(path);

	rst_area(&x->rst, "limits", 1);
	if (have < 0 || need <= have)
		return 0;
	cr_err_set(e, CR_E_LIMIT, 0, path, "%s need %lld, it is %lld", what, need, have);
	cr_err_remedy(e, "write at least %lld to %s", need, path);
	return rst_found(&x->rst, -EAGAIN, e);
}

static pid_t highest_pid(const struct plan *p)
{
	pid_t high = 0;

	for (size_t i = 0; i < p->nr; i++) {
		const struct plan_task *t = &p->tasks[i];

		high = t->pid > high ? t->pid : high;
		for (size_t k = 1; k < t->nr_threads; k++)
			high = t->threads[k].tid > high ? t->threads[k].tid : high;
	}
	return high;
}

static int pids(struct restore *x, struct cr_err *e)
{
	long long max = number("/proc/sys/kernel/pid_max"), have = 0;
	pid_t high = highest_pid(&x->plan);
	char what[32], buf[128], *slash;
	int err = 0;

	rst_area(&x->rst, "pids", 0);
	snprintf(what, sizeof(what), "pid %d", high);
	if (max > 0 && high >= max) {
		cr_err_set(e, CR_E_PID_MAX, 0, what, "the highest pid of this machine is %lld", max - 1);
		err = rst_found(&x->rst, -EINVAL, e);
	}
	/* "0.00 0.01 0.05 1/123 4567": threads that there are, behind the slash */
	if (!err && read_buf_at(AT_FDCWD, "/proc/loadavg", buf, sizeof(buf)) > 0 && (slash = strchr(buf, '/')))
		have = strtoll(slash + 1, NULL, 10);
	return err ? err
		   : sysctl(x, "/proc/sys/kernel/threads-max", have + (long long)x->plan.nr_threads,
			    "the threads that there are and those of the tree", e);
}

/* What the mappings of a task take, in bytes. */
struct layout {
	uint64_t all, locked, lowest; /* lowest: an address */
};

static struct layout layout_of(const MmEntry *mm)
{
	struct layout l = { .lowest = UINT64_MAX };

	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];

		if (v->status & (MM_GUARD | MM_VSYSCALL | MM_VDSO | MM_VVAR | MM_UPROBES))
			continue;
		l.all += v->end - v->start;
		if (v->flags & MAP_LOCKED)
			l.locked += v->end - v->start;
		if (v->start < l.lowest)
			l.lowest = v->start;
	}
	return l;
}

/* A limit of ours that a task runs into while it is rebuilt; its own comes into force last. */
static int own_limit(struct restore *x, const char *who, int limit, uint64_t need, const char *what, struct cr_err *e)
{
	if (need <= x->own.rlim[limit].rlim_cur)
		return 0;
	cr_err_set(e, CR_E_LIMIT, 0, who, "%s: %llu kB, the limit of the restore itself is %llu kB", what,
		   (unsigned long long)need >> 10, (unsigned long long)x->own.rlim[limit].rlim_cur >> 10);
	cr_err_remedy(e, "raise it in the shell that calls the restore (ulimit)");
	return rst_found(&x->rst, -ENOMEM, e);
}

static int task_limits(struct restore *x, const struct plan_task *t, struct cr_err *e)
{
	struct layout l = layout_of(t->mm);
	uint64_t largest = 0;
	long long floor = number("/proc/sys/vm/mmap_min_addr");
	char who[64];
	int err;

	plan_who(t, who, sizeof(who));
	err = sysctl(x, "/proc/sys/vm/max_map_count", (long long)t->mm->n_vmas + RESTORER_MAPS,
		     "the mappings of a task", e);
	if (!err)
		err = own_limit(x, who, RLIMIT_AS, l.all, "address space (ulimit -v)", e);
	if (!err && !(x->own.creds.eff >> CAP_IPC_LOCK & 1))
		err = own_limit(x, who, RLIMIT_MEMLOCK, l.locked, "locked memory (ulimit -l)", e);
	if (!err)
		err = own_limit(x, who, RLIMIT_DATA, committed(t->mm, &largest), "data (ulimit -d)", e);
	if (!err && floor > 0 && l.lowest < (uint64_t)floor && !(x->own.creds.eff >> CAP_SYS_RAWIO & 1)) {
		cr_err_set(e, CR_E_MEM_LAYOUT, 0, who, "it has a mapping at %#llx; /proc/sys/vm/mmap_min_addr is %lld",
			   (unsigned long long)l.lowest, floor);
		cr_err_remedy(e, "lower /proc/sys/vm/mmap_min_addr");
		err = rst_found(&x->rst, -EPERM, e);
	}
	return err;
}

int check_limits(struct restore *x, struct cr_err *e)
{
	int err = pids(x, e);

	for (size_t i = 0; !err && i < x->plan.nr_images; i++)
		if (x->plan.tasks[i].mm)
			err = task_limits(x, &x->plan.tasks[i], e);
	return err;
}

/* ---- cgroups ---- */

/* Threads of the tasks in the set of task @i, if that is the first in it. */
static uint64_t set_threads(const struct restore *x, size_t i, bool *ret_all)
{
	const struct plan *p = &x->plan;
	uint32_t set = order_cg_set(x, &p->tasks[i]);
	uint64_t n = 0;

	*ret_all = true;
	for (size_t k = 0; k < p->nr_images; k++) {
		if (order_cg_set(x, &p->tasks[k]) != set)
			*ret_all = false;
		else if (k < i)
			return 0;
		else
			n += p->tasks[k].nr_threads ? p->tasks[k].nr_threads : 1;
	}
	return n;
}

/* Of memory it is known how much all tasks take, so it is compared only where they are together. */
int check_cgroups(struct restore *x, uint64_t bytes, struct cr_err *e)
{
	int err = 0;

	rst_area(&x->rst, "cgroups", 0);
	for (size_t i = 0; !err && i < x->plan.nr_images; i++) {
		bool all;
		uint64_t n = set_threads(x, i, &all);

		if (n)
			err = cgroup_check(&x->rst, x->cgroups, order_cg_set(x, &x->plan.tasks[i]), n, all ? bytes : 0,
					   e);
	}
	return err;
}
