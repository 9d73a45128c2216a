/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies memory of tasks, or of shared memory segments, into files. */
#ifndef CR_PAGES_COPY_H
#define CR_PAGES_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum copy_how {
	COPY_TASK,   /* process_vm_readv() */
	COPY_FORCED, /* /proc/PID/mem, for what the task itself cannot read */
	COPY_FILE,   /* pread() */
};

/* Must stay as it is until copy_flush(). */
struct copy_source {
	pid_t pid;	  /* of COPY_TASK and COPY_FORCED */
	int mem;	  /* its /proc/PID/mem */
	int fd;		  /* of COPY_FILE */
	const char *name; /* for errors: "task 12", "shared memory 77" */
};

struct copy_target {
	int fd;
	const char *name; /* "pages-1.img" */
};

struct copier;

/* @threads: 1 or 2, the caller included; the second starts when there is enough to do. Return: 0 or -errno. */
int copy_open(unsigned threads, struct copier **ret, struct cr_err *e);
/* Stops and frees; NULL is allowed. */
void copy_close(struct copier *c);
/*
 * Copy @len bytes at @addr of @src to @off of @dst, now or later. Fastest when ranges come in the order of the file.
 * Return: 0, or -errno with @e: of this or of an earlier copy.
 */
int copy_add(struct copier *c, const struct copy_source *src, enum copy_how how, uint64_t addr, uint64_t len,
	     const struct copy_target *dst, uint64_t off, struct cr_err *e);
/* Wait until all copies are made. Return: 0, or -errno with @e (CR_E_DIR_FULL, CR_E_TASK_GONE, CR_E_SYSTEM). */
int copy_flush(struct copier *c, struct cr_err *e);
/* Nanoseconds spent reading and writing, summed over the threads. */
void copy_times(struct copier *c, uint64_t *ret_read, uint64_t *ret_write);

#endif
