/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cgroups, restore half: membership of a host tree.
 *
 * Theory of operation: the main process finds the directory of each cgroup that a task was in and the restore is not
 * (hierarchies where both are in the same one need nothing, nor a mount). Each task writes itself into cgroup.procs
 * before it makes others, so that children are born where their parent is. Cgroups are not made here: that comes with
 * the management of whole cgroup trees.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cgroup.pb-c.h"
#include "kind/cgroup/restore-cgroup.h"
#include "kind/restore-check.h"
#include "kind/restore-task.h"
#include "proc/cgroup.h"
#include "proc/frozen.h"
#include "proc/mountinfo.h"

enum { TEXT_MAX = 1 << 20, MEMBERS_MAX = 64 };

struct member {
	const char *procs; /* of the set */
	const char *back;  /* the restore's own in that hierarchy */
};
struct cg_set {
	uint32_t id;
	struct member *v;
	size_t n;
};
struct cgroup_plan {
	uint32_t own; /* the set that needs nothing */
	struct cg_set *sets;
	size_t n;
};

struct find {
	struct rst *r;
	char *mounts, *own; /* texts of /proc/self */
};

/* "DIR/cgroup.procs" in the hierarchy of @name; NULL: not mounted. @dir: DIR */
static const char *procs_path(struct find *f, const char *name, const char *path, char dir[PATH_MAX])
{
	char buf[PATH_MAX + 16];

	if (proc_cgroup_dir(f->mounts, name, path, dir, PATH_MAX))
		return NULL;
	snprintf(buf, sizeof(buf), "%s/cgroup.procs", dir);
	return arena_strdup(f->r->arena, buf);
}

/* Our own path in a hierarchy; NULL: there is none. @copy: changed, and pointed into */
static const char *own_path(char *copy, const char *name)
{
	struct proc_cgroup c;

	while (proc_cgroup_next(&copy, &c) == 1)
		if (!strcmp(c.controllers, name) || (*name && proc_list_has(c.controllers, name)))
			return c.path;
	return NULL;
}

static int add_member(struct find *f, struct cg_set *s, const CgMemberEntry *m, struct cr_err *e)
{
	_cleanup_free_ char *copy = strdup(f->own);
	const char *own = copy ? own_path(copy, m->name) : NULL;
	char what[300], dir[PATH_MAX];

	if (own && !strcmp(own, m->path))
		return 0;
	snprintf(what, sizeof(what), "cgroup %.200s of %.60s", m->path, *m->name ? m->name : "cgroup2");
	if (!own)
		return cr_err_set(e, CR_E_CGROUP, 0, what, "this kernel has no such hierarchy");
	s->v[s->n].back = procs_path(f, m->name, own, dir);
	s->v[s->n].procs = procs_path(f, m->name, m->path, dir);
	if (!s->v[s->n].procs)
		return cr_err_set(e, CR_E_CGROUP, 0, what, "its hierarchy is not mounted here");
	if (access(s->v[s->n].procs, W_OK))
		return cr_err_set(e, CR_E_CGROUP, errno, what, "its file %.200s cannot be written", s->v[s->n].procs);
	if (proc_cgroup_frozen(dir))
		return cr_err_set(e, CR_E_CGROUP_FROZEN, 0, what, "the task would not come out of %.200s", dir);
	s->n++;
	return 0;
}

static int add_set(struct find *f, struct cgroup_plan *p, const CgroupEntry *ce, uint32_t id, struct cr_err *e)
{
	struct cg_set *s = &p->sets[p->n];
	const CgSetEntry *se = NULL;
	int err = 0;

	for (size_t i = 0; i < p->n; i++)
		if (p->sets[i].id == id)
			return 0;
	for (size_t i = 0; ce && i < ce->n_sets; i++)
		if (ce->sets[i]->id == id)
			se = ce->sets[i];
	if (!se || se->n_ctls > MEMBERS_MAX)
		return cr_err_set(e, se ? CR_E_IMG_CORRUPT : CR_E_IMG_REF, 0, "cgroup.img",
				  se ? "set %u is too large" : "there is no set %u", id);
	s->id = id;
	s->v = arena_calloc(f->r->arena, se->n_ctls + 1, sizeof(*s->v));
	if (!s->v)
		return cr_err_nomem(e);
	p->n++;
	for (size_t i = 0; !err && i < se->n_ctls; i++)
		err = rst_found(f->r, add_member(f, s, se->ctls[i], e), e);
	return err;
}

int cgroup_plan_load(struct rst *r, const CgroupEntry *ce, uint32_t own, const uint32_t *ids, size_t n,
		     struct cgroup_plan **ret, struct cr_err *e)
{
	_cleanup_free_ char *mounts = NULL, *self = NULL;
	const char *mode = r->opts->manage_cgroups;
	struct cgroup_plan *p;
	struct find f = { r };
	size_t differ = 0;
	int err = 0;

	*ret = NULL;
	for (size_t i = 0; i < n; i++)
		differ += ids[i] != own;
	if (!differ || (mode && (!strcmp(mode, "ignore") || !strcmp(mode, "none"))))
		return 0;
	p = arena_alloc(r->arena, sizeof(*p));
	if (p)
		p->sets = arena_calloc(r->arena, differ, sizeof(*p->sets));
	if (!p || !p->sets)
		return cr_err_nomem(e);
	p->own = own;
	if (read_file_at(AT_FDCWD, "/proc/self/mountinfo", 16 * TEXT_MAX, &mounts) < 0 ||
	    read_file_at(AT_FDCWD, "/proc/self/cgroup", TEXT_MAX, &self) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, "/proc/self", "mountinfo or cgroup cannot be read");
	f.mounts = mounts;
	f.own = self;
	for (size_t i = 0; !err && i < n; i++)
		if (ids[i] != own)
			err = add_set(&f, p, ce, ids[i], e);
	if (!err)
		*ret = p;
	return err;
}

static const struct cg_set *find_set(const struct cgroup_plan *p, uint32_t id)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->sets[i].id == id)
			return &p->sets[i];
	return NULL;
}

int cgroup_enter(const struct cgroup_plan *p, uint32_t from, uint32_t to, struct cr_err *e)
{
	const struct cg_set *a, *b;
	int err = 0;

	if (!p || from == to)
		return 0;
	a = find_set(p, from);
	b = find_set(p, to);
	for (size_t i = 0; a && !err && i < a->n; i++)
		err = a->v[i].back ? write_file_at(AT_FDCWD, a->v[i].back, "0") : -ENOENT;
	for (size_t i = 0; b && !err && i < b->n; i++) {
		err = write_file_at(AT_FDCWD, b->v[i].procs, "0");
		if (err)
			return cr_err_set(e, CR_E_CGROUP, -err, b->v[i].procs,
					  "the task cannot be moved into this cgroup");
	}
	return err ? cr_err_set(e, CR_E_CGROUP, -err, "cgroup", "the task cannot return to that of the restore") : 0;
}

/* All hierarchies that we are in ourselves. */
static int check_own(struct rst *r, uint64_t tasks, uint64_t bytes, struct cr_err *e)
{
	_cleanup_free_ char *mounts = NULL, *self = NULL;
	struct find f = { r };
	struct proc_cgroup c;
	char *p;
	char dir[PATH_MAX];
	int err = 0;

	if (read_file_at(AT_FDCWD, "/proc/self/mountinfo", 16 * TEXT_MAX, &mounts) < 0 ||
	    read_file_at(AT_FDCWD, "/proc/self/cgroup", TEXT_MAX, &self) < 0)
		return 0;
	f.mounts = mounts;
	p = self;
	while (!err && proc_cgroup_next(&p, &c) == 1) {
		const char *procs = procs_path(&f, c.controllers, c.path, dir);

		err = procs ? cgroup_check_room(r, procs, tasks, bytes, e) : 0;
	}
	return err;
}

int cgroup_check(struct rst *r, const struct cgroup_plan *p, uint32_t id, uint64_t tasks, uint64_t bytes,
		 struct cr_err *e)
{
	const struct cg_set *s = p && id != p->own ? find_set(p, id) : NULL;
	int err = 0;

	if (!s)
		return check_own(r, tasks, bytes, e);
	for (size_t i = 0; !err && i < s->n; i++)
		err = cgroup_check_room(r, s->v[i].procs, tasks, bytes, e);
	return err;
}
