/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CR_COLLECT_ORDER_H
#define CR_COLLECT_ORDER_H

struct dump_hook;

/* Hooks in the order in which they run, NULL-terminated. */
extern const struct dump_hook *const collect_order[];
/* Those that --dry-run runs. */
extern const struct dump_hook *const dry_order[];

#endif
