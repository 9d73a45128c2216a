/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The notes of a core file, in the kernel's order (fs/binfmt_elf.c: what stands first belongs to the first thread). */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "core.h"
#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "mm.pb-c.h"
#include "pstree.pb-c.h"

/*
 * The XSAVE area as debuggers expect it: the offsets of Intel's processors, which gdb recognises by the size.
 * Offset 464 has the components that there are, 512 those that are not in their initial state.
 */
enum {
	XCR0_OFFSET = 464,
	XSTATE_BV_OFFSET = 512,
	YMM = 576,
	BNDREGS = 960,
	BNDCSR = 1024,
	OPMASK = 1088,
	ZMM_HI256 = 1152,
	HI16_ZMM = 1664,
	PKRU = 2688,
	XSAVE_MOST = 2696,
};

static int add_note(struct bytes *b, const char *name, uint32_t type, const void *data, size_t len, struct cr_err *e)
{
	const Elf64_Nhdr head = { .n_namesz = strlen(name) + 1, .n_descsz = len, .n_type = type };
	static const char zeros[8];
	int ret = bytes_add(b, &head, sizeof(head), e);

	if (!ret)
		ret = bytes_add(b, name, head.n_namesz, e);
	if (!ret)
		ret = bytes_add(b, zeros, -head.n_namesz & 3, e);
	if (!ret)
		ret = bytes_add(b, data, len, e);
	return ret ? ret : bytes_add(b, zeros, -len & 3, e);
}

static void fill_regs(const UserX86RegsEntry *r, elf_gregset_t *ret)
{
	const elf_greg_t regs[] = {
		r->r15,	  r->r14, r->r13, r->r12,     r->bp,	  r->bx, r->r11,     r->r10, r->r9,
		r->r8,	  r->ax,  r->cx,  r->dx,      r->si,	  r->di, r->orig_ax, r->ip,  r->cs,
		r->flags, r->sp,  r->ss,  r->fs_base, r->gs_base, r->ds, r->es,	     r->fs,  r->gs,
	};

	_Static_assert(sizeof(regs) == sizeof(*ret), "all registers");
	memcpy(ret, regs, sizeof(regs));
}

static int add_prstatus(struct core_task *t, uint32_t tid, const CoreEntry *core, struct bytes *b, struct cr_err *e)
{
	struct elf_prstatus st = {
		.pr_sighold = core->thread_core->has_blk_sigset ? core->thread_core->blk_sigset : 0,
		.pr_pid = (pid_t)tid,
		.pr_ppid = (pid_t)t->tree->ppid,
		.pr_pgrp = (pid_t)t->tree->pgid,
		.pr_sid = (pid_t)t->tree->sid,
		.pr_fpvalid = 1,
	};

	fill_regs(core->thread_info->gpregs, &st.pr_reg);
	return add_note(b, "CORE", NT_PRSTATUS, &st, sizeof(st), e);
}

/* Up to @most bytes of a list of words. */
static void put_words(void *to, const void *words, size_t n, size_t word, size_t most)
{
	size_t len = n * word;

	if (len)
		memcpy(to, words, len < most ? len : most);
}

static void fill_fpregs(const UserX86FpregsEntry *f, struct user_fpregs_struct *ret)
{
	*ret = (struct user_fpregs_struct){
		.cwd = f->cwd,
		.swd = f->swd,
		.ftw = f->twd,
		.fop = f->fop,
		.rip = f->rip,
		.rdp = f->rdp,
		.mxcsr = f->mxcsr,
		.mxcr_mask = f->mxcsr_mask,
	};
	put_words(ret->st_space, f->st_space, f->n_st_space, 4, sizeof(ret->st_space));
	put_words(ret->xmm_space, f->xmm_space, f->n_xmm_space, 4, sizeof(ret->xmm_space));
}

/* Return: length of the area */
static size_t fill_xsave(const UserX86FpregsEntry *f, uint8_t area[XSAVE_MOST])
{
	const UserX86XsaveEntry *x = f->xsave;
	struct user_fpregs_struct fp;
	uint64_t parts = 3, bv = x->xstate_bv;
	size_t len = YMM;

	memset(area, 0, XSAVE_MOST);
	fill_fpregs(f, &fp);
	memcpy(area, &fp, sizeof(fp));
	put_words(area + YMM, x->ymmh_space, x->n_ymmh_space, 4, 256);
	put_words(area + BNDREGS, x->bndreg_state, x->n_bndreg_state, 8, 64);
	put_words(area + BNDCSR, x->bndcsr_state, x->n_bndcsr_state, 8, 64);
	put_words(area + OPMASK, x->opmask_reg, x->n_opmask_reg, 8, 64);
	put_words(area + ZMM_HI256, x->zmm_upper, x->n_zmm_upper, 8, 512);
	put_words(area + HI16_ZMM, x->hi16_zmm, x->n_hi16_zmm, 8, 1024);
	put_words(area + PKRU, x->pkru, x->n_pkru, 4, 8);
	if (x->n_ymmh_space)
		parts |= 1 << 2, len = BNDREGS - 128;
	if (x->n_bndreg_state)
		parts |= 3 << 3, len = OPMASK;
	if (x->n_opmask_reg)
		parts |= 7 << 5, len = PKRU;
	if (x->n_pkru)
		parts |= 1 << 9, len = XSAVE_MOST;
	bv &= parts;
	memcpy(area + XCR0_OFFSET, &parts, sizeof(parts));
	memcpy(area + XSTATE_BV_OFFSET, &bv, sizeof(bv));
	return len;
}

static int add_float(const CoreEntry *core, struct bytes *b, struct cr_err *e)
{
	const UserX86FpregsEntry *f = core->thread_info->fpregs;
	struct user_fpregs_struct fp;
	uint8_t area[XSAVE_MOST];
	int ret;

	fill_fpregs(f, &fp);
	ret = add_note(b, "CORE", NT_FPREGSET, &fp, sizeof(fp), e);
	if (!ret && f->xsave)
		ret = add_note(b, "LINUX", NT_X86_XSTATE, area, fill_xsave(f, area), e);
	return ret;
}

static int add_prpsinfo(struct core_task *t, const CoreEntry *core, struct bytes *b, struct cr_err *e)
{
	const CredsEntry *cr = core->thread_core->creds;
	const char *comm = checkpoint_comm(t->c, t->tree->pid);
	struct elf_prpsinfo ps = {
		.pr_sname = core->tc->task_state == 3 ? 'T' : 'S',
		.pr_nice = (char)core->thread_core->sched_nice,
		.pr_flag = core->tc->flags,
		.pr_uid = cr ? cr->uid : 0,
		.pr_gid = cr ? cr->gid : 0,
		.pr_pid = (pid_t)t->tree->pid,
		.pr_ppid = (pid_t)t->tree->ppid,
		.pr_pgrp = (pid_t)t->tree->pgid,
		.pr_sid = (pid_t)t->tree->sid,
	};
	size_t len = t->mm->mm_arg_end - t->mm->mm_arg_start, most = sizeof(ps.pr_psargs) - 1;

	memccpy(ps.pr_fname, comm, 0, sizeof(ps.pr_fname) - 1);
	len = core_peek(t, t->mm->mm_arg_start, ps.pr_psargs, len < most ? len : most);
	while (len && !ps.pr_psargs[len - 1])
		len--;
	for (size_t k = 0; k < len; k++)
		if (!ps.pr_psargs[k])
			ps.pr_psargs[k] = ' ';
	return add_note(b, "CORE", NT_PRPSINFO, &ps, sizeof(ps), e);
}

static const RegFileEntry *file_of(const struct core_task *t, const VmaEntry *v)
{
	enum { FILES = 1 << 6 | 1 << 7, MEMFD = 1 << 14 };

	if (!(v->status & FILES) || v->status & MEMFD)
		return NULL;
	return checkpoint_file(t->c, FD_TYPES__REG, (uint32_t)v->shmid);
}

/* count, size of a page; start, end, offset in pages of each; then the names. */
static int add_files(struct core_task *t, struct bytes *b, struct cr_err *e)
{
	struct bytes rows = { 0 }, names = { 0 };
	uint64_t head[2] = { 0, PAGE_BYTES };
	int ret = bytes_add(&rows, head, sizeof(head), e);

	for (size_t k = 0; !ret && k < t->n_vmas; k++) {
		const VmaEntry *v = t->vmas[k];
		const RegFileEntry *reg = file_of(t, v);
		const uint64_t row[3] = { v->start, v->end, v->pgoff / PAGE_BYTES };

		if (!reg)
			continue;
		head[0]++;
		ret = bytes_add(&rows, row, sizeof(row), e);
		if (!ret)
			ret = bytes_add(&names, reg->name, strlen(reg->name) + 1, e);
	}
	if (!ret)
		memcpy(rows.data, head, sizeof(head));
	if (!ret)
		ret = bytes_add(&rows, names.data, names.len, e);
	if (!ret && head[0])
		ret = add_note(b, "CORE", NT_FILE, rows.data, rows.len, e);
	free(rows.data);
	free(names.data);
	return ret;
}

/* Of the task as a whole. Nothing has killed it: the siginfo is that of a signal that waits for it, or empty. */
static int add_task(struct core_task *t, const CoreEntry *core, struct bytes *b, struct cr_err *e)
{
	const SignalQueueEntry *q = core->thread_core->signals_p;
	uint8_t info[128] = { 0 };
	int ret;

	if (!q || !q->n_signals)
		q = core->tc->signals_s;
	if (q && q->n_signals && q->signals[0]->siginfo.len == sizeof(info))
		memcpy(info, q->signals[0]->siginfo.data, sizeof(info));
	ret = add_prpsinfo(t, core, b, e);
	if (!ret)
		ret = add_note(b, "CORE", NT_SIGINFO, info, sizeof(info), e);
	if (!ret)
		ret = add_note(b, "CORE", NT_AUXV, t->mm->mm_saved_auxv, 8 * t->mm->n_mm_saved_auxv, e);
	return ret ? ret : add_files(t, b, e);
}

static int add_thread(struct core_task *t, uint32_t tid, struct bytes *b, struct cr_err *e)
{
	struct arena keep = { 0 };
	const CoreEntry *core;
	char name[IMG_NAME_MAX];
	int ret;

	ret = img_read_one(t->c->dir, IMG_CORE, tid, &keep, &core, e);
	if (!ret && (!core->thread_info || !core->thread_core || (tid == t->tree->pid && !core->tc))) {
		cr_err_set(e, CR_E_UNSUPPORTED, 0, img_name(IMG_CORE, tid, name),
			   "has no registers of an x86-64 thread");
		ret = -EINVAL;
	}
	if (!ret)
		ret = add_prstatus(t, tid, core, b, e);
	if (!ret && tid == t->tree->pid)
		ret = add_task(t, core, b, e);
	if (!ret)
		ret = add_float(core, b, e);
	arena_free(&keep);
	return ret;
}

int core_notes(struct core_task *t, struct bytes *ret, struct cr_err *e)
{
	int err = add_thread(t, t->tree->pid, ret, e);

	for (size_t k = 0; !err && k < t->tree->n_threads; k++)
		if (t->tree->threads[k] != t->tree->pid)
			err = add_thread(t, t->tree->threads[k], ret, e);
	return err;
}
