/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Labels of Linux security modules. */
#ifndef CR_LSM_LSM_H
#define CR_LSM_LSM_H

struct dump_hook;

/* Refuses tasks with a label that a restore could not set. */
extern const struct dump_hook lsm_dump;

#endif
