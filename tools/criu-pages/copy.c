/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * Writing is bounded by the allocation of pages in the target file, and the kernel lets one thread at a time write to a
 * file (inode lock); reading the task is bounded by the copy. So the caller reads chunks and a second thread writes
 * them. 1 GiB to tmpfs, measured here: @FIGURES@ Nothing is ever written in the task's name, so its limits, its memory
 * cgroup and its seccomp filters are not concerned. A chunk is 256 KiB: it stays in the cache between the two copies;
 * larger ones were no faster.
 *
 * One process_vm_readv() gathers up to 64 ranges into a chunk. The second thread is started when all chunks are full
 * for the first time, so that small tasks do not pay for it; without it, the caller writes too.
 */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

enum { CHUNK = 256 << 10, PAGE = 4096, CHUNK_RANGES = CHUNK / PAGE, RING = 8 };

struct chunk {
	const struct copy_source *src;
	const struct copy_target *dst;
	enum copy_how how;
	uint64_t off; /* in the target */
	size_t len;
	unsigned nr;
	uint8_t *buf;
	struct {
		uint64_t addr, len;
	} range[CHUNK_RANGES];
};

struct copier {
	pthread_mutex_t lock;
	pthread_cond_t full, empty;
	pthread_t writer;
	bool may_thread, threaded, stop;
	struct chunk ring[RING];
	unsigned head, used; /* oldest read chunk; how many are read and not written */
	int failed;	     /* -errno of the first failure to write */
	struct cr_err err;
	uint64_t read_ns, write_ns;
	uint8_t *memory;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int read_error(const struct chunk *k, int err, uint64_t addr, struct cr_err *e)
{
	if (err == ESRCH)
		return cr_err_set(e, CR_E_TASK_GONE, err, k->src->name, "it ended while its memory was read");
	return cr_err_set(e, CR_E_SYSTEM, err ? err : EIO, k->src->name, "cannot read its memory at %#llx",
			  (unsigned long long)addr);
}

/* By a descriptor; from byte @done of the chunk on. */
static int read_by_fd(const struct chunk *k, int fd, size_t done, struct cr_err *e)
{
	size_t at = 0;

	for (unsigned i = 0; i < k->nr; at += k->range[i++].len) {
		size_t skip = done > at ? done - at : 0;
		int err;

		if (skip >= k->range[i].len)
			continue;
		err = pread_full(fd, k->buf + at + skip, k->range[i].len - skip, (off_t)(k->range[i].addr + skip));
		if (err)
			return read_error(k, -err, k->range[i].addr + skip, e);
	}
	return 0;
}

static int read_forced(const struct chunk *k, size_t done, struct cr_err *e)
{
	_cleanup_close_ int mem = openat(k->src->proc, "mem", O_RDONLY | O_CLOEXEC);

	if (mem < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, k->src->name, "cannot open its memory in /proc");
	return read_by_fd(k, mem, done, e);
}

static int read_task(const struct chunk *k, struct cr_err *e)
{
	struct iovec there[CHUNK_RANGES], here = { k->buf, k->len };
	ssize_t n;

	for (unsigned i = 0; i < k->nr; i++)
		there[i] = (struct iovec){ (void *)(uintptr_t)k->range[i].addr,
					   k->range[i].len }; /* NOLINT: of the task */
	n = process_vm_readv(k->src->pid, &here, 1, there, k->nr, 0);
	if (n == (ssize_t)k->len)
		return 0;
	if (n < 0 && errno != EFAULT)
		return read_error(k, errno, k->range[0].addr, e);
	/* What the task may not read itself: the rest by force. */
	return read_forced(k, n < 0 ? 0 : (size_t)n, e);
}

static int read_chunk(const struct chunk *k, struct cr_err *e)
{
	switch (k->how) {
	case COPY_FORCED:
		return read_forced(k, 0, e);
	case COPY_FILE:
		return read_by_fd(k, k->src->fd, 0, e);
	default:
		return read_task(k, e);
	}
}

static int write_chunk(const struct chunk *k, struct cr_err *e)
{
	int err = pwrite_full(k->dst->fd, k->buf, k->len, (off_t)k->off);

	if (!err)
		return 0;
	return cr_err_set(e, err == -ENOSPC || err == -EDQUOT || err == -EFBIG ? CR_E_DIR_FULL : CR_E_SYSTEM, -err,
			  k->dst->name, "cannot be written");
}

/* Write the oldest chunk. Called and returns with the lock held; there is one. After a failure the ring is only
 * emptied. */
static void write_one(struct copier *c)
{
	const struct chunk *k = &c->ring[c->head];
	uint64_t start = now_ns(), ns;
	struct cr_err e = { 0 };
	bool failed = c->failed;
	int err;

	pthread_mutex_unlock(&c->lock);
	err = failed ? 0 : write_chunk(k, &e);
	ns = now_ns() - start;
	pthread_mutex_lock(&c->lock);
	c->write_ns += ns;
	if (err && !c->failed) {
		c->failed = err;
		c->err = e;
	}
	c->head = (c->head + 1) % RING;
	c->used--;
	pthread_cond_signal(&c->empty);
}

static void *writer(void *arg)
{
	struct copier *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		if (c->used)
			write_one(c);
		else
			pthread_cond_wait(&c->full, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int copy_open(unsigned threads, struct copier **ret, struct cr_err *e)
{
	struct copier *c = calloc(1, sizeof(*c));

	if (!c)
		return cr_err_nomem(e);
	c->memory = aligned_alloc(PAGE, (size_t)RING * CHUNK);
	if (!c->memory) {
		free(c);
		return cr_err_nomem(e);
	}
	for (unsigned i = 0; i < RING; i++)
		c->ring[i].buf = c->memory + (size_t)i * CHUNK;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->full, NULL);
	pthread_cond_init(&c->empty, NULL);
	c->may_thread = threads > 1;
	*ret = c;
	return 0;
}

void copy_close(struct copier *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->full);
	pthread_mutex_unlock(&c->lock);
	if (c->threaded)
		pthread_join(c->writer, NULL);
	free(c->memory);
	free(c);
}

/* The chunk that is being filled: the one behind those that wait; there is always one. */
static struct chunk *open_chunk(struct copier *c)
{
	return &c->ring[(c->head + c->used) % RING];
}

/* Read the open chunk and hand it on; there is a free one afterwards. Return: 0 or -errno: what was read failed. */
static int submit(struct copier *c, struct chunk *k, struct cr_err *e)
{
	uint64_t start = now_ns();
	int err;

	if (!k->len)
		return 0;
	err = read_chunk(k, e);
	if (err) {
		k->len = k->nr = 0;
		return err;
	}
	pthread_mutex_lock(&c->lock);
	c->read_ns += now_ns() - start;
	c->used++;
	if (c->used == RING && c->may_thread) {
		c->may_thread = false;
		c->threaded = !pthread_create(&c->writer, NULL, writer, c);
	}
	if (c->threaded)
		pthread_cond_signal(&c->full);
	while (c->used == RING) {
		if (c->threaded)
			pthread_cond_wait(&c->empty, &c->lock);
		else
			write_one(c);
	}
	k = open_chunk(c);
	k->len = k->nr = 0;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

int copy_add(struct copier *c, const struct copy_source *src, enum copy_how how, uint64_t addr, uint64_t len,
	     const struct copy_target *dst, uint64_t off, struct cr_err *e)
{
	while (len) {
		struct chunk *k;
		size_t part;
		int err;

		pthread_mutex_lock(&c->lock);
		k = open_chunk(c); /* does not change until it is submitted */
		err = c->failed;
		if (err)
			*e = c->err;
		pthread_mutex_unlock(&c->lock);
		if (err)
			return err;
		if (k->len && (k->src != src || k->dst != dst || k->how != how || k->off + k->len != off ||
			       k->nr == CHUNK_RANGES || k->len == CHUNK)) {
			err = submit(c, k, e);
			if (err)
				return err;
			continue;
		}
		if (!k->len) {
			k->src = src;
			k->dst = dst;
			k->how = how;
			k->off = off;
		}
		part = CHUNK - k->len < len ? CHUNK - k->len : (size_t)len;
		k->range[k->nr].addr = addr;
		k->range[k->nr++].len = part;
		k->len += part;
		addr += part;
		off += part;
		len -= part;
	}
	return 0;
}

int copy_flush(struct copier *c, struct cr_err *e)
{
	int err, written;

	pthread_mutex_lock(&c->lock);
	err = c->failed;
	pthread_mutex_unlock(&c->lock);
	if (!err)
		err = submit(c, open_chunk(c), e);
	pthread_mutex_lock(&c->lock);
	while (c->used) {
		if (c->threaded)
			pthread_cond_wait(&c->empty, &c->lock);
		else
			write_one(c);
	}
	open_chunk(c)->len = open_chunk(c)->nr = 0;
	written = c->failed;
	if (written && e)
		*e = c->err;
	pthread_mutex_unlock(&c->lock);
	return written ? written : err;
}

void copy_times(struct copier *c, uint64_t *ret_read, uint64_t *ret_write)
{
	pthread_mutex_lock(&c->lock);
	*ret_read = c->read_ns;
	*ret_write = c->write_ns;
	pthread_mutex_unlock(&c->lock);
}
