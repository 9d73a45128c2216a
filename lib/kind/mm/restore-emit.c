/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: what the blob does about memory.
 *
 * The kernel's own mappings are parked in the blob's area first, as theirs may be someone's place; then everything goes
 * that is not the task's; then mappings that had to wait elsewhere move to their places; then the vdso. The addresses
 * that the kernel keeps (prctl(2), PR_SET_MM_MAP) are set when the mappings of the old program are gone: only then may
 * the exe link change, and PR_SET_MM_MAP alone works without CAP_SYS_RESOURCE.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "kind/mm/mm.h"
#include "kind/mm/restore-internal.h"
#include "proc/maps.h"

int mm_vdso_own(struct mm_vdso *ret, struct cr_err *e)
{
	_cleanup_close_ int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	_cleanup_free_ struct proc_maps *m = malloc(sizeof(*m));
	struct proc_vma v;
	int got = 0;

	memset(ret, 0, sizeof(*ret));
	if (fd < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, "/proc/self/maps", "cannot be opened");
	if (!m)
		return cr_err_nomem(e);
	proc_maps_init(m, fd);
	while ((got = proc_maps_next(m, &v)) > 0) {
		bool code = v.path_len == 6 && !memcmp(v.path, "[vdso]", 6);

		if (!code && !(v.path_len >= 5 && !memcmp(v.path, "[vvar", 5)))
			continue;
		if (ret->nr == MM_VDSO_PARTS || (ret->nr && v.start != ret->start + ret->len))
			return cr_err_set(e, CR_E_MEM_LAYOUT, 0, "/proc/self/maps",
					  "vvar and vdso of this kernel are not adjacent");
		if (!ret->nr)
			ret->start = v.start;
		ret->part[ret->nr].off = v.start - ret->start;
		ret->part[ret->nr].len = v.end - v.start;
		ret->part[ret->nr++].code = code;
		ret->len = v.end - ret->start;
	}
	return got < 0 ? cr_err_set(e, CR_E_SYSTEM, -got, "/proc/self/maps", "cannot be read") : 0;
}

uint64_t mm_park_size(const struct mm_vdso *vdso)
{
	return vdso->len;
}

struct range {
	uint64_t start, end;
};

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void emit_move(struct rst_prog *p, const char *label, uint64_t from, uint64_t len, uint64_t to)
{
	struct rst_op *o = prog_sys(p, label, SYS_mremap, from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	o->flags |= RST_F_EXACT;
	o->want = (int64_t)to;
}

static void emit_move_vdso(struct rst_prog *p, const struct mm_vdso *vdso, uint64_t from, uint64_t to)
{
	for (unsigned i = 0; i < vdso->nr; i++)
		emit_move(p, "vdso", from + vdso->part[i].off, vdso->part[i].len, to + vdso->part[i].off);
}

static int emit_unmap_rest(struct rst_prog *p, const struct mm_state *s, uint64_t area, uint64_t area_len,
			   struct cr_err *e)
{
	_cleanup_free_ struct range *keep = calloc(s->mm->n_vmas + 2, sizeof(*keep));
	uint64_t at = 0;
	size_t n = 0;

	if (!keep)
		return cr_err_nomem(e);
	for (size_t i = 0; i < s->mm->n_vmas; i++)
		if (s->at[i])
			keep[n++] =
				(struct range){ s->at[i], s->at[i] + (s->mm->vmas[i]->end - s->mm->vmas[i]->start) };
	keep[n++] = (struct range){ area, area + area_len };
	qsort(keep, n, sizeof(*keep), by_start);
	keep[n++] = (struct range){ MM_TASK_END, MM_TASK_END };
	for (size_t i = 0; i < n; i++) {
		if (keep[i].start > at)
			prog_sys(p, "unmapping the restorer's own memory", SYS_munmap, at, keep[i].start - at);
		at = keep[i].end;
	}
	return 0;
}

int mm_emit_layout(struct rst_prog *p, const struct mm_state *s, const struct mm_vdso *vdso, uint64_t area,
		   uint64_t area_len, uint64_t park, struct cr_err *e)
{
	uint64_t want = 0;
	int err;

	emit_move_vdso(p, vdso, vdso->start, park);
	err = emit_unmap_rest(p, s, area, area_len, e);
	if (err)
		return err;
	for (size_t i = 0; i < s->mm->n_vmas; i++) {
		const VmaEntry *v = s->mm->vmas[i];

		if (s->at[i] && s->at[i] != v->start)
			emit_move(p, "moving a mapping to its place", s->at[i], v->end - v->start, v->start);
		if (!want && v->status & (MM_VVAR | MM_VDSO))
			want = v->start;
	}
	if (want)
		emit_move_vdso(p, vdso, park, want);
	return 0;
}

void mm_emit_addresses(struct rst_prog *p, const MmEntry *mm, int exe_fd)
{
	struct prctl_mm_map map = {
		.start_code = mm->mm_start_code,
		.end_code = mm->mm_end_code,
		.start_data = mm->mm_start_data,
		.end_data = mm->mm_end_data,
		.start_brk = mm->mm_start_brk,
		.brk = mm->mm_brk,
		.start_stack = mm->mm_start_stack,
		.arg_start = mm->mm_arg_start,
		.arg_end = mm->mm_arg_end,
		.env_start = mm->mm_env_start,
		.env_end = mm->mm_env_end,
		.auxv_size = (uint32_t)(mm->n_mm_saved_auxv * sizeof(uint64_t)),
		.exe_fd = (uint32_t)exe_fd,
	};
	uint64_t auxv = prog_data(p, mm->mm_saved_auxv, map.auxv_size), at = prog_data(p, &map, sizeof(map));

	if (map.auxv_size)
		prog_op(p, RST_OP_POINTER, "auxiliary vector",
			PROG_ARGS(at + offsetof(struct prctl_mm_map, auxv), auxv));
	prog_sys_data(p, "addresses of the process (PR_SET_MM_MAP)", 1 << 2, SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, at,
		      sizeof(map));
	if (exe_fd >= 0)
		prog_sys(p, "exe link", SYS_close, (uint64_t)exe_fd);
}
