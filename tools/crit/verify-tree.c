/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes: the tree, and of each task that its images are there and fit together. */
#include "verify.h"

#include <string.h>

#include "cgroup.pb-c.h"
#include "core.pb-c.h"
#include "creds.pb-c.h"
#include "inventory.pb-c.h"
#include "pstree.pb-c.h"
#include "seccomp.pb-c.h"

enum {
	DEAD = 2,
	ZOMBIE = 6,
	SIGACTIONS = 62,
	RLIMITS = 16,
	COMM = 16,
	SIGINFO = 128,
	CAPS = 2,
	USEC = 1000000,
	SIGNALS = 64
};

static const char pstree_name[] = "pstree.img";

static bool is_dead(const CoreEntry *core)
{
	return core && core->tc && (core->tc->task_state == DEAD || core->tc->task_state == ZOMBIE);
}

/* The id in an image's name, which is the pid or tid. */
static void check_siginfo(struct verify *v, const char *name, const SignalQueueEntry *q)
{
	for (size_t k = 0; q && k < q->n_signals; k++) {
		const ProtobufCBinaryData *info = &q->signals[k]->siginfo;
		int32_t number;

		if (!v_expect(v, info->len == SIGINFO, name, 0, "siginfo of %zu bytes", info->len))
			continue;
		memcpy(&number, info->data, sizeof(number));
		v_expect(v, number >= 1 && number <= SIGNALS, name, 0, "a queued signal has number %d", number);
	}
}

static void check_timers(struct verify *v, const struct vimage *i, const TaskTimersEntry *t)
{
	const ItimerEntry *own[] = { t->real, t->virt, t->prof };
	struct idmap ids = { 0 };

	for (size_t k = 0; k < t->n_posix; k++)
		v_expect(v, !v_seen(v, &ids, t->posix[k]->it_id), i->name, 0, "posix timer id %u is not unique",
			 t->posix[k]->it_id);
	for (size_t k = 0; k < 3; k++)
		v_expect(v, own[k]->iusec < USEC && own[k]->vusec < USEC, i->name, 0,
			 "itimer with more than a second of microseconds");
}

static void check_task_core(struct verify *v, const struct vimage *i, const TaskCoreEntry *tc)
{
	size_t limits = tc->rlimits ? tc->rlimits->n_rlimits : 0;
	bool state = tc->task_state >= 1 && tc->task_state <= ZOMBIE && tc->task_state != 4 && tc->task_state != 5;

	v_expect(v, state, i->name, 0, "task_state %u", tc->task_state);
	v_expect(v, strlen(tc->comm) < COMM, i->name, 0, "comm is too long");
	v_expect(v, tc->n_sigactions == SIGACTIONS || v_image(v, IMG_SIGACT, i->id), i->name, 0,
		 "%zu sigactions, not %d", tc->n_sigactions, SIGACTIONS);
	v_expect(v, limits == RLIMITS || v_image(v, IMG_RLIMIT, i->id), i->name, 0, "%zu rlimits, not %d", limits,
		 RLIMITS);
	if (tc->timers)
		check_timers(v, i, tc->timers);
	else
		v_expect(v, v_image(v, IMG_ITIMERS, i->id), i->name, 0, "no timers");
	check_siginfo(v, i->name, tc->signals_s);
}

static void check_caps(struct verify *v, const struct vimage *i, const CredsEntry *c)
{
	const struct {
		const char *name;
		size_t words, absent;
	} sets[] = {
		{ "cap_inh", c->n_cap_inh, CAPS }, { "cap_prm", c->n_cap_prm, CAPS }, { "cap_eff", c->n_cap_eff, CAPS },
		{ "cap_bnd", c->n_cap_bnd, CAPS }, { "cap_amb", c->n_cap_amb, 0 },
	};

	for (size_t k = 0; k < sizeof(sets) / sizeof(sets[0]); k++)
		v_expect(v, sets[k].words == CAPS || sets[k].words == sets[k].absent, i->name, 0,
			 "%s has %zu words, not %d", sets[k].name, sets[k].words, CAPS);
}

/* Sets of cgroups are those of cgroup.img and the one of criu itself. */
static void check_cg_set(struct verify *v, const struct vimage *i, bool has, uint32_t set)
{
	const CgroupEntry *cg = v_one(v, IMG_CGROUP, 0);
	const InventoryEntry *inv = v_one(v, IMG_INVENTORY, 0);
	bool known = !has || !inv || inv->root_cg_set == set;

	for (size_t k = 0; !known && cg && k < cg->n_sets; k++)
		known = cg->sets[k]->id == set;
	v_expect(v, known, i->name, 0, "cg_set %u is not in cgroup.img", set);
}

/* The filters of a thread: the newest, and those that were there before it. */
static void check_filters(struct verify *v, const struct vimage *i, const ThreadCoreEntry *t,
			  const SeccompEntry *seccomp)
{
	size_t filters = seccomp ? seccomp->n_seccomp_filters : 0, steps = 0;
	uint32_t at = t->seccomp_filter;

	if (!t->has_seccomp_mode || t->seccomp_mode != SECCOMP_MODE__filter)
		return;
	if (!v_expect(v, t->has_seccomp_filter, i->name, 0, "seccomp mode filter without a filter") ||
	    !v_expect(v, at < filters, i->name, 0, "seccomp_filter %u of %zu", at, filters))
		return;
	for (; at < filters && seccomp->seccomp_filters[at]->has_prev && steps < filters; steps++)
		at = seccomp->seccomp_filters[at]->prev;
	v_expect(v, steps < filters, i->name, 0, "seccomp_filter %u: the filters before it do not end",
		 t->seccomp_filter);
}

static void check_thread_core(struct verify *v, const struct vimage *i, const ThreadCoreEntry *t)
{
	check_siginfo(v, i->name, t->signals_p);
	v_expect(v, !t->comm || strlen(t->comm) < COMM, i->name, 0, "comm is too long");
	if (t->creds)
		check_caps(v, i, t->creds);
	else
		v_expect(v, v_image(v, IMG_CREDS, i->id), i->name, 0, "no credentials");
	check_filters(v, i, t, v_one(v, IMG_SECCOMP, 0));
	check_cg_set(v, i, t->has_cg_set, t->cg_set);
}

static void check_words(struct verify *v, const struct vimage *i, const char *field, size_t got, size_t one,
			size_t other)
{
	v_expect(v, got == one || got == other, i->name, 0, "%s has %zu words, not %zu", field, got, one);
}

static void check_x86(struct verify *v, const struct vimage *i, const UserX86FpregsEntry *fp)
{
	const UserX86XsaveEntry *x = fp->xsave;

	check_words(v, i, "st_space", fp->n_st_space, 32, 32);
	check_words(v, i, "xmm_space", fp->n_xmm_space, 64, 64);
	check_words(v, i, "padding", fp->n_padding, 24, 0);
	if (!x)
		return;
	check_words(v, i, "ymmh_space", x->n_ymmh_space, 64, 0);
	check_words(v, i, "bndreg_state", x->n_bndreg_state, 8, x->n_bndreg_state == 4 ? 4 : 0);
	check_words(v, i, "bndcsr_state", x->n_bndcsr_state, 2, 0);
	check_words(v, i, "opmask_reg", x->n_opmask_reg, 8, 0);
	check_words(v, i, "zmm_upper", x->n_zmm_upper, 64, 0);
	check_words(v, i, "hi16_zmm", x->n_hi16_zmm, 128, 0);
	check_words(v, i, "pkru", x->n_pkru, 2, x->n_pkru == 1 ? 1 : 0);
}

/* The registers are those of the architecture, and of no other one. */
static void check_registers(struct verify *v, const struct vimage *i, const CoreEntry *c)
{
	const struct {
		CoreEntry__March march;
		const char *name;
		const void *info;
	} kinds[] = {
		{ CORE_ENTRY__MARCH__X86_64, "X86_64", c->thread_info },
		{ CORE_ENTRY__MARCH__ARM, "ARM", c->ti_arm },
		{ CORE_ENTRY__MARCH__AARCH64, "AARCH64", c->ti_aarch64 },
		{ CORE_ENTRY__MARCH__PPC64, "PPC64", c->ti_ppc64 },
		{ CORE_ENTRY__MARCH__S390, "S390", c->ti_s390 },
		{ CORE_ENTRY__MARCH__MIPS, "MIPS", c->ti_mips },
		{ CORE_ENTRY__MARCH__LOONGARCH64, "LOONGARCH64", c->ti_loongarch64 },
		{ CORE_ENTRY__MARCH__RISCV64, "RISCV64", c->ti_riscv64 },
	};
	const char *name = "?", *have = "no registers";
	bool right = false;
	size_t n = 0;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (kinds[k].march == c->mtype)
			name = kinds[k].name;
		if (!kinds[k].info)
			continue;
		n++;
		have = kinds[k].name;
		right = right || kinds[k].march == c->mtype;
	}
	v_expect(v, right && n == 1, i->name, 0, "%s thread with %s%s", name, n > 1 ? "registers of several: " : "",
		 have);
	if (right && c->thread_info)
		check_x86(v, i, c->thread_info->fpregs);
}

static void check_core(struct verify *v, const struct vimage *i, const CoreEntry *c, bool leader, bool dead)
{
	v_expect(v, !c->tc == !leader, i->name, 0, "tc belongs to the leader, and only to it");
	if (dead)
		return;
	check_registers(v, i, c);
	if (leader && c->tc)
		check_task_core(v, i, c->tc);
	if (c->tc)
		check_cg_set(v, i, c->tc->has_cg_set, c->tc->cg_set);
	if (v_expect(v, c->thread_core, i->name, 0, "no thread_core"))
		check_thread_core(v, i, c->thread_core);
}

/* A namespace other than criu's own must have its image. */
static void check_namespaces(struct verify *v, uint32_t pid, const TaskKobjIdsEntry *ids)
{
	const InventoryEntry *inv = v_one(v, IMG_INVENTORY, 0);
	const TaskKobjIdsEntry *root = inv ? inv->root_ids : NULL;
	const struct {
		const char *field;
		enum img_type type;
		uint32_t own, outer;
	} spaces[] = {
		{ "uts_ns_id", IMG_UTSNS, ids->uts_ns_id, root ? root->uts_ns_id : 0 },
		{ "ipc_ns_id", IMG_IPC_VAR, ids->ipc_ns_id, root ? root->ipc_ns_id : 0 },
		{ "net_ns_id", IMG_NETNS, ids->net_ns_id, root ? root->net_ns_id : 0 },
		{ "mnt_ns_id", IMG_MNTS, ids->mnt_ns_id, root ? root->mnt_ns_id : 0 },
		{ "user_ns_id", IMG_USERNS, ids->user_ns_id, root ? root->user_ns_id : 0 },
		{ "time_ns_id", IMG_TIMENS, ids->time_ns_id, root ? root->time_ns_id : 0 },
	};
	char file[IMG_NAME_MAX], image[IMG_NAME_MAX];

	img_name(IMG_IDS, pid, file);
	for (size_t k = 0; root && k < sizeof(spaces) / sizeof(spaces[0]); k++)
		if (spaces[k].own && spaces[k].own != spaces[k].outer)
			v_expect(v, v_image(v, spaces[k].type, spaces[k].own), file, 0, "%s: %s is missing",
				 spaces[k].field, img_name(spaces[k].type, spaces[k].own, image));
}

static void check_ids(struct verify *v, long n, uint32_t pid, const TaskKobjIdsEntry *ids)
{
	char file[IMG_NAME_MAX], fdinfo[IMG_NAME_MAX];

	if (!v_image(v, IMG_FDINFO, ids->files_id))
		v_warn(v, pstree_name, n, "%s is missing (right only for a task without descriptors)",
		       img_name(IMG_FDINFO, ids->files_id, fdinfo));
	img_name(IMG_IDS, pid, file);
	v_expect(v, ids->vm_id, file, 0, "vm_id is zero");
	v_expect(v, ids->files_id, file, 0, "files_id is zero");
	v_expect(v, ids->fs_id, file, 0, "fs_id is zero");
	v_expect(v, ids->sighand_id, file, 0, "sighand_id is zero");
	check_namespaces(v, pid, ids);
}

static void check_alive(struct verify *v, long n, uint32_t pid, const CoreEntry *leader)
{
	static const enum img_type due[] = { IMG_MM, IMG_FS, IMG_PAGEMAP };
	const TaskKobjIdsEntry *ids = v_one(v, IMG_IDS, pid);
	char file[IMG_NAME_MAX];
	uint64_t *alive;

	if (!ids && leader)
		ids = leader->ids;
	v_expect(v, ids, pstree_name, n, "%s is missing or unreadable", img_name(IMG_IDS, pid, file));
	for (size_t k = 0; k < sizeof(due) / sizeof(due[0]); k++)
		v_expect(v, v_one(v, due[k], pid), pstree_name, n, "%s is missing or unreadable",
			 img_name(due[k], pid, file));
	alive = idmap_put(&v->alive, &v->arena, pid);
	if (alive && ids)
		*alive = (uint64_t)ids->files_id + 1;
	if (ids)
		check_ids(v, n, pid, ids);
}

static void check_task(struct verify *v, long n, const PstreeEntry *t, struct idmap *tids)
{
	const CoreEntry *leader = v_one(v, IMG_CORE, t->pid);
	bool dead = is_dead(leader), has_leader = dead;
	size_t count = dead ? 1 : t->n_threads; /* CRIU 4.2 writes any number as the thread of a zombie */
	char file[IMG_NAME_MAX];

	for (size_t k = 0; k < count; k++) {
		uint32_t tid = dead ? t->pid : t->threads[k];
		const struct vimage *i = v_image(v, IMG_CORE, tid);
		const CoreEntry *core = i ? v_one(v, IMG_CORE, tid) : NULL;

		has_leader = has_leader || tid == t->pid;
		v_expect(v, !v_seen(v, tids, tid), pstree_name, n, "a tid is not unique: %u", tid);
		if (v_expect(v, core, pstree_name, n, "%s is missing or unreadable", img_name(IMG_CORE, tid, file)))
			check_core(v, i, core, tid == t->pid, dead);
	}
	v_expect(v, has_leader, pstree_name, n, "the leader is not among the threads");
	if (!dead)
		check_alive(v, n, t->pid, leader);
}

static void check_orphans(struct verify *v, enum img_type type, const struct idmap *used, const char *what)
{
	const struct vimage *i;

	for (size_t n = v_images(v, type, &i); n; n--, i++)
		v_expect(v, idmap_has(used, i->id), i->name, -1, "%s", what);
}

static void check_all_orphans(struct verify *v, const struct idmap *tids)
{
	static const char what[] = "no such live task in pstree.img";
	struct walk w = v_walk(v, IMG_PSTREE);
	struct idmap tables = { 0 };
	const PstreeEntry *t;

	check_orphans(v, IMG_CORE, tids, what);
	check_orphans(v, IMG_CREDS, tids, what);
	check_orphans(v, IMG_MM, &v->alive, what);
	check_orphans(v, IMG_IDS, &v->alive, what);
	check_orphans(v, IMG_FS, &v->alive, what);
	check_orphans(v, IMG_PAGEMAP, &v->alive, what);
	while ((t = v_next(&w))) {
		const uint64_t *alive = idmap_get(&v->alive, t->pid);

		if (alive && *alive)
			v_seen(v, &tables, *alive - 1);
	}
	check_orphans(v, IMG_FDINFO, &tables, "no task has this files_id");
}

void verify_tree(struct verify *v)
{
	const struct vimage *i = v_image(v, IMG_PSTREE, 0);
	struct idmap pids = { 0 }, tids = { 0 };
	struct walk w = v_walk(v, IMG_PSTREE);
	const PstreeEntry *t;

	if (!v_expect(v, i && i->n, pstree_name, -1, "is missing or empty"))
		return;
	while ((t = v_next(&w))) {
		v_expect(v, !t->ppid == !w.entry, i->name, w.entry, "ppid %u: only the first task is the root",
			 t->ppid);
		v_expect(v, !w.entry || idmap_has(&pids, t->ppid), i->name, w.entry, "parent %u does not come before",
			 t->ppid);
		v_expect(v, t->pid && !v_seen(v, &pids, t->pid), i->name, w.entry, "pid %u is not unique", t->pid);
		check_task(v, w.entry, t, &tids);
	}
	verify_sessions(v);
	check_all_orphans(v, &tids);
}
