/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

enum { TIME_LIMIT_MS = 10000, FILE_MAX = 1 << 20 };

/* What the child tells. */
struct shared {
	enum probe_result result;
	bool done;
	struct probe p;
};

__attribute__((noreturn)) static void child(struct shared *s, probe_fn *fn, pid_t parent)
{
	/* Whoever kills us kills what a probe has started. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	s->result = fn(&s->p);
	s->done = true;
	_exit(0);
}

/* Return: false: it took too long. */
static bool wait_for(pid_t pid)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	bool in_time = pidfd < 0 || poll(&pfd, 1, TIME_LIMIT_MS) == 1;

	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return in_time;
}

enum probe_result probe_run(probe_fn *fn, struct probe *p)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	enum probe_result result = PROBE_UNKNOWN;
	pid_t pid, parent = getpid();

	if (s == MAP_FAILED)
		return probe_failed(p, "mmap");
	fflush(stdout);
	pid = fork();
	if (!pid)
		child(s, fn, parent);
	if (pid < 0) {
		result = probe_failed(p, "fork");
	} else if (!wait_for(pid)) {
		probe_no(p, "the test did not end within %d s", TIME_LIMIT_MS / 1000);
	} else if (!s->done) {
		result = probe_no(p, "the test died");
	} else {
		result = s->result;
		*p = s->p;
		p->why[sizeof(p->why) - 1] = 0;
	}
	munmap(s, sizeof(*s));
	return result;
}

enum probe_result probe_no(struct probe *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	return PROBE_NO;
}

enum probe_result probe_error(struct probe *p, const char *what, int err)
{
	snprintf(p->why, sizeof(p->why), "%s: %s", what, strerror(-err));
	switch (-err) {
	case EPERM:
	case EACCES:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EAGAIN:
		return PROBE_UNKNOWN;
	}
	return PROBE_NO;
}

enum probe_result probe_failed(struct probe *p, const char *what)
{
	return probe_error(p, what, -errno);
}

pid_t probe_fork(void)
{
	pid_t parent = getpid(), pid = fork();

	/* In a new pid namespace the parent's pid is not seen: 0. */
	if (!pid && (prctl(PR_SET_PDEATHSIG, SIGKILL) || (getppid() != parent && getppid())))
		_exit(1);
	return pid;
}

int probe_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t probe_sleeper(void)
{
	pid_t pid = probe_fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

void probe_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int probe_has_line(const char *path, const char *key)
{
	_cleanup_free_ char *text = NULL;
	char full[96];
	ssize_t n;

	snprintf(full, sizeof(full), "%s%s", *path == '/' ? "" : "/proc/self/", path);
	n = read_file_at(AT_FDCWD, full, FILE_MAX, &text);
	if (n < 0)
		return (int)n;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, strlen(key)))
			return 1;
	}
	return 0;
}

enum probe_result probe_fdinfo_of(struct probe *p, int fd, const char *key)
{
	char path[48];
	int has;

	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	has = probe_has_line(path, key);
	if (has < 0)
		return probe_error(p, "/proc/self/fdinfo", has);
	return has ? PROBE_YES : probe_no(p, "/proc/self/fdinfo has no line \"%s\"", key);
}

int probe_mount_ns(void)
{
	if (unshare(CLONE_NEWNS))
		return -1;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int probe_tmpfs(void)
{
	/* Not /proc and /dev, which probes need. */
	static const char *const dirs[] = { "/tmp", "/run", "/sys" };

	if (probe_mount_ns())
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (!mount("criu-check", dirs[i], "tmpfs", 0, "size=1m"))
			return chdir(dirs[i]);
	return -1;
}
