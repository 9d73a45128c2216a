/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What criu-parasite calls. */
#ifndef CR_KIND_SIG_DUMP_H
#define CR_KIND_SIG_DUMP_H

struct para_hook;
extern const struct para_hook sig_para_hook;

#endif
