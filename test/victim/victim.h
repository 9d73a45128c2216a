/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract of all victims. A victim makes its state, calls victim_ready() (prints "ready"), waits in victim_wait()
 * for a file named "go" in its working directory (asleep 10 ms at a time), checks its state from the inside, one line
 * "ok NAME" or "FAIL NAME: why" for each check, and ends by victim_done() (prints "done"; exit 0, or 1 after a FAIL).
 * It is dumped while it waits. Facts that a second process should check from outside are printed as "fact KEY VALUE"
 * before "ready". stdin is /dev/null, stdout and stderr are a file opened for append.
 */
#ifndef TEST_VICTIM_H
#define TEST_VICTIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int victim_failures;

/* One write per line: tasks of a tree share the file. */
__attribute__((format(printf, 1, 2))) static inline void victim_say(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	n = n < (int)sizeof(line) - 1 ? n : (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(90);
}

#define victim_fact(key, fmt, ...) victim_say("fact %s " fmt, key, __VA_ARGS__)

/* Setting up must not fail: the test would prove nothing. */
#define need(cond)                                                                \
	do {                                                                      \
		if (!(cond)) {                                                    \
			victim_say("FAIL setup: %s: %s", #cond, strerror(errno)); \
			_exit(91);                                                \
		}                                                                 \
	} while (0)

#define check(name, cond)                                                         \
	do {                                                                      \
		if (cond) {                                                       \
			victim_say("ok %s", name);                                \
		} else {                                                          \
			victim_say("FAIL %s: %s (errno %d)", name, #cond, errno); \
			victim_failures++;                                        \
		}                                                                 \
	} while (0)

static inline void victim_ready(void)
{
	victim_say("ready");
}

static inline bool victim_go(void)
{
	return access("go", F_OK) == 0;
}

static inline void victim_wait(void)
{
	while (!victim_go()) {
		struct timespec ts = { 0, 10 * 1000 * 1000 };

		nanosleep(&ts, NULL);
	}
}

static inline int victim_done(void)
{
	victim_say("done");
	return victim_failures ? 1 : 0;
}

/* A pattern that differs for every seed and is nowhere zero for long. */
static inline void victim_fill(void *to, size_t len, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + 1;
	unsigned char *p = to;

	while (len--) {
		x = x * 1664525u + 1013904223u;
		*p++ = (unsigned char)(x >> 24);
	}
}

static inline bool victim_same(const void *what, size_t len, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + 1;
	const unsigned char *p = what;

	while (len--) {
		x = x * 1664525u + 1013904223u;
		if (*p++ != (unsigned char)(x >> 24))
			return false;
	}
	return true;
}

#endif
