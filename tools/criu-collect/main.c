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

#include "base/fd.h"
#include "base/log.h"
#include "base/opts.h"
#include "hold/client.h"
#include "image/manifest.h"
#include "kind/dump.h"
#include "kind/file/dump.h"
#include "order.h"
#include "tasks.h"

static const char usage[] =
	"usage: criu-collect [--wait] [-D DIR] [OPTION]...\n"
	"\n"
	"Write what can be seen from outside of a tree that criu-freeze holds: descriptors, files, sockets,\n"
	"mappings, namespaces, seccomp filters, cgroups. Runs before criu-parasite.";

static int run_hooks(struct dump *d, struct cr_err *e)
{
	for (size_t i = 0; collect_order[i]; i++) {
		int ret;

		log_debug("%s", collect_order[i]->name);
		ret = collect_order[i]->run(d, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int work(struct dump *d, struct cr_err *e)
{
	int ret = tasks_load(d, e);

	if (!ret)
		ret = run_hooks(d, e);
	if (!ret)
		ret = tasks_write_stage(d, e);
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

/* Log, manifest, holder: all must learn how it ended. */
static int report(int img, struct hold *hold, struct stage_facts *facts, const struct cr_report *failures, int ret,
		  struct cr_err *e)
{
	struct cr_err late = { 0 };

	for (size_t i = 0; i < failures->n; i++)
		log_failure(&failures->v[i]);
	if (manifest_stage(img, facts, ret ? failures : NULL, &late)) {
		log_failure(&late);
		*e = ret ? *e : late;
		ret = ret ? ret : -EIO;
	}
	if (hold_finish(hold, ret, &late)) {
		log_failure(&late);
		*e = ret ? *e : late;
		ret = ret ? ret : -EIO;
	}
	return ret;
}

int main(int argc, char **argv)
{
	struct cr_report refusals = { 0 };
	struct cr_err err = { 0 };
	struct arena arena = { 0 };
	struct stage_facts facts;
	struct cr_opts opts;
	struct hold hold;
	int img = -1, ret;

	ret = cr_tool_start("criu-collect", usage, W_DUMP, true, argc, argv, &opts, &img, &err);
	if (!ret)
		ret = hold_connect(img, HOLD_ST_COLLECT, opts.wait, &hold, &err);
	if (ret) {
		log_failure(&err);
		return cr_exit_code(&opts, &err);
	}
	stage_begin(&facts, "criu-collect");
	ret = work(&(struct dump){ .img = img,
				   .opts = &opts,
				   .hold = &hold,
				   .arena = &arena,
				   .facts = &facts,
				   .refusals = &refusals },
		   &err);
	ret = report(img, &hold, &facts, &refusals, ret, &err);
	cr_report_free(&refusals);
	arena_free(&arena);
	fd_close(img);
	return ret ? cr_exit_code(&opts, &err) : 0;
}
