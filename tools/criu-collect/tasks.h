/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tasks of a held tree, as criu-collect's hooks see them. */
#ifndef CR_COLLECT_TASKS_H
#define CR_COLLECT_TASKS_H

#include "kind/dump.h"

/*
 * Ask the holder for the tree and open /proc of each live process.
 * @d: hold and arena are set; tasks and nr_tasks are filled (owned by the arena; descriptors: tasks_close())
 * Return: 0 or -errno with @e (CR_E_TASK_GONE, CR_E_LIMIT).
 */
int tasks_load(struct dump *d, struct cr_err *e);
/* The same for a list that somebody else made: leaders before their threads. */
int tasks_open(struct dump *d, const struct hold_task *v, size_t n, struct cr_err *e);
void tasks_close(struct dump *d);
/* Hands what the hooks before it found about threads to criu-parasite, which then works beside us. */
extern const struct dump_hook threads_hand_over;
/* Lets criu-pages work on mm-*.img. */
extern const struct dump_hook mm_hand_over;

#endif
