/* SPDX-License-Identifier: GPL-2.0-or-later */
/* May the caller dump and restore at all? Asked once, before anything is touched. */
#ifndef CR_BASE_PRIVILEGE_H
#define CR_BASE_PRIVILEGE_H

#include "base/err.h"
#include "base/opts.h"

/*
 * Full work needs CAP_SYS_ADMIN (seccomp filters, namespaces, kernel addresses). Without it CAP_CHECKPOINT_RESTORE (Linux 5.9,
 * capabilities(7)) is enough for simple trees of one's own, which the user has to want: --unprivileged.
 * Return: 0 or -EPERM with @e (CR_E_PRIVILEGE).
 */
int cr_privilege_check(const struct cr_opts *o, struct cr_err *e);

#endif
