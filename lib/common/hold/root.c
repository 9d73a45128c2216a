/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hold/root.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "proc/frozen.h"
#include "proc/stat.h"
#include "proc/status.h"

static int read_status(pid_t pid, struct proc_status *ret)
{
	static char buf[65536];
	_cleanup_close_ int proc = open_proc_pid(pid);

	return proc < 0 ? proc : proc_status_read(proc, "status", buf, sizeof(buf), ret);
}

/* It would not come to the stop, or not to the calls that it has to make. */
static int check_frozen(int proc, const char *object, struct cr_err *e)
{
	char dir[PATH_MAX];

	if (!proc_frozen(proc, dir, sizeof(dir)))
		return 0;
	return cr_err_set(e, CR_E_CGROUP_FROZEN, 0, object, "its cgroup %.300s is frozen", dir);
}

static int check_self(pid_t root, struct cr_err *e)
{
	for (pid_t pid = getpid(); pid > 0;) {
		_cleanup_close_ int proc = open_proc_pid(pid);
		struct proc_stat st;

		if (pid == root)
			return cr_err_set(e, CR_E_SELF_IN_TREE, 0, "this command",
					  "it runs inside of the tree of task %d", root);
		if (proc < 0 || proc_stat_read(proc, "stat", &st))
			break;
		pid = st.ppid;
	}
	return 0;
}

/* @err: errno. Of ENOENT and ESRCH the system's text would say the same once more. */
static int no_process(struct cr_err *e, const char *object, int err)
{
	if (err != ENOENT && err != ESRCH)
		return cr_err_set(e, CR_E_SYSTEM, err, object, "cannot look at it");
	cr_err_set(e, CR_E_NO_TASK, 0, object, "there is no such process");
	return -ESRCH;
}

int root_check(pid_t pid, bool shell_job, struct cr_err *e)
{
	_cleanup_close_ int pidfd = -1, proc = -1;
	struct proc_status status;
	struct proc_stat st;
	char object[96];
	int err;

	snprintf(object, sizeof(object), "task %d", pid);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	err = errno;
	/* EINVAL (to Linux 6.12), ENOENT: a thread. */
	if (pidfd < 0 && ((err != EINVAL && err != ENOENT) || read_status(pid, &status)))
		return no_process(e, object, err == EINVAL ? ESRCH : err);
	if (pidfd < 0) {
		cr_err_set(e, CR_E_THREAD_PID, 0, object, "it is a thread of process %d", status.tgid);
		cr_err_remedy(e, "name the process: -t %d", status.tgid);
		return -ESRCH;
	}
	proc = open_proc_pid(pid);
	err = proc < 0 ? proc : proc_stat_read(proc, "stat", &st);
	if (err)
		return no_process(e, object, -err);
	snprintf(object, sizeof(object), "task %d (%.15s)", pid, st.comm);
	if (st.flags & PROC_PF_KTHREAD)
		return cr_err_set(e, CR_E_KERNEL_THREAD, 0, object, "it is a kernel thread");
	if (st.state == 'Z' && st.num_threads > 1)
		return cr_err_set(e, CR_E_THREAD_LEADER_DEAD, 0, object, "it has exited, but threads of it live on");
	if (st.state == 'Z' || st.state == 'X')
		return cr_err_set(e, CR_E_TASK_ENDED, 0, object, "it has exited and waits for its parent");
	err = check_self(pid, e);
	if (!err)
		err = check_frozen(proc, object, e);
	if (err)
		return err;
	if (st.session != pid && !shell_job) {
		/* CRIU's words: people look for them. */
		cr_err_set(e, CR_E_SESSION_OUTSIDE, 0, object, "it is not a session leader (its session is %d)",
			   st.session);
		cr_err_remedy(e, "consider using --shell-job, or start the program with setsid");
		return -EINVAL;
	}
	log_info("Dumping processes (pid: %d comm: %s)", pid, st.comm);
	return 0;
}
