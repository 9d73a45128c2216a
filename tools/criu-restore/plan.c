/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the images into a plan. Everything that can be known to be wrong is found here, before any task is made: ids
 * that lead nowhere, pids that stand twice, cycles, objects that nobody can restore. Error messages name the image.
 */
#include "plan.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.pb-c.h"
#include "core.pb-c.h"
#include "fs.pb-c.h"
#include "image/image.h"
#include "image/manifest.h"
#include "inventory.pb-c.h"
#include "kind/mm/restore-mm.h"
#include "kind/restore-check.h"
#include "mm.pb-c.h"
#include "pstree.pb-c.h"
#include "seccomp.pb-c.h"
#include "timens.pb-c.h"

/* task_core_entry.task_state */
enum { TASK_ALIVE = 1, TASK_DEAD = 2, TASK_STOPPED = 3, TASK_ZOMBIE = 6 };

static int bad(struct cr_err *e, const char *image, enum cr_code code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static int bad(struct cr_err *e, const char *image, enum cr_code code, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return cr_err_set(e, code, 0, image, "%s", text);
}

static int add_task(struct plan *p, struct rst *r, const PstreeEntry *en, struct cr_err *e)
{
	struct plan_task *t = &p->tasks[p->nr];
	int parent = en->ppid ? plan_find(p, (pid_t)en->ppid) : PLAN_NONE;

	if (!en->pid || en->pid > 0x3fffffff || !en->pgid || !en->sid)
		return bad(e, "pstree.img", CR_E_IMG_CORRUPT, "pid %u, group %u, session %u", en->pid, en->pgid,
			   en->sid);
	if (!p->nr != !en->ppid)
		return bad(e, "pstree.img", CR_E_IMG_CORRUPT,
			   p->nr ? "task %u is a second root" : "the first task, %u, is no root", en->pid);
	if (en->ppid && parent == PLAN_NONE)
		return bad(e, "pstree.img", CR_E_IMG_REF, "the parent of task %u, %u, does not stand before it",
			   en->pid, en->ppid);
	if (parent != PLAN_NONE && p->tasks[parent].state == PLAN_ZOMBIE)
		return bad(e, "pstree.img", CR_E_IMG_CORRUPT, "the parent of task %u, %u, is a zombie", en->pid,
			   en->ppid);
	*t = (struct plan_task){ .pid = (pid_t)en->pid,
				 .pgid = (pid_t)en->pgid,
				 .sid = (pid_t)en->sid,
				 .parent = parent,
				 .files_first = (int)p->nr,
				 .fs_first = (int)p->nr };
	if (plan_index(p, r->arena, t->pid, (int)p->nr))
		return bad(e, "pstree.img", CR_E_IMG_CORRUPT, "pid %u stands twice", en->pid);
	p->nr++;
	return 0;
}

static int load_state(struct plan_task *t, const char *image, struct cr_err *e)
{
	const TaskCoreEntry *tc = t->core->tc;

	if (!tc)
		return bad(e, image, CR_E_IMG_CORRUPT, "it is no leader's: the task part is missing");
	strncpy(t->comm, tc->comm, sizeof(t->comm) - 1);
	switch (tc->task_state) {
	case TASK_ALIVE:
		t->state = PLAN_LIVE;
		return 0;
	case TASK_STOPPED:
		t->state = PLAN_STOPPED;
		return 0;
	case TASK_DEAD:
	case TASK_ZOMBIE:
		t->state = PLAN_ZOMBIE;
		return 0;
	default:
		return bad(e, image, CR_E_IMG_UNKNOWN, "task state %u is not known", tc->task_state);
	}
}

static int load_core(struct rst *r, pid_t tid, CoreEntry **ret, char image[IMG_NAME_MAX], struct cr_err *e)
{
	int err = img_read_one(r->img, IMG_CORE, (unsigned long)tid, r->arena, ret, e);

	img_name(IMG_CORE, (unsigned long)tid, image);
	if (err)
		return err;
	if ((*ret)->mtype != CORE_ENTRY__MARCH__X86_64)
		return bad(e, image, CR_E_CPU, "it was made on another architecture (%d)", (int)(*ret)->mtype);
	return 0;
}

static int load_threads(struct rst *r, struct plan *p, int k, const PstreeEntry *en, struct cr_err *e)
{
	struct plan_task *t = &p->tasks[k];
	char image[IMG_NAME_MAX];
	bool leader = false;
	size_t n = 1;
	int err = 0;

	t->threads = arena_calloc(r->arena, en->n_threads + 1, sizeof(*t->threads));
	if (!t->threads)
		return cr_err_nomem(e);
	t->threads[0] = (struct plan_thread){ t->pid, t->core };
	for (size_t i = 0; !err && i < en->n_threads; i++) {
		struct plan_thread *th = &t->threads[n];

		if ((pid_t)en->threads[i] == t->pid && !leader) {
			leader = true;
			continue;
		}
		th->tid = (pid_t)en->threads[i];
		if (th->tid <= 0 || plan_index(p, r->arena, th->tid, k))
			return bad(e, "pstree.img", CR_E_IMG_CORRUPT, "thread id %d stands twice or is no id", th->tid);
		err = load_core(r, th->tid, &th->core, image, e);
		n++;
	}
	if (err)
		return err;
	if (!leader)
		return bad(e, "pstree.img", CR_E_IMG_CORRUPT, "task %d is not among its threads", t->pid);
	t->nr_threads = n;
	for (size_t i = 0; i < n; i++)
		if (!t->threads[i].core->thread_info || !t->threads[i].core->thread_core) {
			img_name(IMG_CORE, (unsigned long)t->threads[i].tid, image);
			return bad(e, image, CR_E_IMG_CORRUPT, "registers or thread part are missing");
		}
	return 0;
}

/* Namespaces: only those that the dump itself ran in. */
static int check_ns(const struct plan *p, const struct plan_task *t, struct cr_err *e)
{
	const TaskKobjIdsEntry *a = t->ids, *b = p->inventory->root_ids;
	char who[64];
	const struct {
		const char *name;
		bool has;
		uint32_t mine, root;
	} ns[] = {
		{ "pid", a->has_pid_ns_id, a->pid_ns_id, b ? b->pid_ns_id : 0 },
		{ "net", a->has_net_ns_id, a->net_ns_id, b ? b->net_ns_id : 0 },
		{ "ipc", a->has_ipc_ns_id, a->ipc_ns_id, b ? b->ipc_ns_id : 0 },
		{ "uts", a->has_uts_ns_id, a->uts_ns_id, b ? b->uts_ns_id : 0 },
		{ "mnt", a->has_mnt_ns_id, a->mnt_ns_id, b ? b->mnt_ns_id : 0 },
		{ "user", a->has_user_ns_id, a->user_ns_id, b ? b->user_ns_id : 0 },
		{ "cgroup", a->has_cgroup_ns_id, a->cgroup_ns_id, b ? b->cgroup_ns_id : 0 },
		{ "time", a->has_time_ns_id && a->time_ns_id != p->tasks[0].ids->time_ns_id, a->time_ns_id,
		  b ? b->time_ns_id : 0 },
	};

	for (size_t i = 0; b && i < sizeof(ns) / sizeof(ns[0]); i++)
		if (ns[i].has && ns[i].mine != ns[i].root) {
			cr_err_set(e, CR_E_NAMESPACE, 0, plan_who(t, who, sizeof(who)),
				   "it has a %s namespace of its own, which is not supported yet", ns[i].name);
			cr_err_remedy(e, "restore with criu 4.2, which made the image");
			return -EINVAL;
		}
	return 0;
}

static int load_live(struct rst *r, struct plan *p, int k, const PstreeEntry *en, struct cr_err *e)
{
	struct plan_task *t = &p->tasks[k];
	char image[IMG_NAME_MAX];
	int err;

	t->ids = t->core->ids;
	err = load_threads(r, p, k, en, e);
	if (!err && !t->ids)
		err = img_read_one(r->img, IMG_IDS, (unsigned long)t->pid, r->arena, &t->ids, e);
	if (!err)
		err = rst_found(r, check_ns(p, t, e), e);
	if (!err)
		err = img_read_one(r->img, IMG_MM, (unsigned long)t->pid, r->arena, &t->mm, e);
	if (!err)
		err = img_read_one(r->img, IMG_FS, (unsigned long)t->pid, r->arena, &t->fs, e);
	if (err)
		return err;
	p->nr_live++;
	p->nr_threads += t->nr_threads;
	if (!t->mm->n_vmas) {
		img_name(IMG_MM, (unsigned long)t->pid, image);
		return bad(e, image, CR_E_IMG_CORRUPT, "it has no mappings");
	}
	return 0;
}

/* Tables are shared by clone() from the parent only. */
static int find_shared(struct plan *p, struct cr_err *e)
{
	char who[64];

	for (size_t k = 0; k < p->nr; k++) {
		struct plan_task *t = &p->tasks[k];

		if (!t->ids)
			continue;
		for (size_t i = 0; i < k; i++) {
			struct plan_task *o = &p->tasks[i];

			if (!o->ids)
				continue;
			if (o->ids->vm_id == t->ids->vm_id)
				return bad(e, plan_who(t, who, sizeof(who)), CR_E_SHARED_TABLE,
					   "it shares its memory with task %d", o->pid);
			if (o->ids->files_id == t->ids->files_id && t->files_first == (int)k)
				t->files_first = (int)i;
			if (o->ids->fs_id == t->ids->fs_id && t->fs_first == (int)k)
				t->fs_first = (int)i;
		}
		if (t->files_first != (int)k) {
			struct plan_task *up = &p->tasks[t->parent];

			if (!up->ids || up->ids->files_id != t->ids->files_id)
				return bad(e, plan_who(t, who, sizeof(who)), CR_E_SHARED_TABLE,
					   "it shares its descriptors with task %d, which is not its parent",
					   p->tasks[t->files_first].pid);
			p->tasks[t->files_first].files_shared = true;
		}
		if (t->fs_first != (int)k &&
		    (!p->tasks[t->parent].ids || p->tasks[t->parent].ids->fs_id != t->ids->fs_id))
			t->fs_first = (int)k; /* cannot be shared again; what is in it is restored */
	}
	return 0;
}

static int load_globals(struct rst *r, struct plan *p, struct cr_err *e)
{
	unsigned long id = 0;
	const TaskKobjIdsEntry *ids = p->tasks[0].ids;
	struct img_reader rd;
	int err;

	err = img_open(r->img, IMG_SECCOMP, 0, &rd, e);
	if (err > 0) {
		err = img_get(&rd, r->arena, &p->seccomp, e);
		img_close(&rd);
	}
	if (err >= 0)
		err = img_open(r->img, IMG_CGROUP, 0, &rd, e);
	if (err > 0) {
		err = img_get(&rd, r->arena, &p->cgroup, e);
		img_close(&rd);
	}
	if (err < 0)
		return err;
	if (ids && ids->has_time_ns_id && p->inventory->root_ids &&
	    ids->time_ns_id != p->inventory->root_ids->time_ns_id)
		id = ids->time_ns_id;
	err = img_open(r->img, IMG_TIMENS, id, &rd, e);
	if (err > 0) {
		err = img_get(&rd, r->arena, &p->timens, e);
		img_close(&rd);
	}
	return err < 0 ? err : 0;
}

static int load_inventory(struct rst *r, struct plan *p, struct cr_err *e)
{
	int err = img_read_one(r->img, IMG_INVENTORY, 0, r->arena, &p->inventory, e);

	if (err && e->code == CR_E_IMG_MISSING)
		return cr_err_set(e, CR_E_NO_CHECKPOINT, 0, "images directory", "there is no inventory.img");
	if (err)
		return err;
	r->img_version = p->inventory->img_version;
	if (r->img_version != 1 && r->img_version != 2)
		return bad(e, "inventory.img", CR_E_IMG_VERSION, "version %u; known are 1 and 2", r->img_version);
	for (size_t i = 0; p->inventory->plugins_entry && i < p->inventory->plugins_entry->n_plugins; i++) {
		const char *name = p->inventory->plugins_entry->plugins[i];

		if (!strcmp(name, IMG_PLUGIN_OWN) ||
		    (!strcmp(name, IMG_PLUGIN_CHECK_ONLY) && (r->check || r->opts->plan)))
			continue;
		if (!strcmp(name, IMG_PLUGIN_CHECK_ONLY)) /* main() has not asked check_marked() */
			return bad(e, "inventory.img", CR_E_CHECK_ONLY, "it is of a dry run");
		return bad(e, "inventory.img", CR_E_PLUGIN_MISSING, "the images need plugin %s", name);
	}
	return 0;
}

int plan_load(struct rst *r, struct plan *p, struct cr_err *e)
{
	char image[IMG_NAME_MAX];
	PstreeEntry **all;
	ssize_t n;
	int err;

	err = load_inventory(r, p, e);
	if (err)
		return err;
	n = img_read_all(r->img, IMG_PSTREE, 0, r->arena, (void ***)&all, e);
	if (n < 0)
		return (int)n;
	if (!n)
		return bad(e, "pstree.img", CR_E_IMG_MISSING, "it names no task");
	p->cap = (size_t)n + 16;
	p->tasks = arena_calloc(r->arena, p->cap, sizeof(*p->tasks));
	if (!p->tasks)
		return cr_err_nomem(e);
	for (ssize_t i = 0; !err && i < n; i++) {
		err = add_task(p, r, all[i], e);
		if (!err)
			err = load_core(r, p->tasks[i].pid, &p->tasks[i].core, image, e);
		if (!err)
			err = load_state(&p->tasks[i], image, e);
		if (!err && p->tasks[i].state != PLAN_ZOMBIE)
			err = load_live(r, p, (int)i, all[i], e);
	}
	if (!err && p->tasks[0].state == PLAN_ZOMBIE)
		err = bad(e, "pstree.img", CR_E_IMG_CORRUPT, "the root task is a zombie");
	p->nr_images = p->nr;
	if (!err)
		err = rst_found(r, find_shared(p, e), e);
	if (!err)
		err = load_globals(r, p, e);
	if (!err)
		err = rst_found(r, plan_order(p, r->arena, r->opts->shell_job, e), e);
	for (size_t i = 1; !err && i < p->nr_images; i++)
		p->tasks[i].cow = mm_shares(p->tasks[p->tasks[i].parent].mm, p->tasks[i].mm);
	return err;
}

static const char *const states[] = { "live", "stopped", "zombie", "helper" };
static const char *const hows[] = { "fork", "sibling", "orphan" };

void plan_print(const struct plan *p, FILE *out)
{
	fprintf(out, "%zu processes, %zu threads, %zu zombies, %zu helpers\n", p->nr_live, p->nr_threads,
		p->nr_images - p->nr_live, p->nr - p->nr_images);
	if (p->timens)
		fprintf(out, "clocks go on from monotonic %llu s, boot %llu s, in a time namespace\n",
			(unsigned long long)p->timens->monotonic->tv_sec,
			(unsigned long long)p->timens->boottime->tv_sec);
	for (size_t i = 0; i < p->nr; i++) {
		const struct plan_task *t = &p->tasks[i];

		fprintf(out, "%d %s %s: group %d, session %d, parent %d", t->pid, states[t->state], t->comm, t->pgid,
			t->sid, t->parent == PLAN_NONE ? 0 : p->tasks[t->parent].pid);
		if (t->mm)
			fprintf(out, ", %zu threads, %zu mappings", t->nr_threads, t->mm->n_vmas);
		if (t->cow)
			fprintf(out, ", memory shared with the parent");
		if (t->files_first != (int)i)
			fprintf(out, ", descriptors of %d", p->tasks[t->files_first].pid);
		fputc('\n', out);
		for (size_t k = 0; k < t->nr_creates; k++)
			fprintf(out, "\tmakes %d by %s%s\n", p->tasks[t->creates[k].task].pid, hows[t->creates[k].how],
				t->creates[k].before_setsid ? ", before its own session" : "");
	}
}

int plan_print_json(const struct plan *p, struct cr_err *e)
{
	json_t *doc = json_object(), *tasks = json_array();

	json_object_set_new(doc, "processes", json_integer((json_int_t)p->nr_live));
	json_object_set_new(doc, "threads", json_integer((json_int_t)p->nr_threads));
	json_object_set_new(doc, "tasks", tasks);
	for (size_t i = 0; i < p->nr; i++) {
		const struct plan_task *t = &p->tasks[i];
		json_t *o = json_object(), *makes = json_array();

		json_object_set_new(o, "pid", json_integer(t->pid));
		json_object_set_new(o, "ppid", json_integer(t->parent == PLAN_NONE ? 0 : p->tasks[t->parent].pid));
		json_object_set_new(o, "pgid", json_integer(t->pgid));
		json_object_set_new(o, "sid", json_integer(t->sid));
		json_object_set_new(o, "comm", json_bytes(t->comm, strlen(t->comm)));
		json_object_set_new(o, "state", json_string(states[t->state]));
		json_object_set_new(o, "threads", json_integer((json_int_t)t->nr_threads));
		json_object_set_new(o, "mappings", json_integer(t->mm ? (json_int_t)t->mm->n_vmas : 0));
		json_object_set_new(o, "cow", json_boolean(t->cow));
		for (size_t k = 0; k < t->nr_creates; k++)
			json_array_append_new(makes, json_pack("{s:i,s:s,s:b}", "pid", p->tasks[t->creates[k].task].pid,
							       "how", hows[t->creates[k].how], "before_setsid",
							       (int)t->creates[k].before_setsid));
		json_object_set_new(o, "makes", makes);
		json_array_append_new(tasks, o);
	}
	return json_print(doc, e);
}
