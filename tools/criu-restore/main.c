/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-restore: bring a checkpoint back.
 *
 * Theory of operation. The main process reads all images into a plan (plan.c), checks all that can be checked, makes
 * what several tasks share, and then the root task, which makes the others (tree.c). Each task rebuilds itself (task.c)
 * in stages; the main process counts who has arrived, traces all threads for the last step and lets them go (resume.c).
 * Whatever fails, one record tells what, and nothing is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/privilege.h"
#include "base/script.h"
#include "core.pb-c.h"
#include "image/manifest.h"
#include "kind/file/restore-file.h"
#include "mm.pb-c.h"
#include "restore.h"

static const char usage[] = "Usage: criu-restore -D DIR [options]\n"
			    "       criu-restore -D DIR --plan [--json]\n"
			    "       criu-restore -D DIR --check-only [--json]\n"
			    "Restore the process tree whose checkpoint is in DIR.\n";

/* Memory that all tasks share: rst_sync, rst_shared, a slot for each task. */
static int share(struct restore *x, struct cr_err *e)
{
	size_t shared_at = (sizeof(struct rst_sync) + 63) & ~(size_t)63;
	size_t slots_at = (shared_at + sizeof(struct rst_shared) + 63) & ~(size_t)63;
	char *p;

	x->shared_len = (slots_at + x->plan.nr * sizeof(*x->slots) + MM_PAGE - 1) & ~(uint64_t)(MM_PAGE - 1);
	p = mmap(NULL, x->shared_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return cr_err_nomem(e);
	x->rst.sync = (struct rst_sync *)p;
	x->rst.shared = (struct rst_shared *)(p + shared_at);
	x->slots = (struct task_slot *)(p + slots_at);
	x->rst.main_pid = getpid();
	x->rst.main_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	return x->rst.main_pidfd < 0 ? cr_err_set(e, CR_E_SYSTEM, errno, "main process",
						  "it cannot get a descriptor of itself (pidfd_open)")
				     : 0;
}

int load_files(struct restore *x, struct cr_err *e)
{
	uint32_t *ids = arena_calloc(&x->arena, x->plan.nr + 1, sizeof(*ids));
	size_t n = 0;
	int err;

	if (!ids)
		return cr_err_nomem(e);
	for (size_t i = 0; i < x->plan.nr_images; i++)
		if (x->plan.tasks[i].ids && x->plan.tasks[i].files_first == (int)i)
			ids[n++] = x->plan.tasks[i].ids->files_id;
	err = files_plan_load(&x->rst, ids, n, &x->rst.files, e);
	for (size_t i = 0; !err && i < x->plan.nr_images; i++)
		if (x->plan.tasks[i].mm)
			err = mm_segs_add(&x->rst, x->plan.tasks[i].mm, &x->segs, e);
	return err;
}

/* All that can be found wrong before anything is made. */
static int prepare(struct restore *x, struct cr_err *e)
{
	int err = manifest_check_sealed(x->rst.img, e);

	if (err == 0)
		return cr_err_set(e, CR_E_NO_CHECKPOINT, 0, "images directory", "there is no inventory.img");
	if (err < 0)
		return err;
	err = verify_files(x->rst.img, x->opts.checksum, e);
	if (!err && x->opts.checksum && !x->opts.plan)
		err = verify_programs(&x->rst, e);
	if (!err)
		err = plan_load(&x->rst, &x->plan, e);
	if (!err)
		err = rst_own_load(&x->own, &x->arena, e);
	if (!err)
		err = mm_vdso_own(&x->vdso, e);
	if (!err)
		err = order_check(x, e);
	if (err || x->opts.plan)
		return err;
	verify_tables(x);
	core_xsave_layout(&x->xsave);
	err = cpu_fits(x, e);
	if (!err)
		err = tree_check_pids(x, e);
	if (!err)
		err = share(x, e);
	if (!err)
		err = guard_start(x, e);
	if (!err)
		err = load_files(x, e);
	return err;
}

/* Meet the tasks at each stage. */
static int stages(struct restore *x, struct cr_err *e)
{
	const struct plan *p = &x->plan;
	int err = resume_wait(x, (uint32_t)p->nr, e);

	x->forked_us = clock_us();
	if (!err)
		err = script_run(&x->opts, "setup-namespaces", x->rst.img, p->tasks[0].pid, e);
	if (!err)
		err = script_run(&x->opts, "post-setup-namespaces", x->rst.img, p->tasks[0].pid, e);
	if (err)
		return err;
	resume_stage(x, STAGE_CREATED, (uint32_t)p->nr_images);
	err = resume_wait(x, (uint32_t)p->nr_images, e);
	if (err)
		return err;
	resume_stage(x, STAGE_JOINED, (uint32_t)p->nr_live);
	err = resume_wait(x, (uint32_t)p->nr_live, e);
	if (err)
		return err;
	resume_stage(x, STAGE_FILES, (uint32_t)p->nr_live);
	err = resume_wait(x, (uint32_t)p->nr_live, e);
	if (!err)
		err = resume_seize(x, e);
	if (err)
		return err;
	resume_stage(x, STAGE_THREADS, (uint32_t)p->nr_live);
	return resume_wait(x, (uint32_t)p->nr_live, e);
}

static int resume(struct restore *x, struct cr_err *e)
{
	pid_t root = x->plan.tasks[0].pid;
	struct cr_err ignored = {};
	int err;

	log_debug("all threads are parked");
	err = report_pidfile(x, e);
	if (err)
		return err;
	err = script_run(&x->opts, "post-restore", x->rst.img, root, e);
	if (!err)
		err = resume_prepare(x, e);
	if (!err && script_run(&x->opts, "pre-resume", x->rst.img, root, &ignored))
		log_failure(&ignored);
	if (!err) {
		prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
		log_debug("letting go");
		err = resume_go(x, e);
	}
	if (err && x->opts.pidfile)
		unlink(x->opts.pidfile);
	if (!err && script_run(&x->opts, "post-resume", x->rst.img, root, &ignored))
		log_failure(&ignored);
	return err;
}

static int restore(struct restore *x, struct cr_err *e)
{
	struct cr_err also = {};
	int err;

	err = script_run(&x->opts, "pre-restore", x->rst.img, 0, e);
	if (!err)
		err = mm_segs_make(&x->rst, &x->segs, &x->rst.sync->pages_restored, e);
	if (!err)
		err = clock_enter(x, e);
	if (err)
		return err;
	log_debug("plan and files are read: %zu tasks to make", x->plan.nr);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	x->rst.sync->target = (uint32_t)x->plan.nr;
	err = tree_make(x, e);
	if (!err)
		err = stages(x, e);
	if (!err)
		err = resume(x, e);
	if (err) {
		tree_kill(x);
	} else if (report_stats(x, &also)) {
		cr_err_remedy(&also, "name a directory that can be written with -W");
		log_failure(&also);
	}
	clock_leave(x);
	return err;
}

static bool is_executable(const char *file)
{
	struct stat st;

	return !stat(file, &st) && S_ISREG(st.st_mode) && !access(file, X_OK);
}

/* As execvp(3) will find it. It is looked for now because nothing of a restore that fails may be left. */
static bool is_program(const char *name)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];

	if (strchr(name, '/'))
		return is_executable(name);
	for (path = path ? path : "/bin:/usr/bin"; path; path = *path ? path + 1 : NULL) {
		size_t n = strcspn(path, ":");

		if ((size_t)snprintf(file, sizeof(file), "%.*s%s%s", (int)n, path, n ? "/" : "./", name) <
			    sizeof(file) &&
		    is_executable(file))
			return true;
		path += n;
	}
	return false;
}

static int check_words(const struct cr_opts *o, struct cr_err *e)
{
	int n = o->rest;

	/* The wrapper takes the command word out; who calls us by hand as criu may give it. */
	if (n && !(o->as_criu && n == 1 && !strcmp(o->words[0], "restore")))
		return cr_err_set(e, CR_E_USAGE, 0, "command line", "\"%.100s\" is no option", o->words[0]);
	if (o->exec_cmd && o->restore_detached)
		return cr_err_set(e, CR_E_USAGE, 0, "--exec-cmd", "it cannot be used together with --restore-detached");
	if (o->exec_cmd && o->nr_words == o->rest)
		return cr_err_set(e, CR_E_USAGE, 0, "--exec-cmd", "no command after --");
	if (o->exec_cmd && !is_program(o->words[o->rest])) {
		cr_err_set(e, CR_E_USAGE, 0, "--exec-cmd", "there is no program %.200s", o->words[o->rest]);
		cr_err_remedy(e, "name one that can be executed, by its full path: others are looked for from the work "
				 "directory (-W)");
		return -ENOENT;
	}
	if (!o->exec_cmd && o->nr_words > o->rest)
		return cr_err_set(e, CR_E_USAGE, 0, "command line", "words after -- need --exec-cmd");
	if (o->restore_sibling && !o->restore_detached)
		return cr_err_set(e, CR_E_USAGE, 0, "--restore-sibling", "it needs --restore-detached");
	return 0;
}

/* After a success: be what the caller asked for. */
static int linger(struct restore *x, int *code, struct cr_err *e)
{
	pid_t root = x->plan.tasks[0].pid;
	char **argv = x->opts.words + x->opts.rest;
	int status;

	if (x->opts.exec_cmd) {
		execvp(argv[0], argv);
		cr_err_set(e, CR_E_CANNOT_RUN, errno, argv[0], "cannot be executed");
		cr_err_remedy(e, "the tree is restored and runs: its root is process %d", root);
		log_failure(e);
		*code = cr_exit_code(&x->opts, e);
		return 0;
	}
	if (!x->opts.restore_detached)
		while (waitpid(root, &status, 0) < 0 && errno == EINTR)
			;
	return 0;
}

static int run(struct restore *x, int *code, struct cr_err *e)
{
	int err = check_words(&x->opts, e);

	if (x->opts.tree > 0)
		log_warn("--tree is ignored: a restore takes the pids from the images");
	if (!err && x->opts.undo) {
		err = files_journal_undo(e);
		return err < 0 ? err : 0;
	}
	if (err)
		return err;
	if (!x->opts.plan && (x->opts.check_only || check_marked(x->rst.img)))
		return check_run(x, code, e);
	stage_begin(&x->facts, "criu-restore");
	if (!x->opts.plan)
		err = cr_privilege_check(&x->opts, e);
	if (!err)
		err = prepare(x, e);
	if (err && !x->opts.plan)
		report_json(x, e);
	if (err)
		return err;
	if (x->opts.plan) {
		if (x->opts.json)
			return plan_print_json(&x->plan, e);
		plan_print(&x->plan, stdout);
		return cr_err_stdout(e);
	}
	err = restore(x, e);
	report_json(x, err ? e : NULL);
	guard_end(x);
	if (err)
		return err;
	log_info("Restore finished successfully. Tasks resumed.");
	return linger(x, code, e);
}

int main(int argc, char **argv)
{
	static struct restore x = { .me = PLAN_NONE, .timens = -1 };
	struct cr_err e = {};
	int err, rseq = 0, code = CR_OK;

	x.start_us = clock_us();
	/* libc's registration would write into memory that is gone later (rseq(2)). */
	if (__rseq_size &&
	    syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG))
		rseq = errno;
	err = cr_tool_start("criu-restore", usage, W_RESTORE, true, argc, argv, &x.opts, &x.rst.img, &e);
	x.rst.opts = &x.opts;
	x.rst.arena = &x.arena;
	x.rst.spare_pid = tree_spare_pid;
	if (!err && rseq)
		err = cr_err_set(&e, CR_E_SYSTEM, rseq, "criu-restore", "its rseq area cannot be given back (rseq)");
	if (!err)
		err = run(&x, &code, &e);
	if (!err)
		return code;
	guard_end(&x);
	cr_err_place(&e, x.rst.img);
	log_failure(&e);
	if (x.opts.as_criu)
		log_error("Restoring FAILED.");
	return cr_exit_code(&x.opts, &e);
}
