/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What criu-freeze itself knows: host, options, the tree. */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "freeze.h"
#include "image/image.h"
#include "pstree.pb-c.h"

static const char *const state_name[] = { "", "running", "stopped", "zombie" };

static json_t *cpu(void)
{
	unsigned a, b, c, d, leaf1_c = 0, leaf1_d = 0, leaf7_b = 0, leaf7_c = 0, leaf7_d = 0;
	uint64_t xcr0 = 0;
	json_int_t size = 0;

	if (__get_cpuid(1, &a, &b, &c, &d)) {
		leaf1_c = c;
		leaf1_d = d;
	}
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		leaf7_b = b;
		leaf7_c = c;
		leaf7_d = d;
	}
	if (leaf1_c & bit_OSXSAVE && __get_cpuid_count(0xd, 0, &a, &b, &c, &d)) {
		size = b; /* of the features that are enabled */
		__asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
		xcr0 = (uint64_t)d << 32 | a;
	}
	return json_pack("{s:[I,I,I,I,I], s:I, s:I}", "features", (json_int_t)leaf1_c, (json_int_t)leaf1_d,
			 (json_int_t)leaf7_b, (json_int_t)leaf7_c, (json_int_t)leaf7_d, "xsave_mask", (json_int_t)xcr0,
			 "xsave_size", size);
}

static json_t *options(const struct cr_opts *o)
{
	json_t *j = json_pack("{s:b, s:b, s:b, s:b, s:b, s:b}", "leave_running", o->leave_running, "leave_stopped",
			      o->leave_stopped, "shell_job", o->shell_job, "sync", !o->no_sync, "checksum", o->checksum,
			      "check_only", o->check_only);

	if (o->manage_cgroups)
		json_object_set_new(j, "manage_cgroups", json_bytes(o->manage_cgroups, strlen(o->manage_cgroups)));
	return j;
}

json_t *facts_head(const struct cr_opts *o)
{
	struct utsname u = { 0 };
	json_t *host;

	uname(&u);
	host = json_pack("{s:s, s:I, s:s, s:o, s:o}", "arch", u.machine, "page_size", (json_int_t)sysconf(_SC_PAGESIZE),
			 "kernel", u.release, "node", json_bytes(u.nodename, strlen(u.nodename)), "cpu", cpu());
	return json_pack("{s:o, s:o}", "host", host, "options", options(o));
}

static json_t *threads_of(const struct holder *h, const struct hproc *p)
{
	json_t *list = json_array();

	for (uint32_t k = p->leader; k != NO_INDEX; k = h->thread[k].next)
		if (h->thread[k].state != TH_GONE)
			json_array_append_new(list, json_integer(h->thread[k].r.tid));
	return list;
}

json_t *facts_tree(const struct holder *h)
{
	json_t *tree = json_array();

	for (uint32_t i = 0; i < h->nr_order; i++) {
		const struct hproc *p = &h->proc[h->order[i]];
		const struct hthread *leader = &h->thread[p->leader];

		json_array_append_new(tree, json_pack("{s:i, s:i, s:i, s:i, s:o, s:s, s:b, s:I, s:o}", "pid", p->pid,
						      "ppid", p->ppid, "pgid", p->pgid, "sid", p->sid, "comm",
						      json_bytes(p->comm, strlen(p->comm)), "state",
						      state_name[leader->state], "stopped_before",
						      leader->state == TH_STOPPED, "starttime",
						      (json_int_t)p->starttime, "threads", threads_of(h, p)));
	}
	return tree;
}

static int put_proc(const struct holder *h, const struct hproc *p, struct img_writer *w, struct cr_err *e)
{
	PstreeEntry pe = PSTREE_ENTRY__INIT;
	uint32_t n = 0, *threads = calloc(p->nr_threads, sizeof(*threads));
	int err;

	if (!threads)
		return cr_err_nomem(e);
	for (uint32_t k = p->leader; k != NO_INDEX; k = h->thread[k].next)
		if (h->thread[k].state != TH_GONE)
			threads[n++] = h->thread[k].r.tid;
	pe.pid = p->pid;
	pe.ppid = p->parent == NO_INDEX ? 0 : h->proc[p->parent].pid;
	pe.pgid = p->pgid;
	pe.sid = p->sid;
	pe.threads = threads;
	pe.n_threads = n;
	err = img_put(w, &pe, e);
	free(threads);
	return err;
}

int facts_pstree(const struct holder *h, int img, struct stage_facts *f, struct cr_err *e)
{
	struct img_writer w;
	int err = img_create(img, IMG_PSTREE, 0, &w, e);

	if (err)
		return err;
	for (uint32_t i = 0; i < h->nr_order && !err; i++)
		err = put_proc(h, &h->proc[h->order[i]], &w, e);
	if (!err)
		err = img_finish(&w, e);
	if (!err)
		stage_wrote(f, "pstree.img", w.bytes);
	img_abandon(&w);
	return err;
}
