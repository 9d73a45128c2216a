/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stopping a tree.
 *
 * Theory of operation: a process is added by seizing and interrupting its leader. When all its known threads stand, its
 * task directory is read again if it has more threads than are known (a thread that runs can make others; when none
 * runs, none comes). Only then are its children read: none of its threads can fork now. Children are added in the same
 * way; all that are known are waited for together. When nothing is left to wait for, the lists of children are read
 * once more, because a task that dies hands its children to a subreaper that may already stand. A fork storm ends:
 * every task that was seen stands, and what a standing task made before is found through it.
 *
 * A parent in vfork(2) does not stop before its child execs or exits. Its children are not read before it stands, so
 * the child runs and the parent follows, or the time runs out and the refusal names both.
 *
 * What dies or execs meanwhile: waitpid() tells; a leader that is a zombie stays in the tree as one. When a thread
 * execs, its siblings die and it takes over the leader's tid, so a leader that stood may be another one now, perhaps one
 * that nobody has seized: whenever a thread vanishes, all standing ones of its process are asked again. The exec waits
 * until we have reaped the siblings, so they are also asked when nothing else happens. Meanwhile the process looks like
 * one whose leader has exited while threads live on; it is one only when all the other threads stand.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/kcmp.h>

#include "base/fd.h"
#include "holder.h"
#include "proc/stat.h"
#include "proc/status.h"
#include "trace/trace.h"

enum { SLICE_MS = 1, SLOW_ROUNDS = 4, CS_64BIT = 0x33, XSTATE_MAX = 12288 };

const char *tree_name(const struct holder *h, const struct hthread *t, char buf[96])
{
	const struct hproc *p = &h->proc[t->proc];

	if (t->r.tid == p->pid)
		snprintf(buf, 96, "task %d%s%.15s%s", p->pid, p->comm[0] ? " (" : "", p->comm, p->comm[0] ? ")" : "");
	else
		snprintf(buf, 96, "thread %d of task %d (%.15s)", t->r.tid, p->pid, p->comm);
	return buf;
}

struct hthread *tree_find(struct holder *h, pid_t tid)
{
	if (tid <= 0 || (uint32_t)tid > h->tid_max || !h->by_tid[tid])
		return NULL;
	return &h->thread[h->by_tid[tid] - 1];
}

struct hproc *tree_find_proc(struct holder *h, pid_t pid)
{
	struct hthread *t = tree_find(h, pid);

	return t && h->proc[t->proc].pid == pid ? &h->proc[t->proc] : NULL;
}

static int refuse(struct holder *h, const struct hthread *t, struct cr_err *e, enum cr_code code, int err,
		  const char *reason)
{
	char name[96];

	return cr_err_set(e, code, err, tree_name(h, t, name), "%s", reason);
}

/* ---- adding ---- */

static int read_stat(struct hproc *p)
{
	_cleanup_close_ int proc = open_proc_pid(p->pid);
	struct proc_stat st;
	int err = proc < 0 ? proc : proc_stat_read(proc, "stat", &st);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	p->ppid = st.ppid;
	p->pgid = st.pgrp;
	p->sid = st.session;
	memcpy(p->comm, st.comm, sizeof(p->comm) - 1);
	p->state = st.state;
	p->starttime = st.starttime;
	p->start_stack = st.start_stack;
	p->stat_read = true;
	return st.num_threads;
}

static int table_full(struct holder *h, struct cr_err *e)
{
	cr_err_set(e, CR_E_LIMIT, 0, "tree", "it has more than %u processes or threads, the most that can be held",
		   h->cap);
	cr_err_remedy(e, "end some of them before the dump");
	return -ENOSPC;
}

static uint32_t new_thread(struct holder *h, uint32_t proc, pid_t tid)
{
	uint32_t i = h->nr_threads;
	struct hproc *p = &h->proc[proc];

	if (i == h->cap || tid <= 0 || (uint32_t)tid > h->tid_max)
		return NO_INDEX;
	h->nr_threads++;
	h->thread[i] = (struct hthread){ .proc = proc, .next = NO_INDEX, .r.tid = tid };
	if (p->leader == NO_INDEX)
		p->leader = i;
	else
		h->thread[p->last].next = i;
	p->last = i;
	p->nr_threads++;
	h->by_tid[tid] = i + 1;
	return i;
}

/* What dies meanwhile cannot be interrupted: wait(2) will tell. */
static int seize(struct holder *h, pid_t tid)
{
	int err = trace_seize(tid, h->suspend_seccomp ? TRACE_O_SUSPEND_SECCOMP : 0);

	if ((err == -EPERM || err == -EINVAL) && h->suspend_seccomp && !trace_seize(tid, 0)) {
		h->suspend_seccomp = false; /* the kernel or our rights do not have it */
		err = 0;
	}
	if (!err)
		trace_interrupt(tid);
	return err;
}

/* " (bash)" of any process; "" when it cannot be told. */
static void proc_name(pid_t pid, char ret[96])
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_stat st;

	ret[0] = 0;
	if (proc >= 0 && !proc_stat_read(proc, "stat", &st))
		snprintf(ret, 96, " (%.15s)", st.comm);
}

/* Who traces it? A task of the tree: nothing that the user could detach. */
static int refuse_traced(struct holder *h, const struct hthread *t, struct cr_err *e)
{
	_cleanup_close_ int proc = open_proc_pid(t->r.tid);
	static char text[65536];
	struct proc_status st;
	char name[96], by[96];

	if (proc < 0 || proc_status_read(proc, "status", text, sizeof(text), &st))
		return -ESRCH;
	if (!st.tracer || st.tracer == getpid())
		return refuse(h, t, e, CR_E_SEIZE_DENIED, EPERM, "cannot stop it");
	if (tree_find(h, st.tracer)) {
		cr_err_set(e, CR_E_TRACER_INSIDE, 0, tree_name(h, t, name),
			   "it is traced by %s, which is in the same tree", tree_name(h, tree_find(h, st.tracer), by));
		return -EBUSY;
	}
	proc_name(st.tracer, by);
	cr_err_set(e, CR_E_TRACED, 0, tree_name(h, t, name), "it is traced by process %d%s", st.tracer, by);
	if (!strcmp(by, " (" HOLDER_COMM ")"))
		cr_err_remedy(e,
			      "it is held for a dump: name its images directory with -D, or let it go with "
			      "criu-freeze thaw -t %d",
			      t->r.tid);
	return -EBUSY;
}

/*
 * A seizure failed or the thread died: what is it now? Sets state. Return: -EPERM: it lives, and is not ours; -EAGAIN: a
 * leader that has exited, but threads live on, or an exec is not over.
 */
static int look_again(struct holder *h, struct hthread *t, struct cr_err *e)
{
	struct hproc *p = &h->proc[t->proc];
	int n;

	if (t->r.tid != p->pid) {
		t->state = TH_GONE;
		return 0;
	}
	n = read_stat(p);
	if (n == -ESRCH || p->state == 'X') {
		t->state = TH_GONE;
		p->dead = true;
		h->died = true;
		return 0;
	}
	if (n < 0)
		return refuse(h, t, e, CR_E_SYSTEM, -n, "cannot read its stat");
	if (p->state != 'Z')
		return -EPERM;
	if (n > 1)
		return -EAGAIN;
	t->state = TH_ZOMBIE;
	p->zombie = true;
	h->died = true;
	return 0;
}

/* Between a seizure that fails and the look why, another thread may take the id over: so several times. */
static int seize_thread(struct holder *h, struct hthread *t, struct cr_err *e)
{
	int err;

	for (int i = 0; i < 3; i++) {
		err = seize(h, t->r.tid);
		if (!err)
			return 0;
		if (err != -EPERM && err != -ESRCH)
			return refuse(h, t, e, CR_E_SYSTEM, -err, "cannot stop it");
		err = look_again(h, t, e);
		if (err != -EPERM)
			return err == -EAGAIN ? 0 : err;
	}
	err = refuse_traced(h, t, e);
	return err == -ESRCH ? 0 : err; /* gone after all: the next round sees it */
}

static int add_thread(struct holder *h, uint32_t proc, pid_t tid, struct cr_err *e)
{
	uint32_t i = new_thread(h, proc, tid);

	return i == NO_INDEX ? table_full(h, e) : seize_thread(h, &h->thread[i], e);
}

static int add_proc(struct holder *h, pid_t pid, uint32_t parent, struct cr_err *e)
{
	uint32_t i = h->nr_procs;
	struct hproc *p = &h->proc[i];

	if (i == h->cap)
		return table_full(h, e);
	h->nr_procs++;
	*p = (struct hproc){ .parent = parent,
			     .child = NO_INDEX,
			     .sibling = NO_INDEX,
			     .leader = NO_INDEX,
			     .last = NO_INDEX,
			     .pid = pid,
			     .r.pid = pid };
	if (parent != NO_INDEX)
		h->proc[parent].kids = true;
	return add_thread(h, i, pid, e);
}

/* ---- reading directories and lists of /proc without allocating ---- */

struct dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* A task that is missed would be missing in the images. Return: 0: it has just ended. */
static int cannot_list(const char *path, int err, struct cr_err *e)
{
	return err == ENOENT || err == ESRCH ? 0 : cr_err_set(e, CR_E_SYSTEM, err, path, "cannot be read");
}

/* Seize threads that are not known yet. Return: how many, or -errno. */
static int add_threads(struct holder *h, uint32_t proc, struct cr_err *e)
{
	static char buf[32768] __attribute__((aligned(8)));
	_cleanup_close_ int dir = -1;
	char path[32];
	int added = 0;
	long n;

	snprintf(path, sizeof(path), "/proc/%d/task", h->proc[proc].pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return cannot_list(path, errno, e);
	while ((n = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(buf + at);
			pid_t tid = 0;
			int err;

			at += d->len;
			for (const char *c = d->name; *c >= '0' && *c <= '9'; c++)
				tid = tid * 10 + (*c - '0');
			if (!tid || (tree_find(h, tid) && tree_find(h, tid)->proc == proc &&
				     tree_find(h, tid)->state != TH_GONE))
				continue;
			err = add_thread(h, proc, tid, e);
			if (err)
				return err;
			added++;
		}
	}
	return n < 0 ? cannot_list(path, errno, e) : added;
}

/* Add children that are not known yet. Return: how many, or -errno. */
static int add_children_of(struct holder *h, uint32_t proc, pid_t tid, struct cr_err *e)
{
	_cleanup_close_ int fd = -1;
	char path[64], buf[4096];
	pid_t pid = 0;
	int added = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", h->proc[proc].pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cannot_list(path, errno, e);
	while ((n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR)) {
		for (ssize_t i = 0; i < n; i++) {
			int err;

			if (buf[i] >= '0' && buf[i] <= '9') {
				pid = pid * 10 + (buf[i] - '0');
				continue;
			}
			if (pid && (!tree_find_proc(h, pid) || tree_find_proc(h, pid)->dead)) {
				err = add_proc(h, pid, proc, e);
				if (err)
					return err;
				added++;
			}
			pid = 0;
		}
	}
	return n < 0 ? cannot_list(path, errno, e) : added;
}

static int add_children(struct holder *h, uint32_t proc, struct cr_err *e)
{
	int added = 0;

	for (uint32_t i = h->proc[proc].leader; i != NO_INDEX; i = h->thread[i].next) {
		int n = h->thread[i].state == TH_GONE ? 0 : add_children_of(h, proc, h->thread[i].r.tid, e);

		if (n < 0)
			return n;
		added += n;
	}
	return added;
}

/* ---- waiting ---- */

/* Threads of the process vanished, perhaps by an exec: do the others still stand? Return: how many do. */
static int ask_standing(struct holder *h, struct hproc *p)
{
	int n = 0;

	for (uint32_t i = p->leader; i != NO_INDEX; i = h->thread[i].next) {
		struct hthread *t = &h->thread[i];
		struct user_regs_struct r;

		if (t->state != TH_HELD && t->state != TH_STOPPED)
			continue;
		if (!trace_get_regs(t->r.tid, &r)) {
			n++;
			continue;
		}
		t->state = TH_PENDING;
		trace_interrupt(t->r.tid);
	}
	return n;
}

/* wait(2) does not know it (any more), or reports its death. */
static int lost_thread(struct holder *h, struct hthread *t, bool *changed, struct cr_err *e)
{
	int err = look_again(h, t, e);

	ask_standing(h, &h->proc[t->proc]);
	if (err == -EAGAIN)
		return 0;
	*changed = true;
	return err == -EPERM ? seize_thread(h, t, e) : err;
}

/* One look at a thread that has not stopped yet. */
static int poll_thread(struct holder *h, struct hthread *t, bool *changed, struct cr_err *e)
{
	struct trace_event ev;
	int err = trace_wait(t->r.tid, true, &ev);

	if (!err && ev.kind == TRACE_RUNNING)
		return 0;
	if (err == -ECHILD || (!err && ev.kind == TRACE_DEAD))
		return lost_thread(h, t, changed, e);
	*changed = true;
	if (err)
		return refuse(h, t, e, CR_E_SYSTEM, -err, "cannot wait for it");
	switch (ev.kind) {
	case TRACE_STOP:
		t->state = TH_HELD;
		return 0;
	case TRACE_GROUP:
		t->state = TH_STOPPED;
		t->stop_sig = (uint8_t)ev.sig;
		return 0;
	default:
		/* On its way to the stop: a signal is delivered as if we were not there. */
		err = trace_cont(t->r.tid, ev.kind == TRACE_SIGNAL ? ev.sig : 0);
		return err && err != -ESRCH ? refuse(h, t, e, CR_E_SYSTEM, -err, "cannot resume it") : 0;
	}
}

/* One round for a process. @changed: something happened. */
static int step_proc(struct holder *h, uint32_t i, bool *changed, struct cr_err *e)
{
	struct hproc *p = &h->proc[i];
	uint32_t pending = 0, live = 0;
	int n, err;

	for (uint32_t k = p->leader; k != NO_INDEX; k = h->thread[k].next) {
		struct hthread *t = &h->thread[k];

		if (t->state == TH_PENDING) {
			err = poll_thread(h, t, changed, e);
			if (err)
				return err;
		}
		pending += t->state == TH_PENDING;
		live += t->state == TH_HELD || t->state == TH_STOPPED || t->state == TH_PENDING;
	}
	if (p->zombie || p->dead) {
		p->final = true;
		return 0;
	}
	/* While some run, others may be made: seize them early, they may be many. */
	if (pending && p->stat_read)
		return 0;
	n = read_stat(p);
	if (n < 0) /* -ESRCH: gone, the next round sees it */
		return n == -ESRCH ? 0 : refuse(h, &h->thread[p->leader], e, CR_E_SYSTEM, -n, "cannot read its stat");
	if ((uint32_t)n > live) {
		n = add_threads(h, i, e);
		*changed |= n > 0;
		return n < 0 ? n : 0;
	}
	if (pending)
		return 0;
	/* A thread that we never saw may have made its exec: it has the leader's id then, and runs. */
	if (ask_standing(h, p) != (int)live) {
		*changed = true;
		return 0;
	}
	n = h->a.alone ? 0 : add_children(h, i, e);
	if (n < 0)
		return n;
	*changed = true;
	h->proc[i].final = true;
	return 0;
}

/* ---- the whole ---- */

static void wait_a_little(void)
{
	struct timespec ts = { 0, SLICE_MS * 1000000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &ts);
}

/* Why does it not stop? */
static int refuse_late(struct holder *h, uint32_t open, struct cr_err *e)
{
	struct hproc *p = &h->proc[open];
	struct hthread *t = &h->thread[p->leader];
	char path[64], list[64];
	ssize_t n;

	for (uint32_t k = p->leader; k != NO_INDEX; k = h->thread[k].next)
		if (h->thread[k].state == TH_PENDING)
			t = &h->thread[k];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", p->pid, t->r.tid);
	n = read_buf_at(AT_FDCWD, path, list, sizeof(list));
	for (char *c = list, *end = n > 0 ? list + n : list; c < end;) {
		pid_t child = (pid_t)strtol(c, &c, 10);

		if (!child)
			break;
		if (!syscall(SYS_kcmp, t->r.tid, child, KCMP_VM, 0, 0)) {
			char name[96];

			return cr_err_set(e, CR_E_FREEZE_TIMEOUT, 0, tree_name(h, t, name),
					  "it waits in vfork() for its child %d, which neither execs nor exits", child);
		}
	}
	read_stat(p);
	if (p->state == 'Z')
		return refuse(h, t, e, CR_E_THREAD_LEADER_DEAD, 0, "it has exited, but threads of it live on");
	return refuse(h, t, e, CR_E_FREEZE_TIMEOUT, 0,
		      p->state == 'D' ? "it does not stop: it waits in the kernel (state D)" : "it does not stop");
}

/*
 * Nothing happens: who stood may have been killed by an exec that waits for us. A leader that dies while threads live on is
 * not reported by wait(2) before they end; a thread that stands is on its way neither to its end nor to an exec's.
 */
static int check_waiting(struct holder *h, struct cr_err *e)
{
	for (uint32_t i = 0; i < h->nr_procs; i++) {
		struct hproc *p = &h->proc[i];
		int standing, n;

		if (p->final)
			continue;
		standing = ask_standing(h, p);
		if (h->thread[p->leader].state != TH_PENDING || read_stat(p) < 2 || p->state != 'Z')
			continue;
		n = add_threads(h, i, e);
		if (n < 0)
			return n;
		if (!n && standing && standing == read_stat(p) - 1 && p->state == 'Z')
			return refuse(h, &h->thread[p->leader], e, CR_E_THREAD_LEADER_DEAD, 0,
				      "it has exited, but threads of it live on");
	}
	return 0;
}

/* Children that a dying task handed to another one of the tree. Return: how many are new. */
static int reread_children(struct holder *h, struct cr_err *e)
{
	uint32_t n = h->nr_procs;
	int added = 0;

	for (uint32_t i = 0; i < n; i++) {
		int more;

		/* Who had no children is nobody's subreaper, unless all of them are gone. */
		if (h->proc[i].zombie || h->proc[i].dead || !(h->proc[i].kids || h->died))
			continue;
		more = add_children(h, i, e);
		if (more < 0)
			return more;
		added += more;
	}
	return added;
}

static int rounds(struct holder *h, struct cr_err *e)
{
	uint64_t deadline = h->a.timeout ? h->first_ns + h->a.timeout * 1000000000ull : ~0ull;
	uint32_t idle = 0, first = 0;

	for (;;) {
		bool changed = false;
		uint32_t open = NO_INDEX;
		int err;

		for (uint32_t i = first; i < h->nr_procs; i++) {
			err = h->proc[i].final ? 0 : step_proc(h, i, &changed, e);
			if (err)
				return err;
			if (!h->proc[i].final && open == NO_INDEX)
				open = i;
		}
		if (open == NO_INDEX) {
			err = h->a.alone ? 0 : reread_children(h, e);
			if (err <= 0)
				return err;
			continue;
		}
		first = open;
		/* Also when something happens all the time: a fork bomb may be faster than we are. */
		if (holder_now() > deadline)
			return refuse_late(h, open, e);
		if (holder_abandoned(h))
			return cr_err_set(e, CR_E_HOLDER_VOID, 0, "tree",
					  "the program that asked for the dump has ended");
		if (changed) {
			idle = 0;
			continue;
		}
		if (++idle > SLOW_ROUNDS && (err = check_waiting(h, e)))
			return err;
		wait_a_little();
	}
}

/* What cannot be carried is refused here, by name, before any stage looks at it. */
static int check_thread(struct holder *h, struct hthread *t, bool *amx, bool *shstk, struct cr_err *e)
{
	static uint8_t x[XSTATE_MAX];
	uint64_t features, ssp;
	int err = remote_load(&t->r);

	if (err)
		return refuse(h, t, e, CR_E_TASK_GONE, -err, "cannot read its registers");
	if (t->r.home.cs != CS_64BIT)
		return refuse(h, t, e, CR_E_COMPAT_TASK, 0, "it runs 32-bit code");
	if (trace_has_dispatch(t->r.tid))
		return refuse(h, t, e, CR_E_SYSCALL_DISPATCH, 0,
			      "it handles its own system calls (PR_SET_SYSCALL_USER_DISPATCH)");
	if (*shstk) {
		err = trace_get_shstk(t->r.tid, &ssp);
		if (!err)
			return refuse(h, t, e, CR_E_SHADOW_STACK, 0, "it has a shadow stack");
		*shstk = err != -EINVAL;
	}
	if (!*amx || trace_get_xstate(t->r.tid, x, sizeof(x)) < 576)
		return 0;
	memcpy(&features, x + 464, sizeof(features)); /* XCR0: what the kernel lets tasks have */
	*amx = features & 3ull << 17;
	memcpy(&features, x + 512, sizeof(features)); /* XSTATE_BV: what this one has in use */
	if (features & 3ull << 17)
		return refuse(h, t, e, CR_E_AMX, 0, "it has AMX tile state");
	return 0;
}

static int check_all(struct holder *h, struct cr_err *e)
{
	bool amx = true, shstk = true;

	for (uint32_t i = 0; i < h->nr_listed; i++) {
		struct hthread *t = &h->thread[h->list[i]];
		int err = t->state == TH_ZOMBIE ? 0 : check_thread(h, t, &amx, &shstk, e);

		if (err)
			return err;
	}
	return 0;
}

/* Pre-order, children in the order in which they were found. */
static void make_order(struct holder *h)
{
	uint32_t at = 0;

	for (uint32_t i = h->nr_procs; i-- > 1;) {
		struct hproc *parent = &h->proc[h->proc[i].parent];

		if (h->proc[i].dead)
			continue;
		h->proc[i].sibling = parent->child;
		parent->child = i;
	}
	while (at != NO_INDEX) {
		h->order[h->nr_order++] = at;
		for (uint32_t k = h->proc[at].leader; k != NO_INDEX; k = h->thread[k].next)
			if (h->thread[k].state != TH_GONE)
				h->list[h->nr_listed++] = k;
		if (h->proc[at].child != NO_INDEX) {
			at = h->proc[at].child;
			continue;
		}
		while (at != NO_INDEX && h->proc[at].sibling == NO_INDEX)
			at = h->proc[at].parent;
		if (at != NO_INDEX)
			at = h->proc[at].sibling;
	}
}

/* The system's text would say the same once more. */
static int no_root(const struct holder *h, struct cr_err *e)
{
	char object[32];

	snprintf(object, sizeof(object), "root task %d", h->a.root);
	cr_err_set(e, CR_E_TASK_ENDED, 0, object, "it ended while the tree was stopped");
	return -ESRCH;
}

int tree_stop(struct holder *h, struct cr_err *e)
{
	int err;

	h->suspend_seccomp = true;
	h->first_ns = holder_now();
	err = add_proc(h, h->a.root, NO_INDEX, e);
	if (!err)
		err = rounds(h, e);
	if (!err && (h->proc[0].dead || h->proc[0].zombie))
		err = no_root(h, e);
	if (!err) {
		make_order(h);
		err = check_all(h, e);
	}
	h->held_ns = holder_now();
	if (err)
		release_seized(h);
	return err;
}
