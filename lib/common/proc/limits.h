/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/limits: bytes in, an array out (proc_pid_limits(5)). For where prlimit(2) of another user's task is
 * refused. */
#ifndef CR_PROC_LIMITS_H
#define CR_PROC_LIMITS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

enum { PROC_LIMITS = 16, PROC_LIMITS_MAX = 4096 };

/* @ret: by RLIMIT_* number; RLIM_INFINITY: unlimited. Return: 0; -EINVAL: these bytes are no such file. */
int proc_limits_parse(const char *text, size_t len, struct rlimit64 ret[PROC_LIMITS]);
/* Read and parse @dirfd/limits. Return: 0 or -errno. */
int proc_limits_read(int dirfd, struct rlimit64 ret[PROC_LIMITS]);

#endif
