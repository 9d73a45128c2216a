/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the main() of a stage of a dump ends: log, manifest, holder and exit code, in one way for all. */
#ifndef CR_HOLD_STAGE_RUN_H
#define CR_HOLD_STAGE_RUN_H

#include "base/opts.h"
#include "hold/client.h"
#include "image/manifest.h"

/* It could not begin: no directory, no holder. Return: exit code. */
int stage_not_begun(const struct cr_opts *o, const struct cr_err *e);
/*
 * It has worked.
 * @refusals: why the dump must fail, all told; released. @ret, @e: what the work returned; @e is added when there are none
 * Return: exit code
 */
int stage_end(const struct cr_opts *o, int img, struct hold *h, struct stage_facts *f, struct cr_report *refusals,
	      int ret, struct cr_err *e);
/* Log them. */
void stage_log(const struct cr_report *refusals);

#endif
