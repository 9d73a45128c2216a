/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/log.h"
#include "image/stage.h"
#include "proc/status.h"

/* Two descriptors a process: with 1,024 of them a tree of 500 would be too large. */
static void raise_nofile(void)
{
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int read_status(int dirfd, const char *path, struct proc_status *ret)
{
	_cleanup_free_ char *large = NULL;
	char buf[4096];
	int r = proc_status_read(dirfd, path, buf, sizeof(buf), ret);
	ssize_t n;

	/* Many groups make a long line; it is of no interest here. */
	if (r == -EFBIG) {
		n = read_file_at(dirfd, path, 1 << 20, &large);
		r = n < 0 ? (int)n : proc_status_parse(large, (size_t)n, ret);
	}
	ret->groups = NULL;
	return r;
}

static char *make_label(struct arena *a, pid_t pid, const char *name)
{
	char buf[64], clean[32];
	size_t i;

	for (i = 0; i < sizeof(clean) - 1 && name[i]; i++)
		clean[i] = (unsigned char)name[i] < ' ' || name[i] == 0x7f ? '?' : name[i];
	clean[i] = 0;
	snprintf(buf, sizeof(buf), "task %d (%s)", pid, clean);
	return arena_strdup(a, buf);
}

static int gone(const struct hold_task *h, int err, struct cr_err *e)
{
	char object[32];

	snprintf(object, sizeof(object), "task %d", h->tid);
	return cr_err_set(e, cr_code_of_task(err), err, object, "its /proc directory cannot be read");
}

/* @threads: room for the leader and, behind it, its threads. On failure tasks_close() sees what is open. */
static int load_process(struct dump *d, const struct hold_task *h, struct dump_thread *threads, struct dump_task *t,
			struct cr_err *e)
{
	struct proc_status s = { 0 };
	int r;

	*t = (struct dump_task){ .pid = h->pid, .ppid = h->ppid, .state = h->state, .proc = -1, .pidfd = -1 };
	t->threads = threads;
	t->proc = open_proc_pid(h->pid);
	if (t->proc < 0)
		return gone(h, -t->proc, e);
	r = read_status(t->proc, "status", &s);
	if (r < 0)
		return gone(h, -r, e);
	t->label = make_label(d->arena, h->pid, s.name);
	if (!t->label)
		return cr_err_nomem(e);
	if (h->state == HOLD_T_ZOMBIE || h->state == HOLD_T_DEAD) {
		t->proc = fd_close(t->proc);
		return 0;
	}
	t->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	if (t->pidfd < 0)
		return gone(h, errno, e);
	t->umask = s.umask;
	threads[0] = (struct dump_thread){ .tid = h->tid, .cg_set = 1, .seccomp_mode = s.seccomp };
	t->nr_threads = 1;
	return 0;
}

static int load_thread(struct dump_task *t, const struct hold_task *h, struct cr_err *e)
{
	struct proc_status s = { 0 };
	char path[48];
	int r;

	/* Strict mode is criu-parasite's: it reads each status in any case. */
	if (!(h->flags & HOLD_F_NO_FILTER)) {
		snprintf(path, sizeof(path), "task/%d/status", h->tid);
		r = read_status(t->proc, path, &s);
		if (r < 0)
			return gone(h, -r, e);
	}
	t->threads[t->nr_threads++] = (struct dump_thread){ .tid = h->tid, .cg_set = 1, .seccomp_mode = s.seccomp };
	return 0;
}

/* Leaders come before their threads; all threads of a process stand together. */
int tasks_open(struct dump *d, const struct hold_task *v, size_t n, struct cr_err *e)
{
	struct dump_thread *threads = arena_calloc(d->arena, n, sizeof(*threads));
	struct dump_task *t = NULL;

	raise_nofile();
	d->tasks = arena_calloc(d->arena, n, sizeof(*d->tasks));
	if (!threads || !d->tasks)
		return cr_err_nomem(e);
	for (size_t i = 0; i < n; i++) {
		int r;

		if (v[i].tid == v[i].pid) {
			t = &d->tasks[d->nr_tasks++];
			r = load_process(d, &v[i], threads + i, t, e);
		} else if (!t || t->pid != v[i].pid) {
			return cr_err_set(e, CR_E_HOLDER, 0, "holder", "its list has thread %d before its leader %d",
					  v[i].tid, v[i].pid);
		} else if (v[i].state == HOLD_T_ZOMBIE || v[i].state == HOLD_T_DEAD || t->proc < 0) {
			continue;
		} else {
			r = load_thread(t, &v[i], e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int tasks_load(struct dump *d, struct cr_err *e)
{
	_cleanup_free_ struct hold_task *v = NULL;
	ssize_t n;

	n = hold_list(d->hold, &v, e);
	if (n < 0)
		return (int)n;
	return tasks_open(d, v, (size_t)n, e);
}

void tasks_close(struct dump *d)
{
	for (size_t i = 0; i < d->nr_tasks; i++) {
		d->tasks[i].proc = fd_close(d->tasks[i].proc);
		d->tasks[i].pidfd = fd_close(d->tasks[i].pidfd);
	}
}

static int give_threads(struct dump *d, struct cr_err *e)
{
	_cleanup_free_ struct stage_thread *v = NULL;
	size_t n = 0, k = 0;
	int ret;

	if (d->refusals->n) /* nobody will need it */
		return 0;
	for (size_t i = 0; i < d->nr_tasks; i++)
		n += d->tasks[i].nr_threads;
	v = calloc(n ? n : 1, sizeof(*v));
	if (!v)
		return cr_err_nomem(e);
	for (size_t i = 0; i < d->nr_tasks; i++) {
		const struct dump_task *t = &d->tasks[i];

		for (size_t j = 0; j < t->nr_threads; j++)
			v[k++] = (struct stage_thread){ .tid = t->threads[j].tid,
							.pid = t->pid,
							.cg_set = t->threads[j].cg_set,
							.seccomp_mode = t->threads[j].seccomp_mode,
							.seccomp_filter = t->threads[j].seccomp_filter };
	}
	ret = stage_write_threads(d->img, v, k, e);
	return ret ? ret : hold_hand_over(d->hold, HOLD_ST_THREADS, e);
}

static int give_mm(struct dump *d, struct cr_err *e)
{
	return d->refusals->n ? 0 : hold_hand_over(d->hold, HOLD_ST_MM, e);
}

const struct dump_hook threads_hand_over = { "threads", give_threads,
					     "needs cgroup sets and seccomp filters; the earlier the better" };

const struct dump_hook mm_hand_over = { "mm handed over", give_mm, "needs mm" };
