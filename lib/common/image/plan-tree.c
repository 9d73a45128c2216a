/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * A process is born into the session and group of its creator; it can leave both (setsid, setpgid), but it can join
 * only groups of its own session, and no session. So a task whose session is not its own must be forked while its
 * creator is in that session:
 *
 *  - mostly the parent, which has it, or had it before it became a leader itself (then the child is made before
 * setsid);
 *  - where the task was reparented (its first parent is gone), the leader of the session makes it: directly with
 * CLONE_PARENT if the leader is a child of the same parent, else through a child that ends at once, so that it falls to
 * its reaper;
 *  - where the leader is gone too, a helper takes the leader's pid, and ends when the tree stands.
 *
 * Groups are joined when all tasks exist; a group whose leader is gone gets a helper as well.
 * Requirements are found from the leaves up (`born`), creators from the root down.
 */
#include "plan-tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static uint32_t slot(const struct plan *p, pid_t pid)
{
	return ((uint32_t)pid * 2654435761u) & p->hash_mask;
}

/* Cells hold index + 1 in pairs: pid, task. */
int plan_find(const struct plan *p, pid_t pid)
{
	if (!p->hash)
		return PLAN_NONE;
	for (uint32_t i = slot(p, pid); p->hash[2 * i]; i = (i + 1) & p->hash_mask)
		if (p->hash[2 * i] == (uint32_t)pid)
			return (int)p->hash[2 * i + 1];
	return PLAN_NONE;
}

static int grow(struct plan *p, struct arena *a)
{
	uint32_t old = p->hash ? p->hash_mask + 1 : 0, size = old ? old * 2 : 256, *was = p->hash;

	p->hash = arena_calloc(a, size, 2 * sizeof(*p->hash));
	if (!p->hash)
		return -ENOMEM;
	p->hash_mask = size - 1;
	for (uint32_t k = 0; k < old; k++) {
		uint32_t i;

		if (!was[2 * k])
			continue;
		for (i = slot(p, (pid_t)was[2 * k]); p->hash[2 * i]; i = (i + 1) & p->hash_mask)
			;
		p->hash[2 * i] = was[2 * k];
		p->hash[2 * i + 1] = was[2 * k + 1];
	}
	return 0;
}

int plan_index(struct plan *p, struct arena *a, pid_t pid, int task)
{
	uint32_t i;

	if (plan_find(p, pid) != PLAN_NONE)
		return -EEXIST;
	/* At most half full: a search ends at an empty cell. */
	if ((!p->hash || p->hash_used > p->hash_mask / 2) && grow(p, a))
		return -ENOMEM;
	for (i = slot(p, pid); p->hash[2 * i]; i = (i + 1) & p->hash_mask)
		;
	p->hash_used++;
	p->hash[2 * i] = (uint32_t)pid;
	p->hash[2 * i + 1] = (uint32_t)task;
	return 0;
}

const char *plan_who(const struct plan_task *t, char *buf, size_t size)
{
	snprintf(buf, size, "task %d (%s)", t->pid, t->state == PLAN_HELPER ? "helper" : t->comm);
	return buf;
}

/* No tree of processes can be so. Return: -EINVAL */
static int wrong(struct plan *p, size_t k, struct cr_err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static int wrong(struct plan *p, size_t k, struct cr_err *e, const char *fmt, ...)
{
	char who[64], text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->wrong = k;
	return cr_err_set(e, CR_E_IMG_CORRUPT, 0, plan_who(&p->tasks[k], who, sizeof(who)), "%s", text);
}

static bool is_leader(const struct plan_task *t)
{
	return t->sid == t->pid;
}

/* Did an ancestor of @t live in session @sid? */
static bool above_has(const struct plan *p, int t, pid_t sid)
{
	for (int i = p->tasks[t].parent; i != PLAN_NONE; i = p->tasks[i].parent)
		if (p->tasks[i].sid == sid)
			return true;
	return sid == p->outside_sid;
}

/* From the leaves up: children of a leader that are in a session above were born before it became one. */
static int find_born(struct plan *p, struct cr_err *e)
{
	for (size_t k = p->nr; k-- > 0;) {
		struct plan_task *t = &p->tasks[k], *up;

		if (!is_leader(t))
			t->born = t->sid;
		if (t->parent == PLAN_NONE || t->born == PLAN_ANY)
			continue;
		up = &p->tasks[t->parent];
		if (!is_leader(up) || t->born == up->pid || !above_has(p, t->parent, (pid_t)t->born))
			continue;
		if (up->born != PLAN_ANY && up->born != t->born)
			return wrong(p, (size_t)t->parent, e,
				     "its children are in sessions %d and %d, both older than its own", (int)up->born,
				     (int)t->born);
		up->born = t->born;
	}
	return 0;
}

static int add_create(struct plan *p, struct arena *a, int creator, struct plan_create c)
{
	struct plan_task *t = &p->tasks[creator];
	struct plan_create *v;

	/* Doubling at powers of two: the count is the capacity's witness. */
	if (!(t->nr_creates & (t->nr_creates - 1)) || !t->nr_creates) {
		v = arena_calloc(a, t->nr_creates ? t->nr_creates * 2 : 1, sizeof(*v));
		if (!v)
			return -ENOMEM;
		if (t->nr_creates)
			memcpy(v, t->creates, t->nr_creates * sizeof(*v));
		t->creates = v;
	}
	t->creates[t->nr_creates++] = c;
	return 0;
}

static int add_helper(struct plan *p, struct arena *a, pid_t pid, pid_t sid, int parent, int *ret, struct cr_err *e)
{
	char what[64];
	int err;

	if (p->nr == p->cap) {
		size_t cap = p->cap * 2 + 16;
		struct plan_task *v = arena_calloc(a, cap, sizeof(*v));

		if (!v)
			return cr_err_nomem(e);
		memcpy(v, p->tasks, p->nr * sizeof(*v));
		p->tasks = v;
		p->cap = cap;
	}
	err = plan_index(p, a, pid, (int)p->nr);
	snprintf(what, sizeof(what), "pid %d", pid);
	if (err == -EEXIST)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, what, "it is a thread, but also names a session or group");
	if (err)
		return cr_err_nomem(e);
	p->tasks[p->nr] = (struct plan_task){ .pid = pid,
					      .sid = sid,
					      .pgid = pid,
					      .parent = parent,
					      .state = PLAN_HELPER,
					      .comm = "helper",
					      .born = pid == sid ? PLAN_ANY : sid,
					      .files_first = (int)p->nr,
					      .fs_first = (int)p->nr };
	*ret = (int)p->nr++;
	return 0;
}

/* The root is made by us: only our session, or any that it leads itself. */
static int place_root(struct plan *p, bool shell_job, struct cr_err *e)
{
	struct plan_task *t = &p->tasks[0];
	char who[64];

	if (t->born != PLAN_ANY && t->born != p->outside_sid)
		return wrong(p, 0, e, "its session %d is led from inside its tree", t->sid);
	if (p->outside_sid && !shell_job)
		return cr_err_set(e, CR_E_SESSION_OUTSIDE, 0, plan_who(t, who, sizeof(who)),
				  "session %d and group %d belong to the outside", t->sid, t->pgid);
	return 0;
}

static int place(struct plan *p, struct arena *a, int k, struct cr_err *e)
{
	struct plan_task *t = &p->tasks[k], *up = &p->tasks[t->parent];
	struct plan_create c = { .task = k, .how = PLAN_FORK };
	int by = t->parent, leader, err;
	pid_t born = (pid_t)t->born;

	if (born == PLAN_ANY || born == up->sid) {
		/* as it is */
	} else if (is_leader(up) && up->born == t->born) {
		c.before_setsid = true;
	} else {
		leader = plan_find(p, born);
		if (leader == PLAN_NONE) {
			err = add_helper(p, a, born, born, t->parent, &leader, e);
			if (!err)
				err = add_create(p, a, t->parent, (struct plan_create){ .task = leader })
					      ? cr_err_nomem(e)
					      : 0;
			if (err)
				return err;
		} else if (p->tasks[leader].pid != born || !is_leader(&p->tasks[leader])) {
			/* What it makes would come into the session that it is in. */
			return wrong(p, (size_t)k, e, "of its session %d, task %d is no leader", born,
				     p->tasks[leader].pid);
		}
		by = leader;
		c.how = p->tasks[leader].parent == p->tasks[k].parent ? PLAN_SIBLING : PLAN_ORPHAN;
	}
	return add_create(p, a, by, c) ? cr_err_nomem(e) : 0;
}

/* Groups: leaders that are missing; leaders in another session cannot be. */
static int place_groups(struct plan *p, struct arena *a, struct cr_err *e)
{
	size_t n = p->nr;
	int g, err;

	for (size_t k = 0; k < n; k++) {
		struct plan_task *t = &p->tasks[k];

		if (is_leader(t) && t->pgid != t->pid) /* setsid() begins both, setpgid() refuses such a task */
			return wrong(p, k, e, "it leads its session, but is in group %d", t->pgid);
		if (t->pgid == t->pid || (p->outside_pgid && t->pgid == p->outside_pgid))
			continue;
		g = plan_find(p, t->pgid);
		if (g == PLAN_NONE) {
			err = add_helper(p, a, t->pgid, t->sid, (int)k, &g, e);
			if (!err)
				err = add_create(p, a, (int)k, (struct plan_create){ .task = g }) ? cr_err_nomem(e) : 0;
			if (err)
				return err;
		} else if (p->tasks[g].pid != t->pgid || p->tasks[g].sid != t->sid) {
			return wrong(p, k, e, "the leader of its group %d is in another session", t->pgid);
		}
	}
	return 0;
}

/* Everybody must be reached from the root, or sessions would wait for each other in a circle. */
static int all_reached(struct plan *p, struct arena *a, struct cr_err *e)
{
	int *todo = arena_calloc(a, p->nr + 1, sizeof(*todo));
	bool *reached = arena_calloc(a, p->nr, sizeof(*reached));
	size_t n = 0, at = 0;

	if (!todo || !reached)
		return cr_err_nomem(e);
	todo[n++] = 0;
	for (; at < n; at++) {
		const struct plan_task *t = &p->tasks[todo[at]];

		reached[todo[at]] = true;
		for (size_t i = 0; i < t->nr_creates && n <= p->nr; i++)
			todo[n++] = t->creates[i].task;
	}
	for (size_t i = 0; i < p->nr; i++)
		if (!reached[i])
			return wrong(p, i, e, "its session %d depends on itself", p->tasks[i].sid);
	return 0;
}

int plan_order(struct plan *p, struct arena *a, bool shell_job, struct cr_err *e)
{
	int err;

	for (size_t k = 0; k < p->nr; k++)
		p->tasks[k].born = PLAN_ANY;
	if (!is_leader(&p->tasks[0]) && plan_find(p, p->tasks[0].sid) == PLAN_NONE)
		p->outside_sid = p->tasks[0].sid;
	if (p->tasks[0].pgid != p->tasks[0].pid && p->outside_sid && plan_find(p, p->tasks[0].pgid) == PLAN_NONE)
		p->outside_pgid = p->tasks[0].pgid;
	err = find_born(p, e);
	if (!err)
		err = place_root(p, shell_job, e);
	for (size_t k = 1, n = p->nr; !err && k < n; k++)
		err = place(p, a, (int)k, e);
	if (!err)
		err = place_groups(p, a, e);
	return err ? err : all_reached(p, a, e);
}
