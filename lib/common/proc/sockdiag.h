/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets as the kernel's sock_diag shows them (sock_diag(7)): only what getsockopt() cannot tell. */
#ifndef CR_PROC_SOCKDIAG_H
#define CR_PROC_SOCKDIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

enum { SOCKDIAG_NAME_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) };

struct diag_unix {
	uint32_t ino;
	uint8_t type, state;
	uint8_t shutdown; /* 1: no more to read, 2: to write */
	bool has_peer;
	bool has_vfs;  /* bound to a path */
	uint32_t peer; /* with has_peer: 0: the peer is closed, or not yet accepted */
	uint32_t vfs_ino;
	uint32_t rqueue, wqueue; /* of listeners: pending connections and their limit */
	uint32_t nr_pending;	 /* of listeners */
	uint8_t name_len;	 /* 0: not bound */
	char name[SOCKDIAG_NAME_MAX];
};

struct diag_inet {
	uint32_t ino; /* 0: nobody has it any more (TIME_WAIT) */
	uint8_t family, state;
	uint8_t shutdown;
	bool v6only;
	uint16_t port;	  /* its own */
	uint32_t addr[4]; /* its own, in network order; of AF_INET the first word */
	uint32_t ifindex; /* 0: not bound to a device */
};

/* @len: bytes of struct unix_diag_msg and its attributes. Return: 0 or -EBADMSG. */
int diag_unix_parse(const void *msg, size_t len, struct diag_unix *ret);
int diag_inet_parse(const void *msg, size_t len, struct diag_inet *ret);

typedef int (*diag_unix_each)(void *ctx, const struct diag_unix *s);
typedef int (*diag_inet_each)(void *ctx, const struct diag_inet *s);

/* All unix sockets of our network namespace. Sockets that come and go meanwhile may hide others: see diag_unix_one().
 */
int diag_unix_all(diag_unix_each each, void *ctx);
/* One, by its inode number. Return: 0, -ENOENT, -errno. */
int diag_unix_one(uint32_t ino, struct diag_unix *ret);
/* All sockets of a family and protocol (AF_INET6, IPPROTO_UDP). */
int diag_inet_all(int family, int protocol, diag_inet_each each, void *ctx);

#endif
