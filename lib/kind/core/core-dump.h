/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers, restartable sequences: what criu-parasite calls. */
#ifndef CR_KIND_CORE_DUMP_H
#define CR_KIND_CORE_DUMP_H

struct para_hook;
extern const struct para_hook core_para_hook;

#endif
