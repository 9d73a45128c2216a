/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the life of a task before it is itself again.
 *
 *	1 sessions	make those who must be born in the old session, setsid, make the others
 *	2 groups	join them, when their leaders exist; helpers end, zombies die
 *	3 memory	map and fill it; before children that share pages are made, else here
 *	4 descriptors	the table's first task makes it; what needs all descriptors of all tasks comes after a meeting
 *	5 the blob	everything else is its program (order.c)
 *
 * Memory comes before descriptors, because mapping files uses descriptor numbers that are the task's own later.
 * Children that share no page with us are made before our memory is filled, so that no page tables are copied for
 * nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "core.pb-c.h"
#include "fs.pb-c.h"
#include "mm.pb-c.h"
#include "restore.h"

extern const uint8_t restorer_blob_start[], restorer_blob_end[];

static struct plan_task *me(struct restore *x)
{
	return &x->plan.tasks[x->me];
}

/* A task cannot go on. The record names the task where the kind did not. */
__attribute__((noreturn)) static void give_up(struct restore *x, struct cr_err *e)
{
	char who[64], object[sizeof(e->object)];

	plan_who(me(x), who, sizeof(who));
	if (!e->code)
		cr_err_set(e, CR_E_RESTORE_TASK, 0, who, "it ended without a reason");
	else if (strncmp(e->object, "task ", 5)) {
		snprintf(object, sizeof(object), "%s, %.120s", who, e->object);
		memcpy(e->object, object, sizeof(object));
	}
	rst_fail(&x->rst, e);
	_exit(1);
}

static void check(struct restore *x, int err, struct cr_err *e)
{
	/* Another failed, and told; or a call of ours has failed with this very error. */
	if (err == -ECANCELED && __atomic_load_n(&x->rst.shared->failed, __ATOMIC_ACQUIRE))
		_exit(1);
	if (err)
		give_up(x, e);
}

static void report(struct restore *x)
{
	struct rst_sync *s = x->rst.sync;
	uint32_t n = __atomic_add_fetch(&s->count, 1, __ATOMIC_ACQ_REL);

	if (n == __atomic_load_n(&s->target, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &s->count, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
}

static void meet(struct restore *x, uint32_t stage)
{
	report(x);
	if (rst_wait(&x->rst, &x->rst.sync->stage, stage))
		_exit(1);
}

/* Has the main process ended, reaped or not? */
static bool main_gone(const struct restore *x)
{
	struct pollfd p = { .fd = x->rst.main_pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/*
 * Die with the parent. An orphan's first parent is about to end: wait for the right one. The root of a restore with
 * --restore-sibling has a parent that outlives us: wait until the main process traces it.
 */
static void bind_to_parent(struct restore *x, pid_t parent, bool orphan)
{
	struct cr_err e = {};
	char who[64];

	for (int tries = 0; orphan && getppid() != parent; tries++) {
		if (main_gone(x))
			_exit(1);
		if (tries == 2000) {
			cr_err_set(&e, CR_E_RESTORE_TASK, 0, plan_who(me(x), who, sizeof(who)),
				   "its parent has died: it belongs to process %d now, not to %d", getppid(), parent);
			give_up(x, &e);
		}
		if (tries < 100)
			sched_yield();
		else
			usleep(1000);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	while (x->me == 0 && !__atomic_load_n(&x->slots[0].traced, __ATOMIC_ACQUIRE)) {
		if (main_gone(x))
			_exit(1);
		sched_yield();
	}
}

pid_t thread_in_vdso(const struct plan_task *t)
{
	for (size_t i = 0; t->mm && i < t->nr_threads; i++) {
		const ThreadInfoX86 *ti = t->threads[i].core->thread_info;

		if (ti && ti->gpregs && mm_in_vdso(t->mm, ti->gpregs->ip))
			return t->threads[i].tid;
	}
	return 0;
}

static void memory(struct restore *x, struct cr_err *e)
{
	struct rst_sync *s = x->rst.sync;

	if (x->mm_done)
		return;
	check(x, mm_restore(&x->rst, &x->mm, me(x)->mm, me(x)->pid, &x->segs, &x->vdso, thread_in_vdso(me(x)), e), e);
	x->mm_done = true;
	__atomic_add_fetch(&s->pages_compared, x->mm.compared, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->pages_skipped_cow, x->mm.skipped, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->pages_restored, x->mm.restored, __ATOMIC_RELAXED);
	log_debug("memory: %llu pages written, %llu compared, %llu shared", (unsigned long long)x->mm.restored,
		  (unsigned long long)x->mm.compared, (unsigned long long)x->mm.skipped);
}

static void sessions(struct restore *x, struct cr_err *e)
{
	struct plan_task *t = me(x);

	check(x, tree_create(x, true, false, e), e);
	if (tree_has(x, true, true)) {
		memory(x, e);
		check(x, tree_create(x, true, true, e), e);
	}
	if (t->sid == t->pid && setsid() < 0)
		check(x,
		      cr_err_set(e, CR_E_RESTORE_TASK, errno, "session", "the task cannot begin its session (setsid)"),
		      e);
	if (t->pgid == t->pid && t->sid != t->pid && setpgid(0, 0))
		check(x,
		      cr_err_set(e, CR_E_RESTORE_TASK, errno, "process group",
				 "the task cannot begin its group (setpgid)"),
		      e);
	check(x, tree_create(x, false, false, e), e);
	if (tree_has(x, false, true)) {
		memory(x, e);
		check(x, tree_create(x, false, true, e), e);
	}
}

static void groups(struct restore *x, struct cr_err *e)
{
	struct plan_task *t = me(x);
	pid_t want = t->pgid;

	if (x->plan.outside_pgid && want == x->plan.outside_pgid)
		want = x->own.pgid;
	if (getpgrp() != want && setpgid(0, want))
		check(x,
		      cr_err_set(e, CR_E_RESTORE_TASK, errno, "process group",
				 "the task cannot join its group %d (setpgid)", want),
		      e);
}

/* End as the zombie ended; its parent waits for that. */
__attribute__((noreturn)) static void die(struct restore *x)
{
	int status = (int)me(x)->core->tc->exit_code, sig = status & 0x7f;
	struct rlimit none = {};
	sigset_t set;

	prctl(PR_SET_NAME, me(x)->comm, 0, 0, 0);
	if (sig) {
		setrlimit(RLIMIT_CORE, &none);
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		signal(sig, SIG_DFL);
		sigemptyset(&set);
		sigaddset(&set, sig);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		syscall(SYS_tgkill, getpid(), getpid(), sig);
	}
	_exit(status >> 8 & 0xff);
}

/* Our children that are helpers or zombies: the ones disappear, the others stay to be waited for. */
static void bury(struct restore *x)
{
	for (size_t i = 0; i < x->plan.nr; i++) {
		struct plan_task *c = &x->plan.tasks[i];
		siginfo_t si;

		if (c->parent != x->me || (c->state != PLAN_HELPER && c->state != PLAN_ZOMBIE))
			continue;
		while (waitid(P_PID, (id_t)c->pid, &si, WEXITED | __WALL | (c->state == PLAN_ZOMBIE ? WNOWAIT : 0)) &&
		       errno == EINTR)
			;
		if (c->state == PLAN_HELPER)
			__atomic_store_n(&x->slots[i].created, 0, __ATOMIC_RELEASE);
	}
}

/* Descriptors: by the first task that has the table; those who share it wait, with none of their own. */
static void descriptors(struct restore *x, struct cr_err *e)
{
	struct plan_task *t = me(x);
	struct task_slot *own = &x->slots[t->files_first];
	int *keep[] = { &x->rst.img, &x->rst.main_pidfd, cr_log_fd() };
	uint32_t sharers = 0;

	if (t->files_first != x->me) {
		*cr_log_fd() = -1; /* its number is about to change, in another process' memory */
		x->rst.img = x->rst.main_pidfd = -1;
		__atomic_add_fetch(&own->files_arrived, 1, __ATOMIC_ACQ_REL);
		syscall(SYS_futex, &own->files_arrived, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
		if (rst_wait(&x->rst, &own->files_done, 1))
			_exit(1);
		return;
	}
	for (size_t i = 0; t->files_shared && i < x->plan.nr; i++)
		sharers += (int)i != x->me && x->plan.tasks[i].ids && x->plan.tasks[i].files_first == x->me;
	if (sharers && rst_wait(&x->rst, &own->files_arrived, sharers))
		_exit(1);
	check(x, files_restore(&x->rst, t->ids->files_id, keep, sizeof(keep) / sizeof(keep[0]), e), e);
	rst_wake(&own->files_done, 1);
}

/* Working directory, umask; a root that is not ours waits until all files are open. @fs: root and cwd for then, or -1
 */
static void directories(struct restore *x, int fs[2], struct cr_err *e)
{
	struct plan_task *t = me(x);
	struct stat want, have;
	int root;

	fs[0] = fs[1] = -1;
	if (t->fs_first != x->me)
		return;
	fs[1] = files_open_id(&x->rst, t->fs->cwd_id, O_PATH | O_DIRECTORY, e);
	check(x, fs[1] < 0 ? fs[1] : 0, e);
	root = files_open_id(&x->rst, t->fs->root_id, O_PATH | O_DIRECTORY, e);
	check(x, root < 0 ? root : 0, e);
	if (fstat(root, &want) || stat("/", &have))
		check(x, cr_err_set(e, CR_E_SYSTEM, errno, "root directory", "it cannot be looked at"), e);
	umask(t->fs->has_umask ? t->fs->umask : 022);
	if (want.st_dev != have.st_dev || want.st_ino != have.st_ino) {
		fs[0] = root;
		return;
	}
	close(root);
	if (fchdir(fs[1]))
		check(x, cr_err_set(e, CR_E_SYSTEM, errno, "working directory", "it cannot be changed to"), e);
	fs[1] = fd_close(fs[1]);
}

/* What arrived while tasks were made (SIGCHLD): it is not the task's. */
static void flush_signals(void)
{
	struct timespec now = {};
	sigset_t all;

	sigfillset(&all);
	while (sigtimedwait(&all, NULL, &now) > 0 || errno == EINTR)
		;
}

static uint64_t find_insn(uint64_t blob)
{
	size_t len = (size_t)(restorer_blob_end - restorer_blob_start);
	const uint8_t *p = memmem(restorer_blob_start, len, "\x0f\x05", 2);

	return p ? blob + (uint64_t)(p - restorer_blob_start) : 0;
}

/* [sync][blob][arg][data][operations][stacks][park] */
__attribute__((noreturn)) static void enter_blob(struct restore *x, int exe_fd, const int fs[2], struct cr_err *e)
{
	struct plan_task *t = me(x);
	size_t blob_len = ((size_t)(restorer_blob_end - restorer_blob_start) + MM_PAGE - 1) & ~(size_t)(MM_PAGE - 1);
	uint64_t room = (4ull << 20) + t->nr_threads * (64ull << 10) + t->mm->n_vmas * 512 + x->shared_len + blob_len;
	uint64_t area, blob, data, stacks, park, used;
	struct rst_prog p = {};
	struct rst_arg *arg;

	for (size_t i = 0; i < t->nr_threads; i++) /* queued signals and filters can be many */
		room += 4 * (t->threads[i].core->thread_core->signals_p
				     ? t->threads[i].core->thread_core->signals_p->n_signals * 256
				     : 0);
	room += t->core->tc->signals_s ? t->core->tc->signals_s->n_signals * 1024 : 0;
	room = (room + MM_PAGE - 1) & ~(uint64_t)(MM_PAGE - 1);
	area = mm_reserve(&x->mm, room, PROT_READ | PROT_WRITE, e);
	check(x, area ? 0 : -ENOMEM, e);
	blob = area + x->shared_len;
	arg = (struct rst_arg *)(blob + blob_len);
	park = area + room - mm_park_size(&x->vdso);
	stacks = park - t->nr_threads * RST_STACK;
	data = ((uintptr_t)(arg + 1) + 15) & ~15ull;

	check(x, order_program(x, t, area, room, park, exe_fd, fs, stacks - data, &p, e), e);
	used = data + p.data_len + (uint64_t)p.nr * sizeof(*p.ops) + 64;
	if (p.nomem || used > stacks)
		check(x,
		      cr_err_set(e, CR_E_NOMEM, p.nomem ? ENOMEM : E2BIG, "restorer program",
				 "there is no room for it: %u operations, %u bytes of data", p.nr, p.data_len),
		      e);
	if (mremap(x->rst.sync, 0, x->shared_len, MREMAP_MAYMOVE | MREMAP_FIXED, area) == MAP_FAILED)
		check(x, cr_err_set(e, CR_E_SYSTEM, errno, "restorer area", "it cannot be mapped (mremap)"), e);
	memcpy((void *)blob, restorer_blob_start, (size_t)(restorer_blob_end - restorer_blob_start));
	memcpy((void *)data, p.data, p.data_len);
	*arg = (struct rst_arg){ .magic = RST_ABI_MAGIC,
				 .version = RST_ABI_VERSION,
				 .sync = area,
				 .data = data,
				 .ops = (data + p.data_len + 15) & ~15ull,
				 .first = p.first,
				 .nr = p.nr - p.first,
				 .pid = t->pid };
	memcpy((void *)arg->ops, p.ops, (size_t)p.nr * sizeof(*p.ops));
	if (mprotect((void *)blob, blob_len, PROT_READ | PROT_EXEC))
		check(x, cr_err_set(e, CR_E_SYSTEM, errno, "restorer area", "it cannot be made executable (mprotect)"),
		      e);
	x->slots[x->me].area = area;
	x->slots[x->me].area_len = room;
	x->slots[x->me].insn = find_insn(blob);

	/* The leader's stack is the first one. */
	__asm__ volatile("mov %0, %%rsp\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "call *%1\n\t"
			 "ud2"
			 :
			 : "r"(stacks + RST_STACK), "r"(blob), "D"(arg)
			 : "memory");
	__builtin_unreachable();
}

static void live(struct restore *x, struct cr_err *e)
{
	struct plan_task *t = me(x);
	int fs[2], exe;

	memory(x, e);
	check(x, mm_finish(&x->mm, e), e);
	descriptors(x, e);
	meet(x, STAGE_FILES);
	if (t->files_first == x->me)
		check(x, files_restore_late(&x->rst, t->ids->files_id, e), e);
	directories(x, fs, e);
	exe = files_open_id(&x->rst, t->mm->exe_file_id, O_RDONLY, e);
	check(x, exe < 0 ? exe : 0, e);
	check(x, task_restore_proc(&x->own, t->core->tc, e), e);
	check(x, extra_restore_process(x->extra, t->pid, t->sid == t->pid, e), e);
	log_debug("descriptors are in place; entering the restorer");
	if (t->files_first == x->me) {
		x->rst.img = fd_close(x->rst.img);
		x->rst.main_pidfd = fd_close(x->rst.main_pidfd);
		*cr_log_fd() = fd_close(*cr_log_fd());
	}
	flush_signals();
	enter_blob(x, exe, fs, e);
}

static void open_own_log(struct restore *x)
{
	char name[4096];

	cr_log_show_pid();
	if (!x->opts.log_pid || !x->opts.log_file || !strcmp(x->opts.log_file, "-"))
		return;
	snprintf(name, sizeof(name), "%s.%d", x->opts.log_file, me(x)->pid);
	*cr_log_fd() = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

void task_run(struct restore *x, int k, pid_t parent, bool orphan)
{
	struct cr_err e = {};
	struct plan_task *t;

	x->me = k;
	x->mm_done = false; /* what x->mm says is our creator's */
	t = me(x);
	bind_to_parent(x, parent, orphan);
	if (t->state != PLAN_HELPER)
		open_own_log(x);
	if (t->core && t->core->tc && t->core->tc->child_subreaper)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (t->state == PLAN_LIVE || t->state == PLAN_STOPPED) {
		check(x, cgroup_enter(x->cgroups, x->cg_set, order_cg_set(x, t), &e), &e);
		x->cg_set = order_cg_set(x, t);
	}
	sessions(x, &e);
	meet(x, STAGE_CREATED);
	if (t->state == PLAN_HELPER) {
		rst_wait(&x->rst, &x->rst.sync->stage, STAGE_JOINED);
		_exit(0);
	}
	groups(x, &e);
	meet(x, STAGE_JOINED);
	if (t->state == PLAN_ZOMBIE) {
		bury(x);
		die(x);
	}
	bury(x);
	live(x, &e);
	_exit(1);
}
