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

/* Connect to the socket that has the name of @s. */
int unix_connect_named(const struct UnixSkEntry *s, int fd, struct cr_err *e);

/* restore-queue.c: sk-queues.img */
int unix_check_queue(struct rst *r, const struct FileEntry *fe, struct cr_err *e);
bool unix_has_queue(const struct rst *r, const struct FileEntry *fe);
/* Send what @fe had in its queue by @from, a socket connected to it. */
int unix_send_queue(struct rst *r, const struct FileEntry *fe, int from, struct cr_err *e);
int unix_late(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e);

#endif
