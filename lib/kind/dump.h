/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the dump halves of the kinds share with criu-collect: the tasks as seen from outside, one allocator of file ids,
 * and the ops of a kind of descriptor. tools/criu-collect/order.c says in which order hooks run.
 */
#ifndef CR_KIND_DUMP_H
#define CR_KIND_DUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/opts.h"
#include "hold/client.h"
#include "image/image.h"
#include "image/manifest.h"

struct dump_thread {
	pid_t tid;
	uint32_t cg_set;
	uint32_t seccomp_mode, seccomp_filter;
};

/* One process of the tree. */
struct dump_task {
	pid_t pid, ppid;
	enum hold_state state;
	int proc;		     /* /proc/PID, O_DIRECTORY; -1 for zombies */
	int pidfd;		     /* -1 for zombies */
	struct dump_thread *threads; /* the leader first */
	size_t nr_threads;
	/* ids as in task_kobj_ids_entry; equal ids mean sharing */
	uint32_t vm_id, files_id, fs_id, sighand_id;
	uint32_t ns_id[8]; /* by enum dump_ns */
	uint32_t umask;
	const char *label; /* "task 12 (bash)", for messages */
};

enum dump_ns { DNS_PID, DNS_NET, DNS_IPC, DNS_UTS, DNS_MNT, DNS_USER, DNS_CGROUP, DNS_TIME, DNS_COUNT };

struct file_ids; /* lib/kind/file: descriptions seen so far */

/* What the hooks of one run share. */
struct dump {
	int img;
	const struct cr_opts *opts;
	struct hold *hold;
	bool dry; /* no holder, the tree runs: ask the tasks for nothing, change nothing, copy no contents */
	struct arena *arena;
	struct stage_facts *facts;  /* needs, warnings, images written */
	struct cr_report *refusals; /* a hook adds to it and goes on, so that the user learns all reasons at once */
	struct dump_task *tasks;    /* parents before children */
	size_t nr_tasks;
	struct file_ids *files;
	uint32_t root_ns[DNS_COUNT]; /* ids of our own namespaces: inventory.root_ids */
};

/* A hook of criu-collect: looks at all tasks. Return: 0, or -errno with @e when the stage cannot go on. Refusals are no errors. */
struct dump_hook {
	const char *name;
	int (*run)(struct dump *d, struct cr_err *e);
	const char *why_here;
};

struct fd_ahead; /* lib/kind/file */

/* A descriptor as seen without touching the description. */
struct fd_look {
	const struct dump_task *task;
	int fd; /* number in the task; -1: a mapping, the exe, cwd or root */
	struct stat st;
	int family;	/* AF_*, of a socket */
	char *link;	/* target of /proc/PID/fd/N */
	char *fdinfo;	/* text of /proc/PID/fdinfo/N, NULL when fd is -1 */
	uint32_t flags; /* O_*, without O_CLOEXEC */
	bool cloexec;
	uint64_t pos;
	int mnt_id;
	int lfd;		      /* our copy of the description (pidfd_getfd, or O_PATH when fd is -1) */
	const struct fd_ahead *ahead; /* the file engine's own; NULL: nothing was looked at ahead */
	const char *path;      /* fd -1: where below /proc/PID it was found ("exe", "map_files/..."); else NULL */
	struct arena *scratch; /* memory for the entry: it lives until the entry is written */
};

struct FileEntry;

/* Dump half of a kind of descriptor. */
struct fd_dump_ops {
	const char *name;
	int type; /* FdTypes */
	/* Is it mine? First match in criu-collect's order wins. */
	bool (*match)(const struct fd_look *l);
	/*
	 * Fill the sub-message of @fe (its type and id are set; memory from l->scratch). The caller writes it when this returns.
	 * Return: 0; -errno with @e: refused, the caller adds it to d->refusals and goes on.
	 */
	int (*dump)(struct dump *d, const struct fd_look *l, struct FileEntry *fe, struct cr_err *e);
	/* After all descriptors of all tasks: refusals that need the whole picture, images of the kind's own. NULL: none. */
	int (*finish)(struct dump *d, struct cr_err *e);
};

/* The tables of tools/criu-collect/order.c, NULL-terminated. */
extern const struct fd_dump_ops *const dump_fd_order[];

/*
 * Ids of files without a descriptor (a mapping's file, exe, cwd, root), by path of /proc. In lib/kind/file.
 * @link: relative to the task's /proc directory, for example "exe", "cwd", "map_files/400000-401000"
 * @ret_id: id in files.img of a REG entry (MEMFD where the file is one: @ret_type)
 */
int dump_file_id(struct dump *d, const struct dump_task *t, const char *link, uint32_t flags, uint32_t *ret_id,
		 int *ret_type, struct cr_err *e);

/* A need of a restore, for the manifest: one row per distinct file. */
void dump_need_file(struct dump *d, const char *path, const struct stat *st);

#endif
