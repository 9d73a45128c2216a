/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What criu-parasite calls. */
#ifndef CR_KIND_TIMER_DUMP_H
#define CR_KIND_TIMER_DUMP_H

struct para_hook;
extern const struct para_hook timer_para_hook;

#endif
