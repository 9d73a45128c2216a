/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Could these tasks ever have been one tree? Parents, sessions and groups, by the plan that a restore makes (image/plan-tree.h):
 * what it refuses must be found here. It says one thing about sessions and groups, the first: most that follows would be of
 * the same number.
 */
#include "verify.h"

#include <string.h>

#include "core.pb-c.h"
#include "image/plan-tree.h"
#include "inventory.pb-c.h"
#include "pidns.pb-c.h"
#include "pstree.pb-c.h"

enum { DEAD = 2, ZOMBIE = 6, PID_MOST = 1 << 22 };

static bool is_pid(uint32_t n)
{
	return n && n <= PID_MOST;
}

/* Return: false: it has no place in a tree; what is wrong with it is told elsewhere */
static bool add_task(struct verify *v, struct plan *p, const PstreeEntry *t)
{
	const CoreEntry *core = v_one(v, IMG_CORE, t->pid);
	const TaskCoreEntry *tc = core ? core->tc : NULL;
	bool dead = tc && (tc->task_state == DEAD || tc->task_state == ZOMBIE);
	int k = (int)p->nr, parent = t->ppid ? plan_find(p, (pid_t)t->ppid) : PLAN_NONE;
	struct plan_task *to = &p->tasks[k];

	if (!is_pid(t->pid) || !is_pid(t->pgid) || !is_pid(t->sid) || (parent == PLAN_NONE) != !k ||
	    plan_index(p, &v->arena, (pid_t)t->pid, k) < 0)
		return false;
	*to = (struct plan_task){ .pid = (pid_t)t->pid,
				  .pgid = (pid_t)t->pgid,
				  .sid = (pid_t)t->sid,
				  .parent = parent,
				  .state = dead ? PLAN_ZOMBIE : PLAN_LIVE };
	if (tc)
		strncpy(to->comm, tc->comm, sizeof(to->comm) - 1);
	p->nr++;
	for (size_t i = 0; !dead && i < t->n_threads; i++)
		if (t->threads[i] != t->pid && plan_index(p, &v->arena, (pid_t)t->threads[i], k) < 0)
			return false;
	return true;
}

static void check_states(struct verify *v, const struct plan *p)
{
	v_expect(v, p->tasks[0].state != PLAN_ZOMBIE, "pstree.img", 0, "the root, %d, is a zombie", p->tasks[0].pid);
	for (size_t k = 1; k < p->nr; k++)
		v_expect(v, p->tasks[p->tasks[k].parent].state != PLAN_ZOMBIE, "pstree.img", (long)k,
			 "its parent %d is a zombie, which has no children", p->tasks[p->tasks[k].parent].pid);
}

/* The first process of a new pid namespace has pid 1 there; one that exists already has an image that names it. */
static void check_pid_namespace(struct verify *v, uint32_t root)
{
	const InventoryEntry *inv = v_one(v, IMG_INVENTORY, 0);
	const TaskKobjIdsEntry *outer = inv ? inv->root_ids : NULL, *ids = v_one(v, IMG_IDS, root);
	const CoreEntry *core = v_one(v, IMG_CORE, root);
	const PidnsEntry *known;

	if (!ids && core)
		ids = core->ids;
	if (!ids || !outer || !ids->has_pid_ns_id || !outer->has_pid_ns_id || ids->pid_ns_id == outer->pid_ns_id)
		return;
	known = v_one(v, IMG_PIDNS, ids->pid_ns_id);
	v_expect(v, root == 1 || (known && known->ext_key), "pstree.img", 0,
		 "the root has a pid namespace of its own, but pid %u, not 1", root);
}

void verify_sessions(struct verify *v)
{
	const struct vimage *i = v_image(v, IMG_PSTREE, 0);
	struct walk w = v_walk(v, IMG_PSTREE);
	struct plan p = { .cap = i->n };
	const PstreeEntry *t;
	bool whole = true;
	struct cr_err e;

	p.tasks = arena_calloc(&v->arena, i->n, sizeof(*p.tasks));
	if (!p.tasks) {
		v->found->nomem = true;
		return;
	}
	while ((t = v_next(&w))) {
		v_expect(v, t->pgid && t->sid, i->name, w.entry, "pgid %u, sid %u: zero is none", t->pgid, t->sid);
		/* Numbers of entries are those of tasks only as long as each has become one. */
		whole = whole && (size_t)w.entry == p.nr && add_task(v, &p, t);
	}
	if (!whole || p.nr != i->n)
		return;
	check_states(v, &p);
	check_pid_namespace(v, (uint32_t)p.tasks[0].pid);
	/* A session of the outside is right here, as with --shell-job: what it takes is the restore's to say. */
	if (plan_order(&p, &v->arena, true, &e) < 0) {
		v->found->nomem = v->found->nomem || e.code != CR_E_IMG_CORRUPT;
		v_error(v, i->name, p.wrong < i->n ? (long)p.wrong : -1, "%s: %s", e.object, e.reason);
	}
}
