/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the sources of the restore half of internet sockets share. */
#ifndef CR_KIND_INET_RESTORE_INET_H
#define CR_KIND_INET_RESTORE_INET_H

#include "kind/file/restore-file.h"

struct InetSkEntry;

/*
 * restore-rival.c: the socket that keeps one from being bound to its address, in this network namespace.
 * @fd: ours, which is not it
 * Return: its inode number; 0: none was found
 */
uint32_t inet_find_rival(const struct InetSkEntry *s, int fd);

#endif
