/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes of processes: comparing, tracing, making them. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#include "base/fd.h"
#include "features.h"
#include "trace/trace.h"

static long kcmp(int type, unsigned long a, unsigned long b)
{
	return syscall(SYS_kcmp, getpid(), getpid(), type, a, b);
}

enum probe_result probe_kcmp(struct probe *p)
{
	_cleanup_close_ int a = eventfd(0, EFD_CLOEXEC), same = fcntl(a, F_DUPFD_CLOEXEC, 0),
			    other = eventfd(0, EFD_CLOEXEC);

	if (a < 0 || same < 0 || other < 0)
		return probe_failed(p, "eventfd");
	if (kcmp(KCMP_FILE, (unsigned long)a, (unsigned long)same) < 0 || kcmp(KCMP_VM, 0, 0) < 0 ||
	    kcmp(KCMP_FILES, 0, 0) < 0 || kcmp(KCMP_FS, 0, 0) < 0 || kcmp(KCMP_SIGHAND, 0, 0) < 0)
		return probe_failed(p, "kcmp");
	if (kcmp(KCMP_FILE, (unsigned long)a, (unsigned long)same) ||
	    kcmp(KCMP_FILE, (unsigned long)a, (unsigned long)other) <= 0)
		return probe_no(p, "kcmp does not tell descriptions apart");
	return PROBE_YES;
}

enum probe_result probe_kcmp_epoll(struct probe *p)
{
	_cleanup_close_ int watched = eventfd(0, EFD_CLOEXEC), ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };
	struct kcmp_epoll_slot slot = { .efd = (uint32_t)ep, .tfd = (uint32_t)watched };

	if (watched < 0 || ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, watched, &ev))
		return probe_failed(p, "epoll");
	if (kcmp(KCMP_EPOLL_TFD, (unsigned long)watched, (unsigned long)&slot))
		return probe_failed(p, "kcmp KCMP_EPOLL_TFD");
	return PROBE_YES;
}

enum probe_result probe_prctl(struct probe *p)
{
	int *address = NULL;

	if (prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0))
		return probe_failed(p, "prctl PR_GET_TID_ADDRESS");
	return PROBE_YES;
}

enum probe_result probe_mm_map(struct probe *p)
{
	unsigned size = 0;

	if (prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0))
		return probe_failed(p, "prctl PR_SET_MM_MAP_SIZE");
	return size >= sizeof(struct prctl_mm_map) ? PROBE_YES : probe_no(p, "PR_SET_MM_MAP takes %u bytes", size);
}

/* A signal that says it comes from the kernel, to oneself. */
enum probe_result probe_sigqueueinfo(struct probe *p)
{
	siginfo_t si = { .si_signo = SIGUSR1, .si_code = SI_KERNEL };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) || syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &si))
		return probe_failed(p, "rt_sigqueueinfo");
	return PROBE_YES;
}

/* ---- with a traced child ---- */

/* Return: pid of a stopped child, or 0 with the answer in @r. */
static pid_t traced(struct probe *p, pid_t pid, unsigned options, enum probe_result *r)
{
	int err;

	if (pid < 0) {
		*r = probe_failed(p, "fork");
		return 0;
	}
	err = trace_seize(pid, options | TRACE_O_EXITKILL);
	if (!err)
		err = trace_stop(pid);
	if (!err)
		return pid;
	*r = probe_error(p, "ptrace", err);
	probe_end(pid);
	return 0;
}

enum probe_result probe_ptrace_peeksiginfo(struct probe *p)
{
	enum probe_result r = PROBE_YES;
	pid_t pid = traced(p, probe_sleeper(), 0, &r);
	siginfo_t si;
	uint64_t mask;
	ssize_t n;
	int err;

	if (!pid)
		return r;
	n = trace_peek_siginfo(pid, false, 0, &si, 1);
	err = n < 0 ? (int)n : trace_get_sigmask(pid, &mask);
	if (err)
		r = probe_error(p, n < 0 ? "PTRACE_PEEKSIGINFO" : "PTRACE_GETSIGMASK", err);
	probe_end(pid);
	return r;
}

/* A child with a filter that allows everything. */
static pid_t filtered(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { .len = 1, .filter = &allow };
	int ready[2];
	char c;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return -1;
	pid = probe_fork();
	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
			_exit(1);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1 && pid > 0) {
		probe_end(pid);
		errno = EINVAL; /* no filters */
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

enum probe_result probe_seccomp_filters(struct probe *p)
{
	struct sock_filter insns[4];
	enum probe_result r = PROBE_YES;
	pid_t pid = traced(p, filtered(), 0, &r);
	ssize_t n;

	if (!pid)
		return r;
	n = trace_seccomp_filter(pid, 0, insns, 4);
	if (n != 1)
		r = probe_error(p, "PTRACE_SECCOMP_GET_FILTER", n < 0 ? (int)n : -EINVAL);
	probe_end(pid);
	return r;
}

enum probe_result probe_seccomp_suspend(struct probe *p)
{
	enum probe_result r = PROBE_YES;
	pid_t pid = traced(p, probe_sleeper(), TRACE_O_SUSPEND_SECCOMP, &r);

	if (pid)
		probe_end(pid);
	return r;
}

enum probe_result probe_get_rseq_conf(struct probe *p)
{
	enum probe_result r = PROBE_YES;
	pid_t pid = traced(p, probe_sleeper(), 0, &r);
	struct trace_rseq rseq;
	int err;

	if (!pid)
		return r;
	err = trace_get_rseq(pid, &rseq);
	if (err)
		r = probe_error(p, "PTRACE_GET_RSEQ_CONFIGURATION", err);
	probe_end(pid);
	return r;
}

enum probe_result probe_breakpoints(struct probe *p)
{
	enum probe_result r = PROBE_YES;
	pid_t pid = traced(p, probe_sleeper(), 0, &r);
	int err;

	if (!pid)
		return r;
	err = trace_set_breakpoint(pid, 0x1000);
	if (err)
		r = probe_error(p, "setting a hardware breakpoint", err);
	probe_end(pid);
	return r;
}

/* ---- making processes ---- */

/* In a pid namespace of its own, where all pids are free. 1 must be the first. */
enum probe_result probe_clone3_set_tid(struct probe *p)
{
	pid_t tid = 1;
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&tid, .set_tid_size = 1 };
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		return probe_failed(p, "a new pid namespace");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return probe_failed(p, "clone3 set_tid");
	if (!pid)
		_exit(getpid() == tid ? 0 : 1);
	return probe_wait(pid) ? probe_no(p, "clone3 gives another pid") : PROBE_YES;
}

/* The new process is our parent's child, which does not wait for it: it ends with our parent, or by init. So that there is
 * somebody to wait, a process between makes it. */
enum probe_result probe_clone_parent_newpid(struct probe *p)
{
	pid_t pid = probe_fork();
	int status;

	if (pid < 0)
		return probe_failed(p, "fork");
	if (!pid) {
		long made = syscall(SYS_clone, CLONE_PARENT | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);

		if (!made)
			_exit(0);
		_exit(made > 0 ? 0 : errno == EPERM ? 2 : 1);
	}
	status = probe_wait(pid);
	while (waitpid(-1, NULL, 0) > 0) /* the one that it made */
		;
	if (status == 2)
		return probe_error(p, "clone CLONE_PARENT with CLONE_NEWPID", -EPERM);
	return status ? probe_no(p, "clone refuses CLONE_PARENT with CLONE_NEWPID") : PROBE_YES;
}

/* A pidfd that waits in a socket: it is taken out by another process. */
enum probe_result probe_pidfd_store(struct probe *p)
{
	_cleanup_close_ int self = (int)syscall(SYS_pidfd_open, getpid(), 0), event = eventfd(5, EFD_CLOEXEC), got = -1;
	uint64_t value = 0;

	if (self < 0)
		return probe_failed(p, "pidfd_open");
	got = (int)syscall(SYS_pidfd_getfd, self, event, 0);
	if (got < 0)
		return probe_failed(p, "pidfd_getfd");
	if (read(got, &value, sizeof(value)) != sizeof(value) || value != 5)
		return probe_no(p, "pidfd_getfd gives another file");
	return syscall(SYS_pidfd_send_signal, self, 0, NULL, 0) ? probe_failed(p, "pidfd_send_signal") : PROBE_YES;
}

enum probe_result probe_timer_cr_ids(struct probe *p)
{
	enum { RESTORE_IDS = 77 }; /* PR_TIMER_CREATE_RESTORE_IDS, 6.15; 1: on */
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	int id = 4711;

	if (prctl(RESTORE_IDS, 1, 0, 0, 0))
		return probe_failed(p, "prctl PR_TIMER_CREATE_RESTORE_IDS");
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id))
		return probe_failed(p, "timer_create with a given id");
	return id == 4711 ? PROBE_YES : probe_no(p, "timer_create gives another id");
}
