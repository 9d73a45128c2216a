/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Four lines a timer: "ID: 3", "signal: 40/0000000000001234", "notify: signal/tid.1200", "ClockID: 1" (fs/proc/base.c).
 */
#include "proc/timers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

enum { TIMERS_MAX = 64 << 20 };
#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif

static int notify_of(const char *how, const char *whose, int32_t *ret)
{
	static const char *const names[] = {
		[SIGEV_SIGNAL] = "signal", [SIGEV_NONE] = "none", [SIGEV_THREAD] = "thread"
	};

	for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
		if (strcmp(how, names[i]) != 0)
			continue;
		*ret = i | (!strcmp(whose, "tid") ? SIGEV_THREAD_ID : 0);
		return 0;
	}
	return -EINVAL;
}

/* One timer at *@p; moves it behind. */
static int one(const char **p, struct proc_timer *ret)
{
	char how[16], whose[8];
	unsigned long long value;
	int used = -1;

	/* "(null)" is what old kernels print for SIGEV_NONE's value. */
	if (sscanf(*p, "ID: %d\nsignal: %d/%llx\nnotify: %15[a-z]/%7[a-z].%d\nClockID: %d\n%n", &ret->id, &ret->signal,
		   &value, how, whose, &ret->tid, &ret->clock, &used) != 7 ||
	    used < 0)
		return -EINVAL;
	ret->value = value;
	*p += used;
	return notify_of(how, whose, &ret->notify);
}

ssize_t proc_timers_parse(const char *text, size_t len, struct proc_timer **ret)
{
	_cleanup_free_ struct proc_timer *v = NULL;
	_cleanup_free_ char *copy = NULL;
	const char *p;
	size_t n = 0, cap = 0;

	*ret = NULL;
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	for (p = copy; *p; n++) {
		if (n == cap) {
			struct proc_timer *more = realloc(v, (cap = cap ? 2 * cap : 16) * sizeof(*v));

			if (!more)
				return -ENOMEM;
			v = more;
		}
		memset(&v[n], 0, sizeof(v[n]));
		if (one(&p, &v[n]))
			return -EINVAL;
	}
	if (p != copy + len)
		return -EINVAL;
	*ret = TAKE_PTR(v);
	return (ssize_t)n;
}

ssize_t proc_timers_read(int dirfd, struct proc_timer **ret)
{
	_cleanup_free_ char *text = NULL;
	char small[1024];
	ssize_t n = read_buf_at(dirfd, "timers", small, sizeof(small));

	*ret = NULL;
	if (n < 0)
		return n;
	if (n < (ssize_t)sizeof(small) - 1)
		return proc_timers_parse(small, (size_t)n, ret);
	n = read_file_at(dirfd, "timers", TIMERS_MAX, &text);
	return n < 0 ? n : proc_timers_parse(text, (size_t)n, ret);
}
