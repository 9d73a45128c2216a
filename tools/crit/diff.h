/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of crit diff. */
#ifndef CRIT_DIFF_H
#define CRIT_DIFF_H

#include "checkpoint.h"
#include "json-out.h"

enum diff_what { DIFF_TASK, DIFF_THREAD, DIFF_FILE, DIFF_SOCKET, DIFF_MAPPING, DIFF_PAGES };

/* Numbers behind those of descriptors: the current directory, the root. */
#define DIFF_CWD (1ull << 32)

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
/* Shared memory with the same id in both. */
int diff_segments(struct differ *d, const struct checkpoint *old, const struct checkpoint *now, struct cr_err *e);
/* All images, entry by entry. */
int diff_fields(struct differ *d, const char *before, const char *after, struct cr_err *e);

#endif
