/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one stage must hand to another and no image holds: IMG/.stage/threads, an array of fixed-size rows, one per live
 * thread, written by criu-collect and read by criu-parasite.
 */
#ifndef CR_IMAGE_STAGE_H
#define CR_IMAGE_STAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "image/image.h"

#define STAGE_THREADS ".stage/threads"
#define STAGE_ROOT_IDS \
	".stage/root_ids" /* packed task_kobj_ids_entry: ids of criu-collect's own, for inventory.img \
			   */

struct stage_thread {
	int32_t tid, pid;
	uint32_t cg_set;	 /* cg_set_entry.id */
	uint32_t seccomp_mode;	 /* 0, 1, 2; of threads that are no leaders 1 is not told */
	uint32_t seccomp_filter; /* index in seccomp.img, with mode 2 */
	uint32_t pad;
};

/* Where criu-pages finds the contents of a memory file (memfd.img), by /proc: pagemap-shmem-SHMID.img. */
#define STAGE_SHMEM ".stage/shmem"
struct stage_shmem {
	uint64_t size;	     /* bytes of the file */
	uint64_t start, end; /* /proc/PID/map_files/START-END, when fd is -1 */
	uint32_t shmid;
	int32_t pid;
	int32_t fd; /* /proc/PID/fd/FD, or -1 */
	uint32_t pad;
};

/* A mark: this dump is a dry run (criu-freeze --check-only), so no contents of memory are written. */
#define STAGE_CHECK_ONLY ".stage/check-only"

struct stage_facts;

/* An image of one entry, written and noted in the facts of the stage. */
int stage_write_image(struct stage_facts *f, int img, enum img_type type, unsigned long id, const void *message,
		      struct cr_err *e);
/* A file of the stage directory (made when it is not there), 0600. @name: with the directory. */
int stage_write_file(int img, const char *name, const void *data, size_t len, struct cr_err *e);
int stage_write_threads(int img, const struct stage_thread *v, size_t n, struct cr_err *e);
/* @ret: malloc'ed. Return: count or -errno. */
ssize_t stage_read_threads(int img, struct stage_thread **ret, struct cr_err *e);
/* @ret: malloc'ed. Return: count, 0 when there is no such file, or -errno. */
ssize_t stage_read_shmem(int img, struct stage_shmem **ret, struct cr_err *e);

#endif
