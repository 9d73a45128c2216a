/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-ns dump, pre-dump: criu in the pid and mount namespaces of the tree.
 *
 * Theory of operation: setns(2) into a pid namespace counts for children only, so criu is one. It is not a child of
 * the namespace's process 1, whose end would be its own: a tree that has process 1 in it cannot be dumped from the
 * inside. The mount namespace has to show the same things under the names that criu is given: the same root, current
 * directory, images directory, and criu itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "ns.h"
#include "proc/status.h"

/* Names that must mean the same on both sides. */
struct place {
	const char *what, *path, *option;
	struct stat st;
};

enum { PLACES = 5 };

static void read_places(const struct ns *n, const char *cwd, struct place v[PLACES])
{
	v[0] = (struct place){ "root directory", "/", "" };
	v[1] = (struct place){ "current directory", cwd, "" };
	v[2] = (struct place){ "images directory", n->o.images_dir ? n->o.images_dir : ".", "-D" };
	v[3] = (struct place){ "work directory", n->o.work_dir ? n->o.work_dir : ".", "-W" };
	v[4] = (struct place){ "criu", n->criu, "--criu-binary" };
	for (int i = 0; i < PLACES; i++)
		if (stat(v[i].path, &v[i].st))
			v[i].what = NULL; /* criu tells what is missing */
}

static int compare_places(pid_t pid, const struct place v[PLACES], struct cr_err *e)
{
	char object[192];

	if (v[1].what && chdir(v[1].path))
		return cr_err_set(e, CR_E_NAMESPACE, errno, v[1].path,
				  "the mount namespace of task %d does not have the current directory", pid);
	for (int i = 0; i < PLACES; i++) {
		struct stat st;

		if (!v[i].what || (!stat(v[i].path, &st) && st.st_dev == v[i].st.st_dev && st.st_ino == v[i].st.st_ino))
			continue;
		snprintf(object, sizeof(object), "%s %.150s", v[i].what, v[i].path);
		cr_err_set(e, CR_E_NAMESPACE, 0, object, "it is not the same in the mount namespace of task %d", pid);
		cr_err_remedy(e,
			      *v[i].option ? "name one with %s that both namespaces have at the same place"
					   : "run criu inside: nsenter -t PID -p -m criu dump ...%s",
			      v[i].option);
		return -EXDEV;
	}
	return 0;
}

/* Is it another namespace than ours? @ret_fd: then open; -1: ours */
static int open_ns(int proc, const char *link, int *ret_fd)
{
	_cleanup_close_ int theirs = openat(proc, link, O_RDONLY | O_CLOEXEC), self = -1, ours = -1;
	struct stat a, b;

	self = open_proc_pid(getpid());
	ours = self < 0 ? -1 : openat(self, link, O_RDONLY | O_CLOEXEC);
	if (theirs < 0 || ours < 0 || fstat(theirs, &a) || fstat(ours, &b))
		return -errno;
	*ret_fd = a.st_dev == b.st_dev && a.st_ino == b.st_ino ? -1 : TAKE_FD(theirs);
	return 0;
}

/* @ret_inner: its pid in its own namespace */
static int look_at(pid_t pid, int *ret_pid_ns, int *ret_mnt_ns, pid_t *ret_inner, struct cr_err *e)
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_status st;
	static char text[65536];
	char object[32];
	int err;

	snprintf(object, sizeof(object), "task %d", pid);
	err = proc < 0 ? proc : proc_status_read(proc, "status", text, sizeof(text), &st);
	if (err) {
		cr_err_set(e, CR_E_NO_TASK, 0, object, "there is no such process");
		return -ESRCH;
	}
	err = open_ns(proc, "ns/pid", ret_pid_ns);
	if (!err)
		err = open_ns(proc, "ns/mnt", ret_mnt_ns);
	if (err)
		return cr_err_set(e, err == -EACCES ? CR_E_PRIVILEGE : cr_code_of_task(err), -err, object,
				  "its namespaces cannot be opened");
	*ret_inner = st.nr_nspid ? st.nspid[st.nr_nspid - 1] : pid;
	if (*ret_pid_ns < 0 || *ret_inner != 1)
		return 0;
	cr_err_set(e, CR_E_NAMESPACE, 0, object, "it is process 1 of its pid namespace: with it criu would end, too");
	cr_err_remedy(e, "name a process below it");
	return -EINVAL;
}

/* The /proc that criu will see must be that of its own pid namespace. */
static int check_proc(pid_t pid, struct cr_err *e)
{
	char text[32];
	ssize_t n = readlink_at(AT_FDCWD, "/proc/self", text, sizeof(text));

	if (n > 0 && (pid_t)strtol(text, NULL, 10) == getpid())
		return 0;
	cr_err_set(e, CR_E_NAMESPACE, 0, "/proc", "the mount namespace of task %d has no /proc of its pid namespace",
		   pid);
	cr_err_remedy(e, "mount one: nsenter -t %d -p -m mount -t proc proc /proc", pid);
	return -ENXIO;
}

static int enter(const struct ns *n, int pid_ns, int mnt_ns, struct cr_err *e)
{
	struct place places[PLACES];
	char cwd[PATH_MAX];
	int err = 0;

	if (!getcwd(cwd, sizeof(cwd)))
		return cr_err_set(e, CR_E_NAMESPACE, errno, "current directory", "it has no name");
	read_places(n, cwd, places);
	if (pid_ns >= 0 && setns(pid_ns, CLONE_NEWPID))
		return cr_err_set(e, CR_E_PRIVILEGE, errno, "pid namespace", "cannot enter that of task %d", n->o.tree);
	if (mnt_ns >= 0 && setns(mnt_ns, CLONE_NEWNS))
		return cr_err_set(e, CR_E_PRIVILEGE, errno, "mount namespace", "cannot enter that of task %d",
				  n->o.tree);
	if (mnt_ns >= 0)
		err = compare_places(n->o.tree, places, e);
	return err;
}

int ns_enter(struct ns *n, struct cr_err *e)
{
	_cleanup_close_ int pid_ns = -1, mnt_ns = -1;
	char inner_text[16];
	const char *const more[] = { "-t", inner_text, NULL };
	sigset_t set;
	pid_t inner = 0, pid;
	int err, status;

	if (n->o.tree <= 0)
		return cr_err_set(e, CR_E_USAGE, 0, "command line", "-t PID is missing");
	err = look_at(n->o.tree, &pid_ns, &mnt_ns, &inner, e);
	if (err)
		return err;
	if (pid_ns < 0 && mnt_ns < 0)
		return ns_become_criu(n);
	snprintf(inner_text, sizeof(inner_text), "%d", inner);
	err = ns_add(n, more, e);
	if (!err)
		err = enter(n, pid_ns, mnt_ns, e);
	if (err)
		return err;
	ns_block(&set, &n->old);
	pid = fork();
	if (!pid) {
		sigprocmask(SIG_SETMASK, &n->old, NULL);
		err = check_proc(n->o.tree, e);
		if (err) {
			log_failure(e);
			_exit(CR_REFUSED);
		}
		_exit(ns_become_criu(n));
	}
	if (pid < 0)
		return cr_err_fork(e, errno, "criu in the pid namespace");
	status = ns_wait(pid, &set);
	return ns_exit_code(status);
}
