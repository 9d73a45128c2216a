/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CRIT_X_H
#define CRIT_X_H

#include "checkpoint.h"

/* vma_entry.status */
enum {
	VMA_REGULAR = 1 << 0,
	VMA_STACK = 1 << 1,
	VMA_VSYSCALL = 1 << 2,
	VMA_VDSO = 1 << 3,
	VMA_HEAP = 1 << 5,
	VMA_FILE_PRIVATE = 1 << 6,
	VMA_FILE_SHARED = 1 << 7,
	VMA_ANON_SHARED = 1 << 8,
	VMA_SYSVIPC = 1 << 10,
	VMA_SOCKET = 1 << 11,
	VMA_VVAR = 1 << 12,
	VMA_MEMFD = 1 << 14,
	VMA_GUARD = 1 << 16,
};

/* crit x DIR sk: the sockets of each task. */
void show_sk(struct checkpoint *c);

/* The same for programs. @what: "ps", "fds" ... Return: 0 or -errno */
int x_json(struct checkpoint *c, const char *what, struct cr_err *e);
struct InetSkEntry;
/* A socket's properties; empty where a family has none. */
struct socket_words {
	char family[16], type[16], proto[16], state[16], src[1100], dst[80];
	uint32_t ino, peer; /* peer: of a unix socket */
};
/* Return: false: it is no socket */
bool socket_words(const struct checkpoint *c, uint32_t type, uint32_t id, struct socket_words *w);
void inet_words(const struct InetSkEntry *sk, struct socket_words *w);
/* The mappings that runs of pages lie in; runs and mappings by address. Zeroed but for vmas and n. */
struct owners {
	struct VmaEntry *const *vmas;
	size_t n, at, next;
};
/* while (owner_next()): the mappings of one run, by turns. */
bool owner_next(struct owners *o, uint64_t start, uint64_t end, const struct VmaEntry **ret);
/* A socket in a line. Return: false: it is none */
bool socket_text(const struct checkpoint *c, uint32_t type, uint32_t id, char *buf, size_t size);
/* What a mapping shows: a file, a segment, a name of the kernel's, or nothing. Return: @buf */
const char *vma_text(const struct checkpoint *c, const struct VmaEntry *v, char *buf, size_t size);

#endif
