/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ids of kernel tables, dump half.
 *
 * Theory of operation: two tasks share a table (memory, descriptors, file system context, signal handlers) when kcmp(2)
 * says so. kcmp also gives an order, so tables are found again by binary search instead of by comparing all with all.
 * Id 1 is criu-collect's own table (inventory.root_ids, for which .stage/root_ids goes to the seal); tasks count
 * from 2.
 *
 * What can be shared again at restore is a table of descriptors, between a parent and its child. All else is refused by
 * name, threads that left the table of their leader included.
 */
#include "kind/ids/ids.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "image/stage.h"
#include "kind/dump.h"

enum { OWN_ID = 1, FIRST_ID };

int ids_sort_out(size_t n, int (*cmp)(void *ctx, size_t i, size_t j), void *ctx, uint32_t first, uint32_t *ret_id)
{
	_cleanup_free_ size_t *sorted = malloc((n ? n : 1) * sizeof(*sorted)); /* one thing of each id, in order */
	size_t nr = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		size_t low = 0, high = nr;
		bool found = false;

		while (low < high) {
			size_t mid = low + (high - low) / 2;
			int r = cmp(ctx, i, sorted[mid]);

			if (r < 0)
				return r;
			if (r == 0) {
				ret_id[i] = ret_id[sorted[mid]];
				found = true;
				break;
			}
			if (r == 1)
				high = mid;
			else
				low = mid + 1;
		}
		if (found)
			continue;
		memmove(sorted + low + 1, sorted + low, (nr - low) * sizeof(*sorted));
		sorted[low] = i;
		ret_id[i] = first + (uint32_t)nr++;
	}
	return 0;
}

static int do_kcmp(pid_t a, pid_t b, int type)
{
	long r = syscall(SYS_kcmp, a, b, type, 0, 0);

	return r < 0 ? -errno : r > 2 ? -EINVAL : (int)r;
}

struct table {
	int type;
	struct dump_task **live;
	const char *name; /* for people */
	size_t field;	  /* in struct dump_task */
};

static int compare(void *ctx, size_t i, size_t j)
{
	const struct table *t = ctx;

	return do_kcmp(t->live[i]->pid, t->live[j]->pid, t->type);
}

static int kcmp_failed(int err, const char *object, struct cr_err *e)
{
	if (err == -ENOSYS) {
		cr_err_set(e, CR_E_KERNEL, -err, object, "this kernel has no kcmp");
		cr_err_remedy(e, "use a kernel with CONFIG_KCMP");
		return err;
	}
	return cr_err_set(e, CR_E_SYSTEM, -err, object, "its tables cannot be compared");
}

static const struct dump_task *parent_of(struct dump_task *const *live, size_t n, const struct dump_task *t)
{
	for (size_t i = 0; i < n; i++)
		if (live[i]->pid == t->ppid)
			return live[i];
	return NULL;
}

/* The second and later tasks with an id: fine for descriptors when it is the parent's. */
static void check_sharing(struct dump *d, const struct table *t, size_t n, const uint32_t *id, uint8_t *seen)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t *s = &seen[id[i] - FIRST_ID];
		struct cr_err e = { 0 };
		const struct dump_task *p;

		if (!*s) {
			*s = 1;
			continue;
		}
		p = parent_of(t->live, n, t->live[i]);
		if (t->type == KCMP_FILES && p && p->files_id == id[i])
			continue;
		cr_err_set(&e, CR_E_SHARED_TABLE, 0, t->live[i]->label, "it shares its %s with another process",
			   t->name);
		cr_report_add(d->refusals, &e);
	}
}

static int sort_out(struct dump *d, struct table *t, size_t n, struct cr_err *e)
{
	_cleanup_free_ uint32_t *id = calloc(n + 1, sizeof(*id));
	_cleanup_free_ uint8_t *seen = calloc(n + 1, 1);
	int ret = id && seen ? ids_sort_out(n, compare, t, FIRST_ID, id) : -ENOMEM;

	if (ret == -ENOMEM)
		return cr_err_nomem(e);
	if (ret < 0)
		return kcmp_failed(ret, t->name, e);
	for (size_t i = 0; i < n; i++)
		*(uint32_t *)((char *)t->live[i] + t->field) = id[i];
	check_sharing(d, t, n, id, seen);
	return 0;
}

/* CLONE_THREAD implies shared memory and handlers; the rest a thread can leave by unshare(2). */
static int check_threads(struct dump *d, const struct dump_task *t, struct cr_err *e)
{
	static const struct {
		int type;
		const char *name;
	} tables[] = { { KCMP_FILES, "descriptors" }, { KCMP_FS, "working directory, root and umask" } };

	for (size_t i = 1; i < t->nr_threads; i++)
		for (size_t k = 0; k < 2; k++) {
			int r = do_kcmp(t->pid, t->threads[i].tid, tables[k].type);
			struct cr_err refusal = { 0 };

			if (r < 0)
				return kcmp_failed(r, t->label, e);
			if (!r)
				continue;
			cr_err_set(&refusal, CR_E_SHARED_TABLE, 0, t->label, "its thread %d has %s of its own",
				   t->threads[i].tid, tables[k].name);
			cr_err_remedy(&refusal, "do not call unshare() in a single thread");
			cr_report_add(d->refusals, &refusal);
		}
	return 0;
}

static TaskKobjIdsEntry message(const uint32_t ns[DNS_COUNT])
{
	TaskKobjIdsEntry m = TASK_KOBJ_IDS_ENTRY__INIT;

	m.vm_id = m.files_id = m.fs_id = m.sighand_id = OWN_ID;
#define NS(field, which)                        \
	do {                                    \
		m.has_##field = ns[which] != 0; \
		m.field = ns[which];            \
	} while (0)
	NS(pid_ns_id, DNS_PID);
	NS(net_ns_id, DNS_NET);
	NS(ipc_ns_id, DNS_IPC);
	NS(uts_ns_id, DNS_UTS);
	NS(mnt_ns_id, DNS_MNT);
	NS(user_ns_id, DNS_USER);
	NS(cgroup_ns_id, DNS_CGROUP);
	NS(time_ns_id, DNS_TIME);
#undef NS
	return m;
}

static int write_images(struct dump *d, struct dump_task *const *live, size_t n, struct cr_err *e)
{
	TaskKobjIdsEntry root = message(d->root_ns);
	uint8_t buf[256];
	int ret;

	if (task_kobj_ids_entry__get_packed_size(&root) > sizeof(buf))
		return cr_err_set(e, CR_E_SYSTEM, 0, STAGE_ROOT_IDS, "ids are too long");
	ret = stage_write_file(d->img, STAGE_ROOT_IDS, buf, task_kobj_ids_entry__pack(&root, buf), e);
	for (size_t i = 0; !ret && i < n; i++) {
		TaskKobjIdsEntry m = message(live[i]->ns_id);

		m.vm_id = live[i]->vm_id;
		m.files_id = live[i]->files_id;
		m.fs_id = live[i]->fs_id;
		m.sighand_id = live[i]->sighand_id;
		ret = stage_write_image(d->facts, d->img, IMG_IDS, (unsigned long)live[i]->pid, &m, e);
	}
	return ret;
}

static int run(struct dump *d, struct cr_err *e)
{
	_cleanup_free_ struct dump_task **live = calloc(d->nr_tasks + 1, sizeof(*live));
	struct table tables[] = {
		{ KCMP_VM, NULL, "memory", offsetof(struct dump_task, vm_id) },
		{ KCMP_FILES, NULL, "descriptors", offsetof(struct dump_task, files_id) },
		{ KCMP_FS, NULL, "working directory, root and umask", offsetof(struct dump_task, fs_id) },
		{ KCMP_SIGHAND, NULL, "signal handlers", offsetof(struct dump_task, sighand_id) },
	};
	size_t n = 0;
	int ret = 0;

	if (!live)
		return cr_err_nomem(e);
	for (size_t i = 0; i < d->nr_tasks; i++)
		if (d->tasks[i].proc >= 0)
			live[n++] = &d->tasks[i];
	for (size_t i = 0; !ret && i < sizeof(tables) / sizeof(tables[0]); i++) {
		tables[i].live = live;
		ret = sort_out(d, &tables[i], n, e);
	}
	for (size_t i = 0; !ret && i < n; i++)
		ret = check_threads(d, live[i], e);
	return ret ? ret : write_images(d, live, n, e);
}

const struct dump_hook ids_dump = { "ids", run,
				    "before mm and files: they name tables by these ids; after ns: ids hold both" };
