/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A checkpoint in sums, for crit show DIR and crit report. */
#ifndef CRIT_OVERVIEW_H
#define CRIT_OVERVIEW_H

#include <jansson.h>

#include "checkpoint.h"

/* Pages whose data is in these images, in the parent's, or still to come. */
struct page_sum {
	uint64_t here, parent, lazy;
};

/*
 * Count the pages of a pagemap, entry by entry: there can be millions. An image that cannot be read counts as far as it can.
 * @vmas: NULL, or the mappings by address, of which @sums has one each
 * @all: is added to
 */
void pagemap_sums(struct checkpoint *c, enum img_type type, unsigned long id, struct VmaEntry *const *vmas, size_t n,
		  struct page_sum *sums, struct page_sum *all);

/* Of how many mappings from the first one on is each behind the one before? All but guard ranges, which stand at the end. */
size_t mappings_in_order(struct VmaEntry *const *vmas, size_t n);

static inline uint64_t page_sum_all(const struct page_sum *s)
{
	return s->here + s->parent + s->lazy;
}

/* Images of one type: how many, and their bytes. */
struct image_sum {
	unsigned long n;
	uint64_t bytes;
};

struct overview {
	struct image_sum images[IMG_TYPES], all; /* all: of every type */
	struct page_sum segments;		 /* of shared memory */
	unsigned long n_segments;
	const char *parent; /* the link, NULL: none */
	bool inventory;	    /* there is one: the dump came to its end */
};

/* Count the images. @o: memory of the checkpoint's arena */
void overview_images(struct checkpoint *c, struct overview *o);

/* "alive", "stopped", "zombie", "?" */
const char *task_state_name(const struct CoreEntry *core);

/* The namespaces of task_kobj_ids_entry, by number. */
enum { NS_KINDS = 8 };
const char *ns_name(unsigned int k);
/* 0: unknown */
uint32_t ns_id(const struct TaskKobjIdsEntry *ids, unsigned int k);

/* "1.5 MiB" */
const char *bytes_text(uint64_t bytes, char buf[32]);
/* "1.5 ms" */
const char *time_text(double seconds, char buf[32]);

#endif
