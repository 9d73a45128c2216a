/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Are the pids free that the restore needs, and if not, who has them?
 *
 * Theory of operation. A number is taken while any task uses it, as pid, thread id, process group or session. The
 * first two are asked for by tkill(2), groups by kill(2); for sessions no call exists, so they are looked for in
 * /proc only when time does not matter: once a conflict is found, and by --check-only. Else the clone fails, and its
 * error says the same. All conflicts are told in one go, once for each process that is behind them: a program that still
 * runs has all the numbers of its threads. A pid that is about to become free is waited for.
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

/* A process, and what it has of the numbers that are wanted. */
struct holder {
	struct proc_who w; /* pid 0: it cannot be seen */
	pid_t *ids;	   /* malloc'ed */
	size_t n, cap;
};

struct holders {
	struct holder *v; /* malloc'ed */
	size_t n, cap;
};

static int by_number(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/* "pid 12", "pids 12-14, 20"; what has no room: "... and 7 more". @ids: sorted */
static void numbers_text(const pid_t *ids, size_t n, char *buf, size_t size)
{
	enum { ROOM = 48 }; /* for two numbers and the end */
	int at = snprintf(buf, size, n == 1 ? "pid " : "pids ");

	for (size_t i = 0, last; i < n; i = last + 1) {
		if ((size_t)at + ROOM > size) {
			snprintf(buf + at, size - (size_t)at, " ... and %zu more", n - i);
			return;
		}
		for (last = i; last + 1 < n && ids[last + 1] == ids[last] + 1; last++)
			;
		at += snprintf(buf + at, size - (size_t)at, "%s%d", i ? ", " : "", ids[i]);
		if (last > i)
			at += snprintf(buf + at, size - (size_t)at, "%s%d", last > i + 1 ? "-" : ", ", ids[last]);
	}
}

static void describe(struct holder *h, struct cr_err *e)
{
	struct proc_who w = h->w;
	char object[sizeof(e->object)], text[sizeof(e->reason)];

	qsort(h->ids, h->n, sizeof(*h->ids), by_number);
	numbers_text(h->ids, h->n, object, sizeof(object));
	if (!w.pid) {
		cr_err_set(e, CR_E_PID_TAKEN, 0, object, "%s in use, but its holder cannot be seen",
			   h->n > 1 ? "they are" : "it is");
		return;
	}
	if (h->n > 1)
		w.as = PROC_WHO_SEVERAL;
	cr_err_set(e, CR_E_PID_TAKEN, 0, object, "%s", proc_who_text(&w, text, sizeof(text)));
	if (w.state == 'Z')
		cr_err_remedy(e, "process %d%s%s%s must reap it, or end; then restore again", w.ppid,
			      w.parent[0] ? " (" : "", w.parent, w.parent[0] ? ")" : "");
	else
		cr_err_remedy(e, "end process %d, or restore in a new pid namespace: criu-ns restore", w.pid);
}

int pid_taken(pid_t pid, struct cr_err *e)
{
	struct holder h = { .ids = &pid, .n = 1 };

	if (proc_who(pid, &h.w))
		h.w.pid = 0;
	describe(&h, e);
	return -EEXIST;
}

/* For restore.json. */
static json_t *row(pid_t pid, const struct proc_who *w)
{
	char start[32];
	json_t *j;

	if (!w->pid)
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

static struct holder *holder_of(struct holders *all, const struct proc_who *w)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].w.pid == w->pid)
			return &all->v[i];
	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 8;
		struct holder *v = reallocarray(all->v, cap, sizeof(*v));

		if (!v)
			return NULL;
		all->v = v;
		all->cap = cap;
	}
	all->v[all->n] = (struct holder){ .w = *w };
	return &all->v[all->n++];
}

static int conflict(struct restore *x, struct holders *all, pid_t pid, struct cr_err *e)
{
	struct proc_who w;
	struct holder *h;

	if (proc_who(pid, &w))
		w.pid = 0;
	if (!x->conflicts)
		x->conflicts = json_array();
	h = holder_of(all, &w);
	if (!h || json_array_append_new(x->conflicts, row(pid, &w)))
		return cr_err_nomem(e);
	if (h->n == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 8;
		pid_t *ids = reallocarray(h->ids, cap, sizeof(*ids));

		if (!ids)
			return cr_err_nomem(e);
		h->ids = ids;
		h->cap = cap;
	}
	h->ids[h->n++] = pid;
	return 0;
}

static int describe_all(struct restore *x, struct holders *all, struct cr_err *e)
{
	for (size_t i = 0; i < all->n; i++) {
		struct cr_err found = { 0 };

		describe(&all->v[i], &found);
		if (cr_report_add(&x->taken, &found))
			return cr_err_nomem(e);
	}
	return 0;
}

static void holders_free(struct holders *all)
{
	for (size_t i = 0; i < all->n; i++)
		free(all->v[i].ids);
	free(all->v);
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
static int look_for_sessions(struct restore *x, struct holders *all, struct cr_err *e)
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
			err = conflict(x, all, st.session, e);
	}
	if (dir)
		closedir(dir);
	return err;
}

static int look(struct restore *x, struct holders *all, struct cr_err *e)
{
	const struct plan *p = &x->plan;
	unsigned looks = 0; /* in all */
	int err = 0;

	for (size_t i = 0; !err && i < p->nr; i++) {
		const struct plan_task *t = &p->tasks[i];

		rst_area(&x->rst, "pids", t->nr_threads ? t->nr_threads : 1);
		if (stays_taken(t->pid, &looks))
			err = conflict(x, all, t->pid, e);
		for (size_t k = 1; !err && k < t->nr_threads; k++)
			if (stays_taken(t->threads[k].tid, &looks))
				err = conflict(x, all, t->threads[k].tid, e);
	}
	if (!err && (all->n || x->opts.check_only))
		err = look_for_sessions(x, all, e);
	return err;
}

int tree_check_pids(struct restore *x, struct cr_err *e)
{
	struct holders all = { 0 };
	int ret = 0, err = look(x, &all, e);

	if (!err)
		err = describe_all(x, &all, e);
	holders_free(&all);
	/* The first comes last: it is the one that is returned. */
	for (size_t i = x->taken.n; !err && i-- > 0;) {
		*e = x->taken.v[i];
		ret = rst_found(&x->rst, -EEXIST, e);
		if (ret && i && i < LINES)
			log_failure(e);
	}
	if (ret && x->taken.n > LINES)
		log_error("%zu more processes have pids that are needed: restore.json names all of them",
			  x->taken.n - LINES);
	return err ? err : ret;
}
