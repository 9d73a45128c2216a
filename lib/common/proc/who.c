/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a number is taken as long as any task uses it, be it as pid, thread id, process group or
 * session; only for the first two there is a directory in /proc, so for the others all processes are asked, and for a
 * socket all their descriptors. This is slow, and for an error message only. What is read may be gone in the next
 * moment: what cannot be read is left out.
 */
#include "proc/who.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "proc/cgroup.h"
#include "proc/stat.h"
#include "proc/status.h"

enum { CONTAINER_ID = 64, SHORT_ID = 12, FILE_MAX = 65536 };

/* Bytes for people: blanks for NULs between words, no control characters. */
static void printable(char *s, size_t len, char gap)
{
	for (size_t i = 0; i < len; i++) {
		if (!s[i])
			s[i] = gap;
		else if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			s[i] = '?';
	}
}

/* ---- containers ---- */

static size_t hex_digits(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && isxdigit((unsigned char)s[n]))
		n++;
	return n;
}

/* Is @c, of @len bytes, PREFIX ID [.scope]? Return: the id, or NULL. */
static const char *scope(const char *c, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	if (len < n + CONTAINER_ID || strncmp(c, prefix, n) != 0 || hex_digits(c + n, CONTAINER_ID) != CONTAINER_ID)
		return NULL;
	return len == n + CONTAINER_ID || c[n + CONTAINER_ID] == '.' ? c + n : NULL;
}

/* Names followed by any name: LXC, systemd-nspawn. */
static bool named(const char *c, size_t len, char *ret, size_t size)
{
	static const struct {
		const char *prefix, *suffix, *kind;
	} forms[] = {
		{ "lxc.payload.", "", "lxc" },
		{ "machine-", ".scope", "machine" },
		{ "systemd-nspawn@", ".service", "nspawn" },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t p = strlen(forms[i].prefix), s = strlen(forms[i].suffix);

		if (len <= p + s || strncmp(c, forms[i].prefix, p) != 0 ||
		    strncmp(c + len - s, forms[i].suffix, s) != 0)
			continue;
		snprintf(ret, size, "%s %.*s", forms[i].kind, (int)(len - p - s), c + p);
		return true;
	}
	return false;
}

/* One component of a path, and the one before it. */
static bool component(const char *path, const char *before, size_t before_len, const char *c, size_t len, char *ret,
		      size_t size)
{
	static const struct {
		const char *prefix, *kind;
	} scopes[] = {
		{ "docker-", "docker" }, { "libpod-", "podman" },   { "cri-containerd-", "containerd" },
		{ "crio-", "cri-o" },	 { "nerdctl-", "nerdctl" }, { "", "container" },
	};

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		const char *id = scope(c, len, scopes[i].prefix), *kind = scopes[i].kind;

		if (!id)
			continue;
		if (before_len == 6 && !strncmp(before, "docker", 6))
			kind = "docker";
		snprintf(ret, size, "%s%s %.*s", strstr(path, "kubepods") ? "kubernetes " : "", kind, SHORT_ID, id);
		return true;
	}
	if (before_len == 3 && !strncmp(before, "lxc", 3)) {
		snprintf(ret, size, "lxc %.*s", (int)len, c);
		return true;
	}
	return named(c, len, ret, size);
}

bool proc_cgroup_container(const char *path, char *ret, size_t size)
{
	const char *before = "", *c = path;
	size_t before_len = 0, len;
	bool found = false;

	/* The innermost one: containers are started in containers. */
	for (; *c; c += len) {
		c += strspn(c, "/");
		len = strcspn(c, "/");
		found |= len && component(path, before, before_len, c, len, ret, size);
		before = c;
		before_len = len;
	}
	if (found)
		printable(ret, strlen(ret), ' ');
	return found;
}

static void find_container(int proc, struct proc_who *w)
{
	_cleanup_free_ char *text = NULL;
	struct proc_cgroup c;
	char *at;

	if (read_file_at(proc, "cgroup", FILE_MAX, &text) <= 0)
		return;
	at = text;
	while (!w->container[0] && proc_cgroup_next(&at, &c) > 0)
		proc_cgroup_container(c.path, w->container, sizeof(w->container));
}

/* ---- the process ---- */

static time_t wall_clock(uint64_t ticks)
{
	struct timespec now, up;

	/* Both as our time namespace has them, and so is starttime (time_namespaces(7)). */
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return now.tv_sec - up.tv_sec + (time_t)(ticks / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void find_parent(struct proc_who *w)
{
	_cleanup_close_ int proc = w->ppid > 0 ? open_proc_pid(w->ppid) : -1;
	struct proc_stat st;

	if (proc < 0 || proc_stat_read(proc, "stat", &st))
		return;
	memcpy(w->parent, st.comm, sizeof(w->parent));
	printable(w->parent, strlen(w->parent), ' ');
}

static void find_namespace(int proc, struct proc_who *w)
{
	char text[4096];
	struct proc_status st;

	if (!proc_status_read(proc, "status", text, sizeof(text), &st) && st.nr_nspid > 1)
		w->inner = st.nspid[st.nr_nspid - 1];
}

static void fill(int proc, const struct proc_stat *st, struct proc_who *w)
{
	ssize_t n = read_buf_at(proc, "cmdline", w->command, sizeof(w->command));

	w->pid = st->pid;
	w->ppid = st->ppid;
	w->state = st->state;
	w->ending = st->flags & PROC_PF_EXITING;
	memcpy(w->comm, st->comm, sizeof(w->comm));
	printable(w->comm, strlen(w->comm), ' ');
	if (n > 0 && !w->command[n - 1])
		n--;
	if (n > 0)
		printable(w->command, (size_t)n, ' ');
	w->command[n > 0 ? n : 0] = 0;
	w->start = wall_clock(st->starttime);
	find_parent(w);
	find_namespace(proc, w);
	find_container(proc, w);
}

/* @id has a directory of its own. A thread's has the process's number in its status. */
static int find_task(pid_t id, struct proc_who *w)
{
	_cleanup_close_ int proc = open_proc_pid(id), leader = -1;
	struct proc_status status;
	struct proc_stat st;
	char text[4096];
	int err = proc < 0 ? proc : proc_status_read(proc, "status", text, sizeof(text), &status);

	if (err && err != -EFBIG)
		return err;
	if (!err && status.tgid != id) {
		leader = open_proc_pid(status.tgid);
		w->as = PROC_WHO_THREAD;
	}
	err = proc_stat_read(leader >= 0 ? leader : proc, "stat", &st);
	if (!err)
		fill(leader >= 0 ? leader : proc, &st, w);
	return err;
}

static int find_member(pid_t id, struct proc_who *w)
{
	DIR *dir = opendir("/proc");
	const struct dirent *d;
	int ret = -ESRCH;

	while (dir && ret && (d = readdir(dir))) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);
		_cleanup_close_ int proc = pid > 0 ? open_proc_pid(pid) : -1;
		struct proc_stat st;

		if (proc < 0 || proc_stat_read(proc, "stat", &st) || (st.session != id && st.pgrp != id))
			continue;
		w->as = st.pgrp == id ? PROC_WHO_GROUP : PROC_WHO_SESSION;
		fill(proc, &st, w);
		ret = 0;
	}
	if (dir)
		closedir(dir);
	return ret;
}

int proc_who(pid_t id, struct proc_who *ret)
{
	int err;

	*ret = (struct proc_who){ 0 };
	err = find_task(id, ret);
	if (err) {
		*ret = (struct proc_who){ 0 };
		err = find_member(id, ret);
	}
	return err ? -ESRCH : 0;
}

/* ---- sockets ---- */

static bool has_socket(int proc, const char *link)
{
	int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	bool found = false;
	char text[64];

	if (!dir) {
		fd_close(fd);
		return false;
	}
	while (!found && (d = readdir(dir)))
		found = readlink_at(dirfd(dir), d->d_name, text, sizeof(text)) > 0 && !strcmp(text, link);
	closedir(dir);
	return found;
}

int proc_who_socket(uint32_t ino, struct proc_who *ret)
{
	DIR *dir = ino ? opendir("/proc") : NULL;
	const struct dirent *d;
	int err = -ESRCH;
	char link[32];

	snprintf(link, sizeof(link), "socket:[%u]", ino);
	while (dir && err && (d = readdir(dir))) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);
		_cleanup_close_ int proc = pid > 0 ? open_proc_pid(pid) : -1;
		struct proc_stat st;

		if (proc < 0 || !has_socket(proc, link) || proc_stat_read(proc, "stat", &st))
			continue;
		*ret = (struct proc_who){ .as = PROC_WHO_PROCESS };
		fill(proc, &st, ret);
		err = 0;
	}
	if (dir)
		closedir(dir);
	return err;
}

/* ---- text ---- */

const char *proc_who_as_name(enum proc_who_as as)
{
	static const char *const names[] = { "process", "thread", "process group", "session", "several" };

	return names[as];
}

char *proc_who_start(const struct proc_who *w, char *buf, size_t size)
{
	struct tm tm;

	if (!localtime_r(&w->start, &tm) || !strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(buf, size, "?");
	return buf;
}

char *proc_who_text(const struct proc_who *w, char *buf, size_t size)
{
	static const char *const as[] = { "it is in use by", "it is a thread of", "it is the process group of",
					  "it is the session of", "they are in use by" };
	char start[32], inner[64] = "", parent[96] = "";

	if (w->inner)
		snprintf(inner, sizeof(inner), ", pid %d in a pid namespace of its own", w->inner);
	if (w->ppid)
		snprintf(parent, sizeof(parent), ", parent %d%s%s%s", w->ppid, w->parent[0] ? " (" : "", w->parent,
			 w->parent[0] ? ")" : "");
	snprintf(buf, size, "%s %s%s (process %d%s%s%s%s, started %s%s%s%s)", as[w->as],
		 w->state == 'Z' ? "the zombie " : "", w->comm, w->pid, w->command[0] ? ": \"" : "", w->command,
		 w->command[0] ? "\"" : "", parent, proc_who_start(w, start, sizeof(start)), inner,
		 w->container[0] ? ", in the container " : "", w->container);
	return buf;
}
