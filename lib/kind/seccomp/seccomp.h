/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seccomp: modes and filters of threads. */
#ifndef CR_SECCOMP_SECCOMP_H
#define CR_SECCOMP_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>

struct dump_hook;
struct sock_filter;

/* Writes seccomp.img and fills seccomp_filter of all threads. */
extern const struct dump_hook seccomp_dump;

/*
 * Whether a filter can return SECCOMP_RET_USER_NOTIF. Pure. A filter that returns a computed value is taken to do so
 * only if it has the value as a constant.
 */
bool seccomp_can_notify(const struct sock_filter *f, size_t n);

#endif
