/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-freeze -t PID: checks, begins the manifest, forks the holder, waits until it has the tree, writes what it found.
 *
 * All that takes time is before the first interrupt (manifest, script) or beside the work of the next stage
 * (pstree.img, the tree in the manifest: the holder lets waiting stages go on as soon as the tree stands).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/privilege.h"
#include "base/script.h"
#include "freeze.h"
#include "kind/cpu/cpu.h"
#include "image/stage.h"
#include "hold/root.h"

enum { DEFAULT_TIMEOUT = 10, DEFAULT_HOLD_TIME = 300 };

static int parse_expect(const char *list, uint32_t *ret, struct cr_err *e)
{
	static const struct {
		const char *name;
		enum hold_stage stage;
	} names[] = { { "collect", HOLD_ST_COLLECT }, { "parasite", HOLD_ST_PARASITE }, { "pages", HOLD_ST_PAGES } };

	*ret = 0;
	while (list && *list) {
		size_t n = strcspn(list, ","), i;

		for (i = 0; i < 3; i++)
			if (strlen(names[i].name) == n && !strncmp(list, names[i].name, n))
				break;
		if (i == 3)
			return cr_err_set(e, CR_E_USAGE, 0, "--expect", "%.*s is no stage", (int)n, list);
		*ret |= 1u << names[i].stage;
		list += n + (list[n] == ',');
	}
	return 0;
}

static int fork_holder(const struct cr_opts *o, int img, struct holder *h, int *ret_pair, pid_t *ret_pid,
		       struct cr_err *e)
{
	struct holder_args a = {
		.root = o->tree,
		.lease = o->lease > 0 ? o->lease : 0,
		.img = img,
		.timeout = o->timeout >= 0 ? o->timeout : DEFAULT_TIMEOUT,
		.hold_time = o->hold_time >= 0 ? o->hold_time : DEFAULT_HOLD_TIME,
	};
	int pair[2], err = parse_expect(o->expect, &a.expect, e);
	pid_t pid;

	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return cr_err_set(e, CR_E_SYSTEM, errno, "holder", "cannot make a socket pair");
	pid = fork();
	if (!pid) {
		close(pair[0]);
		a.pair = pair[1];
		holder_run(h, &a);
	}
	close(pair[1]);
	if (pid < 0) {
		err = errno;
		close(pair[0]);
		return cr_err_fork(e, err, "holder");
	}
	*ret_pair = pair[0];
	*ret_pid = pid;
	return 0;
}

/* @status: of waitpid() */
static int holder_died(int img, int status, struct cr_err *e)
{
	dir_remove_socket(img);
	if (WIFSIGNALED(status))
		cr_err_set(e, CR_E_HOLDER, 0, "holder", "it was ended by SIG%s; the tree runs",
			   sigabbrev_np(WTERMSIG(status)) ?: "?");
	else
		cr_err_set(e, CR_E_HOLDER, 0, "holder", "it ended with status %d; the tree runs", WEXITSTATUS(status));
	cr_err_remedy(e,
		      "see dmesg (out of memory), and what may have sent the signal; SIGSEGV comes of a stack that may "
		      "not grow: raise ulimit -s; then make the dump again");
	return -EIO;
}

static int await_holder(const struct holder *h, int img, int *pair, pid_t pid, struct cr_err *e)
{
	int32_t result = 0;
	int status = 0, err;
	ssize_t n;

	do
		n = recv(*pair, &result, sizeof(result), 0);
	while (n < 0 && errno == EINTR);
	err = errno;
	if (n == sizeof(result) && !result)
		return 0;
	/* It ends by that, and its end detaches what had not stopped yet. */
	*pair = fd_close(*pair);
	waitpid(pid, &status, 0);
	if (n < 0)
		return cr_err_set(e, CR_E_HOLDER, err, "holder", "cannot hear whether it has the tree, which runs");
	if (n != sizeof(result))
		return holder_died(img, status, e);
	*e = h->err;
	return -result;
}

/* What was found, into images and manifest. */
static int write_found(const struct holder *h, int img, struct stage_facts *f, struct cr_err *e)
{
	int err = facts_pstree(h, img, f, e);
	char epoch[FACTS_EPOCH];

	if (err)
		return err;
	f->tree = facts_tree(h);
	f->extra = json_pack("{s:s, s:I, s:I, s:I}", "epoch", facts_epoch(h->epoch, epoch), "freezing_us",
			     (json_int_t)((h->held_ns - h->first_ns) / 1000), "tasks", (json_int_t)h->nr_order,
			     "threads", (json_int_t)h->nr_listed);
	return manifest_stage(img, f, NULL, e);
}

static void write_failure(int img, struct stage_facts *f, const struct cr_err *e)
{
	struct cr_report r = { 0 };
	struct cr_err late;

	if (!cr_report_add(&r, e) && manifest_stage(img, f, &r, &late))
		log_failure(&late);
	cr_report_free(&r);
}

static int run(const struct cr_opts *o, int img, struct stage_facts *f, struct cr_err *e)
{
	struct holder *h = holder_alloc();
	_cleanup_close_ int pair = -1;
	int32_t result;
	pid_t pid = 0;
	ssize_t n;
	int err;

	if (!h)
		return cr_err_nomem(e);
	err = facts_cpuinfo(o, img, f, e);
	if (err)
		return err;
	err = script_run(o, "pre-dump", img, 0, e);
	if (err)
		return err < 0 ? err : -ECANCELED;
	err = fork_holder(o, img, h, &pair, &pid, e);
	if (!err)
		err = await_holder(h, img, &pair, pid, e);
	if (err)
		return err;
	for (uint32_t i = 0; i < h->nr_order; i++)
		log_info("Dumping task (pid: %d comm: %s)", h->proc[h->order[i]].pid, h->proc[h->order[i]].comm);
	err = write_found(h, img, f, e);
	result = -err;
	do
		n = send(pair, &result, sizeof(result), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && !err)
		err = cr_err_set(e, CR_E_HOLDER, errno, "holder", "it cannot be told to go on; the tree runs");
	if (err) {
		pair = fd_close(pair); /* a holder that has heard nothing ends by it */
		waitpid(pid, NULL, 0); /* it thaws the tree now */
		for (uint32_t i = 0; i < h->nr_order; i++)
			heal_task(h->proc[h->order[i]].pid, h->proc[h->order[i]].starttime);
	}
	return err;
}

int freeze_start(const struct cr_opts *o, int img, struct cr_err *e)
{
	_cleanup_close_ int lock = -1;
	struct stage_facts f;
	struct cr_err late;
	unsigned caps;
	bool old;
	int err, root;

	if (o->tree <= 0)
		return cr_err_set(e, CR_E_USAGE, 0, "command line", "-t PID is missing");
	if (o->dry_run) {
		cr_err_set(e, CR_E_USAGE, 0, "--dry-run", "it is for criu-collect, before anything is stopped");
		cr_err_remedy(e, "run criu-collect --dry-run -t %d", o->tree);
		return -EINVAL;
	}
	err = cpu_cap_parse(o->cpu_cap, &caps, e);
	if (!err)
		err = cr_privilege_check(o, e);
	if (err)
		return err;
	err = served_check(o, img, e);
	if (!err)
		err = dir_check(o, img, &old, &lock, e);
	if (err)
		return err;
	root = root_check(o->tree, o->shell_job, e);
	if (root && old) { /* the checkpoint stays as it is */
		dir_remove_stage(img);
		return root;
	}
	err = dir_clean(img, root ? &late : e);
	if (!err)
		err = manifest_begin(img, facts_head(o), root ? &late : e);
	if (err) {
		dir_remove_stage(img);
		return root ? root : err;
	}
	stage_begin(&f, "criu-freeze");
	err = root;
	if (!err && o->check_only)
		err = stage_write_file(img, STAGE_CHECK_ONLY, "", 0, e);
	if (!err)
		err = run(o, img, &f, e);
	if (err) {
		write_failure(img, &f, e);
		dir_remove_stage(img);
	}
	return err;
}
