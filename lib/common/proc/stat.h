/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/stat and /proc/PID/task/TID/stat: bytes in, a plain struct out (proc_pid_stat(5)). */
#ifndef CR_PROC_STAT_H
#define CR_PROC_STAT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_STAT_MAX = 1024 }; /* 52 numbers and a comm of 64 bytes fit */

/* task_struct.flags of the kernel, as far as anyone here asks. */
#define PROC_PF_EXITING 0x00000004u
#define PROC_PF_KTHREAD 0x00200000u

struct proc_stat {
	pid_t pid;
	char comm[64]; /* raw bytes, as set by the task */
	char state;    /* R S D T t Z X I ... */
	pid_t ppid, pgrp, session;
	int tty_nr;  /* 0: no controlling terminal */
	pid_t tpgid; /* -1: none */
	uint32_t flags;
	int nice;
	int num_threads;
	uint64_t utime, stime, cutime, cstime; /* clock ticks */
	uint64_t starttime;		       /* clock ticks since boot; tells a pid from its later reuse */
	uint64_t vsize, start_code, end_code, start_stack;
	int exit_signal; /* -1 for threads that are no leader */
	uint32_t rt_priority, policy;
	uint64_t start_data, end_data, start_brk, arg_start, arg_end, env_start,
		env_end; /* 0 without the right to ptrace */
	int exit_code;	 /* wait status of a zombie */
};

/*
 * Parse the text of a stat file. @text: need not end with NUL.
 * Return: 0; -EINVAL: these bytes are no such file.
 */
int proc_stat_parse(const char *text, size_t len, struct proc_stat *ret);
/* Read and parse. @path: relative to @dirfd, for example "stat" or "task/12/stat". Return: 0 or -errno (-ENOENT,
 * -ESRCH: gone). */
int proc_stat_read(int dirfd, const char *path, struct proc_stat *ret);

#endif
