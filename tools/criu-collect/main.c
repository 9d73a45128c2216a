/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-collect: everything that can be seen of a held tree from outside.
 *
 * Theory of operation: the holder has stopped the tree and gives the list of its tasks. Each kind of object then looks
 * at all of them through /proc, pidfd_getfd(2) and kcmp(2), and writes the images whose ids it gives out (order.c says
 * in which order). Nothing is opened that the tasks could notice: links, stat, O_PATH and copies of their own
 * descriptions only. The few facts that only a task can tell (brk, dumpable, seccomp filters) are asked of the holder.
 *
 * What cannot be carried is noted and the stage goes on, so that a user learns all the reasons in one go; it then ends
 * with exit code 1, and the wrapper (or the end of the lease) lets the tree run on. Threads' cgroup sets and seccomp
 * filters go to criu-parasite, and our own ids to the seal, by IMG/.stage.
 */
#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/opts.h"
#include "hold/client.h"
#include "hold/stage-run.h"
#include "image/manifest.h"
#include "kind/dump.h"
#include "kind/file/dump.h"
#include "dry.h"
#include "order.h"
#include "tasks.h"
#include "watchdog.h"

static const char usage[] =
	"usage: criu-collect [--wait] [-D DIR] [OPTION]...\n"
	"       criu-collect --dry-run -t PID [--json] [OPTION]...\n"
	"\n"
	"Write what can be seen from outside of a tree that criu-freeze holds: descriptors, files, sockets,\n"
	"mappings, namespaces, seccomp filters, cgroups. Runs before criu-parasite.\n"
	"With --dry-run nothing is stopped and nothing written: what could not be carried is listed.";

/* What the end of the stage has to be told to, from the main thread or from the watchdog's. */
struct run {
	int img;
	struct hold hold;
	struct stage_facts facts;
	struct cr_report refusals;
	struct watchdog dog;
};

static int run_hooks(struct dump *d, struct watchdog *dog, struct cr_err *e)
{
	for (size_t i = 0; collect_order[i]; i++) {
		int ret;

		log_debug("step %s", collect_order[i]->name);
		watchdog_step(dog, collect_order[i]->name);
		ret = collect_order[i]->run(d, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int work(struct dump *d, struct watchdog *dog, struct cr_err *e)
{
	int ret = tasks_load(d, e);

	if (!ret)
		ret = run_hooks(d, dog, e);
	watchdog_step(dog, NULL);
	dump_files_free(d);
	tasks_close(d);
	if (ret && cr_report_add(d->refusals, e) < 0)
		return cr_err_nomem(e);
	if (!ret && d->refusals->n) {
		*e = d->refusals->v[0];
		ret = -EOPNOTSUPP;
	}
	return ret;
}

/*
 * The main thread is blocked in the kernel. Even the end of this process would be: closing a copy of a descriptor asks
 * the file system too, and waits for the answer. So the tree is let go, here and now, which frees the main thread; it
 * sees the watchdog's mark and waits for the end.
 */
static void blocked(void *ctx, const struct cr_err *e)
{
	struct hold_req done = { .verb = HOLD_DONE, .arg = { HOLD_ST_COLLECT, ETIMEDOUT } },
			thaw = { .verb = HOLD_THAW };
	struct run *r = ctx;
	struct cr_err late = { 0 };
	char drop[256];

	cr_report_add(&r->refusals, e);
	stage_log(&r->refusals);
	if (manifest_stage(r->img, &r->facts, &r->refusals, &late))
		log_failure(&late);
	if (hold_request(&r->hold, &done, NULL, 0, -1, NULL, 0, &late) < 0 ||
	    hold_request(&r->hold, &thaw, NULL, 0, -1, drop, sizeof(drop), &late) < 0)
		log_failure(&late);
}

static int dry(const struct cr_opts *o, struct cr_err *e)
{
	int ret = dry_run(o, e);

	if (ret >= 0 && cr_err_stdout(e))
		ret = -EIO;
	if (ret < 0)
		log_failure(e);
	return ret < 0 ? cr_exit_code(o, e) : ret;
}

int main(int argc, char **argv)
{
	struct run r = { .img = -1, .dog = { .step = "tasks", .blocked = blocked } };
	struct cr_err err = { 0 };
	struct arena arena = { 0 };
	struct cr_opts opts;
	int ret;

	ret = cr_tool_start("criu-collect", usage, W_COLLECT, true, argc, argv, &opts, &r.img, &err);
	if (!ret && opts.dry_run)
		return dry(&opts, &err);
	if (!ret)
		ret = hold_connect(r.img, hold_who(&opts, HOLD_ST_COLLECT), &r.hold, &err);
	if (ret)
		return stage_not_begun(&opts, &err);
	r.dog.ctx = &r;
	watchdog_start(&r.dog);
	stage_begin(&r.facts, "criu-collect");
	ret = work(&(struct dump){ .img = r.img,
				   .opts = &opts,
				   .hold = &r.hold,
				   .arena = &arena,
				   .facts = &r.facts,
				   .refusals = &r.refusals },
		   &r.dog, &err);
	ret = stage_end(&opts, r.img, &r.hold, &r.facts, &r.refusals, ret, &err);
	arena_free(&arena);
	fd_close(r.img);
	return ret;
}
