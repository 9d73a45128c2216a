/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In which order the kinds are asked. Nothing else decides order; what breaks when lines are swapped stands beside
 * them.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "core.pb-c.h"
#include "creds.pb-c.h"
#include "inventory.pb-c.h"
#include "kind/restore-check.h"
#include "mm.pb-c.h"
#include "restore.h"

uint32_t order_cg_set(const struct restore *x, const struct plan_task *t)
{
	const CoreEntry *core = t->core;

	if (core && core->thread_core && core->thread_core->has_cg_set)
		return core->thread_core->cg_set;
	if (core && core->tc && core->tc->has_cg_set)
		return core->tc->cg_set;
	return x->plan.inventory->root_cg_set;
}

static bool known_thread(void *arg, pid_t tid)
{
	const struct restore *x = arg;

	return plan_find(&x->plan, tid) != PLAN_NONE;
}

/* What is read once for all tasks. */
static int load_common(struct restore *x, struct cr_err *e)
{
	const struct plan *p = &x->plan;
	uint32_t *sets = arena_calloc(&x->arena, p->nr_images, sizeof(*sets));
	int err;

	if (!sets)
		return cr_err_nomem(e);
	for (size_t i = 0; i < p->nr_images; i++)
		sets[i] = p->tasks[i].state == PLAN_ZOMBIE ? p->inventory->root_cg_set : order_cg_set(x, &p->tasks[i]);
	x->cg_set = p->inventory->root_cg_set;
	rst_area(&x->rst, "cgroups", p->nr_images);
	err = cgroup_plan_load(&x->rst, p->cgroup, p->inventory->root_cg_set, sets, p->nr_images, &x->cgroups, e);
	err = rst_found(&x->rst, err, e);
	rst_area(&x->rst, "tasks", 0);
	return err ? err : rst_found(&x->rst, extra_plan_load(&x->rst, known_thread, x, &x->extra, e), e);
}

static int check_thread(struct restore *x, const struct plan_task *t, const CoreEntry *core, struct cr_err *e)
{
	struct rst *r = &x->rst;
	char who[64];
	int err = 0;

	plan_who(t, who, sizeof(who));
	rst_area(r, "credentials", 1);
	if (!x->opts.plan)
		err = rst_found(r, cred_check(&x->own, core->thread_core->creds, who, e), e);
	rst_area(r, "tasks", 1);
	if (!err)
		err = rst_found(r, seccomp_check(core->thread_core, x->plan.seccomp, who, e), e);
	if (!err)
		err = rst_found(r, sig_check(core, who, e), e);
	if (!err)
		err = rst_found(r, sched_check(core->thread_core, who, e), e);
	return err;
}

int order_check(struct restore *x, struct cr_err *e)
{
	const struct plan *p = &x->plan;
	bool only_plan = x->opts.plan; /* which asks nothing of this machine or of our privileges */
	int err = only_plan ? 0 : load_common(x, e);

	for (size_t i = 0; !err && i < p->nr_images; i++) {
		const struct plan_task *t = &p->tasks[i];
		char who[64];

		if (t->state == PLAN_ZOMBIE)
			continue;
		plan_who(t, who, sizeof(who));
		rst_area(&x->rst, "memory", t->mm->n_vmas);
		err = rst_found(&x->rst, mm_check(&x->rst, t->mm, &x->vdso, who, e), e);
		rst_area(&x->rst, "limits", 1);
		if (!err && !only_plan)
			err = rst_found(&x->rst, task_check(&x->rst, &x->own, t->pid, t->core->tc, who, e), e);
		for (size_t k = 0; !err && k < t->nr_threads; k++)
			err = check_thread(x, t, t->threads[k].core, e);
	}
	return err;
}

/* Of a thread, the leader included: what needs its memory, but no other thread. */
static void thread_early(struct rst_prog *p, const struct restore *x, const struct plan_task *t,
			 const struct plan_thread *th)
{
	const ThreadCoreEntry *tc = th->core->thread_core;

	task_emit_thread(p, th->core, tc->comm ? tc->comm : t->comm);
	rseq_emit(p, tc);
	sched_emit(p, &x->own, tc);
	extra_emit(p, x->extra, th->tid);
	sig_emit_thread(p, t->pid, th->tid, tc); /* queued signals: handlers are set by then */
}

/* The end of privilege. */
static void thread_late(struct rst_prog *p, const struct restore *x, const struct plan_task *t,
			const struct plan_thread *th)
{
	const ThreadCoreEntry *tc = th->core->thread_core;

	seccomp_emit(p, tc, x->plan.seccomp); /* needs CAP_SYS_ADMIN */
	cred_emit(p, &x->own, tc, tc->creds, th == &t->threads[0]);
}

static void emit_thread(struct rst_prog *p, const struct restore *x, const struct plan_task *t,
			const struct plan_thread *th)
{
	uint32_t meeting;

	thread_early(p, x, t, th);
	meeting = p->nr;
	prog_op(p, RST_OP_WAIT, "meeting", PROG_ARGS(STAGE_THREADS));
	thread_late(p, x, t, th);
	if (p->nr == meeting + 1)
		p->nr--; /* it keeps all its privileges: nothing to wait for */
	prog_op(p, RST_OP_ARRIVE, "end of a thread", PROG_ARGS(t->nr_threads - 1));
	prog_op(p, RST_OP_PARK, "the end", NULL);
}

/* A root of its own: only now, as all files are open, and while we may. */
static void emit_root(struct rst_prog *p, const int fs[2])
{
	if (fs[0] < 0)
		return;
	prog_sys(p, "root directory", SYS_fchdir, (uint64_t)fs[0]);
	prog_sys_data(p, "root directory", 1 << 0, SYS_chroot, prog_data(p, ".", 2));
	prog_sys(p, "root directory", SYS_close, (uint64_t)fs[0]);
	prog_sys(p, "working directory", SYS_fchdir, (uint64_t)fs[1]);
	prog_sys(p, "working directory", SYS_close, (uint64_t)fs[1]);
}

int order_program(const struct restore *x, const struct plan_task *t, uint64_t area, uint64_t area_len, uint64_t park,
		  int exe_fd, const int fs[2], uint64_t stacks, struct rst_prog *p, struct cr_err *e)
{
	const TaskCoreEntry *tc = t->core->tc;
	uint32_t start[2];
	int err;

	/* Programs of the other threads stand first; where each begins is noted in the operation that starts it. */
	struct rst_op *starts = arena_calloc(x->rst.arena, t->nr_threads, sizeof(*starts));

	if (!starts)
		return cr_err_nomem(e);
	for (size_t i = 1; i < t->nr_threads; i++) {
		start[0] = p->nr;
		emit_thread(p, x, t, &t->threads[i]);
		start[1] = p->nr - start[0];
		starts[i] = (struct rst_op){ .a = { (uint64_t)t->threads[i].tid, stacks + (i + 1) * RST_STACK, start[0],
						    start[1] } };
	}
	p->first = p->nr;
	err = mm_emit_layout(p, x->mm_done ? &x->mm : NULL, &x->vdso, area, area_len, park, e);
	if (err)
		return err;
	mm_emit_addresses(p, t->mm, exe_fd);
	task_emit(p, &x->own, tc, t->mm->has_thp_disabled && t->mm->thp_disabled);
	sig_emit_actions(p, &x->own, tc); /* before signals are queued: SIG_IGN would drop them */
	for (size_t i = 1; i < t->nr_threads; i++)
		prog_op(p, RST_OP_THREAD, "thread", starts[i].a)->nr = SYS_clone3;
	thread_early(p, x, t, &t->threads[0]);
	sig_emit_shared(p, t->pid, tc);
	prog_op(p, RST_OP_REPORT, "report", NULL);
	prog_op(p, RST_OP_WAIT, "meeting", PROG_ARGS(STAGE_THREADS));
	emit_root(p, fs);
	timer_emit(p, tc); /* threads that timers name exist; time runs from here on */
	task_emit_limits(p, &x->own, tc);
	thread_late(p, x, t, &t->threads[0]);
	prog_op(p, RST_OP_JOIN, "other threads", PROG_ARGS(t->nr_threads - 1));
	/* Every change of credentials, in any thread, resets it. */
	prog_sys(p, "dumpable", SYS_prctl, 4 /* PR_SET_DUMPABLE */, t->mm->has_dumpable && t->mm->dumpable == 1);
	prog_op(p, RST_OP_REPORT, "report", NULL);
	prog_op(p, RST_OP_PARK, "the end", NULL);
	return 0;
}
