/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-pages: memory contents of a tree that criu-freeze holds: pagemap-PID.img and pagemap-shmem-ID.img with a
 * pages-N.img each. Needs criu-collect's mm-PID.img, which say what the mappings are; started ahead it runs beside the
 * rest of criu-collect.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/opts.h"
#include "hold/stage-run.h"
#include "image/stage.h"
#include "pages.h"

static const char usage[] =
	"usage: criu-pages [--wait] [-t PID] [-D DIR] [OPTION]...\n"
	"\n"
	"Write the memory of a tree that criu-freeze holds (pagemap-*.img, pages-*.img). Runs after\n"
	"criu-collect. With --wait and -t, files are allocated before the tree is stopped.";

enum { COPY_THREADS = 2 };

static int tasks(struct pages_run *r, struct cr_err *e)
{
	_cleanup_free_ struct hold_task *list = NULL;
	ssize_t n = hold_list(r->hold, &list, e);
	int err = n < 0 ? (int)n : 0;

	for (ssize_t i = 0; i < n && !err; i++) {
		const struct hold_task *t = &list[i];

		if (t->tid == t->pid && (t->state == HOLD_T_HELD || t->state == HOLD_T_STOPPED))
			err = pages_task(r, t->pid, t->pid == r->hold->banner.root, e);
	}
	/* What memory files there are is known at the end of criu-collect. */
	if (!err && r->beside)
		err = hold_wait(r->hold, HOLD_ST_COLLECT, e);
	return err ? err : pages_shmem(r, e);
}

/* For stats-dump, which criu-freeze writes at the end. */
static void put_stats(struct pages_run *r)
{
	const struct pages_stats *s = &r->stats;
	uint64_t ns_read, ns_write;

	copy_times(r->copier, &ns_read, &ns_write);
	log_info("memory: %llu of %llu pages written, %llu of %llu shared ones", (unsigned long long)s->written,
		 (unsigned long long)s->scanned, (unsigned long long)s->shared_written,
		 (unsigned long long)s->shared_scanned);
	r->facts->extra =
		json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "pages_scanned", (json_int_t)s->scanned, "pages_written",
			  (json_int_t)s->written, "pages_lazy", (json_int_t)0, "shpages_scanned",
			  (json_int_t)s->shared_scanned, "shpages_written", (json_int_t)s->shared_written,
			  "memdump_time", (json_int_t)(ns_read / 1000), "memwrite_time", (json_int_t)(ns_write / 1000));
}

/* Of a dry run: would there have been room? */
static void would_fit(struct pages_run *r)
{
	struct statvfs fs;
	struct cr_err w;

	if (fstatvfs(r->img, &fs) || r->bytes <= (uint64_t)fs.f_bavail * fs.f_frsize)
		return;
	cr_err_set(&w, CR_E_DIR_FULL, 0, "images directory",
		   "the memory takes %llu MiB, but only %llu MiB are free there", (unsigned long long)r->bytes >> 20,
		   (unsigned long long)fs.f_bavail * fs.f_frsize >> 20);
	stage_warn(r->facts, &w);
}

/*
 * Is this a dry run? The one word for it is what criu-freeze left: an image that lacks its pages by mistake must not be
 * sealed as a checkpoint.
 */
static int dry_run(struct pages_run *r, bool asked_for, struct cr_err *e)
{
	r->check_only = !faccessat(r->img, STAGE_CHECK_ONLY, F_OK, AT_SYMLINK_NOFOLLOW);
	if (asked_for && !r->check_only)
		return cr_err_set(e, CR_E_USAGE, 0, "--check-only", "criu-freeze was started without it");
	return 0;
}

static int work(struct pages_run *r, bool check_only, struct cr_err *e)
{
	int err = dry_run(r, check_only, e);

	if (!err)
		err = copy_open(COPY_THREADS, &r->copier, e);
	if (err)
		return err;
	err = tasks(r, e);
	if (!err && r->check_only)
		would_fit(r);
	put_stats(r);
	copy_close(r->copier);
	fd_close(r->ahead);
	free(r->segments);
	return err;
}

int main(int argc, char **argv)
{
	struct cr_report refusals = { 0 };
	struct stage_facts facts;
	struct cr_err err = { 0 };
	struct cr_opts opts;
	struct hold hold;
	int img = -1, ahead = -1, ret;

	ret = cr_tool_start("criu-pages", usage, W_PAGES, true, argc, argv, &opts, &img, &err);
	if (!ret) {
		if (opts.wait && opts.tree > 0 && !opts.check_only)
			ahead = ahead_begin(img, opts.tree);
		ret = hold_connect(img, hold_who(&opts, HOLD_ST_PAGES), &hold, &err);
	}
	if (ret)
		return stage_not_begun(&opts, &err);
	stage_begin(&facts, "criu-pages");
	ret = work(
		&(struct pages_run){ .img = img, .hold = &hold, .beside = opts.wait, .facts = &facts, .ahead = ahead },
		opts.check_only, &err);
	ret = stage_end(&opts, img, &hold, &facts, &refusals, ret, &err);
	fd_close(img);
	return ret;
}
