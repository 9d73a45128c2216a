/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines stand in the order of the RLIMIT_* numbers (lnames[] of fs/proc/base.c); names have spaces in them. */
#include "proc/limits.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

static const char *const names[PROC_LIMITS] = {
	"Max cpu time",	      "Max file size",	   "Max data size",	    "Max stack size",
	"Max core file size", "Max resident set",  "Max processes",	    "Max open files",
	"Max locked memory",  "Max address space", "Max file locks",	    "Max pending signals",
	"Max msgqueue size",  "Max nice priority", "Max realtime priority", "Max realtime timeout",
};

/* The number (or "unlimited") at *@p, which is moved behind it. */
static int value(const char **p, uint64_t *ret)
{
	const char *s = *p + strspn(*p, " ");
	char *end;

	if (!strncmp(s, "unlimited", 9)) {
		*ret = (uint64_t)RLIM64_INFINITY;
		*p = s + 9;
		return 0;
	}
	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	*p = end;
	return errno || (*end != ' ' && *end != '\n') ? -EINVAL : 0;
}

int proc_limits_parse(const char *text, size_t len, struct rlimit64 ret[PROC_LIMITS])
{
	char buf[PROC_LIMITS_MAX];
	const char *p;

	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	p = strchr(buf, '\n'); /* heads of the columns */
	for (unsigned i = 0; i < PROC_LIMITS; i++) {
		uint64_t soft, hard;

		if (!p || strncmp(p + 1, names[i], strlen(names[i])))
			return -EINVAL;
		p += 1 + strlen(names[i]);
		if (value(&p, &soft) || value(&p, &hard))
			return -EINVAL;
		ret[i] = (struct rlimit64){ .rlim_cur = soft, .rlim_max = hard };
		p = strchr(p, '\n');
	}
	return 0;
}

int proc_limits_read(int dirfd, struct rlimit64 ret[PROC_LIMITS])
{
	char buf[PROC_LIMITS_MAX];
	ssize_t n = read_buf_at(dirfd, "limits", buf, sizeof(buf));

	return n < 0 ? (int)n : proc_limits_parse(buf, (size_t)n, ret);
}
