/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the restore halves of the kinds share with criu-restore.
 *
 * criu-restore (main process) reads all images into a plan before it makes any task. Each task is then forked with its
 * pid; it inherits the plan by copy-on-write and rebuilds itself by C code, then jumps into the restorer blob, which
 * does what cannot be done while that code is mapped. State that changes after the fork is in `struct rst_shared`,
 * a shared mapping.
 */
#ifndef CR_KIND_RESTORE_H
#define CR_KIND_RESTORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/opts.h"
#include "image/image.h"

struct rst_sync;   /* blob/restorer-abi.h: futexes of the whole restore */
struct rst_check;  /* lib/kind/restore-check.h */
struct files_plan; /* lib/kind/file: files.img and all fdinfo images, who owns what */
struct FileEntry;

/* One error record for the whole restore: the first failure wins; printed once, by the main process. */
struct rst_shared {
	uint32_t failed; /* 0, or 1 once err is being filled */
	uint32_t ready;	 /* err is filled */
	struct cr_err err;
};

/* Options and images, the same for every task. */
struct rst {
	int img; /* images directory */
	const struct cr_opts *opts;
	struct arena *arena; /* of the main process; after the fork each task has its own copy */
	struct rst_shared *shared;
	struct rst_sync *sync;
	pid_t main_pid;
	int main_pidfd; /* to fetch descriptors that the main process keeps (shared memory segments ...) */
	struct files_plan *files;
	struct rst_check *check; /* --check-only: what was found so far; else NULL */
	unsigned img_version;
	bool own; /* a manifest of ours is there */
	/* For a process or thread that lives for a moment: a pid that no task of the tree wants (it may be in use). */
	pid_t (*spare_pid)(struct rst *r);
};

/* ---- lib/kind/file (the file engine), used by criu-restore ---- */

/*
 * Read files.img and the fdinfo images of all @files_ids (unique), check all references, choose the owner of each description
 * (the first task, in pre-order, that has it) and allocate the shared state. Runs once, in the main process.
 */
int files_plan_load(struct rst *r, const uint32_t *files_ids, size_t n, struct files_plan **ret, struct cr_err *e);
/*
 * Open what table @files_id holds, at its numbers, in the calling task, and close everything else but @keep[].
 * Runs once per table, by the first task (pre-order) that has it; waits for other tasks where descriptions are shared.
 * @keep: descriptors that must stay; moved when their number is wanted (updated in place)
 */
int files_restore(struct rst *r, uint32_t files_id, int *const *keep, size_t nr_keep, struct cr_err *e);
/* After all tasks ran files_restore(): what needs all descriptors in place (epoll registrations, owners of signals ...). */
int files_restore_late(struct rst *r, uint32_t files_id, struct cr_err *e);
/*
 * A fresh description of a REG (or MEMFD) file, for a mapping, exe, cwd or root; not shared with descriptors.
 * @flags: O_RDONLY, O_RDWR or O_PATH | ...; -1: as in the image
 * Return: fd (O_CLOEXEC), or -errno with @e (CR_E_FILE_MISSING, CR_E_FILE_CHANGED).
 */
int files_open_id(struct rst *r, uint32_t id, int flags, struct cr_err *e);
const struct FileEntry *files_by_id(const struct rst *r, uint32_t id, int type);

/* The restore half of a kind of descriptor. */
struct fd_rst_ops {
	const char *name;
	int type; /* FdTypes */
	/* Check the message and its references in the plan (main process, before any task is made). NULL: nothing to check. */
	int (*check)(struct rst *r, const struct FileEntry *fe, struct cr_err *e);
	/*
	 * Make the description in its owner task. Return: fd (any number; O_CLOEXEC does not matter), or -errno with @e.
	 * A kind whose descriptions come in groups (pipe ends, socket pairs) makes the whole group at its first member and
	 * publishes the others by files_publish().
	 */
	int (*open)(struct rst *r, const struct FileEntry *fe, struct cr_err *e);
	/* When all tasks have all their descriptors: @fd is its number here, in the owner. NULL: nothing. */
	int (*late)(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e);
	/* A fresh description with other flags than the image's (mappings, cwd ...); -1: the image's. NULL: cannot be. */
	int (*open_as)(struct rst *r, const struct FileEntry *fe, int flags, struct cr_err *e);
	/* Once, in the main process, when all is checked and before any task is made; not with --plan. NULL: nothing. */
	int (*prepare)(struct rst *r, struct cr_err *e);
	/*
	 * With --check-only, for each description, in place of prepare() and of what comes after it: could open() do its
	 * work on this machine? Leaves nothing behind. NULL: nothing outside of the images can be in the way.
	 */
	int (*precheck)(struct rst *r, const struct FileEntry *fe, struct cr_err *e);
	const char *area; /* of findings (rst_area()); NULL: "files" */
	/* Once, in the task of the first table, after all its late(). NULL: nothing. */
	int (*last)(struct rst *r, struct cr_err *e);
};

/* The table of tools/criu-restore/order.c, NULL-terminated. */
extern const struct fd_rst_ops *const rst_fd_order[];

/* ---- a task reports and stops: fill r->shared->err once; does not return when @e is fatal for a task (exits 1) ---- */
void rst_fail(struct rst *r, const struct cr_err *e);

/*
 * Futex words in shared memory: wait until *word == value (or >=, for counters) or the restore has failed.
 * Return: 0 or -ECANCELED.
 */
int rst_wait(struct rst *r, uint32_t *word, uint32_t value);
void rst_wake(uint32_t *word, uint32_t value);

#endif
