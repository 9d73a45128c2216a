/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be restored, in which order, by whom: the tree of tasks, and who makes whom. Pure; crit verify asks it, too. */
#ifndef CR_IMAGE_PLAN_TREE_H
#define CR_IMAGE_PLAN_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"

struct CoreEntry;
struct FsEntry;
struct InventoryEntry;
struct MmEntry;
struct SeccompEntry;
struct CgroupEntry;
struct TaskKobjIdsEntry;
struct TimensEntry;

enum { PLAN_NONE = -1, PLAN_ANY = -1 };

enum plan_state {
	PLAN_LIVE,
	PLAN_STOPPED,
	PLAN_ZOMBIE,
	PLAN_HELPER, /* holds a session or group open whose leader is gone; ends when all have joined */
};

/* How a task comes into being. */
enum plan_how {
	PLAN_FORK,    /* by its parent */
	PLAN_SIBLING, /* by a child of its parent (CLONE_PARENT): the leader of the session that it needs */
	PLAN_ORPHAN,  /* by a child of the session's leader that ends at once: the task goes to its reaper, its
			 parent-to-be */
};

struct plan_thread {
	pid_t tid;
	struct CoreEntry *core;
};

struct plan_create {
	int task;
	enum plan_how how;
	bool before_setsid; /* it stays in the session that its creator was born in */
};

struct plan_task {
	pid_t pid, pgid, sid;
	int parent; /* index; PLAN_NONE: the root */
	enum plan_state state;
	char comm[16];
	struct plan_thread *threads; /* the leader first; zombies and helpers: none */
	size_t nr_threads;
	struct CoreEntry *core; /* of the leader; NULL for helpers */
	struct TaskKobjIdsEntry *ids;
	struct MmEntry *mm;
	struct FsEntry *fs;
	int files_first, fs_first; /* index of the first task with the same table: itself, or one it shares with */
	bool files_shared;	   /* others share ours */
	bool cow;		   /* shares memory with its parent by copy-on-write */
	int64_t born;		   /* session that it must be forked in; PLAN_ANY */
	struct plan_create *creates;
	size_t nr_creates;
};

struct plan {
	struct plan_task *tasks; /* parents before children; helpers at the end */
	size_t nr, nr_images;	 /* with and without helpers */
	size_t cap;
	size_t nr_live, nr_threads;	 /* live or stopped processes, and their threads */
	pid_t outside_sid, outside_pgid; /* the root's session and group, when their leaders are not in the tree; 0 */
	struct InventoryEntry *inventory;
	struct SeccompEntry *seccomp; /* NULL: none */
	struct CgroupEntry *cgroup;   /* NULL: none */
	struct TimensEntry *timens;   /* NULL: none */
	size_t wrong;		      /* index of the task that plan_order() failed for */
	uint32_t *hash;
	uint32_t hash_mask, hash_used;
};

/*
 * Who makes whom, in which session; adds helpers. Pure: uses pid, pgid, sid, parent and state of the tasks.
 * @shell_job: the root's session may be that of the caller
 * Return: 0 or -errno with @e (CR_E_SESSION_OUTSIDE, CR_E_IMG_CORRUPT).
 */
int plan_order(struct plan *p, struct arena *a, bool shell_job, struct cr_err *e);

/* The task with a pid, PLAN_NONE: none. Also for thread ids when plan_index() has put them in. */
int plan_find(const struct plan *p, pid_t pid);
/* Put a pid into the index. Return: 0, -EEXIST. */
int plan_index(struct plan *p, struct arena *a, pid_t pid, int task);

/* "task 12 (bash)" Return: @buf. */
const char *plan_who(const struct plan_task *t, char *buf, size_t size);

#endif
