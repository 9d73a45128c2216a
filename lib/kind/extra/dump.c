/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Properties that CRIU forgets, dump half.
 *
 * Theory of operation: CPU affinity, I/O priority, timer slack, coredump_filter and the nice value of an autogroup can
 * be read from outside; whether the task refuses to gain executable memory (PR_SET_MDWE) and has all its memory merged (KSM) it must be asked. What differs from the default goes into extra.json, a file of our own beside the images, so
 * that no field of CRIU's format is bent. Memory policies, keyrings and core scheduling are looked at as far as that
 * changes nothing in the task, and warned of. (A session keyring cannot be looked at: asking for it makes one. Landlock
 * domains cannot be seen at all.)
 *
 * "Default" for the affinity is that of process 1: all CPUs, in other words.
 */
#include "kind/extra/extra.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "bare/uapi.h"
#include "base/fd.h"
#include "image/stage.h"
#include "kind/dump.h"

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif
#define PR_SCHED_CORE_GET_ 0
#define TMP_NAME	   ".extra.json.tmp"

enum { MASK_BYTES = 1024, ROW_MAX = 3 * MASK_BYTES, IOPRIO_WHO_PROCESS_ = 1 };
enum { KEYCTL_GET_KEYRING_ID_ = 0, KEY_THREAD = -1, KEY_PROCESS = -2 };

struct answers {
	struct hold_call process_keys, thread_keys, mdwe, merge;
};

struct extra_run {
	struct dump *d;
	FILE *out; /* NULL: no row yet */
	size_t rows;
	uint8_t all[MASK_BYTES]; /* affinity of process 1 */
	long all_len;
	bool keys, cookies, numa, slack; /* this kernel or machine has them */
	struct answers *answers;	 /* by task: what only the task itself can say */
};

/* The kernel's mask, without glibc's fixed size. Return: bytes, or -errno. */
static long get_affinity(pid_t tid, uint8_t mask[MASK_BYTES])
{
	long n;

	memset(mask, 0, MASK_BYTES);
	n = syscall(SYS_sched_getaffinity, tid, (size_t)MASK_BYTES, mask);
	return n < 0 ? -errno : n;
}

/* A number from a small file of /proc. Return: 1; 0: the kernel has no such file; -errno. */
static int number(int dirfd, const char *path, int base, unsigned long *ret)
{
	char buf[64], *end;
	ssize_t n = read_buf_at(dirfd, path, buf, sizeof(buf));

	if (n == -ENOENT || n == -EINVAL)
		return 0;
	if (n < 0)
		return (int)n;
	errno = 0;
	*ret = strtoul(buf, &end, base);
	return end == buf || errno ? -EIO : 1;
}

/* What cannot be asked for is not taken for the default. */
static void unknown(struct extra_run *r, const struct dump_task *t, pid_t tid, const char *what, long err)
{
	stage_not_carried(r->d->facts, t->label, "the %s of thread %d cannot be read (%s), so it is lost", what, tid,
			  strerror((int)-err));
}

/* One row that grows: `,"name":value` pairs behind the tid. */
struct row {
	char text[ROW_MAX];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void put(struct row *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->text + w->len, sizeof(w->text) - w->len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(w->text) - w->len)
		w->len += (size_t)n;
}

/* The highest CPU first, without leading zeros, as `taskset` prints masks. */
static void put_mask(struct row *w, const uint8_t *mask, long len)
{
	long i = len - 1;

	while (i > 0 && !mask[i])
		i--;
	put(w, ",\"affinity\":\"%x", mask[i]);
	while (i-- > 0)
		put(w, "%02x", mask[i]);
	put(w, "\"");
}

static void thread_fields(struct extra_run *r, const struct dump_task *t, pid_t tid, struct row *w)
{
	uint8_t mask[MASK_BYTES];
	long n = get_affinity(tid, mask);
	long prio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS_, tid);
	long prio_err = prio < 0 ? -errno : 0;
	unsigned long slack;
	char path[32];
	int have;

	if (n < 0)
		unknown(r, t, tid, "CPU affinity", n);
	if (prio < 0)
		unknown(r, t, tid, "I/O priority", prio_err);
	if (n > 0 && (n != r->all_len || memcmp(mask, r->all, (size_t)n)))
		put_mask(w, mask, n);
	/* Class 0 is "none": the priority follows from the nice value. The kernel answers 4 in it for that (best effort
	 * 4). */
	if (prio > 0 && prio >> 13 != 0)
		put(w, ",\"ioprio\":%ld", prio);
	/* Realtime policies have a slack of 0, which comes with the policy (Linux 6.13). */
	if (!r->slack)
		return;
	snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", tid);
	have = number(AT_FDCWD, path, 10, &slack);
	if (have < 0)
		unknown(r, t, tid, "timer slack", have);
	if (have > 0 && slack && slack != EXTRA_SLACK_NS)
		put(w, ",\"timerslack\":%lu", slack);
}

/* "/autogroup-123 nice 5" */
static void autogroup(struct extra_run *r, const struct dump_task *t, struct row *w)
{
	char buf[128];
	ssize_t n = read_buf_at(t->proc, "autogroup", buf, sizeof(buf));
	const char *p = n > 0 ? strstr(buf, " nice ") : NULL;
	int nice = p ? atoi(p + 6) : 0;

	if (n < 0 && n != -ENOENT)
		unknown(r, t, t->pid, "nice value of the autogroup", n);
	if (nice)
		put(w, ",\"autogroup\":%d", nice);
}

static void process_fields(struct extra_run *r, const struct dump_task *t, const struct answers *a, struct row *w)
{
	unsigned long filter;
	int have = number(t->proc, "coredump_filter", 16, &filter);

	if (have < 0)
		unknown(r, t, t->pid, "coredump_filter", have);
	if (have > 0 && filter != EXTRA_COREDUMP_FILTER)
		put(w, ",\"coredump_filter\":%lu", filter);
	autogroup(r, t, w);
	if (a->mdwe.ret > 0)
		put(w, ",\"mdwe\":%d", (int)a->mdwe.ret);
	if (a->merge.ret > 0)
		put(w, ",\"merge\":1");
}

static int begin(struct extra_run *r, struct cr_err *e)
{
	int fd;

	unlinkat(r->d->img, TMP_NAME, 0);
	fd = openat(r->d->img, TMP_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!r->out) {
		int err = cr_err_write(e, errno, EXTRA_NAME, "cannot be created");

		if (fd >= 0)
			unlinkat(r->d->img, TMP_NAME, 0);
		fd_close(fd);
		return err;
	}
	fputs("{\"version\":1,\"tasks\":[", r->out);
	return 0;
}

static int put_row(struct extra_run *r, pid_t tid, const struct row *w, struct cr_err *e)
{
	int ret = r->out ? 0 : begin(r, e);

	if (!ret)
		fprintf(r->out, "%s\n{\"tid\":%d%s}", r->rows++ ? "," : "", tid, w->text);
	return ret;
}

static int finish(struct extra_run *r, struct cr_err *e)
{
	long bytes;
	bool bad;

	if (!r->out) {
		/* An old one would be taken for ours. */
		unlinkat(r->d->img, EXTRA_NAME, 0);
		return 0;
	}
	fputs("\n]}\n", r->out);
	bytes = ftell(r->out);
	bad = ferror(r->out) || fflush(r->out);
	if (fclose(r->out) || bad || renameat(r->d->img, TMP_NAME, r->d->img, EXTRA_NAME)) {
		int err = cr_err_write(e, errno, EXTRA_NAME, "cannot be written");

		unlinkat(r->d->img, TMP_NAME, 0);
		return err;
	}
	stage_wrote(r->d->facts, EXTRA_NAME, bytes > 0 ? (uint64_t)bytes : 0);
	return 0;
}

/* KEYCTL_GET_KEYRING_ID without "create" gives ENOKEY where there is none, and makes none. Asked of all at once. */
static int ask_tasks(struct extra_run *r, struct cr_err *e)
{
	const struct dump *d = r->d;
	_cleanup_free_ struct hold_job *jobs = calloc(d->nr_tasks + 1, sizeof(*jobs));
	struct answers *a = arena_calloc(d->arena, d->nr_tasks + 1, sizeof(*a));
	size_t n = 0;

	if (!jobs || !a)
		return cr_err_nomem(e);
	r->answers = a;
	for (size_t i = 0; i < d->nr_tasks; i++) {
		if (d->tasks[i].proc < 0)
			continue;
		a[i].process_keys =
			(struct hold_call){ SYS_keyctl, { KEYCTL_GET_KEYRING_ID_, (uint64_t)KEY_PROCESS }, 0 };
		a[i].thread_keys =
			(struct hold_call){ SYS_keyctl, { KEYCTL_GET_KEYRING_ID_, (uint64_t)KEY_THREAD }, 0 };
		a[i].mdwe = (struct hold_call){ SYS_prctl, { CR_PR_GET_MDWE }, 0 };
		a[i].merge = (struct hold_call){ SYS_prctl, { CR_PR_GET_MEMORY_MERGE }, 0 };
		if (!r->keys)
			a[i].process_keys.nr = a[i].thread_keys.nr = -1;
		jobs[n++] = (struct hold_job){ .tid = d->tasks[i].pid, .calls = &a[i].process_keys, .n = 4 };
	}
	return hold_calls_many(d->hold, jobs, n, e);
}

static void keyrings(struct extra_run *r, const struct dump_task *t, const struct answers *a)
{
	if (a->process_keys.ret > 0)
		stage_not_carried(r->d->facts, t->label, "its process keyring is lost");
	if (a->thread_keys.ret > 0)
		stage_not_carried(r->d->facts, t->label, "its thread keyring is lost");
}

static void cookie(struct extra_run *r, const struct dump_task *t)
{
	unsigned long v = 0;

	if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET_, t->pid, 0, &v)) {
		r->cookies = errno != EINVAL;
		return;
	}
	if (v)
		stage_not_carried(r->d->facts, t->label, "its core scheduling group is lost");
}

/* get_mempolicy(2) tells the policy of the caller only, hence the call in the task. */
static int mempolicy(struct extra_run *r, const struct dump_task *t, struct cr_err *e)
{
	struct hold_scratch s;
	int mode = 0, ret = hold_scratch(r->d->hold, t->pid, &s, e);
	struct hold_call c = { .nr = SYS_get_mempolicy };

	if (ret < 0)
		return ret;
	c.arg[0] = s.addr;
	ret = hold_calls(r->d->hold, t->pid, &c, 1, e);
	if (ret < 0)
		return ret;
	if (c.ret == 0) {
		_cleanup_close_ int mem = openat(t->proc, "mem", O_RDONLY | O_CLOEXEC);

		if (mem >= 0 && !pread_full(mem, &mode, sizeof(mode), (off_t)s.addr) && mode)
			stage_not_carried(r->d->facts, t->label, "its memory policy (mode %d of set_mempolicy) is lost",
					  mode);
	}
	return 0;
}

static int look_at(struct extra_run *r, const struct dump_task *t, struct cr_err *e)
{
	const struct answers *a = &r->answers[t - r->d->tasks];
	int ret = 0;

	for (size_t k = 0; !ret && k < t->nr_threads; k++) {
		struct row w = { .len = 0 };

		w.text[0] = 0;
		thread_fields(r, t, t->threads[k].tid, &w);
		if (!k)
			process_fields(r, t, a, &w);
		if (w.len)
			ret = put_row(r, t->threads[k].tid, &w, e);
	}
	if (!ret && r->numa)
		ret = mempolicy(r, t, e);
	if (r->cookies)
		cookie(r, t);
	keyrings(r, t, a);
	return ret;
}

static int run(struct dump *d, struct cr_err *e)
{
	struct extra_run r = { .d = d, .cookies = true };
	char nodes[64] = "";
	int ret = 0;

	r.all_len = get_affinity(1, r.all);
	r.slack = faccessat(AT_FDCWD, "/proc/self/timerslack_ns", F_OK, 0) == 0;
	r.keys = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID_, KEY_THREAD, 0) >= 0 || errno != ENOSYS;
	/* "0" on a machine with one node, where a policy can say nothing. */
	if (read_buf_at(AT_FDCWD, "/sys/devices/system/node/online", nodes, sizeof(nodes)) > 0)
		r.numa = strpbrk(nodes, "-,") != NULL;
	ret = ask_tasks(&r, e);
	for (size_t i = 0; !ret && i < d->nr_tasks; i++)
		if (d->tasks[i].proc >= 0)
			ret = look_at(&r, &d->tasks[i], e);
	if (!ret)
		return finish(&r, e);
	if (r.out) {
		fclose(r.out);
		unlinkat(d->img, TMP_NAME, 0);
	}
	return ret;
}

const struct dump_hook extra_dump = { "extra", run,
				      "late: it makes calls in tasks, whose mappings must have been read" };
