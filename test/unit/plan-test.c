/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who makes whom: sessions and groups of a restore's plan. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/plan-tree.h"
#include "tap.h"

struct row {
	pid_t pid, ppid, pgid, sid;
	enum plan_state state;
};

static int make(struct plan *p, struct arena *a, const struct row *v, size_t n, bool shell_job, struct cr_err *e)
{
	*p = (struct plan){ .cap = n };
	*e = (struct cr_err){};
	p->tasks = arena_calloc(a, n, sizeof(*p->tasks));
	for (size_t i = 0; i < n; i++) {
		p->tasks[i] = (struct plan_task){ .pid = v[i].pid,
						  .pgid = v[i].pgid,
						  .sid = v[i].sid,
						  .state = v[i].state,
						  .parent = v[i].ppid ? plan_find(p, v[i].ppid) : PLAN_NONE };
		plan_index(p, a, v[i].pid, (int)i);
		p->nr++;
	}
	p->nr_images = n;
	return plan_order(p, a, shell_job, e);
}

/* How @pid comes into being: "BY HOW", " early" when before setsid. */
static const char *how(const struct plan *p, pid_t pid)
{
	static const char *const names[] = { "fork", "sibling", "orphan" };
	static char buf[64];

	for (size_t i = 0; i < p->nr; i++)
		for (size_t k = 0; k < p->tasks[i].nr_creates; k++) {
			const struct plan_create *c = &p->tasks[i].creates[k];

			if (p->tasks[c->task].pid == pid) {
				snprintf(buf, sizeof(buf), "%d %s%s", p->tasks[i].pid, names[c->how],
					 c->before_setsid ? " early" : "");
				return buf;
			}
		}
	return "nobody";
}

#define MAKE(shell_job, ...)                              \
	make(&p, &a, (const struct row[]){ __VA_ARGS__ }, \
	     sizeof((const struct row[]){ __VA_ARGS__ }) / sizeof(struct row), shell_job, &e)

static void sessions(void)
{
	struct arena a = {};
	struct cr_err e;
	struct plan p;

	ok(!MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 10, 10 }, { 12, 11, 12, 12 }), "a plain tree");
	ok(!strcmp(how(&p, 11), "10 fork") && !strcmp(how(&p, 12), "11 fork") && p.nr == 3, "parents fork");

	ok(!MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 11, 11 }, { 12, 11, 10, 10 }), "born before the parent's setsid");
	ok(!strcmp(how(&p, 12), "11 fork early") && p.tasks[1].born == 10, "it is made early");

	ok(!MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 20, 20 }, { 12, 10, 12, 20 }), "a session whose leader is gone");
	ok(p.nr == 4 && p.tasks[3].pid == 20 && p.tasks[3].state == PLAN_HELPER && p.tasks[3].sid == 20,
	   "a helper leads it");
	ok(!strcmp(how(&p, 20), "10 fork"), "the helper is a child of the root");
	ok(!strcmp(how(&p, 11), "20 sibling"), "the member is made by the helper");
	ok(!strcmp(how(&p, 12), "20 sibling"), "both are");

	ok(!MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 11, 11 }, { 12, 10, 12, 11 }),
	   "the first parent is gone, the leader is not");
	ok(!strcmp(how(&p, 12), "11 sibling"), "the leader makes a sibling");

	ok(!MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 10, 10 }, { 12, 11, 12, 12 }, { 13, 10, 13, 12 }),
	   "a deeper leader");
	ok(!strcmp(how(&p, 13), "12 orphan"), "its child goes to the reaper");

	ok(!MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 11, 11, PLAN_ZOMBIE }, { 12, 10, 12, 11 }),
	   "the leader is a zombie");
	ok(!strcmp(how(&p, 12), "11 sibling"), "it makes the member before it dies");
	arena_free(&a);
}

static void groups(void)
{
	struct arena a = {};
	struct cr_err e;
	struct plan p;

	ok(!MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 30, 10 }, { 12, 10, 30, 10 }), "a group whose leader is gone");
	ok(p.nr == 4 && p.tasks[3].pid == 30 && p.tasks[3].pgid == 30 && p.tasks[3].sid == 10, "one helper leads it");
	ok(!strcmp(how(&p, 30), "11 fork"), "made by the first member");
	ok(MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 11, 11 }, { 12, 10, 11, 10 }) == -EINVAL &&
		   e.code == CR_E_IMG_CORRUPT,
	   "a leader in another session is refused");
	ok(MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 11, 10 }, { 12, 11, 11, 12 }) == -EINVAL && p.wrong == 2,
	   "so is the leader of a session in a group of another");
	ok(MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 12, 11 }, { 12, 11, 12, 11 }) == -EINVAL && p.wrong == 1,
	   "and in another of its own");
	arena_free(&a);
}

static void outside(void)
{
	struct arena a = {};
	struct cr_err e;
	struct plan p;

	ok(MAKE(false, { 10, 0, 10, 5 }) < 0 && e.code == CR_E_SESSION_OUTSIDE, "a session of the outside is refused");
	ok(!MAKE(true, { 10, 0, 10, 5 }, { 11, 10, 10, 5 }), "but not with --shell-job");
	ok(p.outside_sid == 5 && !p.outside_pgid && p.nr == 2, "the session is noted, the group is the root's");
	ok(!MAKE(true, { 10, 0, 5, 5 }, { 11, 10, 5, 5 }, { 12, 11, 12, 12 }, { 13, 12, 5, 5 }),
	   "group and session of the outside");
	ok(p.outside_pgid == 5 && p.nr == 4, "no helpers");
	ok(!strcmp(how(&p, 13), "12 fork early"), "born in the outside's session");
	arena_free(&a);
}

static void circles(void)
{
	struct arena a = {};
	struct cr_err e;
	struct plan p;

	ok(MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 12, 12 }, { 12, 11, 12, 12 }) == -EINVAL &&
		   e.code == CR_E_IMG_CORRUPT,
	   "a task in the session of its own child is refused");
	ok(MAKE(false, { 10, 0, 11, 11 }, { 11, 10, 11, 11 }) == -EINVAL, "so is the root");
	ok(MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 10, 10 }, { 12, 10, 12, 11 }) == -EINVAL && p.wrong == 2,
	   "so is a session that its leader is not in");
	ok(MAKE(false, { 10, 0, 10, 10 }, { 11, 10, 11, 11 }, { 12, 11, 12, 12 }, { 13, 12, 13, 11 },
		{ 14, 12, 14, 10 }) == -EINVAL &&
		   p.wrong == 2,
	   "so are children from two sessions that are both older");
	p = (struct plan){};
	plan_index(&p, &a, 11, 0);
	ok(plan_index(&p, &a, 11, 0) == -EEXIST, "a pid that stands twice");
	for (pid_t i = 1000; i < 3000; i++)
		if (plan_index(&p, &a, i, i))
			ok(false, "index %d", i);
	ok(plan_find(&p, 2999) == 2999 && plan_find(&p, 1000) == 1000 && plan_find(&p, 3000) == PLAN_NONE,
	   "a large index");
	arena_free(&a);

	/* Numbers in a row fill a table without one collision: it must not become full. */
	p = (struct plan){};
	for (int i = 5000; i < 5000 + 1024; i++) {
		plan_index(&p, &a, i, i);
		if (plan_find(&p, 1) != PLAN_NONE)
			break;
	}
	ok(plan_find(&p, 5000) == 5000 && plan_find(&p, 6023) == 6023, "1,024 pids in a row");
}

int main(void)
{
	sessions();
	groups();
	outside();
	circles();
	return tap_done();
}
