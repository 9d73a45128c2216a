/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ids of mapped files: each file is looked at once, however many mappings it has. */
#ifndef CR_MM_DUMP_FILES_H
#define CR_MM_DUMP_FILES_H

#include <stdint.h>

#include "kind/dump.h"

struct proc_vma;

struct mm_file {
	struct mm_file *next;
	uint64_t ino;
	uint32_t major, minor, hash;
	uint32_t id; /* 0: refused, and that is noted already */
	int type;    /* FdTypes: REG or MEMFD */
	char path[];
};

struct mm_files {
	struct dump *d;
	struct mm_file **buckets;
	size_t nr, nr_buckets;
};

/*
 * The id of a mapping's file. A refusal goes to d->refusals, once per file.
 * @ret: NULL when the file is refused
 * Return: 0 or -errno.
 */
int mm_file_id(struct mm_files *f, const struct dump_task *t, const struct proc_vma *v, const struct mm_file **ret,
	       struct cr_err *e);
/* The id of the program. @ret_id: 0 when it is refused. */
int mm_exe_id(struct mm_files *f, const struct dump_task *t, uint32_t *ret_id, struct cr_err *e);
void mm_files_free(struct mm_files *f);

#endif
