/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of images, as far as show and x need it. Broken entries are shown if they can be unpacked at all. */
#ifndef CRIT_CHECKPOINT_H
#define CRIT_CHECKPOINT_H

#include "base/arena.h"
#include "crit.h"

struct PstreeEntry;
struct UnixSkEntry;
struct TaskKobjIdsEntry;
struct CoreEntry;
struct MmEntry;
struct VmaEntry;

struct file {
	uint32_t type, id; /* fd_types; ids are unique per type only */
	const void *entry; /* the kind's own message: RegFileEntry ... */
};

struct checkpoint {
	int dir;
	struct arena arena;
	struct PstreeEntry **tasks; /* parents before children */
	size_t n_tasks;
	struct file *files; /* by type and id */
	size_t n_files;
	bool damaged; /* an image could not be read: the first one is told at the end */
	struct cr_err damage;
};

/* Return: 0 or -errno. Without a pstree it is no checkpoint. */
int checkpoint_open(struct checkpoint *c, const char *path, struct cr_err *e);
void checkpoint_close(struct checkpoint *c);

/* As img_read_all(), but not validated. @ret: NULL-terminated. Return: count or -errno */
ssize_t checkpoint_read(struct checkpoint *c, enum img_type type, unsigned long id, void *ret, struct cr_err *e);
/* The first entry, NULL when there is none or it cannot be read. */
const void *checkpoint_one(struct checkpoint *c, enum img_type type, unsigned long id);
/* Where it stands in files[], -1 if it is not there. */
ssize_t checkpoint_file_index(const struct checkpoint *c, uint32_t type, uint32_t id);
const void *checkpoint_file(const struct checkpoint *c, uint32_t type, uint32_t id);
/* The ids of what a task may share, also of old images; NULL: unknown. */
const struct TaskKobjIdsEntry *checkpoint_ids(struct checkpoint *c, uint32_t pid);
/* The descriptor table of a task. Return: count or -errno */
ssize_t checkpoint_fds(struct checkpoint *c, const struct PstreeEntry *t, void *ret, struct cr_err *e);
/* Its mappings, also of old images. */
size_t checkpoint_vmas(struct checkpoint *c, uint32_t pid, struct VmaEntry *const **ret);

/* "/bin/sh", "pipe[5]", "unix[7 (8) name]", "EVENTFD.3" */
const char *checkpoint_file_text(const struct checkpoint *c, uint32_t type, uint32_t id, char *buf, size_t size);
/* The name a unix socket is bound to, "@name" if abstract, "" if none. @size: at least 16 */
const char *unix_name_text(const struct UnixSkEntry *sk, char *buf, size_t size);
/* The name of a task, "?" if unknown. */
const char *checkpoint_comm(struct checkpoint *c, uint32_t pid);
/* 0 for the root, 1 for its children ... */
unsigned int checkpoint_depth(const struct checkpoint *c, const struct PstreeEntry *t);

/* Names come from images: what is not printable is shown as \x1b. Return: @buf */
const char *safe_text(const void *data, size_t len, char *buf, size_t size);

#endif
