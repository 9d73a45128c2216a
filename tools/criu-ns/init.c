/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Process 1 of the new namespaces.
 *
 * Theory of operation. When process 1 ends the kernel kills all others of its pid namespace. So it is not criu, which
 * ends when the tree runs, but this process, which lives as long as anybody is in the namespace: it reaps its
 * children, and then waits for those that are not (a criu that somebody runs inside, to dump the tree).
 *
 * It has a session of its own: that of the caller is not visible in here. Mounts that are made outside appear inside,
 * not the other way round. criu and what it starts get pids that the images do not have. Until criu has ended well,
 * all of this dies with the process outside: a killed restore leaves nothing. Afterwards it lets go of the caller's
 * files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "ns.h"

enum { OWN_PIDS = 128, LOOK_MS = 1000 };

static void fail(int err, const char *object, const char *what)
{
	struct cr_err e = { 0 };

	cr_err_set(&e, CR_E_SYSTEM, err, object, "%s", what);
	log_failure(&e);
	_exit(CR_REFUSED);
}

static void set_up(const struct ns *n)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		fail(errno, "mount namespace", "its mounts cannot be separated from those outside");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		fail(errno, "/proc", "cannot be mounted");
	/* The tree shall have the caller's terminal; a terminal has one session. */
	if (n->o.shell_job && isatty(STDIN_FILENO) && ioctl(STDIN_FILENO, TIOCSCTTY, 1))
		fail(errno, "terminal", "cannot be taken over");
}

/* criu must not stand in its own way: its processes get pids from a gap in those of the images. */
static void choose_pids(const pid_t *pids, size_t n)
{
	pid_t from = 2;
	char text[16];

	for (size_t i = 0; i < n && pids[i] - from < OWN_PIDS; i++)
		from = pids[i] + 1;
	snprintf(text, sizeof(text), "%d", from - 1);
	if (from > 2 && write_file_at(AT_FDCWD, "/proc/sys/kernel/ns_last_pid", text))
		log_warn("criu may get a pid that the tree needs: /proc/sys/kernel/ns_last_pid cannot be written");
}

static void tell(int sock, const struct ns_news *news, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { 0 };
	struct iovec iov = { (void *)news, sizeof(*news) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c = (struct cmsghdr *)ctl.space;

		msg.msg_control = ctl.space;
		msg.msg_controllen = sizeof(ctl.space);
		*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS,
				       .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	/* Who is gone need not be told. */
	while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

/* Nobody waits for the end of a pipe that we keep. */
static void let_go(void)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null > 2 && fd <= 2; fd++)
		dup2(null, fd);
	prctl(PR_SET_PDEATHSIG, 0);
	if (chdir("/"))
		log_warn("the current directory stays in use");
}

/* Someone in the namespace who is no child of ours. Return: a pidfd; -1: there is nobody. */
static int find_other(void)
{
	DIR *dir = opendir("/proc");
	const struct dirent *d;
	int fd = -1;

	while (dir && fd < 0 && (d = readdir(dir))) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

		if (pid > 1)
			fd = (int)syscall(SYS_pidfd_open, pid, 0);
	}
	if (dir)
		closedir(dir);
	return fd;
}

/* Reap whoever has ended, until the namespace is empty. */
static void reap_all(int sock, pid_t root)
{
	struct ns_news end = { .root_end = true };

	for (;;) {
		_cleanup_close_ int other = -1;
		struct pollfd p = { .events = POLLIN };
		pid_t pid = waitpid(-1, NULL, 0);

		if (pid > 0 && pid == root)
			tell(sock, &end, -1);
		if (pid > 0 || errno == EINTR)
			continue;
		other = find_other();
		if (other < 0)
			return;
		p.fd = other;
		/* It may have children, which become ours at its end. */
		poll(&p, 1, LOOK_MS);
	}
}

/* Wait for criu, reap others, hand signals on. Return: status of criu. */
static int await_criu(pid_t criu, const sigset_t *set)
{
	for (;;) {
		int status, sig;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid == criu)
			return status;
		if (pid > 0)
			continue;
		if (pid < 0 && errno != EINTR)
			_exit(NS_EXIT_WAIT);
		sig = sigwaitinfo(set, NULL);
		if (sig > 0 && sig != SIGCHLD)
			kill(criu, sig);
	}
}

void ns_init(const struct ns *n, int sock, const pid_t *pids, size_t nr_pids, pid_t root)
{
	_cleanup_close_ int fd = -1;
	struct ns_news news = { 0 };
	sigset_t set;
	pid_t criu;

	ns_block(&set, NULL);
	set_up(n);
	choose_pids(pids, nr_pids);
	criu = fork();
	if (!criu) {
		sigprocmask(SIG_SETMASK, &n->old, NULL);
		_exit(ns_become_criu(n));
	}
	if (criu < 0) {
		struct cr_err e = { 0 };

		cr_err_fork(&e, errno, "criu");
		log_failure(&e);
		_exit(CR_REFUSED);
	}
	news.status = await_criu(criu, &set);
	if (!news.status && root)
		fd = (int)syscall(SYS_pidfd_open, root, 0);
	if (!news.status || n->o.exec_cmd)
		let_go();
	tell(sock, &news, fd);
	fd = fd_close(fd);
	if (!news.status || n->o.exec_cmd)
		reap_all(sock, root);
	_exit(0);
}
