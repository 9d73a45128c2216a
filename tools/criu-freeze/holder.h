/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The holder: the one tracer of a stopped tree (holder.c, "Theory of operation"). Its tables are in memory that it
 * shares with criu-freeze, which reads them once when the tree is held; they are sized at the start, and nothing is
 * allocated later.
 */
#ifndef CR_FREEZE_HOLDER_H
#define CR_FREEZE_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "hold/protocol.h"
#include "trace/remote.h"

#define HOLDER_COMM "criu-holder" /* its name in /proc/PID/comm */

enum { HOLDER_CLIENTS = 64, HOLDER_PARKED = 1024, NO_INDEX = ~0u };

/* What becomes of a thread while the tree is being stopped; from TH_HELD on as enum hold_state says. */
enum th_state { TH_PENDING, TH_HELD, TH_STOPPED, TH_ZOMBIE, TH_GONE };

struct hthread {
	uint32_t proc, next; /* of the same process; NO_INDEX: the last */
	uint8_t state;	     /* enum th_state */
	uint8_t stop_sig;
	bool checked;		/* whether it may run code of ours */
	bool listed, no_filter; /* whether no_filter is known */
	struct remote_thread r;
};

struct hproc {
	uint32_t parent, child, sibling; /* the tree; NO_INDEX: none */
	uint32_t leader, last;		 /* its threads */
	uint32_t nr_threads;		 /* in the list, those that are gone included */
	pid_t pid, ppid, pgid, sid;
	char comm[16];
	char state;    /* of stat */
	uint8_t final; /* all threads stand, and its children are known */
	bool zombie, dead, kids;
	bool stat_read;
	uint64_t starttime, start_stack;
	struct remote_proc r;
};

struct hclient {
	int fd;
	uint8_t stage;	  /* enum hold_stage */
	bool waiting;	  /* in HOLD_WAIT */
	bool done;	  /* has told how its stage ended */
	bool refused;	  /* it is of another dump, or comes too late */
	uint8_t wait_for; /* enum hold_stage */
};

struct hparked {
	int fd; /* -1: free */
	int32_t kind, value;
	unsigned client;
};

/* What criu-freeze tells its holder. */
struct holder_args {
	pid_t root, lease; /* lease 0: none */
	int img, pair;	   /* pair: our end of the socket to criu-freeze */
	int timeout;	   /* seconds to stop the tree, 0: no limit */
	int hold_time;	   /* seconds without lease or request, 0: no limit */
	uint32_t expect;   /* bit per stage */
	bool alone;	   /* the process alone, without its children */
};

struct holder {
	struct holder_args a;
	uint64_t epoch, first_ns, held_ns, end_ns; /* CLOCK_MONOTONIC; 0: not yet */
	int listener, lease_fd, signal_fd, socket_dir;
	char socket_name[HOLD_NAME_MAX];
	pid_t dump; /* whose dump it is: the lease of the start, 0: nobody's in particular */
	bool held, sealed, over, keep, front_done, suspend_seccomp, died;
	uint32_t stages_done, stages_failed, stages_here;
	uint64_t idle_since; /* ns */
	struct hclient client[HOLDER_CLIENTS];
	struct hparked parked[HOLDER_PARKED];
	uint32_t cap; /* of the tables */
	uint32_t nr_procs, nr_threads, nr_order, nr_listed;
	struct hproc *proc;
	struct hthread *thread;
	uint32_t *order;  /* indexes of processes, a parent before its children, each with its subtree */
	uint32_t *list;	  /* indexes of threads in that order */
	uint32_t *by_tid; /* index + 1 of a thread */
	uint32_t tid_max;
	struct cr_err err; /* why the tree is not held */
	size_t size;	   /* of this and the tables */
};

/* Memory for a holder, shared with children; NULL: none left. */
struct holder *holder_alloc(void);
/* A holder without socket and clients, to stop one process for a moment in this process (tree_stop(), release_thaw()). Unmapped by
 * the caller (h->size); NULL: no memory. @timeout: seconds */
struct holder *holder_alone(pid_t pid, int timeout);
/* Run the holder in this (forked) process; does not return. */
void holder_run(struct holder *h, const struct holder_args *args) __attribute__((noreturn));

/* ---- tree.c: stopping ---- */
/* Stop the whole tree. On failure all run again. */
int tree_stop(struct holder *h, struct cr_err *e);
/* "task 12 (bash)" or "thread 13 of task 12 (bash)". */
const char *tree_name(const struct holder *h, const struct hthread *t, char buf[96]);
struct hthread *tree_find(struct holder *h, pid_t tid);
struct hproc *tree_find_proc(struct holder *h, pid_t pid);
/* Has criu-freeze died, or the process of --lease? While the tree is being stopped. */
bool holder_abandoned(struct holder *h);

/* ---- release.c: letting go ---- */
struct release {
	uint64_t frozen_ns;
	int32_t unreaped, reaper; /* zombies left after a kill, and who has to reap the first */
};
void release_thaw(struct holder *h, bool stopped, struct release *ret);
void release_kill(struct holder *h, struct release *ret);
/* Detach all that were seized; nothing else was done to them. */
void release_seized(struct holder *h);

/* ---- verbs.c ---- */
/* Make ready for calls in @t: our area in its process, what it may run. @b: filled but for the calls. Return: 0 or -errno. */
int thread_prepare(struct holder *h, struct hthread *t, struct remote_batch *b);
/* Bring all threads of a process home that another holder left in the middle of calls. */
int threads_home(struct holder *h, const struct hproc *p);
/* One request of client @c is in @in. The answer goes to its socket. */
void verb_dispatch(struct holder *h, unsigned c, const uint8_t *in, size_t len, int fd);
/* Is there a child of @parent that is, or may become, the program @name? */
bool ahead_lives(pid_t parent, const char *name);
/* Answer those in HOLD_WAIT that can go on, or that cannot any more. */
void verb_wake_waiters(struct holder *h);
/* Who waits for @stage (enum hold_stage) waits in vain. */
void verb_stage_failed(struct holder *h, unsigned stage);
/* Undo what a client parked. */
void verb_unpark(struct holder *h, unsigned client);

uint64_t holder_now(void);

#endif
