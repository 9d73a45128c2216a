/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address space, dump half.
 *
 * Theory of operation: the mappings come from one read of /proc/PID/smaps, as a stream. VmFlags (advice, locks, what a
 * shared mapping may become) stand nowhere else; smaps costs 5 us a mapping and 13 ms a GiB of present pages (Linux
 * 6.18), maps 0.6 us a mapping.
 *
 * Guard regions (MADV_GUARD_INSTALL) are markers in page tables, not mappings: PAGEMAP_SCAN finds them. A mapping that
 * is full of pages has no room for them and is passed over, else a dense GiB would cost 18 ms here. They become
 * pseudo entries at the end of the list.
 *
 * Addresses (code, data, stack, arguments) come from /proc/PID/stat. The exact brk, the dumpable flag and the switch
 * for huge pages are told by the task alone: three system calls, none of which changes anything, made in all tasks
 * side by side. What the holder maps for its calls is not the task's: hold_ours() tells it, and it is left out.
 * [vvar] and [vvar_vclock] are one entry, as CRIU makes them.
 */
#include "kind/mm/mm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "image/stage.h"
#include "kind/mm/dump-files.h"
#include "mm.pb-c.h"
#include "proc/maps.h"
#include "proc/pagemap.h"
#include "proc/stat.h"

enum { CHUNK = 256, AUXV_MAX = 4096, DENSE_MIN = 1 << 20, GUARDS_AT_ONCE = 256, OURS_MAX = 16 };

enum { ASK_BRK, ASK_DUMPABLE, ASK_THP, ASK_CALLS };

struct asked {
	struct hold_call call[ASK_CALLS];
};

struct mm_run {
	struct dump *d;
	struct mm_files files;
	struct proc_maps *maps;
	struct asked *asked; /* one per task, malloc'ed */
	uint32_t shm_major, shm_minor;
	bool no_guards; /* this kernel cannot tell them */
	const struct dump_task *task;
	int pagemap;
	/* of the task at hand */
	struct arena arena;
	VmaEntry *chunk;
	size_t in_chunk, n, cap;
	VmaEntry **vmas;
	struct proc_range scan;	   /* to be searched for guard regions */
	struct proc_range *guards; /* malloc'ed */
	size_t nr_guards, cap_guards;
	size_t sealed, named;
	struct hold_scratch ours[OURS_MAX];
	size_t nr_ours;
};

static VmaEntry *new_vma(struct mm_run *r)
{
	VmaEntry *v;

	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap + r->cap / 2 : CHUNK;
		VmaEntry **p = realloc(r->vmas, cap * sizeof(*p));

		if (!p)
			return NULL;
		r->vmas = p;
		r->cap = cap;
	}
	if (!r->chunk || r->in_chunk == CHUNK) {
		r->chunk = arena_calloc(&r->arena, CHUNK, sizeof(*r->chunk));
		r->in_chunk = 0;
		if (!r->chunk)
			return NULL;
	}
	v = r->vmas[r->n++] = &r->chunk[r->in_chunk++];
	vma_entry__init(v);
	v->fd = -1;
	return v;
}

static int add_guard(struct mm_run *r, const struct proc_range *g)
{
	/* The scan ends at every 256th range: what belongs together is put together again. */
	if (r->nr_guards && r->guards[r->nr_guards - 1].end == g->start) {
		r->guards[r->nr_guards - 1].end = g->end;
		return 0;
	}
	if (r->nr_guards == r->cap_guards) {
		size_t cap = r->cap_guards ? r->cap_guards * 2 : 64;
		struct proc_range *p = realloc(r->guards, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		r->guards = p;
		r->cap_guards = cap;
	}
	r->guards[r->nr_guards++] = *g;
	return 0;
}

/* Search what has been gathered in r->scan. */
static int flush_scan(struct mm_run *r, struct cr_err *e)
{
	struct proc_range found[GUARDS_AT_ONCE];

	while (!r->no_guards && r->scan.start < r->scan.end) {
		ssize_t n;

		if (r->pagemap < 0)
			r->pagemap = openat(r->task->proc, "pagemap", O_RDONLY | O_CLOEXEC);
		n = r->pagemap < 0 ? -errno
				   : proc_guard_scan(r->pagemap, &r->scan.start, r->scan.end, found, GUARDS_AT_ONCE);
		if (n == -EOPNOTSUPP)
			r->no_guards = true;
		else if (n < 0)
			return cr_err_set(e, cr_code_of_task((int)n), (int)-n, r->task->label,
					  "its guard regions cannot be found");
		for (ssize_t i = 0; i < n; i++)
			if (add_guard(r, &found[i]) < 0)
				return cr_err_nomem(e);
	}
	r->scan = (struct proc_range){ 0 };
	return 0;
}

static int want_scan(struct mm_run *r, const struct proc_vma *v, struct cr_err *e)
{
	uint64_t size = v->end - v->start;

	if (size >= DENSE_MIN && v->rss + v->swap >= size)
		return flush_scan(r, e);
	if (!r->scan.end)
		r->scan.start = v->start;
	r->scan.end = v->end;
	return 0;
}

static int refuse(struct mm_run *r, const struct proc_vma *v, const char *why, struct cr_err *e)
{
	struct cr_err refusal = { 0 };
	char object[160];

	snprintf(object, sizeof(object), "%s, mapping %" PRIx64 "-%" PRIx64 "%s%.80s", r->task->label, v->start, v->end,
		 v->path_len ? " " : "", v->path);
	cr_err_set(&refusal, CR_E_VMA_KIND, 0, object, "%s", why);
	return cr_report_add(r->d->refusals, &refusal) < 0 ? cr_err_nomem(e) : 0;
}

/* The second half of vvar joins the first. */
static bool joins(const struct mm_run *r, const struct proc_vma *v, const struct mm_kind *k)
{
	const VmaEntry *last = r->n ? r->vmas[r->n - 1] : NULL;

	return last && k->status & MM_VVAR && last->status == k->status && last->end == v->start &&
	       last->prot == v->prot;
}

static int add_vma(struct mm_run *r, const struct proc_vma *v, struct cr_err *e)
{
	struct mm_kind k = mm_classify(v, r->shm_major, r->shm_minor, r->d->opts->allow_uprobes);
	const struct mm_file *file = NULL;
	VmaEntry *out;

	for (size_t i = 0; i < r->nr_ours; i++)
		if (v->start >= r->ours[i].addr && v->end <= r->ours[i].addr + r->ours[i].len)
			return 0;
	if (k.refused)
		return refuse(r, v, k.refused, e);
	if (joins(r, v, &k)) {
		r->vmas[r->n - 1]->end = v->end;
		return 0;
	}
	if (k.file) {
		int ret = mm_file_id(&r->files, r->task, v, &file, e);

		if (ret < 0 || !file)
			return ret;
	}
	out = new_vma(r);
	if (!out)
		return cr_err_nomem(e);
	out->start = v->start;
	out->end = v->end;
	out->prot = v->prot;
	out->flags = k.flags;
	out->status = k.status;
	out->has_madv = k.madv != 0;
	out->madv = k.madv;
	if (file || k.shm) {
		out->pgoff = v->pgoff;
		out->shmid = file ? file->id : v->ino;
	}
	if (file) {
		out->has_fdflags = true;
		out->fdflags = v->shared && v->flags & PVM_MAYWRITE ? O_RDWR : O_RDONLY;
	}
	if (k.status & (MM_VDSO | MM_VVAR | MM_VSYSCALL | MM_UPROBES))
		return 0;
	r->sealed += !!(v->flags & PVM_SEALED);
	r->named += !strncmp(v->path, "[anon", 5);
	return want_scan(r, v, e);
}

static int read_vmas(struct mm_run *r, struct cr_err *e)
{
	_cleanup_close_ int fd = openat(r->task->proc, "smaps", O_RDONLY | O_CLOEXEC);
	struct proc_vma v;
	ssize_t ours;
	int ret;

	if (fd < 0)
		return cr_err_set(e, cr_code_of_task(errno), errno, r->task->label, "its smaps cannot be opened");
	ours = r->d->dry ? 0 : hold_ours(r->d->hold, r->task->pid, r->ours, OURS_MAX, e);
	if (ours < 0)
		return (int)ours;
	r->nr_ours = (size_t)ours;
	proc_maps_init(r->maps, fd);
	while ((ret = proc_maps_next(r->maps, &v)) == 1) {
		if (!v.has_flags) {
			cr_err_set(e, CR_E_KERNEL, 0, r->task->label, "its smaps has no VmFlags");
			cr_err_remedy(e, "use a kernel with CONFIG_PROC_PAGE_MONITOR");
			return -EINVAL;
		}
		ret = add_vma(r, &v, e);
		if (ret < 0)
			return ret;
	}
	if (ret < 0)
		return cr_err_set(e, cr_code_of_task(ret), -ret, r->task->label, "its smaps cannot be read");
	ret = flush_scan(r, e);
	for (size_t i = 0; !ret && i < r->nr_guards; i++) {
		VmaEntry *g = new_vma(r);

		if (!g)
			return cr_err_nomem(e);
		g->start = r->guards[i].start;
		g->end = r->guards[i].end;
		g->flags = MAP_PRIVATE | MAP_ANONYMOUS;
		g->status = MM_GUARD;
	}
	return ret;
}

static int read_addresses(struct mm_run *r, MmEntry *mm, struct cr_err *e)
{
	struct proc_stat s;
	int ret = proc_stat_read(r->task->proc, "stat", &s);

	if (ret < 0)
		return cr_err_set(e, cr_code_of_task(ret), -ret, r->task->label, "its stat cannot be read");
	mm->mm_start_code = s.start_code;
	mm->mm_end_code = s.end_code;
	mm->mm_start_data = s.start_data;
	mm->mm_end_data = s.end_data;
	mm->mm_start_stack = s.start_stack;
	mm->mm_start_brk = s.start_brk;
	mm->mm_arg_start = s.arg_start;
	mm->mm_arg_end = s.arg_end;
	mm->mm_env_start = s.env_start;
	mm->mm_env_end = s.env_end;
	if (!s.start_stack) {
		cr_err_set(e, CR_E_PRIVILEGE, 0, r->task->label, "the kernel hides its addresses");
		return -EPERM;
	}
	return 0;
}

/* Without the AT_NULL at the end: CRIU's readers have room for 44 words, and PR_SET_MM_MAP adds it by itself. */
static int read_auxv(struct mm_run *r, MmEntry *mm, struct cr_err *e)
{
	uint64_t *v = arena_alloc(&r->arena, AUXV_MAX);
	ssize_t n;

	if (!v)
		return cr_err_nomem(e);
	n = read_buf_at(r->task->proc, "auxv", (char *)v, AUXV_MAX);
	if (n < 0)
		return cr_err_set(e, cr_code_of_task((int)n), (int)-n, r->task->label, "its auxv cannot be read");
	n /= (ssize_t)sizeof(*v);
	while (n >= 2 && !v[n - 2])
		n -= 2;
	mm->mm_saved_auxv = v;
	mm->n_mm_saved_auxv = (size_t)n & ~(size_t)1;
	return 0;
}

/* What only the task can tell, asked of all at once. */
static int ask_tasks(struct mm_run *r, struct cr_err *e)
{
	_cleanup_free_ struct hold_job *jobs = calloc(r->d->nr_tasks + 1, sizeof(*jobs));
	size_t n = 0;
	int ret;

	r->asked = calloc(r->d->nr_tasks + 1, sizeof(*r->asked));
	if (!jobs || !r->asked)
		return cr_err_nomem(e);
	for (size_t i = 0; i < r->d->nr_tasks; i++) {
		struct hold_call *c = r->asked[i].call;

		if (r->d->tasks[i].proc < 0)
			continue;
		c[ASK_BRK] = (struct hold_call){ .nr = SYS_brk };
		c[ASK_DUMPABLE] = (struct hold_call){ .nr = SYS_prctl, .arg = { PR_GET_DUMPABLE } };
		c[ASK_THP] = (struct hold_call){ .nr = SYS_prctl, .arg = { PR_GET_THP_DISABLE } };
		jobs[n++] = (struct hold_job){ .tid = r->d->tasks[i].pid, .calls = c, .n = ASK_CALLS };
	}
	ret = hold_calls_many(r->d->hold, jobs, n, e);
	for (size_t i = 0; !ret && i < n; i++)
		if (jobs[i].err) {
			char object[32];

			snprintf(object, sizeof(object), "task %d", jobs[i].tid);
			ret = cr_err_set(e, CR_E_INJECTION, -jobs[i].err, object, "it cannot be asked for its brk");
		}
	return ret;
}

/* Linux 6.18: PR_GET_THP_DISABLE can say 3, for which the image has no room. */
static int take_answers(struct mm_run *r, MmEntry *mm, struct cr_err *e)
{
	const struct hold_call *c = r->asked[r->task - r->d->tasks].call;
	int64_t bad = c[ASK_BRK].ret < 0 ? c[ASK_BRK].ret : c[ASK_DUMPABLE].ret;

	/* EINVAL: a kernel without huge pages */
	if (bad >= 0 && c[ASK_THP].ret < 0 && c[ASK_THP].ret != -EINVAL)
		bad = c[ASK_THP].ret;

	if (bad < 0)
		return cr_err_set(e, CR_E_SYSTEM, (int)-bad, r->task->label, "it cannot tell its brk");
	mm->mm_brk = (uint64_t)c[ASK_BRK].ret;
	mm->has_dumpable = true;
	mm->dumpable = (int)c[ASK_DUMPABLE].ret;
	mm->has_thp_disabled = true;
	mm->thp_disabled = c[ASK_THP].ret > 0;
	if (c[ASK_THP].ret > 1)
		stage_not_carried(
			r->d->facts, r->task->label,
			"huge pages are disabled except where advised (mode %lld of PR_SET_THP_DISABLE): disabled "
			"everywhere",
			(long long)c[ASK_THP].ret);
	return 0;
}

static void warn_all(struct mm_run *r)
{
	if (r->sealed)
		stage_not_carried(r->d->facts, r->task->label, "%zu sealed mappings (mseal) will not be sealed",
				  r->sealed);
	if (r->named)
		stage_not_carried(r->d->facts, r->task->label, "the names of %zu anonymous mappings are lost",
				  r->named);
}

static int dump_task(struct mm_run *r, struct cr_err *e)
{
	MmEntry mm = MM_ENTRY__INIT;
	size_t refusals = r->d->refusals->n;
	int ret = read_vmas(r, e);

	if (!ret)
		ret = mm_exe_id(&r->files, r->task, &mm.exe_file_id, e);
	if (!ret)
		ret = read_addresses(r, &mm, e);
	if (!ret)
		ret = read_auxv(r, &mm, e);
	if (!ret && !r->d->dry)
		ret = take_answers(r, &mm, e);
	/* An image with holes in it would only mislead. */
	if (ret || r->d->refusals->n != refusals)
		return ret;
	warn_all(r);
	mm.n_vmas = r->n;
	mm.vmas = r->vmas;
	return stage_write_image(r->d->facts, r->d->img, IMG_MM, (unsigned long)r->task->pid, &mm, e);
}

/* The device of memfds, anonymous shared memory and System V's segments. */
static int find_shm_device(struct mm_run *r, struct cr_err *e)
{
	_cleanup_close_ int fd = memfd_create("criu-collect", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return cr_err_set(e, CR_E_SYSTEM, errno, "memfd", "cannot be made");
	r->shm_major = major(st.st_dev);
	r->shm_minor = minor(st.st_dev);
	return 0;
}

static int run(struct dump *d, struct cr_err *e)
{
	struct mm_run r = { .d = d, .files = { .d = d }, .pagemap = -1 };
	int ret;

	r.maps = malloc(sizeof(*r.maps));
	ret = r.maps ? find_shm_device(&r, e) : cr_err_nomem(e);
	if (!ret && !d->dry)
		ret = ask_tasks(&r, e);
	for (size_t i = 0; !ret && i < d->nr_tasks; i++) {
		if (d->tasks[i].proc < 0)
			continue;
		r.task = &d->tasks[i];
		ret = dump_task(&r, e);
		r.pagemap = fd_close(r.pagemap);
		arena_reset(&r.arena);
		r.chunk = NULL;
		r.n = r.nr_guards = r.sealed = r.named = 0;
	}
	arena_free(&r.arena);
	mm_files_free(&r.files);
	free(r.guards);
	free(r.vmas);
	free(r.maps);
	free(r.asked);
	return ret;
}

const struct dump_hook mm_dump = {
	"mm", run,
	"before any hook that makes calls in a task (nothing of ours is mapped yet), and before files.img is finished"
};
