/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between criu-restore's C code and the restorer blob: plain structs of fixed size.
 *
 * Theory of operation. The last part of a restore takes away the mappings of the C code that does it. What is to be
 * done there is known before, so it is data: a program of operations, nearly all of them plain system calls with their
 * arguments. The blob is an interpreter of it and knows nothing of kinds. Kinds append to the program (blob/prog.h).
 *
 * One area per process, free in the old and in the new layout, holds all that lives on until the end:
 *
 *	[struct rst_sync, shared by all tasks][blob code][struct rst_arg, operations, data][stacks][room to park the
 * vdso]
 *
 * The main process unmaps it by the last remote system call before the task runs.
 */
#ifndef CR_BLOB_RESTORER_ABI_H
#define CR_BLOB_RESTORER_ABI_H

#include <stdint.h>

enum { RST_ABI_MAGIC = 0x52535431, RST_ABI_VERSION = 1, RST_STACK = 4096 };

enum rst_opcode {
	RST_OP_SYS,	/* system call nr with a[] */
	RST_OP_THREAD,	/* start thread a[0]; stack top a[1] (relocated); its operations a[2], a[3] in number */
	RST_OP_TIMER,	/* timer_create: clock a[0], sigevent a[1] (relocated), id a[2] */
	RST_OP_REPORT,	/* one more has arrived: count up rst_sync.count */
	RST_OP_WAIT,	/* until rst_sync.stage >= a[0] */
	RST_OP_ARRIVE,	/* a thread tells its leader, who waits for a[0] of them */
	RST_OP_JOIN,	/* the leader waits until a[0] threads have arrived */
	RST_OP_PARK,	/* the end: wait to be picked up by the tracer */
	RST_OP_POINTER, /* write the address of data a[1] into data a[0] */
};

enum rst_flags {
	RST_F_IGNORE = 1, /* failure does not matter */
	RST_F_EXACT = 2,  /* the result must be `want` */
};

struct rst_op {
	uint8_t op, flags;
	uint8_t reloc; /* bit i: a[i] is an offset from rst_arg.data */
	uint8_t pad;
	uint32_t nr;
	uint64_t a[6];
	int64_t want;
	uint64_t label; /* const char * in the main process: what it is about */
};
_Static_assert(sizeof(struct rst_op) == 72, "ABI");

/* What failed first in a blob. Main makes a struct cr_err of it. */
struct rst_blob_fail {
	uint32_t set, nr;
	int32_t pid, tid;
	int64_t ret;
	uint64_t label;
	uint64_t a[3];
};
_Static_assert(sizeof(struct rst_blob_fail) == 56, "ABI");

/* Shared by all tasks of a restore, mapped in each. Words are futexes. */
struct rst_sync {
	uint32_t failed; /* 1: a task failed; main kills all */
	uint32_t stage;	 /* set by main */
	uint32_t count;	 /* who reported in this stage */
	uint32_t target; /* main is woken when count reaches it */
	struct rst_blob_fail fail;
	uint64_t pages_compared, pages_skipped_cow, pages_restored;
};

struct rst_arg {
	uint32_t magic, version;
	uint64_t sync;	/* address of struct rst_sync */
	uint64_t ops;	/* address of the operations */
	uint64_t data;	/* address that relocated arguments count from */
	uint32_t first; /* the leader's operations */
	uint32_t nr;
	uint32_t arrived; /* futex: threads that are done */
	int32_t pid;
	uint32_t park; /* futex that nobody wakes */
	uint32_t pad;
};
_Static_assert(sizeof(struct rst_arg) == 56, "ABI");

#endif
