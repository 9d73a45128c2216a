/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has a pid, or a socket: for people who wanted it for something else. */
#ifndef CR_PROC_WHO_H
#define CR_PROC_WHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum proc_who_as {
	PROC_WHO_PROCESS,
	PROC_WHO_THREAD,
	PROC_WHO_GROUP,
	PROC_WHO_SESSION,
	PROC_WHO_SEVERAL /* never found: for a text about several numbers that one process has */
};

struct proc_who {
	enum proc_who_as as;
	pid_t pid; /* the process; of a group or session the first that was found in it */
	pid_t ppid;
	char state;	     /* of the process: R S D T Z X ... */
	bool ending;	     /* it is on its way out */
	char comm[64];	     /* printable */
	char command[128];   /* command line, printable, cut; "": there is none */
	char parent[64];     /* comm of its parent, printable; "": not known */
	time_t start;	     /* seconds since 1970 */
	char container[128]; /* "docker 0123456789ab"; "": none that is known */
	pid_t inner;	     /* its pid in a pid namespace of its own; 0: it lives in ours */
};

/*
 * Who has @id, as process, thread, process group or session?
 * Return: 0; -ESRCH: nobody that can be seen.
 */
int proc_who(pid_t id, struct proc_who *ret);
/* Who has the socket with this inode number open? Return: 0; -ESRCH: nobody that can be seen. */
int proc_who_socket(uint32_t ino, struct proc_who *ret);
/* "process", "thread", "process group", "session"; "several" */
const char *proc_who_as_name(enum proc_who_as as);
/* "it is in use by sleep (process 12: "sleep 100", parent 1 (init), started 2026-11-21 07:00:00, in docker ...)" */
char *proc_who_text(const struct proc_who *w, char *buf, size_t size);
/* "2026-11-21 07:00:00", local time */
char *proc_who_start(const struct proc_who *w, char *buf, size_t size);
/*
 * The container that a cgroup belongs to, by the names that Docker, Podman, containerd, CRI-O, Kubernetes, LXC and
 * systemd-nspawn give to cgroups. @path: as in /proc/PID/cgroup. Return: false: none that is known.
 */
bool proc_cgroup_container(const char *path, char *ret, size_t size);

#endif
