/* SPDX-License-Identifier: GPL-2.0-or-later */
/* criu-freeze exec: a system call of a user's in a task. exec-args.c and exec-const.c read and print it, exec.c has it made. */
#ifndef CR_FREEZE_EXEC_H
#define CR_FREEZE_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { EXEC_ARGS = 6, EXEC_MEM_MAX = 524288 };

struct exec_arg {
	const char *text; /* as the user wrote it */
	uint64_t value;	  /* the number; of memory the address, known late */
	bool memory;	  /* @len bytes at mem + @at */
	bool shown;	  /* its bytes are printed after the call */
	size_t at, len;
};

struct exec_call {
	long nr;
	const char *name; /* NULL: this build knows the number only */
	unsigned nr_args;
	struct exec_arg arg[EXEC_ARGS];
	uint8_t *mem; /* what is copied into the task, and out of it again; malloc'ed */
	size_t used;
};

/* Read @words: SYSCALL ARG... Return: 0 or -errno with @e. The caller frees ret->mem, also on failure. */
int exec_parse(char **words, int n, struct exec_call *ret, struct cr_err *e);
/* exec-const.c: the value of O_RDWR, SIGTERM ... Return: is it known? */
bool exec_constant(const char *name, size_t len, uint64_t *ret);
/*
 * May it be made in a thread whose rax is @rax? Calls that end the thread, copy it, or whose effect would be undone
 * with the registers are refused by name.
 */
int exec_allowed(const struct exec_call *c, uint64_t rax, const char *object, struct cr_err *e);
/* Its memory will stand at @addr of the task. */
void exec_place(struct exec_call *c, uint64_t addr);
/* Print call, result and buffers. Return: 0 or -errno with @e. */
int exec_print(const struct exec_call *c, pid_t tid, int64_t ret, bool json, struct cr_err *e);

#endif
