/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/timens.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/fd.h"

static bool number(const char **p, const char *end, int64_t *ret)
{
	const char *s = *p;
	bool neg = false, any = false;
	int64_t v = 0;

	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	if (s < end && *s == '-') {
		neg = true;
		s++;
	}
	for (; s < end && *s >= '0' && *s <= '9'; s++, any = true)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, (int64_t)(*s - '0'), &v))
			return false;
	if (!any || (!neg && v == INT64_MIN))
		return false;
	*p = s;
	*ret = neg ? v : -v;
	return true;
}

int proc_timens_parse(const char *text, size_t len, struct proc_timens *ret)
{
	struct proc_timens t = { 0 };
	const char *end = text + len;

	for (const char *p = text; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end, *q;
		int64_t sec, nsec;

		for (q = p; q < stop && *q != ' ' && *q != '\t'; q++)
			;
		size_t n = (size_t)(q - p);
		if (!number(&q, stop, &sec) || !number(&q, stop, &nsec) || q != stop || nsec < 0 || nsec > 999999999)
			return -EINVAL;
		if (n == 9 && !memcmp(p, "monotonic", 9)) {
			t.mono_sec = sec;
			t.mono_nsec = nsec;
		} else if (n == 8 && !memcmp(p, "boottime", 8)) {
			t.boot_sec = sec;
			t.boot_nsec = nsec;
		}
		p = stop + 1;
	}
	*ret = t;
	return 0;
}

int proc_timens_read(int dirfd, struct proc_timens *ret)
{
	char buf[256];
	ssize_t n = read_buf_at(dirfd, "timens_offsets", buf, sizeof(buf));

	if (n == -ENOENT) {
		*ret = (struct proc_timens){ 0 };
		return 0;
	}
	return n < 0 ? (int)n : proc_timens_parse(buf, (size_t)n, ret);
}
