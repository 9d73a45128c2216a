/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of crit core. */
#ifndef CRIT_CORE_H
#define CRIT_CORE_H

#include "bytes.h"
#include "checkpoint.h"
#include "pages.h"

struct core_task {
	struct checkpoint *c;
	const struct PstreeEntry *tree;
	const struct MmEntry *mm;
	struct VmaEntry *const *vmas;
	size_t n_vmas;
	struct pages pages; /* private ones */
	unsigned long lazy; /* out: pages whose data is not in the images */
};

/* core-notes.c: the notes of all threads and of the task. */
int core_notes(struct core_task *t, struct bytes *ret, struct cr_err *e);

/* core-memory.c: one PT_LOAD. */
struct segment {
	uint64_t start, end;
	const struct VmaEntry *vma;
	bool filled; /* false: only its addresses are told */
};
struct segments {
	struct segment *v;
	size_t n, cap;
};
int core_segments(struct core_task *t, struct segments *ret, struct cr_err *e);
/* @fd: at the place of the segment; what is zero is skipped if @sparse */
int core_write(struct core_task *t, const struct segment *s, int fd, bool sparse, struct cr_err *e);
/* Memory at @addr from the images alone, as far as it is there. Return: bytes */
size_t core_peek(struct core_task *t, uint64_t addr, void *buf, size_t len);

#endif
