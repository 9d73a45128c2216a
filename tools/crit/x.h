/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CRIT_X_H
#define CRIT_X_H

#include "checkpoint.h"

/* crit x DIR sk: the sockets of each task. Return: 0 or -errno */
int show_sk(struct checkpoint *c, struct cr_err *e);

/* The same for programs. @what: "ps", "fds" ... Return: 0 or -errno */
int x_json(struct checkpoint *c, const char *what, struct cr_err *e);
/* A socket in a line. Return: false: it is none */
bool socket_text(const struct checkpoint *c, uint32_t type, uint32_t id, char *buf, size_t size);
/* What a mapping shows: a file, a segment, a name of the kernel's, or nothing. Return: @buf */
const char *vma_text(const struct checkpoint *c, const struct VmaEntry *v, char *buf, size_t size);

#endif
