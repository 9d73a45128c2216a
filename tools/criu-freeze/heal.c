/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After the death of a holder: take its memory out of the tasks.
 *
 * Theory of operation: the kernel lets the tasks go when their holder is killed, and they are where they were; but nobody is
 * left who could unmap the holder's area. Whoever notices the death (criu-freeze start, end and thaw) does that: the area is
 * recognised by place, size and content (trace/look.c); a process that has one is stopped for a moment, as for `exec`.
 * A dump does it too, when it maps an area of its own (trace/remote.c).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "base/fd.h"
#include "base/log.h"
#include "freeze.h"
#include "proc/stat.h"

enum { TRIES = 15, TIMEOUT = 5, MOMENT_MAX = 200000000 };

/* Is it there, and still the same process? */
static bool lives(pid_t pid, uint64_t starttime)
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_stat st;

	return proc >= 0 && !proc_stat_read(proc, "stat", &st) && st.starttime == starttime && st.state != 'Z';
}

/* All threads stand. Map and unmap an area of ours: what was left goes first. -EAGAIN: a thread is on its way home. */
static int with_all_stopped(struct holder *h, pid_t pid)
{
	struct hthread *t = tree_find(h, pid);
	struct remote_batch b;
	struct hproc *p;
	int err;

	if (!t || t->state == TH_GONE || t->state == TH_ZOMBIE)
		return -ESRCH;
	p = &h->proc[t->proc];
	if (on_way_home(h, p))
		return -EAGAIN;
	err = remote_look(&p->r, p->start_stack);
	return err || !p->r.left ? err : thread_prepare(h, t, &b);
}

static int take_out(pid_t pid, struct cr_err *e)
{
	struct holder *h = holder_alone(pid, TIMEOUT);
	struct release end;
	sigset_t set, old;
	int err;

	if (!h)
		return cr_err_nomem(e);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	err = tree_stop(h, e);
	if (!err) {
		err = with_all_stopped(h, pid);
		release_thaw(h, false, &end);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	munmap(h, h->size);
	return err;
}

void heal_task(pid_t pid, uint64_t starttime)
{
	struct timespec moment = { 0, 2000000 };
	struct cr_err e = { .reason = "its threads are busy" };

	/* The kernel may not have detached it yet: a dying process closes its connections first. */
	for (int i = 0; i < TRIES && lives(pid, starttime); i++) {
		if (!take_out(pid, &e))
			return;
		/* Longer each time: a thread that waits for a processor must come to run between two stops. */
		nanosleep(&moment, NULL);
		if (moment.tv_nsec < MOMENT_MAX)
			moment.tv_nsec *= 2;
	}
	if (lives(pid, starttime))
		log_warn("task %d may keep memory of a holder that was killed: %s", pid, e.reason);
}

void heal_tree(json_t *manifest)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(manifest, "tree"), i, row)
		heal_task((pid_t)json_integer_value(json_object_get(row, "pid")),
			  (uint64_t)json_integer_value(json_object_get(row, "starttime")));
}

void heal_image(int img)
{
	struct cr_err ignored;
	json_t *m = NULL;

	if (!manifest_read_head(img, &m, &ignored))
		heal_tree(m);
	json_decref(m);
}
