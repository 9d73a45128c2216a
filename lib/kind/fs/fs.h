/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Working directory, root and umask of a process. */
#ifndef CR_FS_FS_H
#define CR_FS_FS_H

struct dump_hook;

/* Writes fs-PID.img. */
extern const struct dump_hook fs_dump;

#endif
