/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of crit diff. */
#ifndef CRIT_DIFF_H
#define CRIT_DIFF_H

#include "checkpoint.h"
#include "idmap.h"
#include "json-out.h"

enum diff_what { DIFF_TASK, DIFF_THREAD, DIFF_FILE, DIFF_SOCKET, DIFF_MAPPING, DIFF_PAGES };

/* Numbers behind those of descriptors: the current directory, the root. */
#define DIFF_CWD (1ull << 32)

/* What the kernel, or the dump, numbers anew each time. The numbers of one space name the same things. */
enum diff_space { DIFF_NO_ID, DIFF_PIPE, DIFF_UNIX, DIFF_FILE_ID, DIFF_SEGMENT, DIFF_SPACES };

/* One thing of a checkpoint. The key: what, pid, number; the text is all else. */
struct fact {
	enum diff_what what;
	uint32_t pid;
	uint64_t number, end;
	const char *text;
	enum diff_space space;	/* of ids; DIFF_NO_ID: the text says all */
	uint64_t ids[2];	/* 0: none */
	size_t ids_at, ids_len; /* where they stand in the text */
};

/* A number of the first checkpoint and one of the second, at the same place. */
struct same_pair {
	enum diff_space space;
	uint64_t old, now;
	size_t first, places; /* where it was met first, and how often */
};

/* diff-same.c: which number of the first checkpoint is which of the second, and back. Zeroed at the start. */
struct same {
	struct idmap to[DIFF_SPACES], from[DIFF_SPACES];
	struct same_pair *v; /* malloc'ed */
	size_t n, cap;
};

/* To be called for all pairs of facts with the same key. Return: false when memory ran out */
bool same_learn(struct same *s, const struct fact *old, const struct fact *now);
/* Then once. Return: false when memory ran out */
bool same_settle(struct same *s, struct arena *a);
/* Do both say the same, but for numbers that are paired? */
bool same_fact(const struct same *s, const struct fact *old, const struct fact *now);

struct differ {
	struct json_out out;
	bool json;
	unsigned long found;
	uint64_t unknown; /* pages that are not in the images of one side */
	int damaged;	  /* exit code, if not all could be read */
};

/* A difference. @old, @now: NULL where it is not there */
void diff_print(struct differ *d, enum diff_what what, uint32_t pid, const char *place, const char *old,
		const char *now);
/* Contents of the pages of a task that is in both. Return: 0 or -errno with @e */
int diff_pages(struct differ *d, struct checkpoint *old, struct checkpoint *now, uint32_t pid, struct cr_err *e);
/* Shared memory with the same id in both, or with ids that are paired. */
int diff_segments(struct differ *d, const struct checkpoint *old, const struct checkpoint *now, const struct same *same,
		  struct cr_err *e);
/* All images, entry by entry. */
int diff_fields(struct differ *d, const char *before, const char *after, struct cr_err *e);

#endif
