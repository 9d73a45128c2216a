/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After the death of a holder: take its memory out of the tasks.
 *
 * Theory of operation: the kernel lets the tasks go when their holder is killed, and they are where they were; but nobody is
 * left who could unmap the holder's area. Whoever notices the death (criu-freeze start, end and thaw) does that: the area is
 * recognised by place, size and content (trace/look.c); a process that has one is stopped for a moment, as for `exec`.
 * A dump does it too, when it maps an area of its own (trace/remote.c). Threads that were in the middle of calls are brought
 * home at once (remote_load()).
 * A holder that dies in the middle of killing a tree leaves a part of it. Whoever asked for the end makes an end of the rest.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "freeze.h"
#include "proc/stat.h"

enum { TRIES = 200, TIMEOUT = 5, ROOT_DIES_MS = 500 };

/* Is it there, and still the same process? */
static bool lives(pid_t pid, uint64_t starttime)
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_stat st;

	return proc >= 0 && !proc_stat_read(proc, "stat", &st) && st.starttime == starttime && st.state != 'Z';
}

/* All threads stand. Map and unmap an area of ours: what was left goes first. */
static int with_all_stopped(struct holder *h, pid_t pid)
{
	struct hthread *t = tree_find(h, pid);
	struct remote_batch b;
	struct hproc *p;
	int err;

	if (!t || t->state == TH_GONE || t->state == TH_ZOMBIE)
		return -ESRCH;
	p = &h->proc[t->proc];
	err = threads_home(h, p);
	if (!err)
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
	const struct timespec moment = { 0, 5000000 };
	struct cr_err e = { .reason = "it could not be stopped" };

	/* The kernel may not have detached it yet: a dying process closes its connections first. */
	for (int i = 0; i < TRIES && lives(pid, starttime); i++) {
		if (!take_out(pid, &e))
			return;
		nanosleep(&moment, NULL);
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

static void kill_row(pid_t pid, uint64_t starttime)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	/* The descriptor first: what is looked at is what is killed. */
	if (fd >= 0 && lives(pid, starttime))
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

bool heal_kill(int img, int root)
{
	struct pollfd p = { root, POLLIN, 0 };
	struct cr_err ignored;
	json_t *m = NULL, *row;
	size_t i;

	/* The root is the first to be killed. */
	if (root < 0 || poll(&p, 1, ROOT_DIES_MS) <= 0 || manifest_read_head(img, &m, &ignored)) {
		json_decref(m);
		return false;
	}
	json_array_foreach(json_object_get(m, "tree"), i, row)
		kill_row((pid_t)json_integer_value(json_object_get(row, "pid")),
			 (uint64_t)json_integer_value(json_object_get(row, "starttime")));
	json_decref(m);
	log_warn("the holder was killed while it ended the tree; the rest was ended without it");
	return true;
}

void heal_image(int img)
{
	struct cr_err ignored;
	json_t *m = NULL;

	if (!manifest_read_head(img, &m, &ignored))
		heal_tree(m);
	json_decref(m);
}
