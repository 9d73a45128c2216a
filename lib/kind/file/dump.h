/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hooks of the file engine, for tools/criu-collect/order.c. */
#ifndef CR_KIND_FILE_DUMP_H
#define CR_KIND_FILE_DUMP_H

#include "kind/dump.h"

/* All descriptor tables: fdinfo-N.img, files.img begun. Before the parasite comes, whose descriptors are not the
 * task's. */
extern const struct dump_hook files_dump;
/* What needs the whole picture; brings files.img and its like into place. After the last dump_file_id(). */
extern const struct dump_hook files_end_dump;
/* Let go of everything, unfinished images too: when the stage fails. Also after files_end_dump. */
void dump_files_free(struct dump *d);

#endif
