/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stats-dump: what a dump took, in CRIU's form. */
#ifndef CRIU_FREEZE_STATS_H
#define CRIU_FREEZE_STATS_H

#include <stdint.h>
#include <jansson.h>

#include "base/err.h"

/*
 * Write stats-dump into the work directory, from the facts of the stages.
 * @m: the manifest
 * @freezing_us: collecting and seizing the tree; @frozen_us: from the first interrupt to the last resume or kill
 * @print: also the text of --display-stats on stdout
 */
int stats_dump(int work, json_t *m, uint32_t freezing_us, uint32_t frozen_us, int print, struct cr_err *e);

#endif
