/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of criu-restore. */
#ifndef CR_RESTORE_RESTORE_H
#define CR_RESTORE_RESTORE_H

#include "blob/restorer-abi.h"
#include "image/manifest.h"
#include "kind/core/core.h"
#include "kind/mm/restore-mm.h"
#include "kind/restore-task.h"
#include "plan.h"

/* Stages: what all tasks have done when rst_sync.stage gets the value. */
enum {
	STAGE_CREATED = 1, /* all tasks exist, in their sessions; leaders of groups are in theirs */
	STAGE_JOINED,	   /* all are in their groups: helpers end, zombies die */
	STAGE_FILES,	   /* all descriptors are in place */
	STAGE_THREADS,	   /* all threads exist and are traced: privilege may go */
};

/* Of one task, in shared memory: written by itself or its creator, read by the main process. */
struct task_slot {
	uint32_t created;	/* the pid is ours: to be killed on failure */
	uint32_t files_arrived; /* tasks that share this one's descriptors: how many wait */
	uint32_t files_done;
	uint32_t traced;	 /* of the root: the main process has seized it */
	uint64_t area, area_len; /* the blob's; to be unmapped */
	uint64_t insn;		 /* a system call instruction in it */
};

struct restore {
	struct rst rst;
	struct cr_opts opts;
	struct plan plan;
	struct rst_own own;
	struct cgroup_plan *cgroups;
	struct extra_plan *extra;
	uint32_t cg_set; /* cgroups that the calling process is in */
	struct mm_vdso vdso;
	struct mm_segs segs;
	struct xsave_layout xsave;
	struct arena arena;
	struct task_slot *slots; /* one a task of the plan */
	struct guard *guard;	 /* guard.c */
	pid_t guard_pid;
	uint64_t shared_len; /* bytes of the mapping that begins with rst_sync */
	struct mm_state mm;  /* of the calling process; the main process has none */
	bool mm_done;
	pid_t spare; /* the last that tree_spare_pid() gave */
	int me;	     /* index of the calling task; PLAN_NONE: the main process */
	bool root_traced;
	int timens; /* our own time namespace, to go back to; -1 */
	uint64_t start_us, fork_us, forked_us;
	struct stage_facts facts; /* of restore.json */
	struct cr_report taken;	  /* pids: one for each process that has some, and the same for restore.json */
	json_t *conflicts;
};

/* ---- pids.c ---- */
/* Are all pids free? Return: 0, or -EEXIST with @e naming the first holder; the others are told, and in x->taken. */
int tree_check_pids(struct restore *x, struct cr_err *e);
/* @pid is in use: by whom. Return: -EEXIST. */
int pid_taken(pid_t pid, struct cr_err *e);

/* ---- tree.c: making tasks ---- */
/* Make the root, which makes the others. */
int tree_make(struct restore *x, struct cr_err *e);
/* What task x->me has to create: before its own setsid() or after. @cow: those that want our memory first. */
int tree_create(struct restore *x, bool before_setsid, bool cow, struct cr_err *e);
/* Has it such? */
bool tree_has(const struct restore *x, bool before_setsid, bool cow);
/* struct rst.spare_pid */
pid_t tree_spare_pid(struct rst *r);
/* A process that lives for a moment, with a pid that the tree does not want. Return: as fork(2), or -errno. */
pid_t tree_clone_spare(struct restore *x, uint64_t flags);
/* Kill all that were made and wait until they are gone. */
void tree_kill(struct restore *x);

/* ---- task.c: the life of a task, up to the blob ---- */
__attribute__((noreturn)) void task_run(struct restore *x, int k, pid_t parent, bool orphan);

/* A thread that stands in the vdso, 0: none. */
pid_t thread_in_vdso(const struct plan_task *t);

/* ---- order.c: which kind is asked when ---- */
int order_check(struct restore *x, struct cr_err *e);
/* The set of cgroups of a task. */
uint32_t order_cg_set(const struct restore *x, const struct plan_task *t);
/* The program of the blob. @park: address to park the vdso at. @fs: descriptors of root and cwd, -1: nothing to do */
int order_program(const struct restore *x, const struct plan_task *t, uint64_t area, uint64_t area_len, uint64_t park,
		  int exe_fd, const int fs[2], uint64_t stacks, struct rst_prog *p, struct cr_err *e);

/* ---- resume.c: the main process as the tracer ---- */
/* Until all have reported in this stage. @n: how many. */
int resume_wait(struct restore *x, uint32_t n, struct cr_err *e);
/* Start stage @stage; @n will report in it. */
void resume_stage(struct restore *x, uint32_t stage, uint32_t n);
int resume_seize(struct restore *x, struct cr_err *e);
/* Stop all threads, take the blob away, give them their registers. */
int resume_prepare(struct restore *x, struct cr_err *e);
int resume_go(struct restore *x, struct cr_err *e);

/* ---- guard.c: what cleans up if the main process is killed ---- */
int guard_start(struct restore *x, struct cr_err *e);
void guard_wrote_pidfile(struct restore *x);
/* All tasks are stopped: from now on their end is the guard's business if we die. */
void guard_hold(struct restore *x);
/* The restore is complete. */
void guard_stands(struct restore *x);
/* It has nothing to do any more; after a failure that was cleaned up, too. */
void guard_end(struct restore *x);

/* ---- cpu.c ---- */
/* Does this CPU have what the checkpoint's had, as far as --cpu-cap asks for it? */
int cpu_fits(struct restore *x, struct cr_err *e);

/* ---- clock.c ---- */
/* Children get a time namespace in which the clocks go on from the image. */
int clock_enter(struct restore *x, struct cr_err *e);
void clock_leave(struct restore *x);
uint64_t clock_us(void);

/* ---- verify.c ---- */
/* Compare the images with the manifest, if there is one. @sums: their contents too */
int verify_files(int img, bool sums, struct cr_err *e);
/* Tell of tasks whose descriptor tables are not there. */
void verify_tables(struct restore *x);

/* ---- main.c ---- */
/* All descriptors of all tasks, and the shared segments that they map, into the plan. */
int load_files(struct restore *x, struct cr_err *e);

/* ---- check.c: --check-only ---- */
/* Are these the images of a dry run, which can only be checked? */
bool check_marked(int img);
/*
 * Test all that a restore needs against this machine and print what was found. Makes nothing.
 * @ret_code: exit status: 0 nothing is in the way, 1 a restore would be refused, 2 bad image
 * Return: 0, or -errno with @e: the check itself could not be made.
 */
int check_run(struct restore *x, int *ret_code, struct cr_err *e);

/* ---- check-host.c, check-kernel.c, check-needs.c: what the hooks of a real restore do not look at beforehand ---- */
/* Memory that the images fill, and what the system has. @ret_bytes: filled */
int check_memory(struct restore *x, uint64_t *ret_bytes, struct cr_err *e);
/* Limits of the system and of the caller. */
int check_limits(struct restore *x, struct cr_err *e);
/* What the cgroups of the tasks allow. @bytes: that the images fill */
int check_cgroups(struct restore *x, uint64_t bytes, struct cr_err *e);
int check_cpu(struct restore *x, struct cr_err *e);
/* What the kernel must be able to do for these images. */
int check_kernel(struct restore *x, struct cr_err *e);
int check_clock(struct restore *x, struct cr_err *e);
/* Files that are mapped, programs, working and root directories. */
int check_files(struct restore *x, struct cr_err *e);
/* What the manifest says is needed: mounts. */
int check_mounts(struct restore *x, struct cr_err *e);

/* ---- verify.c ---- */
/*
 * --checksum: programs and libraries, as the manifest has them in needs[].
 * Return: 0 or -errno with @e (CR_E_FILE_CHANGED, CR_E_FILE_MISSING).
 */
int verify_programs(struct rst *r, struct cr_err *e);

/* ---- report.c ---- */
int report_pidfile(struct restore *x, struct cr_err *e);
int report_stats(const struct restore *x, struct cr_err *e);
/* restore.json; @failure: NULL: all is well. */
void report_json(struct restore *x, const struct cr_err *failure);

#endif
