/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of images, as far as show and x need it. Broken entries are shown if they can be unpacked at all. */
#ifndef CRIT_CHECKPOINT_H
#define CRIT_CHECKPOINT_H

#include "base/arena.h"
#include "crit.h"

/* task_core_entry.task_state */
enum { TASK_ALIVE = 1, TASK_DEAD = 2, TASK_STOPPED = 3, TASK_ZOMBIE = 6 };

struct json_t;
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

/* An image that is missing, or of which not all could be read. */
struct damage {
	const char *file, *problem; /* problem: printable */
	enum cr_code code;
	unsigned int round; /* of the checkpoint, when it was met last; 0: what all tasks have in common */
};

struct checkpoint {
	int dir;
	struct arena arena;
	struct PstreeEntry **tasks; /* parents before children */
	size_t n_tasks;
	struct file *files; /* by type and id */
	size_t n_files;
	/* damage.c: images that could not be read whole, each once */
	struct damage *damaged;
	size_t n_damaged;
	bool more_damaged; /* others are not in the list */
	bool spelled;	   /* names are for JSON: name_text() */
	unsigned int round;
};

/*
 * Without a task it is no checkpoint. What cannot be read later on is noted as damage, and what was read before it is given.
 * Return: 0 or -errno
 */
int checkpoint_open(struct checkpoint *c, const char *path, struct cr_err *e);
void checkpoint_close(struct checkpoint *c);

/* Note that an image could not be read whole; or that there is none. */
void checkpoint_damaged(struct checkpoint *c, enum img_type type, unsigned long id, const struct cr_err *e);
void checkpoint_missing(struct checkpoint *c, enum img_type type, unsigned long id);
struct json_out;
/* "damaged": the list of them; if not @all, those of this round and what all tasks have in common. */
void damages_json(const struct checkpoint *c, struct json_out *o, bool all);
/* Tell them on stderr. Return: exit code */
int damages_tell(const struct checkpoint *c);

/* As img_read_all(), but not validated, and as far as it can be read. @ret: NULL-terminated. Return: count */
size_t checkpoint_read(struct checkpoint *c, enum img_type type, unsigned long id, void *ret);
/* manifest.json, to be given back by json_decref(). NULL: none, or it is damaged */
struct json_t *checkpoint_manifest(struct checkpoint *c);
/* The first entry, NULL when there is none or it cannot be read. */
const void *checkpoint_one(struct checkpoint *c, enum img_type type, unsigned long id);
/* The same of an image that each task has but a zombie: it is damage if there is none. */
const void *checkpoint_task_one(struct checkpoint *c, enum img_type type, uint32_t pid);
bool checkpoint_is_zombie(struct checkpoint *c, uint32_t pid);
/* Where it stands in files[], -1 if it is not there. */
ssize_t checkpoint_file_index(const struct checkpoint *c, uint32_t type, uint32_t id);
const void *checkpoint_file(const struct checkpoint *c, uint32_t type, uint32_t id);
/* The ids of what a task may share, also of old images; NULL: unknown. */
const struct TaskKobjIdsEntry *checkpoint_ids(struct checkpoint *c, uint32_t pid);
/* The descriptor table of a task. Return: count */
size_t checkpoint_fds(struct checkpoint *c, const struct PstreeEntry *t, void *ret);
/* Its mappings, also of old images. */
size_t checkpoint_vmas(struct checkpoint *c, uint32_t pid, struct VmaEntry *const **ret);

/* "/bin/sh", "pipe[5]", "unix[7 (8) name]", "EVENTFD.3" */
const char *checkpoint_file_text(const struct checkpoint *c, uint32_t type, uint32_t id, char *buf, size_t size);
/* The name a unix socket is bound to, "@name" if abstract, "" if none. @size: at least 16 */
const char *unix_name_text(const struct checkpoint *c, const struct UnixSkEntry *sk, char *buf, size_t size);
/* The name of a task, "?" if unknown. */
const char *checkpoint_comm(struct checkpoint *c, uint32_t pid);
/* 0 for the root, 1 for its children ... */
unsigned int checkpoint_depth(const struct checkpoint *c, const struct PstreeEntry *t);

/* Names come from images: what is not printable is shown as \x1b. Return: @buf */
const char *safe_text(const void *data, size_t len, char *buf, size_t size);
/*
 * The same of a name; for JSON (c->spelled) it is the real one, spelled by bytes_spell() with NUL as C0 80, so that a C
 * string can hold any; json_out.spelled makes it a JSON string. Return: @buf
 */
const char *name_text(const struct checkpoint *c, const void *data, size_t len, char *buf, size_t size);
/* For a name that has any byte PATH_MAX times. */
enum { NAME_TEXT_SIZE = 3 * 4096 + 64 };

#endif
