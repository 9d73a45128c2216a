/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/timens_offsets (time_namespaces(7)). */
#ifndef CR_PROC_TIMENS_H
#define CR_PROC_TIMENS_H

#include <stddef.h>
#include <stdint.h>

/* Offsets of the namespace for children from the initial one; nsec is 0..999999999. */
struct proc_timens {
	int64_t mono_sec, mono_nsec;
	int64_t boot_sec, boot_nsec;
};

/* Return: 0; -EINVAL: these bytes are no such file. */
int proc_timens_parse(const char *text, size_t len, struct proc_timens *ret);
/* Read and parse; zeros where the kernel has no time namespaces. @dirfd: /proc/PID. Return: 0 or -errno. */
int proc_timens_read(int dirfd, struct proc_timens *ret);

#endif
