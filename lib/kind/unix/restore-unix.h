/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the sources of the restore half of unix sockets share. */
#ifndef CR_KIND_UNIX_RESTORE_UNIX_H
#define CR_KIND_UNIX_RESTORE_UNIX_H

#include "kind/file/restore-file.h"

struct UnixSkEntry;

/* unix_sk_entry.state, as TCP's (include/net/tcp_states.h); and uflags. */
enum { UNIX_ESTABLISHED = 1, UNIX_CLOSE = 7, UNIX_LISTEN = 10 };
enum { UNIX_F_EXTERNAL = 1, UNIX_F_SERVICE = 2, UNIX_F_CALLBACK = 4 };

/* The other end, NULL: none in the images. */
const struct FileEntry *unix_peer(const struct rst *r, const struct FileEntry *fe);

/* restore-name.c: names, in the directory that they are relative to. Its file was removed before the dump: */
bool unix_is_deleted(const struct UnixSkEntry *s);
/*
 * Give @fd the name of @s; an old file there that nobody listens at is removed.
 * @ours: a socket of this group has the name already, and this one is to have it as well
 */
int unix_bind_named(const struct UnixSkEntry *s, int fd, bool ours, struct cr_err *e);
int unix_unlink_named(const struct UnixSkEntry *s, struct cr_err *e);
/* Connect to the socket that has the name of @s. */
int unix_connect_named(const struct UnixSkEntry *s, int fd, struct cr_err *e);
/* Could it be bound? @fd: a socket to try it with */
int unix_check_named(const struct UnixSkEntry *s, int fd, struct cr_err *e);

/* restore-queue.c: sk-queues.img */
int unix_check_queue(struct rst *r, const struct FileEntry *fe, struct cr_err *e);
bool unix_has_queue(const struct rst *r, const struct FileEntry *fe);
/* Send what @fe had in its queue by @from, a socket connected to it. */
int unix_send_queue(struct rst *r, const struct FileEntry *fe, int from, struct cr_err *e);
int unix_late(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e);

#endif
