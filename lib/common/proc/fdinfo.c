/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/fdinfo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The value of the first line "KEY:", white space skipped; NULL: there is none. */
static const char *value_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (text && *text) {
		if (!strncmp(text, key, len) && text[len] == ':') {
			text += len + 1;
			return text + strspn(text, " \t");
		}
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

/* A number at *@p, which moves behind it. strtoull() would take signs, white space and line ends. */
static bool number(const char **p, unsigned base, uint64_t *ret)
{
	const char *s = *p;
	uint64_t v = 0;

	for (;; s++) {
		unsigned digit = *s >= '0' && *s <= '9' ? *s - '0' : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10 : 99;

		if (digit >= base)
			break;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v))
			return false;
	}
	if (s == *p)
		return false;
	*p = s;
	*ret = v;
	return true;
}

static bool number_of(const char *text, const char *key, unsigned base, uint64_t *ret)
{
	const char *v = value_of(text, key);

	return v && number(&v, base, ret);
}

/* "KEY:" with blanks around, then a number; moves on. */
static bool pair(const char **p, const char *key, unsigned base, uint64_t *ret)
{
	size_t len = strlen(key);

	*p += strspn(*p, " \t");
	if (strncmp(*p, key, len) != 0 || (*p)[len] != ':')
		return false;
	*p += len + 1;
	*p += strspn(*p, " \t");
	return number(p, base, ret);
}

int fdinfo_parse(const char *text, struct fdinfo *ret)
{
	struct fdinfo f = { 0 };
	const char *p = text, *mnt;
	uint64_t v;

	/* The order is fixed (fs/proc/fd.c), so the common lines need no search. pos is signed: /proc/PID/mem uses it
	 * all. */
	bool negative = !strncmp(p, "pos:\t-", 6);

	if (negative)
		p += 6;
	if ((negative ? !number(&p, 10, &f.pos) : !pair(&p, "pos", 10, &f.pos)) || *p++ != '\n' ||
	    !pair(&p, "flags", 8, &v) || v > UINT32_MAX || *p++ != '\n')
		return -EBADMSG;
	f.pos = negative ? -f.pos : f.pos;
	f.flags = v;
	mnt = p;
	if (!pair(&mnt, "mnt_id", 10, &v) || v > INT32_MAX || *mnt++ != '\n')
		return -EBADMSG;
	f.mnt_id = v;
	p = mnt;
	if (pair(&mnt, "ino", 10, &f.ino) && *mnt == '\n')
		p = mnt + 1;
	f.extra = p;
	f.lock = value_of(p, "lock");
	f.locked = f.lock;
	*ret = f;
	return 0;
}

int fdinfo_eventfd(const char *text, uint64_t *ret_count, bool *ret_semaphore)
{
	uint64_t count, semaphore = 0;

	if (!number_of(text, "eventfd-count", 16, &count))
		return -EBADMSG;
	number_of(text, "eventfd-semaphore", 10, &semaphore);
	*ret_count = count;
	*ret_semaphore = semaphore;
	return 0;
}

int fdinfo_signalfd(const char *text, uint64_t *ret_mask)
{
	return number_of(text, "sigmask", 16, ret_mask) ? 0 : -EBADMSG;
}

/* "KEY: (SECONDS, NANOSECONDS)" */
static bool timespec_of(const char *text, const char *key, uint64_t *ret_sec, uint64_t *ret_nsec)
{
	const char *p = value_of(text, key);

	if (!p || *p++ != '(' || !number(&p, 10, ret_sec) || *p++ != ',')
		return false;
	p += strspn(p, " ");
	return number(&p, 10, ret_nsec) && *p == ')' && *ret_nsec < 1000000000;
}

int fdinfo_timerfd(const char *text, struct fdinfo_timerfd *ret)
{
	struct fdinfo_timerfd t;
	uint64_t clockid, flags;

	if (!number_of(text, "clockid", 10, &clockid) || clockid > INT32_MAX ||
	    !number_of(text, "ticks", 10, &t.ticks) || !number_of(text, "settime flags", 8, &flags) ||
	    flags > UINT32_MAX || !timespec_of(text, "it_value", &t.value_sec, &t.value_nsec) ||
	    !timespec_of(text, "it_interval", &t.interval_sec, &t.interval_nsec))
		return -EBADMSG;
	t.clockid = clockid;
	t.settime_flags = flags;
	*ret = t;
	return 0;
}

int fdinfo_epoll_next(const char **pos, struct fdinfo_epoll *ret)
{
	const char *p = value_of(*pos, "tfd");
	struct fdinfo_epoll t;
	uint64_t fd, events, dev;

	if (!p)
		return 0;
	/* pos has no blank before its value and can be negative nowhere that epoll works. */
	if (!number(&p, 10, &fd) || fd > INT32_MAX || !pair(&p, "events", 16, &events) || events > UINT32_MAX ||
	    !pair(&p, "data", 16, &t.data) || !pair(&p, "pos", 10, &t.pos) || !pair(&p, "ino", 16, &t.ino) ||
	    !pair(&p, "sdev", 16, &dev) || dev > UINT32_MAX)
		return -EBADMSG;
	t.fd = fd;
	t.events = events;
	t.dev = dev;
	*pos = p;
	*ret = t;
	return 1;
}
