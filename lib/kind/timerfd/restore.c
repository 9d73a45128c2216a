// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: timerfds
 *
 * fdinfo, and so the image, tells the time that is left, for absolute timers too. A timer is armed late, when all tasks
 * are ready, and goes on with what was left. An absolute one is armed for now + what was left, so that
 * TFD_TIMER_CANCEL_ON_SET keeps its meaning. Arming clears the ticks that were not read yet: they are put back after
 * it, by TFD_IOC_SET_TICKS (Linux 3.17, CONFIG_CHECKPOINT_RESTORE).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>

#include "fdinfo.pb-c.h"
#include "kind/file/restore-file.h"
#include "timerfd.pb-c.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

enum { NSEC = 1000000000 };

static int check(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const TimerfdEntry *t = fe->tfd;

	if (t->vnsec >= NSEC || t->insec >= NSEC || t->vsec > INT64_MAX || t->isec > INT64_MAX)
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "its time is out of range");
	return 0;
}

static int open_timerfd(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	int fd = timerfd_create(fe->tfd->clockid, (fe->tfd->flags & TFD_NONBLOCK) | TFD_CLOEXEC);

	return fd < 0 ? files_failed(r, fe, errno, "timerfd_create", e) : fd;
}

/* ECANCELED: the timer is armed, and the clock was set since the descriptor was made. It is armed anew, with the same. */
static int settime(int fd, int flags, const struct itimerspec *its)
{
	int ret = timerfd_settime(fd, flags, its, NULL);

	return ret < 0 && errno == ECANCELED ? timerfd_settime(fd, flags, its, NULL) : ret;
}

static int arm(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e)
{
	const TimerfdEntry *t = fe->tfd;
	struct itimerspec its = { .it_value = { t->vsec, t->vnsec }, .it_interval = { t->isec, t->insec } };
	uint64_t ticks = t->ticks;
	struct timespec now;

	/* A periodic timer that had expired and was not read: one interval at most is left of it. */
	if (ticks && !t->vsec && !t->vnsec)
		its.it_value = its.it_interval;
	if ((its.it_value.tv_sec || its.it_value.tv_nsec) && t->settime_flags & TFD_TIMER_ABSTIME) {
		if (clock_gettime(t->clockid, &now) < 0)
			return files_failed(r, fe, errno, "clock_gettime", e);
		its.it_value.tv_sec += now.tv_sec;
		its.it_value.tv_nsec += now.tv_nsec;
		if (its.it_value.tv_nsec >= NSEC) {
			its.it_value.tv_nsec -= NSEC;
			its.it_value.tv_sec++;
		}
	}
	if ((t->vsec || t->vnsec || t->isec || t->insec) && settime(fd, (int)t->settime_flags, &its) < 0)
		return files_failed(r, fe, errno, "timerfd_settime", e);
	if (ticks && ioctl(fd, TFD_IOC_SET_TICKS, &ticks) < 0)
		return files_failed(r, fe, errno, "TFD_IOC_SET_TICKS", e);
	return 0;
}

const struct fd_rst_ops timerfd_rst_ops = {
	.name = "timerfd",
	.type = FD_TYPES__TIMERFD,
	.check = check,
	.open = open_timerfd,
	.late = arm,
};
