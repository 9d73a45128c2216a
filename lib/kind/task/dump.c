/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: what is left of a task: state, name, personality, limits, oom_score_adj, loginuid (process),
 * robust futex list, death signal (thread), subreaper and membarrier registrations (process, asked in the task).
 * prlimit(2) of a task with other uids needs CAP_SYS_RESOURCE even for reading; /proc/PID/limits does not.
 */
#include "kind/task/task-dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "kind/parasite.h"
#include "proc/limits.h"

enum { TASK_ALIVE = 1, TASK_STOPPED = 3 };
enum { MEMBARRIER_GET_REGISTRATIONS = 1 << 9 }; /* since Linux 6.3 */
#ifndef SYS_get_robust_list
#define SYS_get_robust_list 274
#endif

struct task_priv {
	size_t pdeath_call, pdeath_room;
	size_t reaper_call, reaper_room;
	size_t membarrier_call;
};

static int task_ask(struct para_thread *t, struct hold_batch *b, void *priv, struct cr_err *e)
{
	struct task_priv *k = priv;
	uint64_t at;

	k->pdeath_room = hold_batch_room(b, sizeof(int), &at);
	k->pdeath_call = hold_batch_add(b, SYS_prctl, PR_GET_PDEATHSIG, at, 0, 0);
	if (!t->leader)
		return 0;
	k->reaper_room = hold_batch_room(b, sizeof(int), &at);
	k->reaper_call = hold_batch_add(b, SYS_prctl, PR_GET_CHILD_SUBREAPER, at, 0, 0);
	k->membarrier_call = hold_batch_add(b, SYS_membarrier, MEMBARRIER_GET_REGISTRATIONS, 0, 0, 0);
	return 0;
}

/* A decimal number that is all of a small file of /proc/PID. */
static int read_number(const struct para_thread *t, const char *file, int base, long long *ret, struct cr_err *e)
{
	char text[32], name[128], *end;
	ssize_t n = read_buf_at(t->p->proc, file, text, sizeof(text));

	if (n < 0)
		return cr_err_set(e, cr_code_of_task((int)n), (int)-n, para_name(t, name), "cannot read /proc/%d/%s",
				  t->p->pid, file);
	*ret = strtoll(text, &end, base);
	if (end == text || (*end != '\n' && *end != '\0'))
		return cr_err_set(e, CR_E_SYSTEM, EINVAL, para_name(t, name), "/proc/%d/%s holds no number", t->p->pid,
				  file);
	return 0;
}

static int limits(struct para_thread *t, TaskCoreEntry *tc, struct cr_err *e)
{
	TaskRlimitsEntry *list = arena_alloc(t->arena, sizeof(*list));
	RlimitEntry *v = arena_calloc(t->arena, PROC_LIMITS, sizeof(*v));
	RlimitEntry **pv = arena_calloc(t->arena, PROC_LIMITS, sizeof(*pv));
	struct rlimit64 r[PROC_LIMITS];
	char name[128];
	int err = 0;

	if (!list || !v || !pv)
		return cr_err_nomem(e);
	for (unsigned i = 0; i < PROC_LIMITS && !err; i++)
		err = syscall(SYS_prlimit64, t->p->pid, i, NULL, &r[i]) < 0 ? -errno : 0;
	if (err == -EPERM)
		err = proc_limits_read(t->p->proc, r);
	if (err)
		return cr_err_set(e, cr_code_of_task(err), -err, para_name(t, name), "cannot read its limits");
	task_rlimits_entry__init(list);
	for (unsigned i = 0; i < PROC_LIMITS; i++) {
		rlimit_entry__init(&v[i]);
		v[i].cur = r[i].rlim_cur;
		v[i].max = r[i].rlim_max;
		pv[i] = &v[i];
	}
	list->n_rlimits = PROC_LIMITS;
	list->rlimits = pv;
	tc->rlimits = list;
	return 0;
}

static int robust_list(struct para_thread *t, ThreadCoreEntry *th, struct cr_err *e)
{
	char name[128];
	void *head = NULL;
	size_t len = 0;

	if (syscall(SYS_get_robust_list, t->tid, &head, &len) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, para_name(t, name), "cannot read its list of robust futexes");
	th->futex_rla = (uint64_t)(uintptr_t)head;
	th->futex_rla_len = (uint32_t)len;
	return 0;
}

/* The parts that belong to the process. */
static int process(struct para_thread *t, const struct hold_batch *b, const struct task_priv *k, struct cr_err *e)
{
	TaskCoreEntry *tc = t->core->tc;
	long long n;
	int reaper, err;

	tc->task_state = TASK_ALIVE;
	if (t->task->state == HOLD_T_STOPPED) {
		tc->task_state = TASK_STOPPED;
		tc->has_stop_signo = true;
		tc->stop_signo = t->task->stop_sig;
	}
	tc->flags = t->p->stat.flags;
	tc->comm = arena_strdup(t->arena, t->p->stat.comm);
	err = read_number(t, "personality", 16, &n, e);
	if (err)
		return err;
	tc->personality = (uint32_t)n;
	err = read_number(t, "oom_score_adj", 10, &n, e);
	if (err)
		return err;
	tc->has_oom_score_adj = true;
	tc->oom_score_adj = (int)n;
	if (!faccessat(t->p->proc, "loginuid", F_OK, 0)) { /* CONFIG_AUDIT */
		err = read_number(t, "loginuid", 10, &n, e);
		if (err)
			return err;
		tc->has_loginuid = true;
		tc->loginuid = (uint32_t)n;
	}
	if (b->calls[k->reaper_call].ret >= 0) {
		memcpy(&reaper, b->data + k->reaper_room, sizeof(reaper));
		tc->has_child_subreaper = true;
		tc->child_subreaper = reaper != 0;
	}
	if (b->calls[k->membarrier_call].ret > 0) {
		tc->has_membarrier_registration_mask = true;
		tc->membarrier_registration_mask = (uint32_t)b->calls[k->membarrier_call].ret;
	}
	return limits(t, tc, e);
}

static int task_fill(struct para_thread *t, const struct hold_batch *b, const void *priv, struct cr_err *e)
{
	const struct task_priv *k = priv;
	ThreadCoreEntry *th = t->core->thread_core;
	char name[128];
	int sig, err;

	if (b->calls[k->pdeath_call].ret < 0)
		return cr_err_set(e, CR_E_SYSTEM, (int)-b->calls[k->pdeath_call].ret, para_name(t, name),
				  "prctl(PR_GET_PDEATHSIG) failed in it");
	memcpy(&sig, b->data + k->pdeath_room, sizeof(sig));
	if (sig) {
		th->has_pdeath_sig = true;
		th->pdeath_sig = (uint32_t)sig;
	}
	th->comm = arena_strdup(t->arena, t->comm);
	if (!th->comm)
		return cr_err_nomem(e);
	if (t->stage) {
		th->has_cg_set = true;
		th->cg_set = t->stage->cg_set;
	}
	err = robust_list(t, th, e);
	return err || !t->leader ? err : process(t, b, k, e);
}

const struct para_hook task_para_hook = { "task", task_ask, task_fill, sizeof(struct task_priv), "anywhere" };
