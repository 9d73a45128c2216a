/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/mountinfo.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

/* Cut the next word off. Return: NULL at the end of the line. */
static char *word(char **p)
{
	char *s = *p, *end;

	if (!*s)
		return NULL;
	end = strchrnul(s, ' ');
	*p = *end ? end + 1 : end;
	*end = 0;
	return s;
}

/* Blanks, tabs, newlines and backslashes come as \ooo. */
static char *unescape(char *s)
{
	char *out = s;

	if (!s || !strchr(s, '\\'))
		return s;
	for (const char *in = s; *in; out++) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' && in[3] >= '0' &&
		    in[3] <= '7') {
			*out = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = 0;
	return s;
}

static bool number(const char **p, uint32_t *ret)
{
	uint64_t v = 0;
	const char *s = *p;

	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > INT_MAX)
			return false;
	}
	if (s == *p)
		return false;
	*p = s;
	*ret = (uint32_t)v;
	return true;
}

static bool only_number(const char *s, int *ret)
{
	uint32_t v;

	if (!s || !number(&s, &v) || *s)
		return false;
	*ret = (int)v;
	return true;
}

static bool device(const char *s, struct proc_mount *m)
{
	return s && number(&s, &m->dev_major) && *s++ == ':' && number(&s, &m->dev_minor) && !*s;
}

int proc_mountinfo_next(char **text, struct proc_mount *ret)
{
	struct proc_mount m = { 0 };
	char *p = *text, *nl;

	if (!*p)
		return 0;
	nl = strchrnul(p, '\n');
	*text = *nl ? nl + 1 : nl;
	*nl = 0;
	if (!only_number(word(&p), &m.id) || !only_number(word(&p), &m.parent) || !device(word(&p), &m))
		return -EINVAL;
	m.root = unescape(word(&p));
	m.mountpoint = unescape(word(&p));
	m.options = word(&p);
	/* Optional tags end with a lone hyphen. */
	if (p[0] == '-' && p[1] == ' ') {
		m.tags = p + 1;
		p += 2;
		*m.tags = 0;
	} else {
		char *sep = strstr(p, " - ");

		if (!sep)
			return -EINVAL;
		m.tags = p;
		*sep = 0;
		p = sep + 3;
	}
	m.fstype = unescape(word(&p));
	m.source = unescape(word(&p));
	m.super = word(&p);
	if (!m.root || !m.mountpoint || !m.options || !m.fstype)
		return -EINVAL;
	/* An empty source is written as an empty word. */
	if (!m.super) {
		m.super = m.source ? m.source : nl;
		m.source = nl;
	}
	*ret = m;
	return 1;
}

bool proc_list_has(const char *list, const char *wanted)
{
	size_t n = strlen(wanted);

	for (const char *p = list; *p;) {
		const char *end = strchrnul(p, ',');

		if ((size_t)(end - p) == n && !memcmp(p, wanted, n))
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}
