/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * Programs keep CLOCK_MONOTONIC and CLOCK_BOOTTIME values over a checkpoint (deadlines of condition variables,
 * timerfds), so these clocks must go on from the dumped values whatever this machine's are: time_namespaces(7). A new
 * namespace is for children only, and its offsets may be written until the first child is there. Offsets count from the
 * initial namespace; ours may have some too.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "proc/timens.h"
#include "restore.h"
#include "timens.pb-c.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* own + dumped - now, normalised. */
static void offset(const Timespec *dumped, clockid_t clock, int64_t own_sec, int64_t own_nsec, int64_t ret[2])
{
	struct timespec now;

	clock_gettime(clock, &now);
	ret[0] = own_sec + (int64_t)dumped->tv_sec - now.tv_sec;
	ret[1] = own_nsec + (int64_t)dumped->tv_nsec - now.tv_nsec;
	while (ret[1] < 0) {
		ret[1] += 1000000000;
		ret[0]--;
	}
	while (ret[1] >= 1000000000) {
		ret[1] -= 1000000000;
		ret[0]++;
	}
}

/*
 * Without CAP_SYS_ADMIN (--unprivileged) the tree has this machine's clocks. What was awaited then comes too early or at
 * once, which programs must expect after a long stop; a clock that goes back is a thing that programs need not expect.
 */
static int no_namespace(const TimensEntry *t, struct cr_err *e)
{
	struct timespec now;
	int64_t ahead;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ahead = now.tv_sec - (int64_t)t->monotonic->tv_sec;
	if (ahead < 0) {
		cr_err_set(e, CR_E_PRIVILEGE, EPERM, "monotonic clock",
			   "it would go back by %lld s: a time namespace cannot be made", (long long)-ahead);
		cr_err_remedy(e, "run as root, or on a machine that has been up for longer than that of the dump");
		return -EPERM;
	}
	log_warn("no time namespace without CAP_SYS_ADMIN: the monotonic clock of the tree goes ahead by %lld s",
		 (long long)ahead);
	return 0;
}

int clock_enter(struct restore *x, struct cr_err *e)
{
	const TimensEntry *t = x->plan.timens;
	_cleanup_close_ int self = -1;
	struct proc_timens own;
	int64_t mono[2], boot[2];
	char text[160];
	int err;

	if (!t)
		return 0;
	if (t->monotonic->tv_sec > INT64_MAX / 2 || t->boottime->tv_sec > INT64_MAX / 2 ||
	    t->monotonic->tv_nsec >= 1000000000 || t->boottime->tv_nsec >= 1000000000)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, "timens image", "its clocks have impossible values");
	x->timens = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
	if (x->timens < 0 || unshare(CLONE_NEWTIME)) {
		err = errno;
		x->timens = fd_close(x->timens);
		if (err == EPERM)
			return no_namespace(t, e);
		log_warn("there are no time namespaces here, so the monotonic clock of the tree jumps: %s",
			 strerror(err));
		return 0;
	}
	self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = self < 0 ? -errno : proc_timens_read(self, &own);
	if (err)
		return cr_err_set(e, CR_E_SYSTEM, -err, "/proc/self/timens_offsets", "cannot be read");
	offset(t->monotonic, CLOCK_MONOTONIC, own.mono_sec, own.mono_nsec, mono);
	offset(t->boottime, CLOCK_BOOTTIME, own.boot_sec, own.boot_nsec, boot);
	snprintf(text, sizeof(text), "monotonic %lld %lld\nboottime %lld %lld\n", (long long)mono[0],
		 (long long)mono[1], (long long)boot[0], (long long)boot[1]);
	err = write_file_at(self, "timens_offsets", text);
	return err ? cr_err_set(e, CR_E_SYSTEM, -err, "/proc/self/timens_offsets", "cannot be written") : 0;
}

void clock_leave(struct restore *x)
{
	if (x->timens >= 0 && setns(x->timens, CLONE_NEWTIME))
		log_warn("this command cannot return to its own time namespace: %s", strerror(errno));
	x->timens = fd_close(x->timens);
}
