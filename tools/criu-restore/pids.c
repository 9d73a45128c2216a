/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Are the pids free that the restore needs, and if not, who has them?
 *
 * Theory of operation. A number is taken while any task uses it, as pid, thread id, process group or session. The
 * first two are asked for by tkill(2), groups by kill(2); for sessions no call exists, so they are looked for in
 * /proc only when time does not matter: once a conflict is found, and by --check-only. Else the clone fails, and its
 * error says the same. All conflicts are told in one go, with the process behind each. A pid that is about to become
 * free is waited for.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "core.pb-c.h"
#include "kind/restore-check.h"
#include "proc/stat.h"
#include "proc/who.h"
#include "restore.h"

/* A look at a pid that is not free yet, and how many looks a pid gets: 2 s, or 50 ms where a parent has to reap. */
enum { LOOK_US = 2000, PATIENCE = 1000, PATIENCE_PARENT = 25, LINES = 16 };

static bool exists(int ret)
{
	return !ret || errno == EPERM;
}

static bool is_task(pid_t pid)
{
	return exists((int)syscall(SYS_tkill, pid, 0));
}

static bool in_use(pid_t pid)
{
	return is_task(pid) || (pid > 1 && exists(kill(-pid, 0)));
}

/*
 * Is a pid about to become free? Some systems' process 1 reaps now and then only (kernel-facts.md H), a large process
 * takes a moment to die, and a parent to reap: a restore right after a dump shall not fail for that.
 * Return: for how many looks to wait at most, 0: it is not.
 */
static unsigned is_ending(pid_t pid)
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_stat st;
	struct proc_who w;

	if (proc < 0 || proc_stat_read(proc, "stat", &st)) {
		/* It just went, or it is a group without leader. */
		if (is_task(pid) || proc_who(pid, &w))
			return PATIENCE;
		return w.state == 'Z' || w.state == 'X' || w.ending ? PATIENCE : 0;
	}
	if (st.state == 'Z' && st.ppid > 1)
		return PATIENCE_PARENT;
	return st.state == 'X' || st.flags & PROC_PF_EXITING ? PATIENCE : 0;
}

static bool stays_taken(pid_t pid, unsigned *looks)
{
	const struct timespec moment = { 0, LOOK_US * 1000 };

	for (; in_use(pid); ++*looks) {
		if (*looks >= is_ending(pid))
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

/* ---- telling ---- */

static void describe(pid_t pid, const struct proc_who *w, struct cr_err *e)
{
	char object[32], text[384];

	snprintf(object, sizeof(object), "pid %d", pid);
	if (!w) {
		cr_err_set(e, CR_E_PID_TAKEN, 0, object, "it is in use, but its holder cannot be seen");
		return;
	}
	cr_err_set(e, CR_E_PID_TAKEN, 0, object, "%s", proc_who_text(w, text, sizeof(text)));
	if (w->state == 'Z')
		cr_err_remedy(e, "process %d%s%s%s must reap it, or end; then restore again", w->ppid,
			      w->parent[0] ? " (" : "", w->parent, w->parent[0] ? ")" : "");
	else
		cr_err_remedy(e, "end process %d, or restore in a new pid namespace: criu-ns restore", w->pid);
}

int pid_taken(pid_t pid, struct cr_err *e)
{
	struct proc_who w;

	describe(pid, proc_who(pid, &w) ? NULL : &w, e);
	return -EEXIST;
}

static json_t *row(pid_t pid, const struct proc_who *w)
{
	char start[32];
	json_t *j;

	if (!w)
		return json_pack("{s:i}", "pid", pid);
	j = json_pack("{s:i, s:s, s:i, s:s#, s:i, s:s}", "pid", pid, "used_as", proc_who_as_name(w->as), "process",
		      w->pid, "state", &w->state, 1, "parent", w->ppid, "started",
		      proc_who_start(w, start, sizeof(start)));
	json_object_set_new(j, "comm", json_bytes(w->comm, strlen(w->comm)));
	json_object_set_new(j, "command", json_bytes(w->command, strlen(w->command)));
	if (w->container[0])
		json_object_set_new(j, "container", json_bytes(w->container, strlen(w->container)));
	if (w->inner)
		json_object_set_new(j, "inner_pid", json_integer(w->inner));
	return j;
}

static int conflict(struct restore *x, pid_t pid, struct cr_err *e)
{
	struct proc_who who, *w = proc_who(pid, &who) ? NULL : &who;
	struct cr_err found = { 0 };

	if (!x->conflicts)
		x->conflicts = json_array();
	describe(pid, w, &found);
	if (cr_report_add(&x->taken, &found) || json_array_append_new(x->conflicts, row(pid, w)))
		return cr_err_nomem(e);
	return 0;
}

/* ---- looking ---- */

static bool is_known(const struct restore *x, pid_t pid)
{
	const json_t *j;
	size_t i;

	json_array_foreach(x->conflicts, i, j) if (json_integer_value(json_object_get(j, "pid")) == pid) return true;
	return false;
}

/* Is it the number of a task or thread of the plan? */
static bool is_wanted(const struct restore *x, pid_t pid)
{
	if (plan_find(&x->plan, pid) != PLAN_NONE)
		return true;
	for (size_t i = 0; i < x->plan.nr; i++)
		for (size_t k = 1; k < x->plan.tasks[i].nr_threads; k++)
			if (x->plan.tasks[i].threads[k].tid == pid)
				return true;
	return false;
}

/* Numbers that are in use as sessions only. */
static int look_for_sessions(struct restore *x, struct cr_err *e)
{
	DIR *dir = opendir("/proc");
	const struct dirent *d;
	pid_t last = 0;
	int err = 0;

	while (dir && !err && (d = readdir(dir))) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);
		_cleanup_close_ int proc = pid > 0 ? open_proc_pid(pid) : -1;
		struct proc_stat st;

		if (proc < 0 || proc_stat_read(proc, "stat", &st) || st.session == last)
			continue;
		last = st.session;
		if (st.session > 0 && !in_use(st.session) && is_wanted(x, st.session) && !is_known(x, st.session))
			err = conflict(x, st.session, e);
	}
	if (dir)
		closedir(dir);
	return err;
}

static int look(struct restore *x, struct cr_err *e)
{
	const struct plan *p = &x->plan;
	unsigned looks = 0; /* in all */
	int err = 0;

	for (size_t i = 0; !err && i < p->nr; i++) {
		const struct plan_task *t = &p->tasks[i];

		rst_area(&x->rst, "pids", t->nr_threads ? t->nr_threads : 1);
		if (stays_taken(t->pid, &looks))
			err = conflict(x, t->pid, e);
		for (size_t k = 1; !err && k < t->nr_threads; k++)
			if (stays_taken(t->threads[k].tid, &looks))
				err = conflict(x, t->threads[k].tid, e);
	}
	if (!err && (x->taken.n || x->opts.check_only))
		err = look_for_sessions(x, e);
	return err;
}

int tree_check_pids(struct restore *x, struct cr_err *e)
{
	int ret = 0, err = look(x, e);

	/* The first comes last: it is the one that is returned. */
	for (size_t i = x->taken.n; !err && i-- > 0;) {
		*e = x->taken.v[i];
		ret = rst_found(&x->rst, -EEXIST, e);
		if (ret && i && i < LINES)
			log_failure(e);
	}
	if (ret && x->taken.n > LINES)
		log_error("%zu more pids are taken: restore.json names all of them", x->taken.n - LINES);
	return err ? err : ret;
}
