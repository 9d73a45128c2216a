/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plan of a restore, made from images before any task is made. */
#ifndef CR_RESTORE_PLAN_H
#define CR_RESTORE_PLAN_H

#include <stdio.h>

#include "image/plan-tree.h"
#include "kind/restore.h"

/* Read and check everything but files and page contents. Return: 0 or -errno with @e. */
int plan_load(struct rst *r, struct plan *p, struct cr_err *e);

void plan_print(const struct plan *p, FILE *out);
/* On standard output. Return: 0 or -errno with @e. */
int plan_print_json(const struct plan *p, struct cr_err *e);

#endif
