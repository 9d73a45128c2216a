/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What criu-parasite calls. */
#ifndef CR_KIND_SCHED_DUMP_H
#define CR_KIND_SCHED_DUMP_H

struct para_hook;
extern const struct para_hook sched_para_hook;

#endif
