/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/timers: the POSIX timers of a process; bytes in, an array out (proc_pid_timers(5)). */
#ifndef CR_PROC_TIMERS_H
#define CR_PROC_TIMERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_timer {
	int32_t id, clock, signal;
	int32_t notify; /* SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD; with SIGEV_THREAD_ID or'ed when @tid is a thread's */
	uint64_t value; /* sigev_value */
	pid_t tid;	/* whom it is for: thread with SIGEV_THREAD_ID, process otherwise */
};

/*
 * Parse.
 * @ret: malloc'ed; NULL when there is none
 * Return: count; -EINVAL: these bytes are no such file; -ENOMEM.
 */
ssize_t proc_timers_parse(const char *text, size_t len, struct proc_timer **ret);
/* Read and parse @dirfd/timers. Return: count or -errno (-ENOENT: a kernel without CONFIG_POSIX_TIMERS). */
ssize_t proc_timers_read(int dirfd, struct proc_timer **ret);

#endif
