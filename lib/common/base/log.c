/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

#define NSEC 1000000000ll

enum { READER_MS = 1000 };

int cr_log_level = CR_LOG_WARN;
const char *cr_prog = "criu";

static struct timespec start;
static bool show_pid;
static int log_fd = STDERR_FILENO;

int *cr_log_fd(void)
{
	return &log_fd;
}

void cr_log_init(const char *prog, int level)
{
	cr_prog = prog;
	cr_log_level = level;
	/* Not the monotonic clock: restored tasks have their own, in a time namespace. */
	clock_gettime(CLOCK_REALTIME, &start);
}

/* Field 22 of /proc/PID/stat, in clock ticks since the machine was started. */
static int start_ticks(int pid, unsigned long long *ret)
{
	char path[32], buf[1024];
	ssize_t n;
	char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	n = read_buf_at(AT_FDCWD, path, buf, sizeof(buf));
	p = n > 0 ? strrchr(buf, ')') : NULL; /* the name before it may hold anything */
	for (int i = 2; p && i < 22; i++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, "%llu", ret) == 1 ? 0 : -EINVAL;
}

void cr_log_since(int pid)
{
	long hz = sysconf(_SC_CLK_TCK);
	unsigned long long ticks;
	struct timespec boot;
	long long ns;

	if (cr_log_level < CR_LOG_INFO || hz <= 0 || start_ticks(pid, &ticks))
		return;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	ns = boot.tv_sec * NSEC + boot.tv_nsec - (long long)ticks * (NSEC / hz); /* since then */
	ns = start.tv_sec * NSEC + start.tv_nsec - (ns > 0 ? ns : 0);
	start = (struct timespec){ ns / NSEC, ns % NSEC };
}

void cr_log_show_pid(void)
{
	show_pid = true;
}

/* Microseconds since cr_log_init() and the pid, when the level asks for them. Return: length. */
static int stamp(char *buf, size_t size)
{
	struct timespec now;
	long us;
	int n;

	if (cr_log_level < CR_LOG_INFO)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	us = (now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000;
	n = snprintf(buf, size, "(%02ld.%06ld) ", us / 1000000, us % 1000000);
	if (show_pid)
		n += snprintf(buf + n, size - n, "%6d: ", getpid());
	return n;
}

/* Names of tasks and files are others' choice: no line feed of theirs begins a line, no escape reaches a terminal. */
static int make_harmless(char *buf, int n, int size)
{
	char copy[2048];
	int m = 0;

	memcpy(copy, buf, n);
	for (int i = 0; i < n && m < size - 4; i++) {
		unsigned char c = (unsigned char)copy[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			m += snprintf(buf + m, 5, "\\x%02x", c);
		else
			buf[m++] = copy[i];
	}
	return m;
}

/*
 * One write per line: lines of several processes do not mix. Nothing can be done when it fails. A FIFO (open_log()) has a moment
 * to be read from, once.
 */
static void write_line(const char *buf, int n)
{
	static bool deaf;
	struct pollfd p = { log_fd, POLLOUT, 0 };

	if (log_fd < 0 || write(log_fd, buf, n) >= 0 || errno != EAGAIN || deaf)
		return;
	deaf = poll(&p, 1, READER_MS) <= 0 || write(log_fd, buf, n) < 0;
}

void cr_log_line(int level, const char *file, int line, const char *fmt, ...)
{
	int saved = errno, n, m;
	char buf[2048];
	va_list ap;

	n = stamp(buf, sizeof(buf));
	if (level == CR_LOG_ERROR)
		n += snprintf(buf + n, sizeof(buf) - n, "Error (%s:%d): ", file, line);
	else if (level == CR_LOG_WARN)
		n += snprintf(buf + n, sizeof(buf) - n, "Warn  (%s:%d): ", file, line);
	n += snprintf(buf + n, sizeof(buf) - n, "%s: ", cr_prog);
	va_start(ap, fmt);
	m = vsnprintf(buf + n, sizeof(buf) - n, fmt, ap);
	va_end(ap);
	n = m < 0 ? n : n + m < (int)sizeof(buf) - 1 ? n + m : (int)sizeof(buf) - 2;
	n = make_harmless(buf, n, sizeof(buf) - 1);
	buf[n++] = '\n';
	write_line(buf, n);
	errno = saved;
}

void cr_log_err(const struct cr_err *e, const char *file, int line)
{
	char text[1024];

	cr_log_line(CR_LOG_ERROR, file, line, "%s", cr_err_text(e, text, sizeof(text)));
}
