/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes of /proc and other files in which the kernel tells. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "features.h"

/* A mapping of a file that has no name: only the link in map_files leads to it. */
enum probe_result probe_map_files(struct probe *p)
{
	_cleanup_close_ int fd = memfd_create("criu-check", MFD_CLOEXEC), through = -1;
	struct stat own, found;
	char path[96];
	char *m;

	if (fd < 0 || ftruncate(fd, 4096))
		return probe_failed(p, "memfd_create");
	m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return probe_failed(p, "mmap");
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)m, (unsigned long)m + 4096);
	through = open(path, O_RDONLY | O_CLOEXEC);
	if (through < 0)
		return probe_failed(p, path);
	if (fstat(fd, &own) || fstat(through, &found) || own.st_ino != found.st_ino || own.st_dev != found.st_dev)
		return probe_no(p, "%s leads to another file", path);
	return PROBE_YES;
}

/* Opened for writing, but not written. */
static enum probe_result can_write(struct probe *p, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? probe_failed(p, path) : PROBE_YES;
}

enum probe_result probe_ns_last_pid(struct probe *p)
{
	return can_write(p, "/proc/sys/kernel/ns_last_pid");
}

enum probe_result probe_ipc_next_id(struct probe *p)
{
	static const char *const names[] = { "sem", "msg", "shm" };
	enum probe_result r = PROBE_YES;
	char path[64];

	for (size_t i = 0; i < 3 && r == PROBE_YES; i++) {
		snprintf(path, sizeof(path), "/proc/sys/kernel/%s_next_id", names[i]);
		r = can_write(p, path);
	}
	return r;
}

/* Fields 48 to 52 are start_brk, arg_start ... exit_code (proc(5)); they are 0 without CONFIG_CHECKPOINT_RESTORE. */
enum probe_result probe_proc_stat(struct probe *p)
{
	char buf[1024];
	const char *s;
	int field = 2;
	ssize_t n = read_buf_at(AT_FDCWD, "/proc/self/stat", buf, sizeof(buf));

	if (n < 0)
		return probe_error(p, "/proc/self/stat", (int)n);
	for (s = strrchr(buf, ')'); s && field < 47; field++) {
		s = strchr(s, ' ');
		s = s ? s + 1 : NULL;
	}
	if (!s)
		return probe_no(p, "/proc/self/stat has fewer than 52 fields");
	return strtoull(s, NULL, 10) ? PROBE_YES : probe_no(p, "/proc/self/stat does not tell where the heap begins");
}

enum probe_result probe_proc_timers(struct probe *p)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	timer_t id;
	int has;

	if (timer_create(CLOCK_MONOTONIC, &ev, &id))
		return probe_failed(p, "timer_create");
	has = probe_has_line("timers", "ID: ");
	if (has < 0)
		return probe_error(p, "/proc/self/timers", has);
	return has ? PROBE_YES : probe_no(p, "/proc/self/timers does not show a timer");
}

enum probe_result probe_fdinfo(struct probe *p)
{
	_cleanup_close_ int efd = eventfd(3, EFD_CLOEXEC), ep = epoll_create1(EPOLL_CLOEXEC), sfd = -1, ino = -1;
	struct epoll_event ev = { .events = EPOLLIN };
	enum probe_result r;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sfd = signalfd(-1, &set, SFD_CLOEXEC);
	ino = inotify_init1(IN_CLOEXEC);
	if (efd < 0 || ep < 0 || sfd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, efd, &ev))
		return probe_failed(p, "eventfd, epoll, signalfd");
	if (ino < 0 || inotify_add_watch(ino, "/", IN_DELETE_SELF) < 0)
		return probe_failed(p, "inotify");
	r = probe_fdinfo_of(p, efd, "eventfd-count:");
	if (r == PROBE_YES)
		r = probe_fdinfo_of(p, ep, "tfd:");
	if (r == PROBE_YES)
		r = probe_fdinfo_of(p, sfd, "sigmask:");
	return r == PROBE_YES ? probe_fdinfo_of(p, ino, "inotify wd:") : r;
}

enum probe_result probe_fdinfo_lock(struct probe *p)
{
	_cleanup_close_ int fd = memfd_create("criu-check", MFD_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX))
		return probe_failed(p, "flock");
	return probe_fdinfo_of(p, fd, "lock:");
}

enum probe_result probe_mnt_id(struct probe *p)
{
	_cleanup_close_ int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? probe_failed(p, "/") : probe_fdinfo_of(p, fd, "mnt_id:");
}

enum probe_result probe_timerfd(struct probe *p)
{
	_cleanup_close_ int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct itimerspec far = { .it_value.tv_sec = 3600 };
	uint64_t ticks = 7, got = 0;
	enum probe_result r;

	if (fd < 0)
		return probe_failed(p, "timerfd_create");
	r = probe_fdinfo_of(p, fd, "clockid:");
	if (r != PROBE_YES)
		return r;
	if (timerfd_settime(fd, 0, &far, NULL) || ioctl(fd, _IOW('T', 0, uint64_t), &ticks)) /* TFD_IOC_SET_TICKS */
		return probe_failed(p, "TFD_IOC_SET_TICKS");
	if (read(fd, &got, sizeof(got)) != sizeof(got) || got != ticks)
		return probe_no(p, "TFD_IOC_SET_TICKS has no effect");
	return PROBE_YES;
}

enum probe_result probe_ns_pid(struct probe *p)
{
	int has = probe_has_line("status", "NSpid:");

	if (has < 0)
		return probe_error(p, "/proc/self/status", has);
	return has ? PROBE_YES : probe_no(p, "/proc/self/status has no NSpid");
}

/* Written with the value that it has. The child ends, and its loginuid with it. */
enum probe_result probe_loginuid(struct probe *p)
{
	char buf[32];
	ssize_t n = read_buf_at(AT_FDCWD, "/proc/self/loginuid", buf, sizeof(buf));
	int err;

	if (n < 0)
		return probe_error(p, "/proc/self/loginuid", (int)n);
	err = write_file_at(AT_FDCWD, "/proc/self/loginuid", buf);
	return err ? probe_error(p, "/proc/self/loginuid cannot be written", err) : PROBE_YES;
}

bool apparmor_on(void)
{
	char buf[16];

	return read_buf_at(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", buf, sizeof(buf)) > 0 && buf[0] == 'Y';
}

enum probe_result probe_apparmor_stacking(struct probe *p)
{
	char buf[16];
	ssize_t n;

	if (!apparmor_on())
		return probe_no(p, "AppArmor is not enabled");
	n = read_buf_at(AT_FDCWD, "/sys/kernel/security/apparmor/features/domain/stack", buf, sizeof(buf));
	if (n < 0)
		return probe_error(p, "/sys/kernel/security/apparmor/features/domain/stack", (int)n);
	return strncmp(buf, "yes", 3) ? probe_no(p, "profiles cannot be stacked") : PROBE_YES;
}
