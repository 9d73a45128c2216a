/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Namespaces of a tree. */
#ifndef CR_NS_NS_H
#define CR_NS_NS_H

#include <stdint.h>

struct dump_hook;

/* Fills ns_id of all tasks and root_ns, refuses what is not the caller's, writes timens-ID.img. */
extern const struct dump_hook ns_dump;

/* A clock as a namespace shows it: @host_ns and the difference of two offsets. Never below zero. */
uint64_t ns_clock(uint64_t host_ns, int64_t sec, int64_t nsec, int64_t own_sec, int64_t own_nsec);

#endif
