/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each system call may legally fail with, as far as its man page says: the errors that test/sweep/inject.c makes it
 * fail with. FAIL: not made at all. AFTER: made, and its result replaced (close(2): the descriptor is gone whatever it
 * returns). SHORT: a part is read or written only; the number of the argument that holds the length, or with VEC the
 * vector. NEVER: cannot fail, or does not return; the reason stands in the row.
 */
#ifndef TEST_SWEEP_CALLS_H
#define TEST_SWEEP_CALLS_H

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>

enum call_kind { NEVER, FAIL, AFTER };
enum call_object { OB_NONE, OB_FD, OB_PATH, OB_AT, OB_PID }; /* what the first argument or two name */

struct call_row {
	int nr;
	const char *name;
	enum call_kind kind;
	enum call_object object;
	int count; /* 1 + argument that is a length; -(1 + argument) that is a vector; 0: cannot be short */
	int errors[8];
	const char *why; /* NEVER */
};


/* clang-format off */
static const struct call_row call_rows[] = {
#define C(n, kind, object, count, ...) { SYS_##n, #n, kind, object, count, { __VA_ARGS__ }, NULL },
#define N(n, object, why)	       { SYS_##n, #n, NEVER, object, 0, { 0 }, why },
	/* descriptors */
	C(openat, FAIL, OB_AT, 0, EMFILE, ENOSPC, ENOMEM, EACCES, EIO)
	C(open, FAIL, OB_PATH, 0, EMFILE, ENOSPC, ENOMEM, EACCES, EIO)
	C(openat2, FAIL, OB_AT, 0, EMFILE, ENOMEM, ENOSYS, EAGAIN)
	C(close, AFTER, OB_FD, 0, EIO, ENOSPC, EINTR)
	C(close_range, FAIL, OB_NONE, 0, EMFILE, ENOMEM)
	C(dup, FAIL, OB_FD, 0, EMFILE)
	C(dup2, FAIL, OB_FD, 0, EMFILE, EINTR)
	C(dup3, FAIL, OB_FD, 0, EMFILE, EINTR)
	C(fcntl, FAIL, OB_FD, 0, EMFILE, EPERM, ENOMEM)
	C(pipe2, FAIL, OB_NONE, 0, EMFILE, ENFILE)
	C(eventfd2, FAIL, OB_NONE, 0, EMFILE, ENOMEM)
	C(memfd_create, FAIL, OB_NONE, 0, EMFILE, ENOMEM)
	C(signalfd4, FAIL, OB_NONE, 0, EMFILE, ENOMEM)
	C(timerfd_create, FAIL, OB_NONE, 0, EMFILE, ENOMEM)
	C(timerfd_settime, FAIL, OB_FD, 0, ECANCELED)
	C(timerfd_gettime, FAIL, OB_FD, 0, EINVAL)
	C(epoll_create1, FAIL, OB_NONE, 0, EMFILE, ENOMEM)
	C(epoll_ctl, FAIL, OB_FD, 0, ENOMEM, ENOSPC)
	C(pidfd_open, FAIL, OB_PID, 0, EMFILE, ENOMEM)
	C(pidfd_getfd, FAIL, OB_FD, 0, EMFILE, EPERM)
	C(pidfd_send_signal, FAIL, OB_FD, 0, EPERM)
	C(kcmp, FAIL, OB_PID, 0, EPERM)
	C(ioctl, FAIL, OB_FD, 0, EIO, ENOMEM, EPERM, ENOTTY)
	/* reading and writing */
	C(read, FAIL, OB_FD, 3, EIO, EINTR, ENOMEM)
	C(pread64, FAIL, OB_FD, 3, EIO, EINTR, ENOMEM)
	C(readv, FAIL, OB_FD, -2, EIO, EINTR)
	C(preadv, FAIL, OB_FD, -2, EIO, EINTR)
	C(preadv2, FAIL, OB_FD, -2, EIO, EINTR)
	C(write, FAIL, OB_FD, 3, ENOSPC, EIO, EINTR, EDQUOT)
	C(pwrite64, FAIL, OB_FD, 3, ENOSPC, EIO, EINTR, EDQUOT)
	C(writev, FAIL, OB_FD, -2, ENOSPC, EIO, EINTR)
	C(pwritev, FAIL, OB_FD, -2, ENOSPC, EIO, EINTR)
	C(copy_file_range, FAIL, OB_FD, 5, ENOSPC, EIO, EXDEV)
	C(sendfile, FAIL, OB_FD, 4, EIO, ENOMEM, EINTR)
	C(splice, FAIL, OB_FD, 5, ENOMEM, EINTR)
	C(vmsplice, FAIL, OB_FD, -2, ENOMEM)
	C(tee, FAIL, OB_FD, 3, ENOMEM)
	C(process_vm_readv, FAIL, OB_PID, -2, ENOMEM, EPERM, EFAULT)
	C(process_vm_writev, FAIL, OB_PID, -2, ENOMEM, EPERM, EFAULT)
	C(lseek, FAIL, OB_FD, 0, EIO)
	C(ftruncate, FAIL, OB_FD, 0, ENOSPC, EIO, EINTR)
	C(fallocate, FAIL, OB_FD, 0, ENOSPC, EOPNOTSUPP, EINTR)
	C(fadvise64, FAIL, OB_FD, 0, EINVAL)
	C(readahead, FAIL, OB_FD, 0, EINVAL)
	C(fsync, FAIL, OB_FD, 0, EIO, ENOSPC, EINTR)
	C(fdatasync, FAIL, OB_FD, 0, EIO, ENOSPC, EINTR)
	C(syncfs, FAIL, OB_FD, 0, EIO, ENOSPC)
	C(sync_file_range, FAIL, OB_FD, 0, EIO, ENOSPC)
	C(flock, FAIL, OB_FD, 0, EINTR, ENOLCK)
	C(getdents64, FAIL, OB_FD, 0, EIO, ENOMEM)
	/* names */
	C(readlink, FAIL, OB_PATH, 0, EIO, ENOMEM)
	C(readlinkat, FAIL, OB_AT, 0, EIO, ENOMEM)
	C(newfstatat, FAIL, OB_AT, 0, EIO, ENOMEM)
	C(stat, FAIL, OB_PATH, 0, EIO, ENOMEM)
	C(lstat, FAIL, OB_PATH, 0, EIO, ENOMEM)
	C(fstat, FAIL, OB_FD, 0, EIO, ENOMEM)
	C(statx, FAIL, OB_AT, 0, EIO, ENOMEM)
	C(statfs, FAIL, OB_PATH, 0, EIO, ENOMEM)
	C(fstatfs, FAIL, OB_FD, 0, EIO, ENOMEM)
	C(access, FAIL, OB_PATH, 0, EIO, ENOMEM)
	C(faccessat, FAIL, OB_AT, 0, EIO, ENOMEM)
	C(faccessat2, FAIL, OB_AT, 0, EIO, ENOMEM)
	C(name_to_handle_at, FAIL, OB_AT, 0, ENOMEM, EOPNOTSUPP)
	C(rename, FAIL, OB_PATH, 0, ENOSPC, EIO)
	C(renameat, FAIL, OB_AT, 0, ENOSPC, EIO)
	C(renameat2, FAIL, OB_AT, 0, ENOSPC, EIO)
	C(link, FAIL, OB_PATH, 0, ENOSPC, EIO, EPERM)
	C(linkat, FAIL, OB_AT, 0, ENOSPC, EIO, EPERM)
	C(symlinkat, FAIL, OB_NONE, 0, ENOSPC, EIO)
	C(unlink, FAIL, OB_PATH, 0, EIO, EPERM)
	C(unlinkat, FAIL, OB_AT, 0, EIO, EPERM)
	C(rmdir, FAIL, OB_PATH, 0, EIO, EPERM)
	C(mkdir, FAIL, OB_PATH, 0, ENOSPC, EIO)
	C(mkdirat, FAIL, OB_AT, 0, ENOSPC, EIO)
	C(mknodat, FAIL, OB_AT, 0, ENOSPC, EPERM)
	C(mknod, FAIL, OB_PATH, 0, ENOSPC, EPERM)
	C(chdir, FAIL, OB_PATH, 0, EACCES, EIO)
	C(fchdir, FAIL, OB_FD, 0, EACCES, EIO)
	C(chroot, FAIL, OB_PATH, 0, EPERM)
	C(chmod, FAIL, OB_PATH, 0, EIO, EPERM)
	C(fchmod, FAIL, OB_FD, 0, EIO, EPERM)
	C(fchmodat, FAIL, OB_AT, 0, EIO, EPERM)
	C(fchown, FAIL, OB_FD, 0, EIO, EPERM)
	C(fchownat, FAIL, OB_AT, 0, EIO, EPERM)
	C(utimensat, FAIL, OB_AT, 0, EIO, EPERM)
	C(fgetxattr, FAIL, OB_FD, 0, EIO)
	C(fsetxattr, FAIL, OB_FD, 0, ENOSPC, EPERM)
	C(flistxattr, FAIL, OB_FD, 0, EIO)
	C(getcwd, FAIL, OB_NONE, 0, ENOMEM)
	/* memory */
	C(mmap, FAIL, OB_NONE, 0, ENOMEM, EAGAIN)
	C(munmap, FAIL, OB_NONE, 0, ENOMEM)
	C(mremap, FAIL, OB_NONE, 0, ENOMEM)
	C(mprotect, FAIL, OB_NONE, 0, ENOMEM)
	C(madvise, FAIL, OB_NONE, 0, ENOMEM, EINVAL, EAGAIN)
	C(mlock, FAIL, OB_NONE, 0, ENOMEM)
	C(mlock2, FAIL, OB_NONE, 0, ENOMEM)
	C(msync, FAIL, OB_NONE, 0, EIO)
	C(brk, FAIL, OB_NONE, 0, ENOMEM)
	/* sockets */
	C(socket, FAIL, OB_NONE, 0, EMFILE, ENOMEM)
	C(socketpair, FAIL, OB_NONE, 0, EMFILE, ENOMEM)
	C(bind, FAIL, OB_FD, 0, ENOSPC, ENOMEM, EADDRINUSE)
	C(listen, FAIL, OB_FD, 0, EADDRINUSE)
	C(connect, FAIL, OB_FD, 0, ECONNREFUSED, EINTR, ENOMEM)
	C(accept4, FAIL, OB_FD, 0, EMFILE, EINTR, ECONNABORTED, ENOMEM)
	C(accept, FAIL, OB_FD, 0, EMFILE, EINTR, ECONNABORTED, ENOMEM)
	C(shutdown, FAIL, OB_FD, 0, ENOTCONN)
	C(sendto, FAIL, OB_FD, 0, ENOBUFS, EINTR, EPIPE)
	C(sendmsg, FAIL, OB_FD, 0, ENOBUFS, EINTR, EPIPE)
	C(recvfrom, FAIL, OB_FD, 0, ENOMEM, EINTR, ECONNRESET)
	C(recvmsg, FAIL, OB_FD, 0, ENOMEM, EINTR, ECONNRESET)
	C(getsockopt, FAIL, OB_FD, 0, ENOMEM, EPERM)
	C(setsockopt, FAIL, OB_FD, 0, ENOMEM, EPERM)
	C(getsockname, FAIL, OB_FD, 0, ENOBUFS)
	C(getpeername, FAIL, OB_FD, 0, ENOBUFS)
	/* waiting */
	C(poll, FAIL, OB_NONE, 0, EINTR, ENOMEM)
	C(ppoll, FAIL, OB_NONE, 0, EINTR, ENOMEM)
	C(epoll_wait, FAIL, OB_FD, 0, EINTR)
	C(wait4, FAIL, OB_PID, 0, EINTR)
	C(waitid, FAIL, OB_PID, 0, EINTR)
	C(nanosleep, FAIL, OB_NONE, 0, EINTR)
	C(clock_nanosleep, FAIL, OB_NONE, 0, EINTR)
	C(pause, FAIL, OB_NONE, 0, EINTR)
	C(rt_sigtimedwait, FAIL, OB_NONE, 0, EINTR, EAGAIN)
	C(futex, FAIL, OB_NONE, 0, EAGAIN)
	/* tasks */
	C(clone, FAIL, OB_NONE, 0, EAGAIN, ENOMEM)
	C(clone3, FAIL, OB_NONE, 0, EAGAIN, ENOMEM, EEXIST)
	C(fork, FAIL, OB_NONE, 0, EAGAIN, ENOMEM)
	C(vfork, FAIL, OB_NONE, 0, EAGAIN, ENOMEM)
	C(unshare, FAIL, OB_NONE, 0, ENOMEM, EPERM, ENOSPC)
	C(setns, FAIL, OB_FD, 0, ENOMEM, EPERM)
	C(ptrace, FAIL, OB_PID, 0, EPERM, EIO)
	C(prctl, FAIL, OB_NONE, 0, EPERM, EINVAL)
	C(arch_prctl, FAIL, OB_NONE, 0, EPERM)
	C(kill, FAIL, OB_PID, 0, EPERM)
	C(tgkill, FAIL, OB_PID, 0, EPERM)
	C(tkill, FAIL, OB_PID, 0, EPERM)
	C(rt_sigqueueinfo, FAIL, OB_PID, 0, EAGAIN, EPERM)
	C(rt_tgsigqueueinfo, FAIL, OB_PID, 0, EAGAIN, EPERM)
	C(setsid, FAIL, OB_NONE, 0, EPERM)
	C(setpgid, FAIL, OB_PID, 0, EPERM)
	C(prlimit64, FAIL, OB_PID, 0, EPERM)
	C(setrlimit, FAIL, OB_NONE, 0, EPERM)
	C(setpriority, FAIL, OB_NONE, 0, EACCES)
	C(sched_setscheduler, FAIL, OB_PID, 0, EPERM)
	C(sched_setattr, FAIL, OB_PID, 0, EPERM, EBUSY)
	C(sched_getattr, FAIL, OB_PID, 0, EINVAL)
	C(sched_setaffinity, FAIL, OB_PID, 0, EPERM, ENOMEM)
	C(sched_getaffinity, FAIL, OB_PID, 0, EINVAL)
	C(ioprio_get, FAIL, OB_NONE, 0, EPERM)
	C(ioprio_set, FAIL, OB_NONE, 0, EPERM)
	C(setuid, FAIL, OB_NONE, 0, EAGAIN)
	C(setgid, FAIL, OB_NONE, 0, EPERM)
	C(setresuid, FAIL, OB_NONE, 0, EAGAIN)
	C(setresgid, FAIL, OB_NONE, 0, EPERM)
	C(getgroups, FAIL, OB_NONE, 0, EPERM)
	C(getresuid, FAIL, OB_NONE, 0, EFAULT)
	C(getresgid, FAIL, OB_NONE, 0, EFAULT)
	C(getpriority, FAIL, OB_NONE, 0, ESRCH)
	C(sched_getparam, FAIL, OB_PID, 0, EINVAL)
	C(sched_getscheduler, FAIL, OB_PID, 0, EINVAL)
	C(chown, FAIL, OB_PATH, 0, EIO, EPERM)
	C(setgroups, FAIL, OB_NONE, 0, ENOMEM)
	C(capset, FAIL, OB_NONE, 0, EPERM)
	C(capget, FAIL, OB_NONE, 0, EPERM)
	C(seccomp, FAIL, OB_NONE, 0, ENOMEM, EACCES)
	C(timer_create, FAIL, OB_NONE, 0, EAGAIN, ENOMEM)
	C(timer_settime, FAIL, OB_NONE, 0, EINVAL)
	C(timer_delete, FAIL, OB_NONE, 0, EINVAL)
	C(setitimer, FAIL, OB_NONE, 0, EINVAL)
	C(get_robust_list, FAIL, OB_NONE, 0, EPERM)
	C(rseq, FAIL, OB_NONE, 0, ENOSYS)
	C(membarrier, FAIL, OB_NONE, 0, EPERM)
	C(sigaltstack, FAIL, OB_NONE, 0, EPERM)
	C(rt_sigaction, FAIL, OB_NONE, 0, EINVAL)
	C(getrandom, FAIL, OB_NONE, 2, EINTR, ENOSYS)
	C(uname, FAIL, OB_NONE, 0, EFAULT)
	C(mount, FAIL, OB_NONE, 0, EPERM, ENOMEM)
	C(umount2, FAIL, OB_PATH, 0, EBUSY)
	C(execve, FAIL, OB_PATH, 0, ENOMEM, EACCES)
	C(keyctl, FAIL, OB_NONE, 0, EPERM, ENOSYS)
	C(personality, FAIL, OB_NONE, 0, EINVAL)
	C(get_mempolicy, FAIL, OB_NONE, 0, ENOSYS)
	/* These cannot fail with the arguments that a program can give. */
	N(rt_sigprocmask, OB_NONE, "cannot fail with valid arguments")
	N(set_robust_list, OB_NONE, "cannot fail with valid arguments")
	N(getpid, OB_NONE, "cannot fail")
	N(gettid, OB_NONE, "cannot fail")
	N(getppid, OB_NONE, "cannot fail")
	N(getuid, OB_NONE, "cannot fail")
	N(geteuid, OB_NONE, "cannot fail")
	N(getgid, OB_NONE, "cannot fail")
	N(getegid, OB_NONE, "cannot fail")
	N(getpgid, OB_NONE, "cannot fail")
	N(getpgrp, OB_NONE, "cannot fail")
	N(getsid, OB_NONE, "cannot fail")
	N(umask, OB_NONE, "cannot fail")
	N(sched_yield, OB_NONE, "cannot fail")
	N(set_tid_address, OB_NONE, "cannot fail")
	N(clock_gettime, OB_NONE, "cannot fail with a known clock")
	N(gettimeofday, OB_NONE, "cannot fail")
	N(exit, OB_NONE, "does not return")
	N(exit_group, OB_NONE, "does not return")
	N(rt_sigreturn, OB_NONE, "does not return")
	N(restart_syscall, OB_NONE, "made by the kernel itself")
	N(futex_waitv, OB_NONE, "not used")
#undef C
#undef N
};
/* clang-format on */

static inline const struct call_row *call_find(long nr)
{
	for (size_t i = 0; i < sizeof(call_rows) / sizeof(call_rows[0]); i++)
		if (call_rows[i].nr == nr)
			return &call_rows[i];
	return NULL;
}

#endif
