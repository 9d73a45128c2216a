/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parser of /proc/PID/fdinfo/N (proc_pid_fdinfo(5)): bytes in, plain structs out. */
#ifndef CR_PROC_FDINFO_H
#define CR_PROC_FDINFO_H

#include <stdbool.h>
#include <stdint.h>

/* The head, which every descriptor has. */
struct fdinfo {
	uint64_t pos;
	uint32_t flags; /* O_*, O_CLOEXEC among them */
	int mnt_id;
	uint64_t ino;	   /* 0 before Linux 5.14 */
	bool locked;	   /* there is a lock: line (file lock, lease) */
	const char *lock;  /* the first of them, in @text; NULL without */
	const char *extra; /* in @text: what comes behind the head */
};

/* One target of an epoll descriptor. */
struct fdinfo_epoll {
	uint32_t fd; /* the number it was added by */
	uint32_t events;
	uint64_t data;
	uint64_t pos, ino;
	uint32_t dev; /* kernel's own form: major << 20 | minor */
};

struct fdinfo_timerfd {
	uint32_t clockid;
	uint64_t ticks;
	uint32_t settime_flags;
	uint64_t value_sec, value_nsec; /* what remains */
	uint64_t interval_sec, interval_nsec;
};

/* @text: NUL-terminated. Return: 0 or -EBADMSG. */
int fdinfo_parse(const char *text, struct fdinfo *ret);
/* Kernels before 6.5 have no eventfd-semaphore: line; @ret_semaphore is false then. Return: 0 or -EBADMSG. */
int fdinfo_eventfd(const char *text, uint64_t *ret_count, bool *ret_semaphore);
int fdinfo_signalfd(const char *text, uint64_t *ret_mask);
int fdinfo_timerfd(const char *text, struct fdinfo_timerfd *ret);
/*
 * The next target. @pos: starts as the text, moves on.
 * Return: 1 one more; 0 end; -EBADMSG.
 */
int fdinfo_epoll_next(const char **pos, struct fdinfo_epoll *ret);

#endif
