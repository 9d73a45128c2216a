/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/mountinfo, line by line (proc_pid_mountinfo(5)). */
#ifndef CR_PROC_MOUNTINFO_H
#define CR_PROC_MOUNTINFO_H

#include <stddef.h>
#include <stdint.h>

/* The strings point into the text, NUL-terminated and unescaped in place. */
struct proc_mount {
	int id, parent;
	uint32_t dev_major, dev_minor;
	char *root, *mountpoint, *options;
	char *tags; /* "shared:1 master:2", "" when there are none */
	char *fstype, *source, *super;
};

/*
 * Parse the line at *@text and go on to the next. The text is changed.
 * @text: NUL-terminated
 * Return: 1; 0 at the end; -EINVAL: this is no such file.
 */
int proc_mountinfo_next(char **text, struct proc_mount *ret);

/* Whether a comma-separated list ("rw,cpu,cpuacct") holds @word. */
_Bool proc_list_has(const char *list, const char *word);

#endif
