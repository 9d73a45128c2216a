/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared memory: segments that tasks map (shared anonymous memory, memory files) or only have open (memory files). Each
 * is a file of the kernel's own tmpfs without a name; /proc leads to it. It is written once, whoever maps it and
 * however little of it: what it holds is where SEEK_DATA says there is data, swapped out or not. Addresses in its
 * pagemap are offsets.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/stage.h"
#include "pages.h"

int segment_note(struct pages_run *r, const struct segment *s, struct cr_err *e)
{
	/* Often the one before, of the same task. Others that are equal are found when all are there. */
	if (r->nr_segments && r->segments[r->nr_segments - 1].shmid == s->shmid)
		return 0;
	if (r->nr_segments == r->cap_segments) {
		size_t cap = r->cap_segments ? 2 * r->cap_segments : 16;
		struct segment *more = realloc(r->segments, cap * sizeof(*more));

		if (!more)
			return cr_err_nomem(e);
		r->segments = more;
		r->cap_segments = cap;
	}
	r->segments[r->nr_segments++] = *s;
	return 0;
}

static int data(struct pages_run *r, struct pages_out *o, const struct copy_source *src, uint64_t size,
		struct cr_err *e)
{
	off_t start = 0, end = 0;
	int err = 0;

	while (!err) {
		uint64_t nr;

		start = lseek(src->fd, end, SEEK_DATA);
		if (start < 0)
			return errno == ENXIO ? 0
					      : cr_err_set(e, CR_E_SYSTEM, errno, src->name, "cannot find its data");
		end = lseek(src->fd, start, SEEK_HOLE);
		if (end < 0)
			return cr_err_set(e, CR_E_SYSTEM, errno, src->name, "cannot find the end of its data");
		start -= start % PAGE_BYTES;
		nr = ((uint64_t)(end - start) + PAGE_BYTES - 1) / PAGE_BYTES;
		r->stats.shared_written += nr;
		err = out_pages(o, src, COPY_FILE, (uint64_t)start, (uint64_t)start, nr, IMG_PE_PRESENT, e);
		end = start + (off_t)(nr * PAGE_BYTES);
		if ((uint64_t)end >= size)
			break;
	}
	return err;
}

static int segment(struct pages_run *r, uint64_t shmid, pid_t pid, const char *path, struct cr_err *e)
{
	_cleanup_close_ int proc = open_proc_pid(pid), fd = -1;
	struct copy_source src = { .pid = pid, .mem = -1, .fd = -1 };
	struct pages_out out;
	struct stat st;
	char name[64];
	int err;

	snprintf(name, sizeof(name), "shared memory %" PRIu64 " of task %d", shmid, pid);
	src.name = name;
	if (proc >= 0)
		fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return cr_err_set(e, cr_code_of_task(errno), errno, name, "cannot open /proc/%d/%s", pid, path);
	src.fd = fd;
	r->stats.shared_scanned += ((uint64_t)st.st_size + PAGE_BYTES - 1) / PAGE_BYTES;
	err = out_begin(&out, r, IMG_PAGEMAP_SHMEM, shmid, false, e);
	if (err)
		return err;
	err = data(r, &out, &src, (uint64_t)st.st_size, e);
	if (err)
		out_abandon(&out);
	else
		err = out_finish(&out, e);
	return err;
}

static int mapped(struct pages_run *r, uint64_t shmid, pid_t pid, uint64_t start, uint64_t end, struct cr_err *e)
{
	char path[80];

	snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, start, end);
	return segment(r, shmid, pid, path, e);
}

static int memory_file(struct pages_run *r, const struct stage_shmem *s, struct cr_err *e)
{
	char path[32];

	if (s->fd < 0)
		return mapped(r, s->shmid, s->pid, s->start, s->end, e);
	snprintf(path, sizeof(path), "fd/%d", s->fd);
	return segment(r, s->shmid, s->pid, path, e);
}

static int by_id(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->shmid < y->shmid ? -1 : x->shmid > y->shmid;
}

/* Is it one of the memory files? There are few. */
static bool is_file(const struct stage_shmem *files, ssize_t n, uint64_t shmid)
{
	for (ssize_t i = 0; i < n; i++)
		if (files[i].shmid == shmid)
			return true;
	return false;
}

int pages_shmem(struct pages_run *r, struct cr_err *e)
{
	_cleanup_free_ struct stage_shmem *files = NULL;
	ssize_t n = stage_read_shmem(r->img, &files, e);
	int err = n < 0 ? (int)n : 0;

	for (ssize_t i = 0; i < n && !err; i++)
		err = memory_file(r, &files[i], e);
	if (r->nr_segments)
		qsort(r->segments, r->nr_segments, sizeof(*r->segments), by_id);
	for (size_t i = 0; i < r->nr_segments && !err; i++) {
		const struct segment *s = &r->segments[i];

		if ((i && s[-1].shmid == s->shmid) || is_file(files, n, s->shmid))
			continue;
		err = mapped(r, s->shmid, s->pid, s->start, s->end, e);
	}
	return err;
}
