/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Namespaces, dump half.
 *
 * Theory of operation: a namespace is told by the inode number in the links of /proc/PID/ns. Ids are given out in one
 * sequence over all types, our own first, so that an id equal to ours means "the host's, do not restore". Images and
 * hooks carry ids from the start, but of what is not the caller's only a time namespace can be carried: it has no
 * contents but two offsets, and every restored tree gets a time namespace anyway, so that its clocks go on from where
 * they stood.
 *
 * The clocks are written as the tree sees them, read once while the tree is held: later than whatever a task has
 * read, so they never go back. A tree without a time namespace of its own sees ours: timens-0.img.
 *
 * unshare(CLONE_NEWTIME) and CLONE_NEWPID take effect in children only: a task whose children would live elsewhere is
 * refused. Threads may live in network namespaces of their own (that is what container runtimes do); the image has
 * namespaces per process, so that is refused too. Other namespaces of single threads need unshare(CLONE_FS) first or
 * are as rare as they are cheap to check for one thread and expensive for thousands: not looked at.
 */
#include "kind/ns/ns.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "image/stage.h"
#include "kind/dump.h"
#include "proc/timens.h"
#include "timens.pb-c.h"

/* In the order in which ids are given out: that of CRIU, so that images look alike. */
static const struct {
	enum dump_ns ns;
	const char *link, *name, *option; /* of nsenter(1) */
} types[] = {
	{ DNS_PID, "ns/pid", "pid", "pid" },	 { DNS_NET, "ns/net", "network", "net" },
	{ DNS_IPC, "ns/ipc", "ipc", "ipc" },	 { DNS_UTS, "ns/uts", "uts", "uts" },
	{ DNS_TIME, "ns/time", "time", "time" }, { DNS_MNT, "ns/mnt", "mount (mnt)", "mount" },
	{ DNS_USER, "ns/user", "user", "user" }, { DNS_CGROUP, "ns/cgroup", "cgroup", "cgroup" },
};
enum { NR_TYPES = sizeof(types) / sizeof(types[0]) };

struct ns_run {
	struct dump *d;
	uint64_t own[NR_TYPES];		 /* inodes; 0: this kernel has no such namespaces */
	uint64_t root[NR_TYPES];	 /* of the root task */
	uint64_t time_ino;		 /* of the tree, when it is not ours */
	const struct dump_task *in_time; /* the first task in it */
	uint32_t next_id;
};

/* "net:[4026531833]" */
static int read_inode(int dirfd, const char *link, uint64_t *ret)
{
	char buf[64];
	const char *p;
	ssize_t n = readlink_at(dirfd, link, buf, sizeof(buf));

	if (n == -ENOENT) {
		*ret = 0;
		return 0;
	}
	if (n < 0)
		return (int)n;
	p = strchr(buf, '[');
	return p && sscanf(p, "[%" SCNu64 "]", ret) == 1 ? 0 : -EINVAL;
}

static int load_own(struct ns_run *r, struct cr_err *e)
{
	_cleanup_close_ int self = open_proc_pid(getpid());

	for (unsigned i = 0; i < NR_TYPES; i++) {
		int err = self < 0 ? self : read_inode(self, types[i].link, &r->own[i]);

		if (err < 0)
			return cr_err_set(e, CR_E_SYSTEM, -err, types[i].link, "our own namespaces cannot be read");
		if (r->own[i])
			r->d->root_ns[types[i].ns] = r->next_id++;
	}
	return 0;
}

static void refuse(struct ns_run *r, const struct dump_task *t, const char *reason, const char *remedy)
{
	struct cr_err e = { 0 };

	cr_err_set(&e, CR_E_NAMESPACE, 0, t->label, "%s", reason);
	cr_err_remedy(&e, "%s", remedy);
	cr_report_add(r->d->refusals, &e);
}

/* Criu inside of it helps when the whole tree is there. criu-ns enters pid and mount namespaces. */
static void refuse_other(struct ns_run *r, const struct dump_task *t, unsigned type, uint64_t ino)
{
	pid_t root = r->d->tasks[0].pid;
	char reason[96], remedy[192];

	snprintf(reason, sizeof(reason), "its %s namespace is not the caller's", types[type].name);
	if (ino != r->root[type])
		snprintf(remedy, sizeof(remedy),
			 "start the program without a %s namespace of its own; one that only a part of the tree has is "
			 "not supported yet",
			 types[type].name);
	else if (types[type].ns == DNS_PID || types[type].ns == DNS_MNT)
		snprintf(remedy, sizeof(remedy), "run criu-ns dump -t %d ..., which enters it; not for its process 1",
			 root);
	else
		snprintf(remedy, sizeof(remedy), "run criu in it: nsenter -t %d --%s criu dump ...", root,
			 types[type].option);
	refuse(r, t, reason, remedy);
}

/* A time namespace that is not ours: one for the whole tree. */
static void other_time(struct ns_run *r, struct dump_task *t, uint64_t ino)
{
	if (!r->time_ino) {
		r->time_ino = ino;
		r->in_time = t;
	}
	t->ns_id[DNS_TIME] = r->next_id;
	if (r->time_ino != ino) {
		struct cr_err e = { 0 };

		cr_err_set(&e, CR_E_NAMESPACE, 0, t->label, "its time namespace is not that of %s", r->in_time->label);
		cr_err_remedy(&e, "run the whole tree in one time namespace");
		cr_report_add(r->d->refusals, &e);
	}
}

static int gone(const struct dump_task *t, int err, struct cr_err *e)
{
	return cr_err_set(e, cr_code_of_task(err), -err, t->label, "its namespaces cannot be read");
}

static int look_at(struct ns_run *r, struct dump_task *t, struct cr_err *e)
{
	uint64_t ino, pid = 0, time = 0, net = 0, kids;
	int err;

	for (unsigned i = 0; i < NR_TYPES; i++) {
		err = read_inode(t->proc, types[i].link, &ino);
		if (err < 0)
			return gone(t, err, e);
		t->ns_id[types[i].ns] = r->d->root_ns[types[i].ns];
		if (t == &r->d->tasks[0])
			r->root[i] = ino;
		if (types[i].ns == DNS_PID)
			pid = ino;
		else if (types[i].ns == DNS_NET)
			net = ino;
		else if (types[i].ns == DNS_TIME)
			time = ino;
		if (ino == r->own[i])
			continue;
		if (types[i].ns == DNS_TIME)
			other_time(r, t, ino);
		else
			refuse_other(r, t, i, ino);
	}
	/* The link leads nowhere while a new pid namespace has no init yet. */
	err = read_inode(t->proc, "ns/pid_for_children", &kids);
	if (!err && kids != pid)
		refuse(r, t, "its children would be born in another pid namespace",
		       "start the program without it (unshare(CLONE_NEWPID), setns()): it is not supported yet");
	err = read_inode(t->proc, "ns/time_for_children", &kids);
	if (!err && kids != time)
		refuse(r, t, "its children would be born in another time namespace",
		       "start the program without it (unshare(CLONE_NEWTIME), setns()): it is not supported yet");
	for (size_t i = 1; i < t->nr_threads; i++) {
		char link[48];

		snprintf(link, sizeof(link), "task/%d/ns/net", t->threads[i].tid);
		err = read_inode(t->proc, link, &ino);
		if (err < 0)
			return gone(t, err, e);
		if (ino != net)
			refuse(r, t, "a thread of it lives in another network namespace",
			       "let its threads return to the namespace of the process before the dump");
	}
	return 0;
}

uint64_t ns_clock(uint64_t host_ns, int64_t sec, int64_t nsec, int64_t own_sec, int64_t own_nsec)
{
	__int128 v = (__int128)host_ns + ((__int128)sec - own_sec) * 1000000000 + nsec - own_nsec;

	return v < 0 ? 0 : v > INT64_MAX ? INT64_MAX : (uint64_t)v;
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int write_clocks(struct ns_run *r, struct cr_err *e)
{
	const char *object = r->in_time ? r->in_time->label : "time namespace";
	struct proc_timens own = { 0 }, theirs = { 0 };
	Timespec mono = TIMESPEC__INIT, boot = TIMESPEC__INIT;
	TimensEntry te = TIMENS_ENTRY__INIT;
	uint64_t m = now(CLOCK_MONOTONIC), b = now(CLOCK_BOOTTIME);
	unsigned long id = 0;
	int ret;

	if (r->in_time) {
		_cleanup_close_ int self = open_proc_pid(getpid());

		ret = self < 0 ? self : proc_timens_read(self, &own);
		if (!ret)
			ret = proc_timens_read(r->in_time->proc, &theirs);
		if (ret < 0)
			return cr_err_set(e, CR_E_SYSTEM, -ret, object, "timens_offsets cannot be read");
		id = r->next_id++;
	}
	m = ns_clock(m, theirs.mono_sec, theirs.mono_nsec, own.mono_sec, own.mono_nsec);
	b = ns_clock(b, theirs.boot_sec, theirs.boot_nsec, own.boot_sec, own.boot_nsec);
	mono.tv_sec = m / 1000000000;
	mono.tv_nsec = m % 1000000000;
	boot.tv_sec = b / 1000000000;
	boot.tv_nsec = b % 1000000000;
	te.monotonic = &mono;
	te.boottime = &boot;
	return stage_write_image(r->d->facts, r->d->img, IMG_TIMENS, id, &te, e);
}

static int run(struct dump *d, struct cr_err *e)
{
	struct ns_run r = { .d = d, .next_id = 1 };
	int ret = load_own(&r, e);

	for (size_t i = 0; !ret && i < d->nr_tasks; i++)
		if (d->tasks[i].proc >= 0)
			ret = look_at(&r, &d->tasks[i], e);
	return ret ? ret : write_clocks(&r, e);
}

const struct dump_hook ns_dump = { "ns", run,
				   "first: the namespace ids go into the ids images, and a refusal costs nothing yet" };
