/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes: what the kernel can do, by trying it.
 *
 * Theory of operation. Each probe runs in a child of its own, with a limit of time: it may change its namespaces, its
 * signal mask, its memory, and die. It leaves nothing in the system: no file, no device, no rule; what it makes dies
 * with its namespaces. (The kernel may load a module for it, as it would for the dump.) It must not be told by version
 * numbers: distributions take things out and put things in.
 */
#ifndef CRIU_CHECK_PROBE_H
#define CRIU_CHECK_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum probe_result { PROBE_NO, PROBE_YES, PROBE_UNKNOWN /* could not be tried: a privilege is missing, say */ };

struct probe {
	char why[200]; /* why it is missing, or could not be tried */
};

typedef enum probe_result probe_fn(struct probe *p);

/* Run it in a child. @p: why is filled unless the answer is PROBE_YES */
enum probe_result probe_run(probe_fn *fn, struct probe *p);

/* ---- for the probes ---- */
enum probe_result probe_no(struct probe *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A call failed, errno says how: PROBE_UNKNOWN for a lack of privilege or memory, else PROBE_NO. */
enum probe_result probe_failed(struct probe *p, const char *what);
/* The same for a -errno. */
enum probe_result probe_error(struct probe *p, const char *what, int err);
/* A child that dies with us. Return: as fork(2). */
pid_t probe_fork(void);
/* Wait for it. Return: its exit status, -1: it was killed. */
int probe_wait(pid_t pid);
/* A child that sleeps until it is killed. */
pid_t probe_sleeper(void);
void probe_end(pid_t pid);
/* Does a file hold a line that begins with @key? @path: below /proc/self, or absolute. Return: 1, 0, -errno. */
int probe_has_line(const char *path, const char *key);
/* The same for /proc/self/fdinfo/FD; the answer for a probe. */
enum probe_result probe_fdinfo_of(struct probe *p, int fd, const char *key);
/* A new mount namespace that nothing leaves. Return: 0 or -1 with errno. */
int probe_mount_ns(void);
/* A tmpfs in it, on a directory that exists everywhere; the working directory is there then. */
int probe_tmpfs(void);

/* ---- probe-netlink.c ---- */
/*
 * Send messages and read the kernel's answer to the last of them that asked for one.
 * @text: NULL, or at least 128 bytes: what the kernel says of the error
 * Return: 0 or -errno.
 */
int probe_netlink(int protocol, const void *msgs, size_t len, char *text);

#endif
