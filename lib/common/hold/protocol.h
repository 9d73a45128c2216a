/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The holder's protocol (doc/holder-protocol.md is the specification): one SOCK_SEQPACKET connection per client on
 * IMG/.holder, one request packet, one answer packet. Fixed-size heads; the first 32 bits say the verb. Descriptors
 * travel by SCM_RIGHTS.
 */
#ifndef CR_HOLD_PROTOCOL_H
#define CR_HOLD_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#define HOLD_SOCKET	   ".holder" /* in the images directory */
#define HOLD_VERSION	   1
#define HOLD_PACKET_MAX	   65536
#define HOLD_CALLS_MAX	   256 /* calls of one HOLD_CALLS */
#define HOLD_BATCHES_MAX   64  /* threads of one HOLD_CALLS_MANY */
#define HOLD_REGS_MANY_MAX 16

enum hold_verb {
	HOLD_HELLO = 1, /* arg[0]: enum hold_stage; answer: struct hold_banner */
	HOLD_WAIT,	/* until the tree is held and stage arg[0] is done (0: held only); answer: struct hold_banner */
	HOLD_DONE,	/* stage arg[0] ended, arg[1]: 0 or errno */
	HOLD_LIST,	/* from index arg[0]; answer: array of struct hold_task, empty at the end */
	HOLD_REGS,	/* of tid; answer: struct hold_regs */
	HOLD_SIGQUEUE,	/* of tid, arg[0] = 1: shared; arg[1]: offset; answer: array of siginfo_t, 128 bytes each */
	HOLD_SCRATCH,	/* of pid; answer: struct hold_scratch */
	HOLD_CALLS,	/* in tid; arg[0]: at most so many ms (0: 10 s, the most); payload: array of struct hold_call;
			   answer: the same with results */
	HOLD_SECCOMP,	/* of tid, arg[0]: index, 0 the newest; answer: struct hold_filter and instructions */
	HOLD_PARK,   /* arg[0]: see enum hold_park; payload: a socket (SCM_RIGHTS); undone when the connection ends */
	HOLD_STATUS, /* answer: struct hold_status */
	HOLD_SEALED, /* the image is sealed: from now on HOLD_KILL is allowed */
	HOLD_KILL,   /* SIGKILL to all; answers when they are gone: struct hold_end */
	HOLD_THAW,   /* arg[0] = 1: leave the tasks stopped by SIGSTOP; answers when all run: struct hold_end */
	HOLD_STOP,   /* end the dead-man's timer: keep the tree until told otherwise */
	HOLD_LEASE,  /* payload: a pidfd */
	HOLD_CALLS_MANY, /* payload: per batch a struct hold_part and its calls; the threads run side by side; answer:
			    the same with results */
	HOLD_REGS_MANY,	 /* payload: up to HOLD_REGS_MANY_MAX int32 tids; answer: struct hold_regs each, cut to
			    xsave_len; fewer than asked when the packet is full */
	HOLD_OURS,	 /* of pid; answer: array of struct hold_scratch: areas of the task that are the holder's */
};

enum { HOLD_NAME_MAX = 64 };
/*
 * The name of the socket: HOLD_SOCKET in the images directory; elsewhere, in the work directory, where the former cannot hold
 * sockets, with device and inode of the images directory, since it may be the work directory of several dumps.
 * Return: 0 or -errno.
 */
int hold_socket_name(int img, bool elsewhere, char ret[HOLD_NAME_MAX]);

enum hold_stage {
	HOLD_ST_NONE,
	HOLD_ST_FREEZE,
	HOLD_ST_COLLECT,
	HOLD_ST_PARASITE,
	HOLD_ST_PAGES,
	HOLD_ST_SEAL,
	/* No programs, but what criu-collect hands over before its end: .stage/threads, for criu-parasite; */
	HOLD_ST_THREADS,
	HOLD_ST_MM, /* mm-*.img, for criu-pages */
	HOLD_STAGES
};

struct hold_req {
	uint32_t verb;
	int32_t tid;
	uint64_t arg[4];
	/* payload follows */
};

struct hold_ans {
	int32_t err;	/* 0 or errno, positive */
	uint32_t len;	/* bytes that follow */
	char text[248]; /* with err: what and why, for people */
};

struct hold_banner {
	uint32_t version;
	int32_t holder, root; /* pids */
	uint32_t nr_tasks;    /* threads, zombies included */
	uint64_t epoch;	      /* of this hold; a later one differs */
	uint64_t started_ns;  /* CLOCK_MONOTONIC of the first interrupt, 0: not yet held */
};

enum hold_state { HOLD_T_HELD, HOLD_T_STOPPED, HOLD_T_ZOMBIE, HOLD_T_DEAD };

struct hold_task {
	int32_t tid, pid; /* equal: the leader */
	int32_t ppid;
	uint8_t state;	  /* enum hold_state; STOPPED: was in a group stop before we came */
	uint8_t stop_sig; /* of STOPPED */
	uint16_t flags;
};

enum { HOLD_F_NO_FILTER = 1 }; /* no seccomp filter, for sure */

struct hold_regs {
	uint64_t gpr[27]; /* struct user_regs_struct */
	uint64_t sigmask;
	uint64_t tid_address; /* 0; asked by a call (PR_GET_TID_ADDRESS) */
	struct {
		uint64_t pointer;
		uint32_t size, signature, flags, pad;
	} rseq;		  /* struct ptrace_rseq_configuration */
	uint64_t rseq_cs; /* what the rseq area pointed to */
	uint32_t xsave_len;
	uint32_t pad;
	uint8_t xsave[12288]; /* NT_X86_XSTATE; an answer holds xsave_len bytes of it */
};

/* Memory of the task that calls may use: mapped at the first request, unmapped at the release. */
struct hold_scratch {
	uint64_t addr, len;
};

struct hold_call {
	int64_t nr; /* x86-64 system call number; -1: skip */
	uint64_t arg[6];
	int64_t ret;
};

/* One thread's calls in a HOLD_CALLS_MANY; each thread at most once. */
struct hold_part {
	int32_t tid;
	uint32_t n;  /* calls that follow */
	int32_t err; /* answer: 0, or errno: these calls were not made */
	uint32_t pad;
};

struct hold_filter {
	uint32_t nr_insns; /* struct sock_filter each */
	uint32_t flags;	   /* SECCOMP_FILTER_FLAG_*, of PTRACE_SECCOMP_GET_METADATA */
};

enum hold_park { HOLD_PARK_TCP_REPAIR = 1, HOLD_PARK_PEEK_OFF = 2 };

/* Answer to HOLD_KILL and HOLD_THAW. */
struct hold_end {
	uint64_t frozen_ns; /* from the first interrupt to the last resume or kill */
	int32_t unreaped;   /* after a kill: zombies that are left */
	int32_t reaper;	    /* who has to reap the first of them */
};

struct hold_status {
	struct hold_banner banner;
	uint32_t held, sealed;
	uint32_t stages_done; /* bit per enum hold_stage */
	uint32_t stages_failed;
	uint32_t clients;
	uint32_t lease_pid;    /* 0: none */
	uint32_t seconds_left; /* of the dead-man's timer; ~0: no timer */
	uint32_t pad;
};

_Static_assert(sizeof(struct hold_req) == 40, "hold_req is an interface");
_Static_assert(sizeof(struct hold_ans) == 256, "hold_ans is an interface");
_Static_assert(sizeof(struct hold_call) == 64, "hold_call is an interface");

#endif
