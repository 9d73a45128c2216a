/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the image format has no room for: extra.json (doc/extra.md). */
#ifndef CR_EXTRA_EXTRA_H
#define CR_EXTRA_EXTRA_H

struct dump_hook;

#define EXTRA_NAME "extra.json"

enum { EXTRA_SLACK_NS = 50000, EXTRA_COREDUMP_FILTER = 0x33 }; /* the kernel's defaults */

/* Writes extra.json, if any thread differs from the defaults; warns of what is not carried at all. */
extern const struct dump_hook extra_dump;

#endif
