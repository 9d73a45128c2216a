/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit show DIR: an overview of a checkpoint. With --json it is the same facts, by the functions that make crit report's page. */
#include "show.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "idmap.h"
#include "inventory.pb-c.h"
#include "mm.pb-c.h"
#include "needs.h"
#include "overview.h"
#include "pstree.pb-c.h"
#include "report.h"
#include "stats.pb-c.h"

enum { TCP_LISTENS = 10, NEEDS_SHOWN = 12 };

struct totals {
	unsigned long threads, fds, vmas;
	uint64_t mapped;
	struct page_sum pages;
};

struct task {
	const char *state, *comm;
	size_t threads, n_fds, n_vmas;
	uint64_t mapped;
	struct page_sum pages;
};

static void read_task(struct checkpoint *c, const PstreeEntry *t, struct task *ret, struct totals *all)
{
	const CoreEntry *core = checkpoint_task_one(c, IMG_CORE, t->pid);
	struct task task = { .state = task_state_name(core), .comm = checkpoint_comm(c, t->pid) };
	bool zombie = !strcmp(task.state, "zombie");
	VmaEntry *const *vmas;
	FdinfoEntry **fds;

	task.n_vmas = checkpoint_vmas(c, t->pid, &vmas);
	task.threads = zombie ? 1 : t->n_threads;
	task.n_fds = zombie ? 0 : checkpoint_fds(c, t, &fds);
	for (size_t k = 0; k < task.n_vmas; k++)
		task.mapped += vmas[k]->end - vmas[k]->start;
	pagemap_sums(c, IMG_PAGEMAP, t->pid, NULL, 0, NULL, &task.pages);
	all->threads += task.threads;
	all->fds += task.n_fds;
	all->vmas += task.n_vmas;
	all->mapped += task.mapped;
	all->pages.here += task.pages.here;
	all->pages.parent += task.pages.parent;
	all->pages.lazy += task.pages.lazy;
	*ret = task;
}

static void print_tasks(struct checkpoint *c, struct totals *all)
{
	printf("%7s%7s%7s%7s%8s  %-8s%6s%7s%10s  %s\n", "PID", "PPID", "PGID", "SID", "THREADS", "STATE", "FDS", "VMAS",
	       "PAGES", "COMM");
	for (size_t i = 0; i < c->n_tasks; i++) {
		const PstreeEntry *t = c->tasks[i];
		struct task task;
		char comm[80];

		read_task(c, t, &task, all);
		printf("%7u%7u%7u%7u%8zu  %-8s%6zu%7zu%10" PRIu64 "  %*s%s\n", t->pid, t->ppid, t->pgid, t->sid,
		       task.threads, task.state, task.n_fds, task.n_vmas, page_sum_all(&task.pages),
		       (int)(2 * checkpoint_depth(c, t)), "",
		       safe_text(task.comm, strlen(task.comm), comm, sizeof(comm)));
	}
}

/* A string of the manifest, printable; "" if it is not there. */
static const char *member(const json_t *object, const char *key, char buf[128])
{
	const char *text = json_string_value(json_object_get(object, key));

	return safe_text(text ? text : "", text ? strlen(text) : 0, buf, 128);
}

static bool is_dry(const json_t *m)
{
	return json_is_true(json_object_get(json_object_get(m, "options"), "check_only"));
}

/* Why the dump failed; nothing if it did not. */
static void print_failure(const json_t *error)
{
	char code[128], object[128], reason[128], remedy[128];

	member(error, "remedy", remedy);
	if (error)
		printf("Failed     %s: %s%s%s%s [%s]\n", member(error, "object", object),
		       member(error, "reason", reason), *remedy ? " (" : "", remedy, *remedy ? ")" : "",
		       member(error, "code", code));
}

static void print_made(const json_t *m, bool inventory)
{
	const json_t *host = json_object_get(m, "host");
	char created[128], node[128], kernel[128], arch[128], version[128], state[128];

	/* Arguments are evaluated in any order: first what two of them use. */
	member(m, "created", created);
	if (m)
		printf("Made       %.10s %.8s UTC on %s, Linux %s, %s, by criu-pipeline %s; %s\n", created,
		       strlen(created) > 11 ? created + 11 : "", member(host, "node", node),
		       member(host, "kernel", kernel), member(host, "arch", arch), member(m, "version", version),
		       member(m, "state", state));
	if (is_dry(m))
		printf("           by a dry run (--check-only): it holds no memory and cannot be restored\n");
	print_failure(json_object_get(m, "error"));
	if (!inventory)
		printf("Made       no inventory.img: this is no finished checkpoint\n");
}

static void print_memory(const struct totals *all, const struct overview *o, bool dry)
{
	char mapped[32], here[32], segments[32];

	printf("Memory     %s mapped, %s in the images", bytes_text(all->mapped, mapped),
	       bytes_text(all->pages.here * 4096, here));
	if (all->pages.parent || o->parent)
		printf(", %" PRIu64 " pages in the parent %s", all->pages.parent,
		       o->parent ? o->parent : "(not there)");
	if (all->pages.lazy)
		printf(", %" PRIu64 " pages %s", all->pages.lazy, dry ? "not written" : "lazy");
	if (o->n_segments)
		printf("; %lu shared segment%s with %s", o->n_segments, o->n_segments == 1 ? "" : "s",
		       bytes_text(page_sum_all(&o->segments) * 4096, segments));
	printf("\n");
}

static void print_files(const struct checkpoint *c)
{
	unsigned long counts[FD_TYPES__PIDFD + 1] = { 0 }, listens = 0;
	const char *sep = "";

	for (size_t k = 0; k < c->n_files; k++) {
		const InetSkEntry *sk = c->files[k].entry;

		if (c->files[k].type <= FD_TYPES__PIDFD)
			counts[c->files[k].type]++;
		listens += sk && c->files[k].type == FD_TYPES__INETSK && sk->proto == IPPROTO_TCP &&
			   sk->state == TCP_LISTENS;
	}
	printf("Files      ");
	for (int k = 0; k <= FD_TYPES__PIDFD; k++)
		if (counts[k]) {
			printf("%s%lu %s", sep, counts[k],
			       protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, k)->name);
			sep = ", ";
		}
	printf("%s\nSockets    %lu internet (%lu listening), %lu unix, %lu netlink, %lu packet\n", *sep ? "" : "none",
	       counts[FD_TYPES__INETSK], listens, counts[FD_TYPES__UNIXSK], counts[FD_TYPES__NETLINKSK],
	       counts[FD_TYPES__PACKETSK]);
}

static void print_namespaces(struct checkpoint *c)
{
	const InventoryEntry *inv = checkpoint_one(c, IMG_INVENTORY, 0);
	struct idmap seen = { 0 };
	const char *sep = "";

	printf("Namespaces ");
	for (unsigned int k = 0; k < NS_KINDS; k++)
		for (size_t i = 0; i < c->n_tasks; i++) {
			const TaskKobjIdsEntry *ids = checkpoint_ids(c, c->tasks[i]->pid);
			uint32_t id = ids ? ns_id(ids, k) : 0;

			if (!id || idmap_has(&seen, idmap_key(k, id)) ||
			    (inv && inv->root_ids && ns_id(inv->root_ids, k) == id))
				continue;
			if (!idmap_put(&seen, &c->arena, idmap_key(k, id)))
				return;
			printf("%s%s:%u", sep, ns_name(k), id);
			sep = ", ";
		}
	printf(*sep ? " are its own\n" : "the host's\n");
}

static void print_images(const struct overview *o)
{
	static const struct {
		enum img_type type, also;
		const char *name;
	} shown[] = {
		{ IMG_PAGES, IMG_PAGES, "pages" },
		{ IMG_PAGEMAP, IMG_PAGEMAP_SHMEM, "pagemaps" },
		{ IMG_CORE, IMG_CORE, "cores" },
		{ IMG_MM, IMG_VMAS, "mappings" },
		{ IMG_FILES, IMG_REG_FILES, "files" },
		{ IMG_GHOST_FILE, IMG_GHOST_FILE, "deleted files" },
		{ IMG_PIPES_DATA, IMG_FIFO_DATA, "pipe contents" },
		{ IMG_SK_QUEUES, IMG_TCP_STREAM, "socket queues" },
		{ IMG_TMPFS_DEV, IMG_TMPFS_IMG, "tmpfs" },
	};
	uint64_t rest = o->all.bytes;
	char size[32];

	printf("Images     %lu images, %" PRIu64 " bytes: ", o->all.n, o->all.bytes);
	for (size_t k = 0; k < sizeof(shown) / sizeof(shown[0]); k++) {
		uint64_t bytes = o->images[shown[k].type].bytes;

		if (shown[k].also != shown[k].type)
			bytes += o->images[shown[k].also].bytes;
		if (bytes)
			printf("%s %s, ", shown[k].name, bytes_text(bytes, size));
		rest -= bytes;
	}
	printf("others %s\n", bytes_text(rest, size));
}

/* CRIU's times are in stats-dump, which may be in another directory; our stages note them too. */
static void print_times(struct checkpoint *c, const json_t *m)
{
	const StatsEntry *stats = checkpoint_one(c, IMG_STATS_DUMP, 0);
	const json_t *stage, *stages = json_object_get(m, "stages");
	char freezing[32], frozen[32], dump[32], write[32], name[128], time[32];
	size_t k;

	if (stats && stats->dump)
		printf("Times      frozen %s, until all were %s; memory taken %s, written %s\n",
		       time_text(stats->dump->frozen_time / 1e6, frozen),
		       time_text(stats->dump->freezing_time / 1e6, freezing),
		       time_text(stats->dump->memdump_time / 1e6, dump),
		       time_text(stats->dump->memwrite_time / 1e6, write));
	if (!json_array_size(stages))
		return;
	printf("Stages     ");
	json_array_foreach(stages, k, stage)
	{
		const json_t *us = json_object_get(stage, "frozen_us");

		printf("%s%s %s", k ? ", " : "", member(stage, "name", name),
		       time_text(json_number_value(json_object_get(stage, "seconds")), time));
		if (us && !stats)
			printf(" (frozen %s)", time_text((double)json_integer_value(us) / 1e6, frozen));
	}
	printf("\n");
	json_array_foreach(stages, k, stage)
	{
		size_t n = json_array_size(json_object_get(stage, "warnings")) +
			   json_array_size(json_object_get(stage, "failures"));

		if (n)
			printf("Warnings   %zu of %s (crit report, or manifest.json)\n", n,
			       member(stage, "name", name));
	}
}

/* After all else has been read. */
static void print_damaged(const struct checkpoint *c)
{
	if (c->n_damaged)
		printf("Damaged    %s%zu image%s could not be read whole, the first is %s (crit verify)\n",
		       c->more_damaged ? "more than " : "", c->n_damaged, c->n_damaged == 1 ? "" : "s",
		       c->damaged[0].file);
}

static void print_needs(const struct needs *needs)
{
	size_t of_kind = 0;

	printf("\nA restore needs (criu restore --check-only tests it)\n");
	for (size_t k = 0; k < needs->n; k++) {
		const struct need *n = &needs->v[k];
		bool last = k + 1 == needs->n || strcmp(n->kind, needs->v[k + 1].kind);

		if (++of_kind <= NEEDS_SHOWN)
			printf("  %-11s %s%s%s%s\n", n->kind, n->object, *n->detail ? " (" : "", n->detail,
			       *n->detail ? ")" : "");
		if (last && of_kind > NEEDS_SHOWN)
			printf("  %-11s and %zu more (crit show --json has all)\n", "", of_kind - NEEDS_SHOWN);
		of_kind = last ? 0 : of_kind;
	}
	if (needs->dropped)
		printf("  and %zu more that are not kept\n", needs->dropped);
}

static int print_overview(struct checkpoint *c, const json_t *m, struct cr_err *e)
{
	struct overview o = { 0 };
	struct totals all = { 0 };
	struct needs needs = { 0 };
	int ret;

	print_tasks(c, &all);
	overview_images(c, &o);
	printf("\nTasks      %zu tasks, %lu threads, %lu descriptors, %zu open files, %lu mappings, %" PRIu64
	       " pages\n",
	       c->n_tasks, all.threads, all.fds, c->n_files, all.vmas, page_sum_all(&all.pages));
	print_memory(&all, &o, is_dry(m));
	print_files(c);
	print_namespaces(c);
	print_images(&o);
	print_made(m, o.inventory);
	print_times(c, m);
	ret = checkpoint_needs(c, m, &needs, e);
	print_damaged(c);
	if (!ret)
		print_needs(&needs);
	return ret;
}

static void put_tasks(struct json_out *o, struct checkpoint *c)
{
	struct totals all = { 0 };

	jo_key(o, "tasks");
	jo_begin(o, '[');
	for (size_t i = 0; i < c->n_tasks; i++) {
		const PstreeEntry *t = c->tasks[i];
		struct task task;
		char comm[80];

		read_task(c, t, &task, &all);
		jo_begin(o, '{');
		jo_put_number(o, "pid", t->pid);
		jo_put_number(o, "ppid", t->ppid);
		jo_put_number(o, "pgid", t->pgid);
		jo_put_number(o, "sid", t->sid);
		jo_put_text(o, "comm", name_text(c, task.comm, strlen(task.comm), comm, sizeof(comm)));
		jo_put_text(o, "state", task.state);
		jo_put_number(o, "threads", task.threads);
		jo_put_number(o, "fds", task.n_fds);
		jo_put_number(o, "mappings", task.n_vmas);
		jo_put_number(o, "mapped", task.mapped);
		jo_put_number(o, "pages", task.pages.here);
		jo_put_number(o, "pages_parent", task.pages.parent);
		jo_put_number(o, "pages_lazy", task.pages.lazy);
		jo_end(o, '}');
	}
	jo_end(o, ']');
}

static int json_overview(struct checkpoint *c, json_t *m, const char *path, struct cr_err *e)
{
	struct json_out out = { .pretty = true, .spelled = true };
	struct report r = { .out = &out, .c = c, .manifest = m, .needs = SIZE_MAX, .objects = true };
	struct output to;
	int ret;

	ret = output_open(&to, NULL, e);
	if (ret < 0)
		return ret;
	out.ob = to.ob;
	jo_begin(&out, '{');
	put_tasks(&out, c);
	ret = report_facts(&r, path, e);
	damages_json(c, &out, true);
	jo_end(&out, '}');
	ob_text(to.ob, "\n");
	if (!ret)
		ret = output_finish(&to, e);
	output_abandon(&to);
	return ret;
}

int show_dir(const char *path, bool json)
{
	struct checkpoint c;
	struct cr_err e;
	json_t *m;
	int ret;

	ret = checkpoint_open(&c, path, &e);
	if (ret < 0)
		return crit_fail(&e);
	c.spelled = json;
	m = checkpoint_manifest(&c);
	ret = json ? json_overview(&c, m, path, &e) : print_overview(&c, m, &e);
	json_decref(m);
	ret = ret < 0 ? crit_fail(&e) : damages_tell(&c);
	checkpoint_close(&c);
	return ret;
}
