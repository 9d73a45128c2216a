/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs of criu-check: each is a file of its own. */
#ifndef CRIU_CHECK_VERBS_H
#define CRIU_CHECK_VERBS_H

#include "base/err.h"
#include "base/opts.h"

/*
 * Do the verb.
 * @words: what follows the verb on the command line, @nr of them
 * @code: exit code when the work was done but its answer is "no"
 * Return: 0, or -errno with @e when the work could not be done.
 */
int verb_explain(const struct cr_opts *o, char **words, int nr, int *code, struct cr_err *e);
int verb_check(const struct cr_opts *o, char **words, int nr, int *code, struct cr_err *e);
/* @img: the images directory */
int verb_cpuinfo(const struct cr_opts *o, int img, char **words, int nr, int *code, struct cr_err *e);

/*
 * The arguments with what is no option of explain's behind "--": a message may hold options.
 * @ret_argc: how many. Return: malloc'ed; NULL: no memory.
 */
char **explain_args(int argc, char **argv, int *ret_argc);

#endif
