/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages of a task in two checkpoints, mapping by mapping. A page that is in one of them only can be a page of zeros or of a file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "diff.h"
#include "mm.pb-c.h"
#include "pages.h"
#include "x.h"

enum { CHUNK = 64 }; /* pages */

struct counts {
	uint64_t gone, more, differ, lazy;
};

struct both {
	struct pages old, now;
	uint8_t *buf; /* for CHUNK pages of each */
};

/* @n pages from @at on, which both have. Return: pages looked at, or -errno with @e */
static ssize_t compare_some(struct both *b, uint64_t at, uint64_t n, struct counts *c, struct cr_err *e)
{
	uint8_t *x = b->buf, *y = b->buf + CHUNK * PAGE_BYTES;
	ssize_t got, same;

	got = pages_read(&b->old, at, n < CHUNK ? n : CHUNK, x, e);
	if (got < 0)
		return got;
	same = pages_read(&b->now, at, got ? (size_t)got : 1, y, e);
	if (same < 0)
		return same;
	if (!got || !same) {
		c->lazy++;
		return 1;
	}
	for (ssize_t k = 0; k < same; k++)
		c->differ += memcmp(x + k * PAGE_BYTES, y + k * PAGE_BYTES, PAGE_BYTES) != 0;
	return same;
}

/* How many pages from @at on, below @end, are in @p, or not in it. */
static uint64_t run_of(struct pages *p, uint64_t at, uint64_t end, bool *ret_has)
{
	uint64_t start, pages, most = (end - at) / PAGE_BYTES;

	*ret_has = false;
	if (!pages_next(p, at, &start, &pages))
		return most;
	*ret_has = start == at;
	if (!*ret_has)
		pages = (start - at) / PAGE_BYTES;
	return pages < most ? pages : most;
}

static int compare_range(struct both *b, uint64_t at, uint64_t end, struct counts *c, struct cr_err *e)
{
	/* Mappings of images may begin and end anywhere: whole pages only, or there would be no end. */
	at = (at + PAGE_BYTES - 1) & -(uint64_t)PAGE_BYTES;
	end &= -(uint64_t)PAGE_BYTES;
	while (at < end) {
		bool old, now;
		uint64_t n = run_of(&b->old, at, end, &old), m = run_of(&b->now, at, end, &now);

		n = n < m ? n : m;
		for (uint64_t done = 0; old && now && done < n;) {
			ssize_t got = compare_some(b, at + done * PAGE_BYTES, n - done, c, e);

			if (got < 0)
				return got;
			done += got;
		}
		if (old != now)
			*(old ? &c->gone : &c->more) += n;
		at += n * PAGE_BYTES;
	}
	return 0;
}

static void print_counts(struct differ *d, uint32_t pid, const char *place, const char *name, const struct counts *n)
{
	char text[NAME_TEXT_SIZE + 160];
	size_t fill;

	d->unknown += n->lazy;
	if (!n->gone && !n->more && !n->differ)
		return;
	fill = (size_t)snprintf(text, sizeof(text), "%" PRIu64 " differ, %" PRIu64 " new, %" PRIu64 " gone", n->differ,
				n->more, n->gone);
	if (*name)
		snprintf(text + fill, sizeof(text) - fill, ", %s", name);
	diff_print(d, DIFF_PAGES, pid, place, NULL, text);
}

/* @was: the id in the old one */
static int both_open(struct both *b, const struct checkpoint *old, const struct checkpoint *now, enum img_type type,
		     unsigned long was, unsigned long id, struct cr_err *e)
{
	int ret, other;

	*b = (struct both){ .old.fd = -1, .now.fd = -1, .buf = malloc(2 * CHUNK * PAGE_BYTES) };
	if (!b->buf)
		return cr_err_nomem(e);
	ret = pages_open(&b->old, old->dir, type, was, e);
	if (ret < 0)
		return ret;
	other = pages_open(&b->now, now->dir, type, id, e);
	return other < 0 ? other : ret && other;
}

static void both_close(struct both *b)
{
	pages_close(&b->old);
	pages_close(&b->now);
	free(b->buf);
}

int diff_pages(struct differ *d, struct checkpoint *old, struct checkpoint *now, uint32_t pid, struct cr_err *e)
{
	VmaEntry *const *vmas;
	size_t n = checkpoint_vmas(now, pid, &vmas);
	char place[64], name[NAME_TEXT_SIZE];
	struct both b;
	int ret;

	ret = both_open(&b, old, now, IMG_PAGEMAP, pid, pid, e);
	for (size_t k = 0; ret >= 0 && k < n; k++) {
		struct counts c = { 0 };

		ret = compare_range(&b, vmas[k]->start, vmas[k]->end, &c, e);
		snprintf(place, sizeof(place), "%u %" PRIx64 "-%" PRIx64, pid, vmas[k]->start, vmas[k]->end);
		if (ret >= 0)
			print_counts(d, pid, place, vma_text(now, vmas[k], name, sizeof(name)), &c);
	}
	both_close(&b);
	return ret < 0 ? ret : 0;
}

static int diff_segment(struct differ *d, const struct checkpoint *old, const struct checkpoint *now, unsigned long was,
			unsigned long id, struct cr_err *e)
{
	struct counts c = { 0 };
	struct both b;
	char place[64];
	int ret;

	ret = both_open(&b, old, now, IMG_PAGEMAP_SHMEM, was, id, e);
	if (ret > 0)
		ret = compare_range(&b, 0, UINT64_MAX & -(uint64_t)PAGE_BYTES, &c, e);
	snprintf(place, sizeof(place), "of segment %lu", id);
	if (ret >= 0)
		print_counts(d, 0, place, "", &c);
	both_close(&b);
	return ret < 0 ? ret : 0;
}

int diff_segments(struct differ *d, const struct checkpoint *old, const struct checkpoint *now, const struct same *same,
		  struct cr_err *e)
{
	DIR *list = fdopendir(openat(now->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	int ret = 0;

	while (list && !ret && (entry = readdir(list))) {
		enum img_type type;
		unsigned long id;

		if (img_parse_name(entry->d_name, &type, &id) && type == IMG_PAGEMAP_SHMEM) {
			const uint64_t *was = idmap_get(&same->from[DIFF_SEGMENT], id);

			ret = diff_segment(d, old, now, was ? *was : id, id, e);
		}
	}
	if (list)
		closedir(list);
	return ret;
}
