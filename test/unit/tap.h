/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TAP for unit tests: ok(condition, what) a line each; `return tap_done();` at the end of main(). */
#ifndef CR_TEST_TAP_H
#define CR_TEST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_run, tap_failed;

__attribute__((format(printf, 4, 5))) static inline bool tap_ok(bool good, const char *file, int line, const char *fmt,
								...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++tap_run);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!good) {
		printf("# at %s:%d\n", file, line);
		tap_failed++;
	}
	fflush(stdout);
	return good;
}

#define ok(condition, ...) tap_ok((condition), __FILE__, __LINE__, __VA_ARGS__)

static inline void tap_skip(const char *why)
{
	printf("ok %d # skip %s\n", ++tap_run, why);
}

static inline int tap_done(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed != 0;
}

#endif
