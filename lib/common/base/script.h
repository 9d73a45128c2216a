/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Action scripts: programs of the user that are run at each step of a dump or restore. */
#ifndef CR_BASE_SCRIPT_H
#define CR_BASE_SCRIPT_H

#include <sys/types.h>

#include "base/err.h"
#include "base/opts.h"

/*
 * Run all scripts of --action-script for one step, the last one given first, and wait for each. All run even when one
 * fails. They find CRTOOLS_SCRIPT_ACTION, CRTOOLS_IMAGE_DIR (/proc/PID/fd/N) and CRTOOLS_INIT_PID in the environment.
 * @action: "pre-dump", "post-dump", "pre-restore", ...
 * @img: descriptor of the images directory
 * @init: pid of the root task, 0 while it is not known
 * Return: the exit codes OR-ed (0: all is well; a script ended by a signal counts as 128 + signal), with CR_E_SCRIPT in
 * @e unless 0; -errno with @e when a script could not be started.
 */
int script_run(const struct cr_opts *o, const char *action, int img, pid_t init, struct cr_err *e);

#endif
