/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restore halves of what belongs to a task or a thread and is set inside the restorer blob: each kind appends
 * operations to the program (blob/prog.h). tools/criu-restore/order.c says in which order.
 *
 * `own` is what the main process has: children inherit it, so only what differs costs a system call.
 */
#ifndef CR_KIND_RESTORE_TASK_H
#define CR_KIND_RESTORE_TASK_H

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "blob/prog.h"
#include "kind/restore.h"

struct CgroupEntry;
struct CoreEntry;
struct CredsEntry;
struct SeccompEntry;
struct TaskCoreEntry;
struct ThreadCoreEntry;

enum { RST_NGROUPS = 65536, RST_RLIMITS = 16 };

/* Credentials of a thread, as numbers. */
struct rst_creds {
	uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	uint64_t inh, prm, eff, bnd, amb;
	uint32_t secbits;
	uint32_t no_new_privs;
	uint32_t nr_groups;
	const uint32_t *groups;
};

/* The main process' own state. */
struct rst_own {
	struct rst_creds creds;
	struct rlimit64 rlim[RST_RLIMITS];
	uint64_t sig_not_default; /* bit N-1: signal N is ignored or handled */
	uint32_t personality;
	int nice, policy;
	int oom_score_adj;
	int64_t loginuid; /* -1: unset; -2: this kernel has none */
	pid_t sid, pgid;
	uint32_t last_cap;
};
/* Look at ourselves. @a: for the groups. */
int rst_own_load(struct rst_own *own, struct arena *a, struct cr_err *e);

/*
 * Can this be restored here? In the main process, before any task is made.
 * @who: "task 12 (bash)"
 */
int cred_check(const struct rst_own *own, const struct CredsEntry *ce, const char *who, struct cr_err *e);
int task_check(struct rst *r, const struct rst_own *own, pid_t pid, const struct TaskCoreEntry *tc, const char *who,
	       struct cr_err *e);
int seccomp_check(const struct ThreadCoreEntry *th, const struct SeccompEntry *se, const char *who, struct cr_err *e);
int sig_check(const struct CoreEntry *core, const char *who, struct cr_err *e);
int sched_check(const struct ThreadCoreEntry *th, const char *who, struct cr_err *e);

/*
 * Where the cgroups of these sets are. @own: the set that the dump itself was in: nothing to do for it.
 * @ret: NULL: nobody has to move
 */
struct cgroup_plan;
int cgroup_plan_load(struct rst *r, const struct CgroupEntry *ce, uint32_t own, const uint32_t *ids, size_t n,
		     struct cgroup_plan **ret, struct cr_err *e);
/* --check-only: has set @id room for so many tasks and bytes of memory? */
int cgroup_check(struct rst *r, const struct cgroup_plan *p, uint32_t id, uint64_t tasks, uint64_t bytes,
		 struct cr_err *e);
/* Read extra.json. @known: is there such a thread? */
struct extra_plan;
int extra_plan_load(struct rst *r, bool (*known)(void *arg, pid_t tid), void *arg, struct extra_plan **ret,
		    struct cr_err *e);

/* ---- in the task's C code ---- */
/* Move the calling task from one set to another. @p: NULL: nothing to do */
int cgroup_enter(const struct cgroup_plan *p, uint32_t from, uint32_t to, struct cr_err *e);
/* coredump_filter and autogroup, files of /proc. */
int extra_restore_process(const struct extra_plan *p, pid_t pid, bool session_leader, struct cr_err *e);
/* oom_score_adj and loginuid, files of /proc that only root may write. */
int task_restore_proc(const struct rst_own *own, const struct TaskCoreEntry *tc, struct cr_err *e);

/* ---- operations ---- */
void task_emit(struct rst_prog *p, const struct rst_own *own, const struct TaskCoreEntry *tc, bool thp_disabled);
/* Resource limits, after all that could run into them. */
void task_emit_limits(struct rst_prog *p, const struct rst_own *own, const struct TaskCoreEntry *tc);
void task_emit_thread(struct rst_prog *p, const struct CoreEntry *core, const char *comm);
void sig_emit_actions(struct rst_prog *p, const struct rst_own *own, const struct TaskCoreEntry *tc);
/* Pending signals of the process: by its leader. */
void sig_emit_shared(struct rst_prog *p, pid_t pid, const struct TaskCoreEntry *tc);
/* Alternate stack, pending signals of the thread. */
void sig_emit_thread(struct rst_prog *p, pid_t pid, pid_t tid, const struct ThreadCoreEntry *th);
void rseq_emit(struct rst_prog *p, const struct ThreadCoreEntry *th);
void sched_emit(struct rst_prog *p, const struct rst_own *own, const struct ThreadCoreEntry *th);
/* Affinity, I/O priority, timer slack. */
void extra_emit(struct rst_prog *p, const struct extra_plan *x, pid_t tid);
/* Interval and POSIX timers: all threads exist, the process is about to run. */
void timer_emit(struct rst_prog *p, const struct TaskCoreEntry *tc);
/* The filters from the oldest on; while they are suspended (PTRACE_O_SUSPEND_SECCOMP) and the thread is still
 * privileged. */
void seccomp_emit(struct rst_prog *p, const struct ThreadCoreEntry *th, const struct SeccompEntry *se);
/* Everything up to no_new_privs and the parent death signal. */
void cred_emit(struct rst_prog *p, const struct rst_own *own, const struct ThreadCoreEntry *th,
	       const struct CredsEntry *ce, bool leader);

#endif
