/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-ns restore, check: criu in a new pid and mount namespace.
 *
 * Theory of operation: the namespaces come with a process 1 (init.c), which runs criu with -d and outlives it; this
 * process waits for what it tells. Pids inside are not those that the caller sees, so the pid file is written here,
 * with the pid that the root task has outside: a pidfd of it that process 1 passes along tells it in its fdinfo.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/sched.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "image/image.h"
#include "ns.h"
#include "pstree.pb-c.h"

struct outside {
	const struct ns *n;
	pid_t init;
	pid_t root;		 /* as the images have it, 0: none */
	int sock, signals, work; /* work: the work directory */
	int pidfile;
	bool over; /* the tree runs */
};

/* ---- images: pids ---- */

static int compare(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/* All numbers of the tree, sorted. Images that cannot be read: none; criu tells why. */
static size_t read_pids(int img, struct arena *a, pid_t **ret, pid_t *ret_root)
{
	struct cr_err ignored = { 0 };
	void **list = NULL;
	ssize_t nr = img_read_all(img, IMG_PSTREE, 0, a, &list, &ignored);
	size_t n = 0, most = 0;

	*ret_root = 0;
	for (ssize_t i = 0; i < nr; i++)
		most += 3 + ((PstreeEntry *)list[i])->n_threads;
	*ret = arena_calloc(a, most + 1, sizeof(**ret));
	for (ssize_t i = 0; *ret && i < nr; i++) {
		const PstreeEntry *t = list[i];

		(*ret)[n++] = (pid_t)t->pid;
		(*ret)[n++] = (pid_t)t->pgid;
		(*ret)[n++] = (pid_t)t->sid;
		for (size_t k = 0; k < t->n_threads; k++)
			(*ret)[n++] = (pid_t)t->threads[k];
	}
	if (n)
		*ret_root = (*ret)[0];
	if (*ret)
		qsort(*ret, n, sizeof(**ret), compare);
	return n;
}

/* ---- the pid file ---- */

static int make_pidfile(struct outside *o, struct cr_err *e)
{
	char object[192];
	int err;

	if (!o->n->o.pidfile)
		return 0;
	o->pidfile = openat(o->work, o->n->o.pidfile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (o->pidfile >= 0)
		return 0;
	err = errno;
	snprintf(object, sizeof(object), "pid file %.160s", o->n->o.pidfile);
	cr_err_set(e, CR_E_SYSTEM, err, object, "cannot be made");
	if (err == EEXIST)
		cr_err_remedy(e, "remove the old pid file, or name another one with --pidfile");
	return -err;
}

/* "Pid:\t12" of its fdinfo: as /proc here counts. */
static pid_t pid_of(int pidfd)
{
	char path[64], text[512], *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	if (pidfd < 0 || read_buf_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return 0;
	at = strstr(text, "\nPid:\t");
	return at ? (pid_t)strtol(at + 6, NULL, 10) : 0;
}

static void write_pidfile(const struct outside *o, int pidfd)
{
	char text[16];
	pid_t pid = pid_of(pidfd);
	int n = snprintf(text, sizeof(text), "%d", pid);

	if (o->pidfile < 0 || (pid > 0 && !write_full(o->pidfile, text, (size_t)n)))
		return;
	unlinkat(o->work, o->n->o.pidfile, 0);
	if (!o->n->o.check_only)
		log_warn("there is no pid file: the root task does not run (any more)");
}

/* ---- waiting ---- */

/* Return: 1 a message; 0 the end; -errno. */
static int hear(int sock, struct ns_news *ret, int *ret_fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { 0 };
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.space, .msg_controllen = sizeof(ctl.space)
	};
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return n == sizeof(*ret);
}

/* Process 1 has ended without a word, or with its last one. Return: exit code. */
static int await_init(pid_t init)
{
	int status;

	while (waitpid(init, &status, 0) < 0)
		if (errno != EINTR)
			return NS_EXIT_WAIT;
	return ns_exit_code(status);
}

/* A signal for us is meant for criu; when that is done, it ends the waiting. Return: exit code, -1: none yet. */
static int on_signal(const struct outside *o)
{
	struct signalfd_siginfo info;

	if (read(o->signals, &info, sizeof(info)) != sizeof(info) || info.ssi_signo == SIGCHLD)
		return -1;
	if (o->over)
		return (int)info.ssi_signo;
	kill(o->init, (int)info.ssi_signo);
	return -1;
}

/* Return: exit code, -1: none yet. */
static int on_news(struct outside *o)
{
	_cleanup_close_ int pidfd = -1;
	struct ns_news news = { 0 };
	int got = hear(o->sock, &news, &pidfd);

	if (got <= 0)
		return o->over ? 0 : await_init(o->init);
	if (news.root_end)
		return 0;
	if (news.status) {
		int code = ns_exit_code(news.status);

		if (!o->n->o.exec_cmd)
			await_init(o->init);
		return code;
	}
	write_pidfile(o, pidfd);
	o->over = true;
	if (!o->root)
		return await_init(o->init); /* a check */
	/* A detached tree is nobody's business any more. */
	return o->n->o.restore_detached || o->n->o.exec_cmd || pidfd < 0 ? 0 : -1;
}

static int await(struct outside *o)
{
	struct pollfd p[2] = { { o->sock, POLLIN, 0 }, { o->signals, POLLIN, 0 } };
	int code = -1;

	while (code < 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return NS_EXIT_WAIT;
		if (p[0].revents)
			code = on_news(o);
		else if (p[1].revents)
			code = on_signal(o);
	}
	return code;
}

/* ---- starting ---- */

static int start(struct outside *o, const pid_t *pids, size_t nr, struct cr_err *e)
{
	struct clone_args ca = { .flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD };
	int pair[2];
	long pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return cr_err_set(e, CR_E_SYSTEM, errno, "criu-ns", "cannot make a socket pair");
	pid = syscall(SYS_clone3, &ca, sizeof(ca));
	if (!pid) {
		close(pair[0]);
		ns_init(o->n, pair[1], pids, nr, o->root);
	}
	close(pair[1]);
	if (pid < 0) {
		int err = errno;

		close(pair[0]);
		return cr_err_set(e, err == EAGAIN ? CR_E_LIMIT_PROCESSES : CR_E_SYSTEM, err, "criu-ns",
				  "cannot make a pid and a mount namespace");
	}
	o->init = (pid_t)pid;
	o->sock = pair[0];
	return 0;
}

static int prepare(struct ns *n, struct cr_err *e)
{
	static const char *const detach[] = { "-d", NULL };
	bool restore = !strcmp(n->o.words[0], "restore");

	if (n->o.restore_sibling) {
		cr_err_set(e, CR_E_USAGE, 0, "--restore-sibling",
			   "the root task cannot be a child of the caller in a new pid namespace");
		cr_err_remedy(e, "leave the option out");
		return -EINVAL;
	}
	if (n->o.pidfile && n->o.exec_cmd)
		return cr_err_set(e, CR_E_USAGE, 0, "--pidfile", "it cannot be used together with --exec-cmd");
	ns_drop_pidfile(n);
	return restore && !n->o.exec_cmd && !n->o.restore_detached ? ns_add(n, detach, e) : 0;
}

int ns_new(struct ns *n, struct cr_err *e)
{
	struct outside o = { .n = n, .sock = -1, .signals = -1, .pidfile = -1 };
	const char *dir = n->o.images_dir ? n->o.images_dir : ".";
	_cleanup_close_ int img = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), work = -1;
	struct arena a = { 0 };
	pid_t *pids = NULL;
	sigset_t set;
	size_t nr = 0;
	int err = prepare(n, e);

	if (err)
		return err;
	work = n->o.work_dir ? open(n->o.work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	o.work = work >= 0 ? work : img; /* where one is missing, criu will say so */
	if (img >= 0 && !strcmp(n->o.words[0], "restore"))
		nr = read_pids(img, &a, &pids, &o.root);
	err = make_pidfile(&o, e);
	ns_block(&set, &n->old);
	o.signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (!err)
		err = start(&o, pids, nr, e);
	if (!err)
		err = await(&o);
	if (err && !o.over && o.pidfile >= 0)
		unlinkat(o.work, n->o.pidfile, 0);
	fd_close(o.pidfile);
	fd_close(o.signals);
	fd_close(o.sock);
	arena_free(&a);
	return err;
}
