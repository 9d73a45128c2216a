/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tree whose holder cannot be reached by its socket: the images directory was removed, or nobody knows it any more. The
 * kernel knows who holds a task (TracerPid), and a holder lets go on SIGTERM.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "freeze.h"
#include "proc/stat.h"
#include "proc/status.h"

enum { ENDS_MS = 20000 };

/* Return: pid, 0: nobody traces it, or -errno. */
static pid_t tracer_of(pid_t pid)
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	static char text[65536];
	struct proc_status st;
	int err = proc < 0 ? proc : proc_status_read(proc, "status", text, sizeof(text), &st);

	return err < 0 ? err : st.tracer;
}

static char state_of(pid_t pid)
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_stat st;

	return proc < 0 || proc_stat_read(proc, "stat", &st) ? 0 : st.state;
}

/* Our program, under the name that it gives itself? */
static bool is_holder(pid_t pid)
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_stat st;

	return proc >= 0 && !proc_stat_read(proc, "stat", &st) && !strcmp(st.comm, HOLDER_COMM);
}

bool tracer_holds(pid_t holder, pid_t pid)
{
	return tracer_of(pid) == holder;
}

bool tracer_is_stopped(pid_t pid)
{
	pid_t tracer = tracer_of(pid);

	return tracer > 0 && is_holder(tracer) && state_of(tracer) == 'T';
}

static int end_holder(int fd, pid_t tracer, struct cr_err *e)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int n;

	if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) && errno != ESRCH) {
		cr_err_set(e, CR_E_PRIVILEGE, errno, "holder", "cannot send a signal to process %d", tracer);
		cr_err_remedy(e, "run as its user, or as root");
		return -EPERM;
	}
	syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0); /* somebody may have stopped it */
	do
		n = poll(&p, 1, ENDS_MS);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	cr_err_set(e, CR_E_HOLDER, n ? errno : ETIMEDOUT, "holder", "process %d has not let the tree go", tracer);
	cr_err_remedy(e, "end it, and the tree runs on: kill -KILL %d", tracer);
	return -ETIMEDOUT;
}

static int not_held(pid_t pid, const char *object, struct cr_err *e)
{
	switch (state_of(pid)) {
	case 'T':
		cr_err_set(e, CR_E_NOT_HELD, 0, object, "nobody holds it, but it is stopped");
		cr_err_remedy(e, "let it go on: after a dump with -s by criu-freeze cont -D DIR, else by kill -CONT %d",
			      pid);
		break;
	case 't':
		cr_err_set(e, CR_E_TRACED, 0, object, "it is held by a process that cannot be seen from here");
		cr_err_remedy(e, "run this outside of this pid namespace");
		break;
	default:
		cr_err_set(e, CR_E_NOT_HELD, 0, object, "nobody holds it");
		cr_err_remedy(e, "nothing is to be done: it runs");
	}
	return -ENOTCONN;
}

int tracer_thaw(pid_t pid, struct cr_err *e)
{
	pid_t tracer = tracer_of(pid);
	_cleanup_close_ int fd = tracer > 0 ? (int)syscall(SYS_pidfd_open, tracer, 0) : -1;
	char object[32];
	int err;

	snprintf(object, sizeof(object), "task %d", pid);
	if (tracer < 0) {
		cr_err_set(e, CR_E_NO_TASK, -tracer, object, "it cannot be looked at");
		return tracer;
	}
	if (!tracer)
		return not_held(pid, object, e);
	/* The descriptor first: what is looked at is what gets the signal. */
	if (fd < 0 || !is_holder(tracer) || tracer_of(pid) != tracer)
		return cr_err_set(e, CR_E_TRACED, 0, object, "process %d traces it, which is no holder", tracer);
	err = end_holder(fd, tracer, e);
	if (!err)
		log_info("holder %d, which traced task %d, has let the tree go", tracer, pid);
	return err;
}
