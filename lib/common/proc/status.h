/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/status and /proc/PID/task/TID/status: bytes in, a plain struct out (proc_pid_status(5)). */
#ifndef CR_PROC_STATUS_H
#define CR_PROC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_NSPID_MAX = 33, PROC_GROUPS_MAX = 65536 }; /* MAX_PID_NS_LEVEL + 1, NGROUPS_MAX */

struct proc_status {
	char name[128]; /* escaped as the kernel writes it; /proc/PID/comm is exact */
	char state;
	bool has_umask; /* kernel threads and zombies have none */
	bool has_mm;	/* VmRSS was there */
	bool kthread;
	uint32_t umask;
	pid_t tgid, pid, ppid, tracer;
	uint32_t uid[4], gid[4]; /* real, effective, saved, fs */
	const char *groups;	 /* into the parsed text: see proc_status_groups() */
	size_t groups_len;
	pid_t nspid[PROC_NSPID_MAX]; /* from our pid namespace inwards */
	unsigned nr_nspid;
	unsigned threads;
	uint64_t vm_rss, rss_anon, rss_file, rss_shmem, vm_lck, vm_pin, vm_size, vm_swap; /* KiB */
	uint32_t sigq, sigq_max;
	uint64_t sig_pnd, shd_pnd, sig_blk, sig_ign, sig_cgt; /* bit n - 1: signal n */
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	bool no_new_privs;
	bool thp_enabled;
	unsigned seccomp, seccomp_filters;
	bool x86_shstk, x86_wrss; /* x86_Thread_features */
};

/* Parse. Lines that are not known are passed over. @ret->groups points into @text. Return: 0; -EINVAL: no such file. */
int proc_status_parse(const char *text, size_t len, struct proc_status *ret);
/*
 * Read and parse. @buf: holds the text, as long as ret->groups is used; 4096 bytes hold all but long lists of groups
 * (those are cut: then -EFBIG, and the caller comes again with read_file_at()). Return: 0 or -errno (-ENOENT, -ESRCH:
 * gone).
 */
int proc_status_read(int dirfd, const char *path, char *buf, size_t size, struct proc_status *ret);
/* The supplementary groups. Return: how many there are; at most @max are stored; -EINVAL. */
ssize_t proc_status_groups(const struct proc_status *s, uint32_t *ret, size_t max);

#endif
