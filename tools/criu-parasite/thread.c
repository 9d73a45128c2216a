/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One core image: what /proc shows (one status file a thread, one stat file a process), what the holder knows
 * (registers), and one batch of system calls in the thread. Memory is given back after each thread, so that a process
 * of many threads costs no more than one.
 */
#include "thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "core.pb-c.h"
#include "image/image.h"
#include "kind/core/core.h"
#include "proc/stat.h"
#include "proc/status.h"

enum { STATUS_BUF = 4096, STATUS_MAX = 2 << 20, HOOKS_MAX = 16, TASK_DEAD = 2 };

/* What is used for one thread after the other. */
struct work {
	struct para_run *run;
	struct para_proc proc;
	struct xsave_layout xsave;
	struct hold_regs regs;
	struct hold_batch batch;
	struct arena arena;
	bool have_proc;
};

static int write_core(struct para_run *r, pid_t tid, CoreEntry *core, struct cr_err *e)
{
	struct img_writer w;
	char name[IMG_NAME_MAX];
	int err = img_create(r->img, IMG_CORE, (unsigned long)tid, &w, e);

	if (err)
		return err;
	err = img_put(&w, core, e);
	if (!err)
		err = img_finish(&w, e);
	img_abandon(&w);
	if (!err)
		stage_wrote(r->facts, img_name(IMG_CORE, (unsigned long)tid, name), w.bytes);
	return err;
}

static int zombie(struct work *w, const struct hold_task *task, struct cr_err *e)
{
	CoreEntry core = CORE_ENTRY__INIT;
	TaskCoreEntry tc = TASK_CORE_ENTRY__INIT;
	_cleanup_close_ int proc = open_proc_pid(task->pid);
	struct proc_stat st;
	char object[64];
	int err = proc < 0 ? proc : proc_stat_read(proc, "stat", &st);

	if (err) {
		snprintf(object, sizeof(object), "zombie %d", task->pid);
		return cr_err_set(e, CR_E_TASK_GONE, -err, object, "cannot read /proc/%d/stat", task->pid);
	}
	core.mtype = CORE_ENTRY__MARCH__X86_64;
	core.tc = &tc;
	tc.task_state = TASK_DEAD;
	tc.exit_code = (uint32_t)st.exit_code;
	tc.comm = st.comm;
	return write_core(w->run, task->pid, &core, e);
}

static int by_tid(const void *key, const void *row)
{
	pid_t tid = *(const pid_t *)key, other = ((const struct stage_thread *)row)->tid;

	return tid < other ? -1 : tid > other;
}

/* The exact name: `status` escapes it. */
static int read_comm(const struct work *w, struct para_thread *t, char buf[64])
{
	char path[64];
	ssize_t n;

	t->comm = buf;
	if (t->leader) {
		snprintf(buf, 64, "%s", w->proc.stat.comm);
		return 0;
	}
	if (!strchr(t->status->name, '\\')) {
		snprintf(buf, 64, "%.63s", t->status->name);
		return 0;
	}
	snprintf(path, sizeof(path), "task/%d/comm", t->tid);
	n = read_buf_at(w->proc.proc, path, buf, 64);
	if (n < 0)
		return (int)n;
	if (n > 0 && buf[n - 1] == '\n')
		buf[n - 1] = '\0';
	return 0;
}

static int read_status(const struct work *w, pid_t tid, char *small, char **large, struct proc_status *ret)
{
	char path[64];
	ssize_t n;
	int err;

	snprintf(path, sizeof(path), "task/%d/status", tid);
	err = proc_status_read(w->proc.proc, path, small, STATUS_BUF, ret);
	if (err != -EFBIG)
		return err;
	n = read_file_at(w->proc.proc, path, STATUS_MAX, large); /* many groups */
	return n < 0 ? (int)n : proc_status_parse(*large, (size_t)n, ret);
}

/* Ask, call, fill. */
static int run_hooks(struct work *w, struct para_thread *t, struct cr_err *e)
{
	void *priv[HOOKS_MAX];
	int err = 0;

	hold_batch_begin(&w->batch, w->run->hold, w->proc.pid, t->tid, &w->proc.scratch);
	for (size_t i = 0; para_order[i] && !err; i++) {
		priv[i] = arena_alloc(&w->arena, para_order[i]->priv_size + 1);
		if (!priv[i])
			return cr_err_nomem(e);
		if (para_order[i]->ask)
			err = para_order[i]->ask(t, &w->batch, priv[i], e);
	}
	if (!err)
		err = hold_batch_run(&w->batch, e);
	for (size_t i = 0; para_order[i] && !err; i++)
		err = para_order[i]->fill(t, &w->batch, priv[i], e);
	return err;
}

static int thread(struct work *w, const struct hold_task *task, struct cr_err *e)
{
	ThreadCoreEntry th = THREAD_CORE_ENTRY__INIT;
	TaskCoreEntry tc = TASK_CORE_ENTRY__INIT;
	CoreEntry core = CORE_ENTRY__INIT;
	struct proc_status status;
	struct para_thread t = { .p = &w->proc, .tid = task->tid, .leader = task->tid == task->pid, .task = task };
	char small[STATUS_BUF], comm[64], name[128];
	_cleanup_free_ char *large = NULL;
	int err = read_status(w, task->tid, small, &large, &status);

	t.status = &status;
	if (!err)
		err = read_comm(w, &t, comm);
	if (err)
		return cr_err_set(e, CR_E_TASK_GONE, -err, para_name(&t, name), "cannot read its status in /proc");
	t.stage = bsearch(&task->tid, w->run->stage, w->run->nr_stage, sizeof(*w->run->stage), by_tid);
	err = hold_regs(w->run->hold, task->tid, &w->regs, e);
	if (err)
		return err;
	t.regs = &w->regs;
	t.arena = &w->arena;
	core.mtype = CORE_ENTRY__MARCH__X86_64;
	core.thread_core = &th;
	core.tc = t.leader ? &tc : NULL;
	t.core = &core;
	err = run_hooks(w, &t, e);
	if (err)
		return err;
	if (w->run->refusals->n) /* the image may lack something required; nobody will need it */
		return 0;
	log_debug("core: %s: ip %#llx", para_name(&t, name), (unsigned long long)w->regs.gpr[16]);
	return write_core(w->run, task->tid, &core, e);
}

static void end_process(struct work *w)
{
	if (w->have_proc)
		fd_close(w->proc.proc);
	w->have_proc = false;
}

static int begin_process(struct work *w, const struct hold_task *task, struct cr_err *e)
{
	struct para_proc *p = &w->proc;
	char object[64];
	int err;

	snprintf(object, sizeof(object), "task %d", task->pid);
	*p = (struct para_proc){ .pid = task->pid,
				 .hold = w->run->hold,
				 .facts = w->run->facts,
				 .refusals = w->run->refusals,
				 .xsave = &w->xsave };
	p->proc = open_proc_pid(task->pid);
	if (p->proc < 0)
		return cr_err_set(e, CR_E_TASK_GONE, -p->proc, object, "cannot open /proc/%d", task->pid);
	w->have_proc = true;
	err = proc_stat_read(p->proc, "stat", &p->stat);
	if (err)
		return cr_err_set(e, CR_E_TASK_GONE, -err, object, "cannot read /proc/%d/stat", task->pid);
	return hold_scratch(w->run->hold, task->pid, &p->scratch, e);
}

static int one(struct work *w, const struct hold_task *task, struct cr_err *e)
{
	char object[64];
	int err = 0;

	if (task->state == HOLD_T_DEAD) {
		snprintf(object, sizeof(object), "task %d", task->tid);
		return cr_err_set(e, CR_E_TASK_GONE, ESRCH, object, "it ended while the tree was held");
	}
	if (task->state == HOLD_T_ZOMBIE)
		return task->tid == task->pid ? zombie(w, task, e) : 0;
	if (task->tid == task->pid) {
		end_process(w);
		err = begin_process(w, task, e);
	}
	if (!err && (!w->have_proc || w->proc.pid != task->pid))
		err = cr_err_set(e, CR_E_HOLDER, EPROTO, "list of tasks", "thread %d stands before its leader %d",
				 task->tid, task->pid);
	if (!err)
		err = thread(w, task, e);
	arena_free(&w->arena);
	return err;
}

int para_dump(struct para_run *r, const struct hold_task *tasks, size_t n, struct cr_err *e)
{
	struct work *w = calloc(1, sizeof(*w));
	int err = 0;

	if (!w)
		return cr_err_nomem(e);
	w->run = r;
	core_xsave_layout(&w->xsave);
	for (size_t i = 0; i < n && !err; i++)
		err = one(w, &tasks[i], e);
	end_process(w);
	arena_free(&w->arena);
	free(w);
	return err;
}
