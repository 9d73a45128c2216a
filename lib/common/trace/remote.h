/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System calls in stopped threads that do no harm when we are killed in the middle (remote.c, "Theory of operation").
 * No memory is allocated here: the holder's tables hold these structures.
 */
#ifndef CR_TRACE_REMOTE_H
#define CR_TRACE_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

enum {
	REMOTE_SLOTS = 16,	  /* threads of one process that run side by side */
	REMOTE_CALLS_MAX = 256,	  /* of one batch */
	REMOTE_SLOT_SIZE = 32768, /* a frame and the calls */
	REMOTE_CLIENTS = 4,	  /* areas for clients' arguments */
	REMOTE_CLIENT_SIZE = 524288,
	REMOTE_WAIT_MS = 10000, /* a batch that takes longer is broken off */
};

/* One call; the same layout as struct hold_call. */
struct remote_call {
	int64_t nr; /* -1: skip */
	uint64_t arg[6];
	int64_t ret;
};

/* One address space. Zeroed at first; pid set by the caller. */
struct remote_proc {
	pid_t pid;
	bool looked;		   /* remote_look() was here */
	bool poked;		   /* our stub stands at entry in this moment */
	bool stack_busy;	   /* a thread that does not come home has its frame in [stack] */
	uint8_t signal;		   /* one that is ignored and that nobody catches; 0: there is none */
	bool seccomp;		   /* the leader has seccomp */
	uint32_t slots;		   /* bit per slot in use */
	uint64_t insn;		   /* a `syscall ... ret`; 0: poke one */
	uint64_t restorer;	   /* a `mov $15, %eax; syscall`; 0: poke one */
	uint64_t entry;		   /* of the program: code that nobody needs again */
	uint64_t stack, stack_end; /* the [stack] area; 0: there is none */
	uint64_t low_sp;	   /* the caller's: lowest stack pointer in it, 0: none */
	uint64_t map;		   /* ours: a page of code, slots, clients' areas; 0: none */
	uint64_t map_len;
	uint64_t left;	 /* the area of a holder that was killed; 0: none */
	bool left_idle;	 /* the caller's: all threads went through remote_load(), so remote_map() may unmap it */
	uint8_t old[16]; /* what stood at entry */
};

/* One stopped thread. */
struct remote_thread {
	pid_t tid;
	bool loaded;   /* home, sigmask, rseq_cs are known */
	bool away;     /* it has registers of ours */
	bool restop;   /* a stop signal came while it ran for us: to be sent again at the release */
	bool single;   /* no code of ours: call by call (seccomp) */
	uint8_t frame; /* away, and nobody waits for it any more: where its frame is that must stay; 0: it is not */
	uint64_t sigmask;
	uint64_t rseq_cs;	      /* before the first call: the kernel clears it */
	struct user_regs_struct home; /* what it gets back */
};

/* Calls for one thread. */
struct remote_batch {
	struct remote_proc *p;
	struct remote_thread *t;
	struct remote_call *calls;
	unsigned n;
	unsigned wait_ms; /* 0: REMOTE_WAIT_MS; of the first batch, for all */
	/* Asked now and then while calls run: shall they be broken off? NULL: never. Of the first batch, for all. */
	bool (*over)(void *);
	void *over_arg;
	bool breakable; /* SIGINT, SIGTERM, SIGHUP (blocked by the caller) break the calls off, and stay pending */
	int err;	/* 0, or -errno: what the calls did is not known. -ESRCH: the thread died; -ETIMEDOUT; -EINTR */
	/* of remote.c */
	uint8_t state;
	int8_t slot; /* -1: the frame is in the stack */
	unsigned at;
	uint64_t insn, frame;
};

/* Read registers and mask of a stopped thread, once. A thread that a holder left in the middle of its calls is brought
 * home. */
int remote_load(struct remote_thread *t);
/* Learn where things are in an address space, once. @stack: an address in its [stack] (start_stack of stat). */
int remote_look(struct remote_proc *p, uint64_t stack);
/*
 * Map our area in the address spaces of @n batches (p and t are set: a thread that stands still), side by side.
 * p->low_sp is set by the caller. Errors in b[i].err; -EOPNOTSUPP: no place for the first frame.
 */
void remote_map(struct remote_batch *b, size_t n);
/* Make the calls of @n batches, side by side. A thread appears once at most; all address spaces have our area. */
void remote_run(struct remote_batch *b, size_t n);
/*
 * A thread whose call was broken off may not have stopped: it waits in the kernel, with our registers. Has it come out?
 * Return: 0: it has its own registers (again); -ETIMEDOUT: it has not, so our area must stay.
 */
int remote_home(struct remote_proc *p, struct remote_thread *t);
/* Take our area out again. */
void remote_unmap(struct remote_batch *b, size_t n);
/* Where our area goes, the same for all holders of a process, so that one that was left is found again; 0: anywhere. */
uint64_t remote_map_hint(const struct remote_proc *p);
size_t remote_map_size(void);
/* Address of a client's area. */
uint64_t remote_client_area(const struct remote_proc *p, unsigned client);

#endif
