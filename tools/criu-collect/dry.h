/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CR_COLLECT_DRY_H
#define CR_COLLECT_DRY_H

#include "base/err.h"
#include "base/opts.h"

/*
 * criu-collect --dry-run -t PID: print what could not be carried, of a tree that runs and goes on.
 * Return: CR_OK nothing was found, CR_REFUSED there are findings; -errno with @e: it could not be looked at.
 */
int dry_run(const struct cr_opts *o, struct cr_err *e);

#endif
