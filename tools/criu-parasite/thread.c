/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One core image: what /proc shows (one status file a thread, one stat file a process), what the holder knows
 * (registers), and one batch of system calls in the thread. Threads are taken in groups, of one process or of several:
 * a stopped thread that is made to run and stop again costs a wake-up each way, and side by side these overlap. Memory
 * is bounded by the group.
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

enum { STATUS_BUF = 4096, STATUS_MAX = 2 << 20, HOOKS_MAX = 16, TASK_DEAD = 2, GROUP = 32 };

/* One thread while its group is being looked at. */
struct member {
	struct para_thread t;
	struct proc_status status;
	struct hold_batch batch;
	struct arena arena;
	void *priv[HOOKS_MAX];
	char *large; /* text of a long status file */
	char small[STATUS_BUF];
	char comm[64];
	CoreEntry core;
	ThreadCoreEntry th;
	TaskCoreEntry tc;
};

struct work {
	struct para_run *run;
	struct xsave_layout xsave;
	struct para_proc *procs[GROUP + 1]; /* the first may be of the group before */
	size_t nr_procs;
	size_t nr;
	pid_t tids[GROUP];
	struct hold_regs regs[GROUP];
	struct member m[GROUP];
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

static int zombie(struct para_run *r, const struct hold_task *task, struct cr_err *e)
{
	CoreEntry core = CORE_ENTRY__INIT;
	TaskCoreEntry tc = TASK_CORE_ENTRY__INIT;
	_cleanup_close_ int proc = open_proc_pid(task->pid);
	struct proc_stat st;
	char object[64];
	int err = proc < 0 ? proc : proc_stat_read(proc, "stat", &st);

	if (err) {
		snprintf(object, sizeof(object), "zombie %d", task->pid);
		return cr_err_set(e, cr_code_of_task(err), -err, object, "cannot read /proc/%d/stat", task->pid);
	}
	core.mtype = CORE_ENTRY__MARCH__X86_64;
	core.tc = &tc;
	tc.task_state = TASK_DEAD;
	tc.exit_code = (uint32_t)st.exit_code;
	tc.comm = st.comm;
	return write_core(r, task->pid, &core, e);
}

static int by_tid(const void *key, const void *row)
{
	pid_t tid = *(const pid_t *)key, other = ((const struct stage_thread *)row)->tid;

	return tid < other ? -1 : tid > other;
}

/* The exact name: `status` escapes it. */
static int read_comm(struct member *m)
{
	struct para_thread *t = &m->t;
	char path[64];
	ssize_t n;

	t->comm = m->comm;
	if (t->leader) {
		snprintf(m->comm, sizeof(m->comm), "%s", t->p->stat.comm);
		return 0;
	}
	if (!strchr(m->status.name, '\\')) {
		memcpy(m->comm, m->status.name, sizeof(m->comm) - 1); /* escaped names are longer */
		m->comm[sizeof(m->comm) - 1] = '\0';
		return 0;
	}
	snprintf(path, sizeof(path), "task/%d/comm", t->tid);
	n = read_buf_at(t->p->proc, path, m->comm, sizeof(m->comm));
	if (n > 0 && m->comm[n - 1] == '\n')
		m->comm[n - 1] = '\0';
	return n < 0 ? (int)n : 0;
}

static int read_status(struct member *m)
{
	char path[64];
	ssize_t n;
	int err;

	m->t.status = &m->status;
	snprintf(path, sizeof(path), "task/%d/status", m->t.tid);
	err = proc_status_read(m->t.p->proc, path, m->small, STATUS_BUF, &m->status);
	if (err != -EFBIG)
		return err;
	n = read_file_at(m->t.p->proc, path, STATUS_MAX, &m->large); /* many groups */
	return n < 0 ? (int)n : proc_status_parse(m->large, (size_t)n, &m->status);
}

/* The thread's own part of the process's scratch memory. */
static int own_scratch(const struct work *w, const struct para_proc *p, size_t i, struct hold_scratch *ret,
		       struct cr_err *e)
{
	char object[64];

	ret->len = HOLD_BATCH_DATA;
	ret->addr = p->scratch.addr + i * HOLD_BATCH_DATA;
	if ((i + 1) * HOLD_BATCH_DATA <= p->scratch.len)
		return 0;
	snprintf(object, sizeof(object), "task %d", p->pid);
	return cr_err_set(e, CR_E_HOLDER, ENOBUFS, object, "the holder's scratch memory is too small");
}

/* What does not need the thread itself; then the calls that the kinds ask for. */
static int look(struct work *w, size_t i, const struct hold_task *task, struct cr_err *e)
{
	struct member *m = &w->m[i];
	struct para_thread *t = &m->t;
	struct para_proc *p = w->procs[w->nr_procs - 1];
	struct hold_scratch scratch;
	char name[128];
	int err;

	*t = (struct para_thread){ .p = p,
				   .tid = task->tid,
				   .leader = task->tid == task->pid,
				   .task = task,
				   .regs = &w->regs[i],
				   .arena = &m->arena,
				   .core = &m->core };
	core_entry__init(&m->core);
	thread_core_entry__init(&m->th);
	task_core_entry__init(&m->tc);
	m->core.mtype = CORE_ENTRY__MARCH__X86_64;
	m->core.thread_core = &m->th;
	m->core.tc = t->leader ? &m->tc : NULL;
	t->stage = bsearch(&task->tid, w->run->stage, w->run->nr_stage, sizeof(*w->run->stage), by_tid);
	err = read_status(m);
	if (!err)
		err = read_comm(m);
	if (err)
		return cr_err_set(e, cr_code_of_task(err), -err, para_name(t, name), "cannot read its status in /proc");
	err = own_scratch(w, p, i, &scratch, e);
	hold_batch_begin(&m->batch, w->run->hold, p->pid, t->tid, &scratch);
	for (size_t k = 0; para_order[k] && !err; k++) {
		m->priv[k] = arena_alloc(&m->arena, para_order[k]->priv_size + 1);
		if (!m->priv[k])
			return cr_err_nomem(e);
		if (para_order[k]->ask)
			err = para_order[k]->ask(t, &m->batch, m->priv[k], e);
	}
	w->tids[i] = t->tid;
	return err;
}

static int fill(struct work *w, struct member *m, struct cr_err *e)
{
	char name[128];
	int err = 0;

	for (size_t k = 0; para_order[k] && !err; k++)
		err = para_order[k]->fill(&m->t, &m->batch, m->priv[k], e);
	if (err || w->run->refusals->n) /* the image may lack something required; nobody will need it */
		return err;
	log_debug("core: %s: ip %#llx", para_name(&m->t, name), (unsigned long long)m->t.regs->gpr[16]);
	return write_core(w->run, m->t.tid, &m->core, e);
}

static void free_proc(struct para_proc *p)
{
	fd_close(p->proc);
	free(p);
}

/* Registers and calls of the whole group, then its images. The last process may have more threads. */
static int finish_group(struct work *w, struct cr_err *e)
{
	struct hold_batch *batches[GROUP];
	int err = 0;

	for (size_t i = 0; i < w->nr; i++)
		batches[i] = &w->m[i].batch;
	if (w->nr)
		err = hold_regs_many(w->run->hold, w->tids, w->nr, w->regs, e);
	if (!err)
		err = hold_batch_run_many(batches, w->nr, e);
	for (size_t i = 0; i < w->nr && !err; i++)
		err = fill(w, &w->m[i], e);
	for (size_t i = 0; i < w->nr; i++) {
		arena_free(&w->m[i].arena);
		free(TAKE_PTR(w->m[i].large));
	}
	while (w->nr_procs > 1) {
		free_proc(w->procs[0]);
		memmove(&w->procs[0], &w->procs[1], --w->nr_procs * sizeof(w->procs[0]));
	}
	w->nr = 0;
	return err;
}

static int begin_process(struct work *w, const struct hold_task *task, struct cr_err *e)
{
	struct para_proc *p = calloc(1, sizeof(*p));
	char object[64];
	int err;

	if (!p)
		return cr_err_nomem(e);
	snprintf(object, sizeof(object), "task %d", task->pid);
	*p = (struct para_proc){ .pid = task->pid,
				 .hold = w->run->hold,
				 .facts = w->run->facts,
				 .refusals = w->run->refusals,
				 .xsave = &w->xsave,
				 .proc = open_proc_pid(task->pid) };
	err = p->proc < 0 ? p->proc : proc_stat_read(p->proc, "stat", &p->stat);
	if (err)
		err = cr_err_set(e, cr_code_of_task(err), -err, object, "cannot read /proc/%d/stat", task->pid);
	else
		err = hold_scratch(w->run->hold, task->pid, &p->scratch, e);
	if (err)
		free_proc(p);
	else
		w->procs[w->nr_procs++] = p;
	return err;
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
		return task->tid == task->pid ? zombie(w->run, task, e) : 0;
	if (w->nr == GROUP)
		err = finish_group(w, e);
	if (!err && task->tid == task->pid)
		err = begin_process(w, task, e);
	if (!err && (!w->nr_procs || w->procs[w->nr_procs - 1]->pid != task->pid))
		err = cr_err_set(e, CR_E_HOLDER, EPROTO, "list of tasks", "thread %d stands before its leader %d",
				 task->tid, task->pid);
	return err ? err : look(w, w->nr++, task, e);
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
	if (!err)
		err = finish_group(w, e);
	while (w->nr_procs)
		free_proc(w->procs[--w->nr_procs]);
	free(w); /* what a failure left in it ends with the program */
	return err;
}
