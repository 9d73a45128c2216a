/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CRIT_X_H
#define CRIT_X_H

#include "checkpoint.h"

/* crit x DIR sk: the sockets of each task. Return: 0 or -errno */
int show_sk(struct checkpoint *c, struct cr_err *e);

#endif
