/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/stat.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/fd.h"

/* Numbers of the fields in proc_pid_stat(5); the numeric ones begin at 4. */
enum { F_PPID = 4, F_LAST = 52 };

static bool number(const char **p, const char *end, int64_t *ret)
{
	bool neg = false;
	uint64_t v = 0;
	const char *s = *p;

	while (s < end && *s == ' ')
		s++;
	if (s < end && *s == '-') {
		neg = true;
		s++;
	}
	if (s == end || *s < '0' || *s > '9')
		return false;
	for (; s < end && *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	*p = s;
	*ret = (int64_t)(neg ? -v : v);
	return true;
}

/* Between the first '(' and the last ')': a comm may hold both, and blanks. */
static const char *comm(const char *p, const char *end, char *ret, size_t size)
{
	const char *close = memrchr(p, ')', end - p);
	size_t len;

	if (!close || *p != '(')
		return NULL;
	len = close - p - 1;
	if (len >= size)
		return NULL;
	memset(ret, 0, size);
	memcpy(ret, p + 1, len);
	return close + 1;
}

static void spread(const int64_t *f, struct proc_stat *s)
{
	s->ppid = (pid_t)f[F_PPID];
	s->pgrp = (pid_t)f[5];
	s->session = (pid_t)f[6];
	s->tty_nr = (int)f[7];
	s->tpgid = (pid_t)f[8];
	s->flags = (uint32_t)f[9];
	s->utime = f[14];
	s->stime = f[15];
	s->cutime = f[16];
	s->cstime = f[17];
	s->nice = (int)f[19];
	s->num_threads = (int)f[20];
	s->starttime = f[22];
	s->vsize = f[23];
	s->start_code = f[26];
	s->end_code = f[27];
	s->start_stack = f[28];
	s->exit_signal = (int)f[38];
	s->rt_priority = (uint32_t)f[40];
	s->policy = (uint32_t)f[41];
	s->start_data = f[45];
	s->end_data = f[46];
	s->start_brk = f[47];
	s->arg_start = f[48];
	s->arg_end = f[49];
	s->env_start = f[50];
	s->env_end = f[51];
	s->exit_code = (int)f[52];
}

int proc_stat_parse(const char *text, size_t len, struct proc_stat *ret)
{
	const char *p = text, *end = text + len;
	int64_t f[F_LAST + 1], pid;
	struct proc_stat s = { 0 };

	if (!number(&p, end, &pid) || end - p < 3 || *p++ != ' ')
		return -EINVAL;
	p = comm(p, end, s.comm, sizeof(s.comm));
	if (!p || end - p < 2 || *p != ' ')
		return -EINVAL;
	s.pid = (pid_t)pid;
	s.state = p[1];
	p += 2;
	for (int i = F_PPID; i <= F_LAST; i++)
		if (!number(&p, end, &f[i]))
			return -EINVAL;
	spread(f, &s);
	*ret = s;
	return 0;
}

int proc_stat_read(int dirfd, const char *path, struct proc_stat *ret)
{
	char buf[PROC_STAT_MAX];
	ssize_t n = read_buf_at(dirfd, path, buf, sizeof(buf));

	return n < 0 ? (int)n : proc_stat_parse(buf, n, ret);
}
