/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plan, as the sources of the file engine share it. Made in the main process; tasks have copies of their own. */
#ifndef CR_KIND_FILE_RESTORE_INTERNAL_H
#define CR_KIND_FILE_RESTORE_INTERNAL_H

#include "kind/file/restore-file.h"

#define FILES_NONE UINT32_MAX

enum { FILES_TYPES = 32 }; /* more than FdTypes has small numbers */

/* Shared between all tasks: where a description can be fetched. */
struct file_slot {
	uint32_t ready; /* futex: 0, then 1 */
	int32_t pid;
	int32_t fd;
};

/* One description: a row of files.img. */
struct file_desc {
	struct FileEntry *fe;
	const struct fd_rst_ops *ops;
	uint32_t owner;	     /* index of the table whose task makes it; FILES_NONE: nobody needs it */
	uint32_t last_table; /* while counting: the last table that has it */
	uint32_t slot;	     /* FILES_NONE: no other table needs it */
	uint32_t leader;     /* union-find: towards the root of its group */
	uint32_t next;	     /* ring of its group */
	/* valid in the task that restores table here_table */
	uint32_t here_table;
	uint32_t first; /* its first row in that table, FILES_NONE: none */
	int here;	/* its number, -1: not yet */
	bool spare;	/* that number is none of the table's: close it at the end */
};

struct file_row {
	int fd;
	uint32_t desc;
	bool cloexec;
};

/* Needed in a table's task without having a number there. */
struct file_extra {
	uint32_t table, desc;
};

struct file_table {
	uint32_t id; /* files_id */
	size_t n;
	struct file_row *rows; /* by number */
};

struct file_key {
	uint64_t key;
	uint32_t type, desc; /* FILES_NONE: free */
};

struct files_plan {
	size_t nr_descs, nr_tables, nr_extra, cap_extra, nr_slots;
	struct file_desc *descs;
	uint32_t *by_id; /* hash: index of a desc or FILES_NONE */
	uint32_t mask;
	struct file_table *tables;
	struct file_extra *extra;
	struct file_extra *carry; /* table is the desc that carries */
	size_t nr_carry, cap_carry;
	struct file_key *keys; /* hash of files_join() */
	uint32_t key_mask, nr_keys;
	struct file_slot *slots; /* shared */
	void *kind[FILES_TYPES];
	/* deleted files and files under another name, by id of the reg entry */
	struct file_remap *remaps;
	size_t nr_remaps;
	/* of the calling task */
	uint32_t table; /* FILES_NONE before files_restore() */
	int spare_from;
	int cached_pid, cached_pidfd;
};

/* remap-fpath.img, with what prepare() made of it. */
struct file_remap {
	uint32_t orig_id;
	uint32_t type; /* RemapType */
	uint32_t remap_id;
	int fd; /* in the main process: the ghost (O_PATH), or -1 */
};

struct file_desc *files_desc(const struct rst *r, const struct FileEntry *fe);
/* Number of the row with @fd, or of the next one. */
size_t files_row(const struct file_table *t, int fd);

/* restore-table.c: let the calling process have the numbers of @t. */
int files_raise_limit(const struct file_table *t, struct cr_err *e);

/* restore-ghost.c */
int files_remap_load(struct rst *r, struct cr_err *e);
int files_remap_prepare(struct rst *r, struct cr_err *e);
int files_remap_last(struct rst *r, struct cr_err *e);
/* --check-only: could prepare() make it? */
int files_remap_check(struct rst *r, const struct RegFileEntry *reg, const struct file_remap *m, struct cr_err *e);
const struct file_remap *files_remap_of(const struct rst *r, uint32_t reg_id);

/* restore-late.c */
int files_set_owner(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e);

#endif
