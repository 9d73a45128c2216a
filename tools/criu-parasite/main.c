/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-parasite: what only the task itself, or its tracer, can say: registers, signals, timers, credentials, ... Writes
 * core-TID.img for every thread and zombie of a tree that criu-freeze holds. Needs what criu-collect found about each
 * thread's cgroup and seccomp filter, in IMG/.stage/threads; started ahead it runs beside the rest of criu-collect.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/opts.h"
#include "hold/client.h"
#include "hold/stage-run.h"
#include "image/manifest.h"
#include "image/stage.h"
#include "thread.h"

static const char usage[] =
	"usage: criu-parasite [--wait] [-D DIR] [OPTION]...\n"
	"\n"
	"Write the registers, signals, timers, credentials and the like of a tree that criu-freeze holds\n"
	"(core-*.img). Runs after criu-collect.";

static int by_tid(const void *a, const void *b)
{
	const struct stage_thread *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int work(struct para_run *r, struct cr_err *e)
{
	_cleanup_free_ struct stage_thread *stage = NULL;
	_cleanup_free_ struct hold_task *tasks = NULL;
	ssize_t n = stage_read_threads(r->img, &stage, e);
	int err;

	if (n < 0)
		return (int)n;
	if (n > 0)
		qsort(stage, (size_t)n, sizeof(*stage), by_tid);
	r->stage = stage;
	r->nr_stage = (size_t)n;
	n = hold_list(r->hold, &tasks, e);
	if (n < 0)
		return (int)n;
	err = para_dump(r, tasks, (size_t)n, e);
	if (err && cr_report_add(r->refusals, e) < 0)
		return cr_err_nomem(e);
	if (!err && r->refusals->n) {
		*e = r->refusals->v[0];
		err = -EOPNOTSUPP;
	}
	return err;
}

int main(int argc, char **argv)
{
	struct stage_facts facts;
	struct cr_report refusals = { 0 };
	struct cr_err err = { 0 };
	struct cr_opts opts;
	struct hold hold;
	int img = -1, ret;

	ret = cr_tool_start("criu-parasite", usage, W_PARASITE, true, argc, argv, &opts, &img, &err);
	if (!ret)
		ret = hold_connect(img, hold_who(&opts, HOLD_ST_PARASITE), &hold, &err);
	if (ret)
		return stage_not_begun(&opts, &err);
	stage_begin(&facts, "criu-parasite");
	ret = work(&(struct para_run){ .img = img, .hold = &hold, .facts = &facts, .refusals = &refusals }, &err);
	ret = stage_end(&opts, img, &hold, &facts, &refusals, ret, &err);
	fd_close(img);
	return ret;
}
