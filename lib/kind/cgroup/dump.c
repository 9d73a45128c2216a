/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cgroups, dump half: membership of a host tree.
 *
 * Theory of operation: /proc/PID/cgroup says where a thread is in each hierarchy. Threads with equal text have one set;
 * the set that criu-collect itself is in has id 1 and is not written, because a restore runs there anyway. The others
 * are written with paths as we see them, and with mode and owner of the directories where the hierarchy is mounted, so
 * that a restore can make them again. Properties of controllers are not recorded yet.
 */
#include "kind/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "cgroup.pb-c.h"
#include "image/stage.h"
#include "kind/dump.h"
#include "proc/cgroup.h"

enum { TEXT_MAX = 64 << 10, CTLS_MAX = 64 };

struct set {
	uint32_t id;
	char *text; /* as in /proc; malloc'ed */
};

struct cg_run {
	struct dump *d;
	struct set *sets; /* [0]: our own */
	size_t nr, cap;
	char *mountinfo; /* NULL: not read yet */
	struct arena *a;
};

static int gone(const char *object, int err, struct cr_err *e)
{
	return cr_err_set(e, cr_code_of_task(err), -err, object, "its cgroups cannot be read");
}

/* The id of a text. @buf: copied when it is new. */
static int intern(struct cg_run *r, const char *buf, uint32_t *ret, struct cr_err *e)
{
	/* Neighbours are mostly in the same set. */
	for (size_t i = r->nr; i-- > 0;)
		if (!strcmp(r->sets[i].text, buf)) {
			*ret = r->sets[i].id;
			return 0;
		}
	if (r->nr == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 8;
		struct set *s = realloc(r->sets, cap * sizeof(*s));

		if (!s)
			return cr_err_nomem(e);
		r->sets = s;
		r->cap = cap;
	}
	r->sets[r->nr].id = CGROUP_OWN_SET + (uint32_t)r->nr;
	r->sets[r->nr].text = strdup(buf);
	if (!r->sets[r->nr].text)
		return cr_err_nomem(e);
	*ret = r->sets[r->nr++].id;
	return 0;
}

static int set_of(struct cg_run *r, int dirfd, const char *path, const char *object, uint32_t *ret, struct cr_err *e)
{
	_cleanup_free_ char *large = NULL;
	char buf[4096], *text = buf;
	ssize_t n = read_buf_at(dirfd, path, buf, sizeof(buf));

	if (n == (ssize_t)sizeof(buf) - 1) {
		n = read_file_at(dirfd, path, TEXT_MAX, &large);
		text = large;
	}
	/* Without cgroups in the kernel there is no such file, and all tasks are in the one set. */
	if (n == -ENOENT && faccessat(dirfd, "stat", F_OK, 0) == 0) {
		buf[0] = 0;
		text = buf;
		n = 0;
	}
	return n < 0 ? gone(object, (int)n, e) : intern(r, text, ret, e);
}

/* Mode and owner of a cgroup's directory, where the hierarchy is mounted. Return: NULL: not found. */
static CgroupPerms *perms(struct cg_run *r, const struct proc_cgroup *c)
{
	char path[PATH_MAX];
	struct stat st;
	CgroupPerms *cp;

	if (!r->mountinfo || proc_cgroup_dir(r->mountinfo, c->controllers, c->path, path, sizeof(path)) ||
	    stat(path, &st))
		return NULL;
	cp = arena_alloc(r->a, sizeof(*cp));
	if (!cp)
		return NULL;
	cgroup_perms__init(cp);
	cp->mode = st.st_mode & 07777;
	cp->uid = st.st_uid;
	cp->gid = st.st_gid;
	return cp;
}

/* The hierarchy of a member, made at its first use. */
static CgControllerEntry *controller(struct cg_run *r, CgroupEntry *ce, const char *names)
{
	CgControllerEntry *c;
	char *copy, *word;

	/* The first name is enough: a controller is in one hierarchy only. */
	for (size_t i = 0; i < ce->n_controllers; i++) {
		size_t len = strlen(ce->controllers[i]->cnames[0]);

		if (!strncmp(names, ce->controllers[i]->cnames[0], len) && (!names[len] || names[len] == ','))
			return ce->controllers[i];
	}
	c = arena_alloc(r->a, sizeof(*c));
	copy = arena_strdup(r->a, names);
	if (!c || !copy || ce->n_controllers == CTLS_MAX)
		return NULL;
	cg_controller_entry__init(c);
	c->cnames = arena_calloc(r->a, CTLS_MAX, sizeof(char *));
	c->dirs = arena_calloc(r->a, r->nr, sizeof(CgroupDirEntry *));
	if (!c->cnames || !c->dirs)
		return NULL;
	/* cgroup2 has one name, the empty one. */
	do {
		word = copy;
		copy = strchr(copy, ',');
		if (copy)
			*copy++ = 0;
		c->cnames[c->n_cnames++] = word;
	} while (copy && c->n_cnames < CTLS_MAX);
	ce->controllers[ce->n_controllers++] = c;
	return c;
}

static int add_dir(struct cg_run *r, CgroupEntry *ce, const struct proc_cgroup *c)
{
	CgControllerEntry *ctl = controller(r, ce, c->controllers);
	CgroupDirEntry *dir;

	if (!ctl)
		return -ENOMEM;
	for (size_t i = 0; i < ctl->n_dirs; i++)
		if (!strcmp(ctl->dirs[i]->dir_name, c->path))
			return 0;
	dir = arena_alloc(r->a, sizeof(*dir));
	if (!dir)
		return -ENOMEM;
	cgroup_dir_entry__init(dir);
	dir->dir_name = (char *)c->path;
	dir->dir_perms = perms(r, c);
	ctl->dirs[ctl->n_dirs++] = dir;
	return 0;
}

/* What a restore needs: that the directory is there. */
static void need(struct cg_run *r, const struct proc_cgroup *c)
{
	json_t *row = json_pack("{s:s, s:s, s:o}", "kind", "cgroup", "controllers", c->controllers, "path",
				json_bytes(c->path, strlen(c->path)));

	if (row)
		stage_need(r->d->facts, row);
}

static int add_set(struct cg_run *r, CgroupEntry *ce, const struct set *s, struct cr_err *e)
{
	CgSetEntry *cs = arena_alloc(r->a, sizeof(*cs));
	char *p = arena_strdup(r->a, s->text);
	struct proc_cgroup c;
	int ret;

	if (!cs || !p)
		return cr_err_nomem(e);
	cg_set_entry__init(cs);
	cs->id = s->id;
	cs->ctls = arena_calloc(r->a, CTLS_MAX, sizeof(CgMemberEntry *));
	while (cs->ctls && (ret = proc_cgroup_next(&p, &c)) == 1) {
		CgMemberEntry *m = arena_alloc(r->a, sizeof(*m));

		if (!m || cs->n_ctls == CTLS_MAX || add_dir(r, ce, &c) < 0)
			return cr_err_nomem(e);
		cg_member_entry__init(m);
		m->name = (char *)c.controllers;
		m->path = (char *)c.path;
		cs->ctls[cs->n_ctls++] = m;
		need(r, &c);
	}
	if (!cs->ctls)
		return cr_err_nomem(e);
	if (ret < 0)
		return cr_err_set(e, CR_E_SYSTEM, -ret, "/proc/PID/cgroup", "holds a line that makes no sense");
	ce->sets[ce->n_sets++] = cs;
	return 0;
}

static int write_image(struct cg_run *r, struct cr_err *e)
{
	CgroupEntry ce = CGROUP_ENTRY__INIT;
	_cleanup_close_ int self = open_proc_pid(getpid());
	int ret = 0;

	if (self >= 0 && read_file_at(self, "mountinfo", 16 << 20, &r->mountinfo) < 0)
		r->mountinfo = NULL;
	ce.sets = arena_calloc(r->a, r->nr, sizeof(CgSetEntry *));
	ce.controllers = arena_calloc(r->a, CTLS_MAX, sizeof(CgControllerEntry *));
	if (!ce.sets || !ce.controllers)
		return cr_err_nomem(e);
	for (size_t i = 1; !ret && i < r->nr; i++)
		ret = add_set(r, &ce, &r->sets[i], e);
	return ret ? ret : stage_write_image(r->d->facts, r->d->img, IMG_CGROUP, 0, &ce, e);
}

static int look_at(struct cg_run *r, struct dump_task *t, struct cr_err *e)
{
	int ret = 0;

	for (size_t k = 0; !ret && k < t->nr_threads; k++) {
		char path[48] = "cgroup";

		if (k)
			snprintf(path, sizeof(path), "task/%d/cgroup", t->threads[k].tid);
		ret = set_of(r, t->proc, path, t->label, &t->threads[k].cg_set, e);
	}
	return ret;
}

static int run(struct dump *d, struct cr_err *e)
{
	struct arena a = { 0 };
	struct cg_run r = { .d = d, .a = &a };
	_cleanup_close_ int self = open_proc_pid(getpid());
	uint32_t own;
	int ret = self < 0 ? gone("criu-collect", self, e) : set_of(&r, self, "cgroup", "criu-collect", &own, e);

	for (size_t i = 0; !ret && i < d->nr_tasks; i++)
		if (d->tasks[i].proc >= 0)
			ret = look_at(&r, &d->tasks[i], e);
	if (!ret && r.nr > 1)
		ret = write_image(&r, e);
	for (size_t i = 0; i < r.nr; i++)
		free(r.sets[i].text);
	free(r.sets);
	free(r.mountinfo);
	arena_free(&a);
	return ret;
}

const struct dump_hook cgroup_dump = { "cgroup", run, "needs nothing of the others" };
