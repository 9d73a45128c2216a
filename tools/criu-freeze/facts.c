/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What criu-freeze itself knows: host, options, the tree. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "freeze.h"
#include "image/image.h"
#include "kind/cpu/cpu.h"
#include "pstree.pb-c.h"

static const char *const state_name[] = { "", "running", "stopped", "zombie" };

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
	struct cpu_info cpu;
	json_t *host;

	uname(&u);
	cpu_info_own(&cpu);
	host = json_pack("{s:s, s:I, s:s, s:o, s:o}", "arch", u.machine, "page_size", (json_int_t)sysconf(_SC_PAGESIZE),
			 "kernel", u.release, "node", json_bytes(u.nodename, strlen(u.nodename)), "cpu",
			 cpu_info_to_json(&cpu));
	return json_pack("{s:o, s:o}", "host", host, "options", options(o));
}

int facts_cpuinfo(const struct cr_opts *o, int img, struct stage_facts *f, struct cr_err *e)
{
	struct cpu_info cpu;
	struct stat st;
	unsigned caps;
	int err = cpu_cap_parse(o->cpu_cap, &caps, e);

	if (err || !(caps & CPU_CAP_IMAGE))
		return err;
	cpu_info_own(&cpu);
	err = cpu_info_write(img, &cpu, e);
	if (!err)
		stage_wrote(f, "cpuinfo.img", fstatat(img, "cpuinfo.img", &st, 0) ? 0 : (uint64_t)st.st_size);
	return err;
}

static json_t *threads_of(const struct holder *h, const struct hproc *p)
{
	json_t *list = json_array();

	for (uint32_t k = p->leader; k != NO_INDEX; k = h->thread[k].next)
		if (h->thread[k].state != TH_GONE)
			json_array_append_new(list, json_integer(h->thread[k].r.tid));
	return list;
}

const char *facts_epoch(uint64_t epoch, char buf[FACTS_EPOCH])
{
	snprintf(buf, FACTS_EPOCH, "%016llx", (unsigned long long)epoch);
	return buf;
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
