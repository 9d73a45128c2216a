/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: extra.json (doc/extra.md), restore half. A thread without a row has the kernel's defaults,
 * whatever this process runs with; so where we differ from the default ourselves, threads without a row cost system
 * calls, and else nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bare/uapi.h"
#include "base/fd.h"
#include "base/log.h"
#include "kind/extra/extra.h"
#include "kind/restore-task.h"

enum { CPUS_MAX = 8192, MASK_BYTES = CPUS_MAX / 8, IOPRIO_WHO_PROCESS = 1 };

struct extra_row {
	pid_t tid;
	bool has_affinity;
	long ioprio, slack, filter, autogroup, mdwe, merge; /* autogroup: -100: none */
	uint8_t mask[MASK_BYTES];
};

struct extra_plan {
	struct extra_row *rows; /* by tid */
	size_t n;
	struct extra_row none; /* the defaults */
	long own_slack, own_filter, own_ioprio;
	bool own_affinity; /* ours is not all CPUs */
	size_t mask_len;
};

static int bad(struct cr_err *e, pid_t tid, const char *what)
{
	return cr_err_set(e, CR_E_IMG_CORRUPT, 0, EXTRA_NAME, "thread %d: %s", tid, what);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Cut to the CPUs that are here. Return: 0, -EINVAL: no mask, -ENODEV: none of them is here. */
static int parse_mask(const char *hex, const uint8_t *here, uint8_t mask[MASK_BYTES])
{
	size_t len = strlen(hex);
	bool any = false;

	if (!len || len > MASK_BYTES * 2)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int d = hex_digit(hex[len - 1 - i]);

		if (d < 0)
			return -EINVAL;
		mask[i / 2] |= (uint8_t)(d << (i % 2 * 4));
	}
	for (size_t i = 0; i < MASK_BYTES; i++) {
		mask[i] &= here[i];
		any |= mask[i];
	}
	return any ? 0 : -ENODEV;
}

static int get_number(const json_t *o, const char *name, long low, long high, long *ret)
{
	const json_t *v = json_object_get(o, name);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < low || json_integer_value(v) > high)
		return -EINVAL;
	*ret = (long)json_integer_value(v);
	return 0;
}

static int parse_row(const json_t *o, const struct extra_plan *p, const uint8_t *here, struct extra_row *row,
		     struct cr_err *e)
{
	const json_t *mask = json_object_get(o, "affinity");
	long tid = 0;
	int err;

	*row = p->none;
	if (get_number(o, "tid", 1, 0x3fffffff, &tid) || !tid)
		return bad(e, 0, "there is a row without a thread id");
	row->tid = (pid_t)tid;
	if (get_number(o, "ioprio", 0, 0xffff, &row->ioprio) ||
	    get_number(o, "timerslack", 0, INT64_MAX, &row->slack) ||
	    get_number(o, "coredump_filter", 0, 0xffff, &row->filter) ||
	    get_number(o, "autogroup", -20, 19, &row->autogroup) || get_number(o, "mdwe", 0, INT32_MAX, &row->mdwe) ||
	    get_number(o, "merge", 0, 1, &row->merge))
		return bad(e, row->tid, "a value is out of range");
	if (!mask)
		return 0;
	memset(row->mask, 0, sizeof(row->mask));
	err = json_is_string(mask) ? parse_mask(json_string_value(mask), here, row->mask) : -EINVAL;
	if (err == -ENODEV) {
		cr_err_set(e, CR_E_LIMIT, 0, EXTRA_NAME, "thread %d is bound to CPUs %.100s, none of which is here",
			   row->tid, json_string_value(mask));
		cr_err_remedy(e, "restore on a machine with these CPUs, or edit affinity in " EXTRA_NAME);
		return -ENODEV;
	}
	row->has_affinity = true;
	return err ? bad(e, row->tid, "the affinity is no hexadecimal mask") : 0;
}

enum { EXTRA_MAX = 512 << 20 };

static int by_tid(const void *a, const void *b)
{
	const struct extra_row *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int load_rows(struct rst *r, struct extra_plan *p, const uint8_t *here, bool (*known)(void *, pid_t), void *arg,
		     struct cr_err *e)
{
	int fd = img_open_file(r->img, EXTRA_NAME, e), err = 0;
	_cleanup_free_ char *text = NULL;
	json_t *doc, *tasks, *row;
	json_error_t why;
	ssize_t len;
	size_t i;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	len = read_file_fd(fd, EXTRA_MAX, &text);
	close(fd);
	if (len < 0)
		return cr_err_set(e, CR_E_SYSTEM, (int)-len, EXTRA_NAME, "cannot be read");
	doc = json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, &why);
	if (!doc)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, EXTRA_NAME, "line %d: %s", why.line, why.text);
	tasks = json_object_get(doc, "tasks");
	if (json_integer_value(json_object_get(doc, "version")) != 1 || !json_is_array(tasks))
		err = cr_err_set(e, CR_E_IMG_VERSION, 0, EXTRA_NAME, "its version is not 1, or it has no tasks");
	if (!err)
		p->rows = arena_calloc(r->arena, json_array_size(tasks) + 1, sizeof(*p->rows));
	if (!err && !p->rows)
		err = cr_err_nomem(e);
	json_array_foreach(tasks, i, row)
	{
		if (err)
			break;
		err = parse_row(row, p, here, &p->rows[p->n], e);
		if (!err && !known(arg, p->rows[p->n].tid))
			err = cr_err_set(e, CR_E_IMG_REF, 0, EXTRA_NAME, "thread %d is in no image", p->rows[p->n].tid);
		p->n++;
	}
	json_decref(doc);
	if (!err && p->n)
		qsort(p->rows, p->n, sizeof(*p->rows), by_tid);
	for (i = 1; !err && i < p->n; i++)
		if (p->rows[i].tid == p->rows[i - 1].tid)
			err = bad(e, p->rows[i].tid, "it has two rows");
	return err;
}

/* All CPUs that a thread may be bound to: those that process 1 has, or all where it cannot be asked. */
static void all_cpus(struct extra_plan *p, uint8_t here[MASK_BYTES])
{
	uint8_t own[MASK_BYTES] = {};
	long n = syscall(SYS_sched_getaffinity, 1, MASK_BYTES, here), own_n;

	own_n = syscall(SYS_sched_getaffinity, 0, MASK_BYTES, own);
	if (n <= 0) {
		memset(here, 0xff, MASK_BYTES);
		n = own_n > 0 ? own_n : MASK_BYTES;
	}
	p->mask_len = (size_t)n;
	p->own_affinity = own_n > 0 && memcmp(own, here, p->mask_len) != 0;
	memcpy(p->none.mask, here, MASK_BYTES);
}

int extra_plan_load(struct rst *r, bool (*known)(void *arg, pid_t tid), void *arg, struct extra_plan **ret,
		    struct cr_err *e)
{
	struct extra_plan *p = arena_alloc(r->arena, sizeof(*p));
	uint8_t here[MASK_BYTES] = {};
	char buf[32];

	if (!p)
		return cr_err_nomem(e);
	all_cpus(p, here);
	p->none.slack = EXTRA_SLACK_NS;
	p->none.filter = EXTRA_COREDUMP_FILTER;
	p->none.autogroup = -100;
	p->own_slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	p->own_ioprio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
	p->own_filter = EXTRA_COREDUMP_FILTER;
	if (read_buf_at(AT_FDCWD, "/proc/self/coredump_filter", buf, sizeof(buf)) > 0)
		p->own_filter = strtol(buf, NULL, 16);
	*ret = p;
	return load_rows(r, p, here, known, arg, e);
}

static const struct extra_row *row_of(const struct extra_plan *p, pid_t tid)
{
	struct extra_row key = { .tid = tid };
	const struct extra_row *row = p->n ? bsearch(&key, p->rows, p->n, sizeof(key), by_tid) : NULL;

	return row ? row : &p->none;
}

int extra_restore_process(const struct extra_plan *p, pid_t pid, bool session_leader, struct cr_err *e)
{
	const struct extra_row *row = row_of(p, pid);
	char buf[24];
	int err;

	if (row->filter != p->own_filter) {
		snprintf(buf, sizeof(buf), "0x%lx", row->filter);
		err = write_file_at(AT_FDCWD, "/proc/self/coredump_filter", buf);
		if (err)
			return cr_err_set(e, CR_E_RESTORE_TASK, -err, "coredump_filter", "cannot be set to %s", buf);
	}
	if (session_leader && row->autogroup != p->none.autogroup) {
		snprintf(buf, sizeof(buf), "%ld", row->autogroup);
		err = write_file_at(AT_FDCWD, "/proc/self/autogroup", buf);
		if (err)
			log_warn("autogroup of %d cannot be set to %s: %s", pid, buf, strerror(-err));
	}
	return 0;
}

void extra_emit(struct rst_prog *p, const struct extra_plan *x, pid_t tid)
{
	const struct extra_row *row = row_of(x, tid);

	if (row->has_affinity || x->own_affinity)
		prog_sys_data(p, "CPU affinity", 1 << 2, SYS_sched_setaffinity, 0, x->mask_len,
			      prog_data(p, row->mask, x->mask_len));
	if (row->ioprio != x->own_ioprio)
		prog_sys(p, "I/O priority", SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, (uint64_t)row->ioprio);
	if (row->slack != x->own_slack)
		prog_sys(p, "timer slack", SYS_prctl, PR_SET_TIMERSLACK, (uint64_t)row->slack);
	if (row->merge)
		prog_sys(p, "merging of memory", SYS_prctl, CR_PR_SET_MEMORY_MERGE, 1);
	if (row->mdwe)
		prog_sys(p, "refusal of new executable memory", SYS_prctl, CR_PR_SET_MDWE, (uint64_t)row->mdwe);
}
