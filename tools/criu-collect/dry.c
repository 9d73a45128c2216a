/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-collect --dry-run: what stands in the way of a dump, before anything is stopped.
 *
 * Theory of operation: the hooks of a dump (order.c: dry_order) run over the tree as it is, from /proc and copies of its
 * descriptors, and note their refusals. They write their images into a file system in memory that is mounted nowhere
 * and goes away with this process. No task is traced, nothing of it is asked or changed, no contents are read. A copy
 * of a descriptor keeps its file open a moment longer than the task does, should the task close it just then.
 *
 * The tree changes meanwhile. What vanished while it was looked at is no finding; when a hook cannot go on for it, all
 * begins again, from the second time on with those tasks only that lived for a moment.
 *
 * What only a stopped task tells (registers, signals, filters, timers) is said to be not looked at.
 */
#include "dry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "hold/root.h"
#include "image/manifest.h"
#include "kind/file/dump.h"
#include "order.h"
#include "proc/status.h"
#include "tasks.h"

enum { ATTEMPTS = 10, MOMENT_MS = 50, STATUS_MAX = 65536, CHILDREN_MAX = 1 << 20, TASKS_MAX = 4 << 20 };

struct dry {
	const struct cr_opts *o;
	int img;
	struct cr_report found, unseen;
	struct stage_facts facts;
	struct hold_task *list; /* malloc'ed */
	size_t nr, cap, processes;
	char *status; /* STATUS_MAX bytes */
};

static const char *const not_looked_at[] = {
	"registers: 32-bit code, AMX tiles, PR_SET_SYSCALL_USER_DISPATCH",
	"seccomp filters that hand calls to a supervisor",
	"scheduling by SCHED_DEADLINE, NUMA policies, keyrings",
	"datagrams and descriptors that wait behind the first message of a socket",
};

/* ---- images go nowhere ---- */

static int memory_dir(struct cr_err *e)
{
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, "tmpfs", 1 /* FSOPEN_CLOEXEC */);
	int fd = -1;

	if (fs >= 0 && !syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0))
		fd = (int)syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, 0);
	/* criu-freeze makes the directory in a dump. */
	if (fd < 0 || mkdirat(fd, STAGE_DIR, 0700)) {
		int err = errno;

		fd_close(fd);
		return cr_err_set(e, CR_E_SYSTEM, err, "dry run", "a file system in memory cannot be made for it");
	}
	return fd;
}

/* ---- the tree ---- */

static int add(struct dry *d, const struct hold_task *t, struct cr_err *e)
{
	if (d->nr == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 64;
		struct hold_task *v = reallocarray(d->list, cap, sizeof(*v));

		if (!v)
			return cr_err_nomem(e);
		d->list = v;
		d->cap = cap;
	}
	d->list[d->nr++] = *t;
	return 0;
}

static bool in_tree(const struct dry *d, pid_t tid)
{
	for (size_t i = 0; i < d->nr; i++)
		if (d->list[i].tid == tid)
			return true;
	return false;
}

/* The numbers of a directory of /proc, malloc'ed and sorted as they come. Return: count or -errno. */
static ssize_t read_numbers(const char *path, pid_t **ret)
{
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(8) char buf[4096];
	size_t n = 0, cap = 0;
	long got;

	*ret = NULL;
	if (dir < 0)
		return -errno;
	while ((got = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < got;) {
			const struct {
				uint64_t ino;
				int64_t off;
				uint16_t len;
				uint8_t type;
				char name[];
			} *de = (const void *)(buf + at);
			int pid = atoi(de->name);

			at += de->len;
			if (pid <= 0)
				continue;
			if (n == cap) {
				pid_t *v = reallocarray(*ret, cap = cap ? 2 * cap : 16, sizeof(*v));

				if (!v)
					return -ENOMEM;
				*ret = v;
			}
			(*ret)[n++] = pid;
		}
	}
	return got < 0 ? -errno : (ssize_t)n;
}

static int walk(struct dry *d, pid_t pid, pid_t ppid, struct cr_err *e);

static int walk_children(struct dry *d, pid_t pid, pid_t tid, struct cr_err *e)
{
	_cleanup_free_ char *text = NULL;
	char path[64], *next;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	if (read_file_at(AT_FDCWD, path, CHILDREN_MAX * 8, &text) <= 0)
		return 0;
	next = text;
	while (!ret) {
		pid_t child = (pid_t)strtol(next, &next, 10);

		if (child <= 0)
			break;
		ret = walk(d, child, pid, e);
	}
	return ret;
}

static struct proc_status *status_of(struct dry *d, pid_t pid, struct proc_status *s)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return proc_status_read(AT_FDCWD, path, d->status, STATUS_MAX, s) ? NULL : s;
}

/* A process, its threads, its children. What is gone is left out. */
static int walk(struct dry *d, pid_t pid, pid_t ppid, struct cr_err *e)
{
	struct hold_task t = { .tid = pid, .pid = pid, .ppid = ppid, .state = HOLD_T_HELD };
	_cleanup_free_ pid_t *tids = NULL;
	struct proc_status s;
	char path[32];
	ssize_t n;
	int ret;

	if (!status_of(d, pid, &s) || in_tree(d, pid))
		return 0;
	if (s.state == 'Z' || s.state == 'X')
		t.state = HOLD_T_ZOMBIE;
	ret = add(d, &t, e);
	d->processes++;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	n = t.state == HOLD_T_ZOMBIE ? 0 : read_numbers(path, &tids);
	if (n == -ENOMEM)
		return cr_err_nomem(e);
	for (ssize_t i = 0; i < n && !ret; i++) {
		t.tid = tids[i];
		if (t.tid != pid)
			ret = add(d, &t, e);
	}
	for (ssize_t i = 0; i < n && !ret; i++)
		ret = walk_children(d, pid, tids[i], e);
	return ret;
}

/* Leave out who has ended since. */
static void drop_gone(struct dry *d)
{
	size_t kept = 0;
	pid_t gone = 0;

	for (size_t i = 0; i < d->nr; i++) {
		const struct hold_task *t = &d->list[i];
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/task/%d", t->pid, t->tid);
		if (t->pid == gone || access(path, F_OK)) {
			gone = t->tid == t->pid ? t->pid : gone;
			continue;
		}
		d->list[kept++] = *t;
	}
	d->nr = kept;
}

static int list_tree(struct dry *d, int attempt, struct cr_err *e)
{
	const struct timespec moment = { 0, MOMENT_MS * 1000000 };
	int ret;

	d->nr = d->processes = 0;
	ret = walk(d, d->o->tree, 0, e);
	if (!ret && attempt) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
		drop_gone(d);
	}
	if (!ret && !d->nr) {
		char object[32];

		snprintf(object, sizeof(object), "task %d", d->o->tree);
		cr_err_set(e, CR_E_TASK_ENDED, 0, object, "it ended while it was looked at");
		ret = -ESRCH;
	}
	return ret;
}

/* ---- what criu-freeze would refuse ---- */

static int note(struct dry *d, const struct dump_task *t, enum cr_code code, const char *reason, struct cr_err *e)
{
	struct cr_err why = { 0 };

	cr_err_set(&why, code, 0, t->label, "%s", reason);
	return cr_report_add(&d->found, &why) < 0 ? cr_err_nomem(e) : 0;
}

static int note_tracer(struct dry *d, const struct dump_task *t, pid_t tracer, struct cr_err *e)
{
	bool inside = in_tree(d, tracer);
	char reason[128], by[32] = "";
	struct proc_status s;

	if (status_of(d, tracer, &s))
		snprintf(by, sizeof(by), " (%.15s)", s.name);
	snprintf(reason, sizeof(reason), "it is traced by %s %d%s%s", inside ? "task" : "process", tracer, by,
		 inside ? ", which is in the same tree" : "");
	return note(d, t, inside ? CR_E_TRACER_INSIDE : CR_E_TRACED, reason, e);
}

static int check_status(struct dry *d, const struct dump *dump, struct cr_err *e)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < dump->nr_tasks; i++) {
		const struct dump_task *t = &dump->tasks[i];
		struct proc_status s;

		if (!status_of(d, t->pid, &s))
			continue;
		if (s.state == 'Z' && s.threads > 1)
			ret = note(d, t, CR_E_THREAD_LEADER_DEAD, "it has exited, but threads of it live on", e);
		if (!ret && s.tracer)
			ret = note_tracer(d, t, s.tracer, e);
		if (!ret && s.x86_shstk)
			ret = note(d, t, CR_E_SHADOW_STACK, "it has a shadow stack", e);
	}
	return ret;
}

/* ---- the whole ---- */

static int pass(struct dry *d, int attempt, struct cr_err *e)
{
	struct arena arena = { 0 };
	struct dump dump = {
		.img = d->img, .opts = d->o, .dry = true, .arena = &arena, .facts = &d->facts, .refusals = &d->found
	};
	int ret = list_tree(d, attempt, e);

	if (!ret)
		ret = tasks_open(&dump, d->list, d->nr, e);
	if (!ret)
		ret = check_status(d, &dump, e);
	for (size_t i = 0; !ret && dry_order[i]; i++) {
		ret = dry_order[i]->run(&dump, e);
		if (ret < 0)
			log_info("%s: %s: %s", dry_order[i]->name, e->object, e->reason);
	}
	dump_files_free(&dump);
	tasks_close(&dump);
	arena_free(&arena);
	return ret;
}

/* What a task closed, unmapped or became while it was looked at is no finding. */
static void sort_findings(struct dry *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->found.n; i++) {
		const struct cr_err *f = &d->found.v[i];

		if (f->code == CR_E_TASK_GONE || f->code == CR_E_NO_FILE || cr_code_exit(f->code) != CR_REFUSED)
			cr_report_add(&d->unseen, f);
		else
			d->found.v[n++] = *f;
	}
	d->found.n = n;
}

static void forget(struct dry *d)
{
	cr_report_free(&d->found);
	cr_report_free(&d->facts.warnings);
	json_decref(d->facts.files);
	stage_begin(&d->facts, "criu-collect");
}

static int look(struct dry *d, struct cr_err *e)
{
	struct cr_err root = { 0 };
	int ret = root_check(d->o->tree, d->o->shell_job, &root), attempt = 0;

	if (ret && root.code != CR_E_SESSION_OUTSIDE)
		return cr_report_add(&d->found, &root) < 0 ? cr_err_nomem(e) : 0;
	do {
		forget(d);
		if (root.code != CR_E_NONE && cr_report_add(&d->found, &root) < 0)
			return cr_err_nomem(e);
		d->img = memory_dir(e);
		ret = d->img < 0 ? d->img : pass(d, attempt, e);
		d->img = fd_close(d->img);
	} while (ret && e->code != CR_E_PRIVILEGE && e->code != CR_E_NOMEM && ++attempt < ATTEMPTS);
	sort_findings(d);
	return ret;
}

/* ---- what to say ---- */

/* Where there is no tree to look at, nothing of it was left out. */
static size_t nr_not_looked_at(const struct dry *d)
{
	return d->processes ? sizeof(not_looked_at) / sizeof(not_looked_at[0]) : 0;
}

static void print_options(enum cr_code code)
{
	const char *pos = cr_code_options(code), *head = "      option: ";
	struct cr_option o;

	for (; cr_option_next(&pos, &o); head = ", ")
		printf("%s--%s%s", head, o.name, o.later ? " (not supported yet)" : "");
	if (*head == ',')
		putchar('\n');
}

static void print_text(const struct dry *d)
{
	if (d->processes)
		printf("looked at: %zu process%s, %zu thread%s; none was stopped\n", d->processes,
		       d->processes == 1 ? "" : "es", d->nr, d->nr == 1 ? "" : "s");
	if (d->found.n)
		printf("in the way of a dump: %zu\n", d->found.n);
	else
		puts("in the way of a dump: nothing that can be seen");
	for (size_t i = 0; i < d->found.n; i++) {
		const struct cr_err *f = &d->found.v[i];

		printf("  %s: %s%s%s [%s]\n      to do:  %s\n", f->object, f->reason, f->err ? ": " : "",
		       f->err ? strerror(f->err) : "", cr_code_name(f->code), cr_err_get_remedy(f));
		print_options(f->code);
	}
	for (size_t i = 0; i < d->facts.warnings.n; i++)
		printf("%s  %s: %s\n", i ? "" : "dumped, but not as it is:\n", d->facts.warnings.v[i].object,
		       d->facts.warnings.v[i].reason);
	for (size_t i = 0; i < nr_not_looked_at(d); i++)
		printf("%s  %s\n", i ? "" : "not looked at, because only a stopped task tells:\n", not_looked_at[i]);
	for (size_t i = 0; i < d->unseen.n; i++)
		printf("%s  %s: %s\n", i ? "" : "not looked at, because it changed meanwhile:\n", d->unseen.v[i].object,
		       d->unseen.v[i].reason);
}

static json_t *json_rows(const struct cr_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n; i++) {
		json_t *row = manifest_error("criu-collect", &r->v[i]), *opts = json_array();
		const char *pos = cr_code_options(r->v[i].code);
		struct cr_option o;

		while (cr_option_next(&pos, &o))
			json_array_append_new(opts,
					      json_pack("{s:s+, s:b}", "name", "--", o.name, "supported", !o.later));
		json_object_set_new(row, "options", opts);
		json_array_append_new(list, row);
	}
	return list;
}

static int print_json(const struct dry *d, struct cr_err *e)
{
	json_t *hidden = json_array();

	for (size_t i = 0; i < nr_not_looked_at(d); i++)
		json_array_append_new(hidden, json_string(not_looked_at[i]));
	return json_print(json_pack("{s:i, s:I, s:I, s:o, s:o, s:o, s:o}", "tree", d->o->tree, "processes",
				    (json_int_t)d->processes, "threads", (json_int_t)d->nr, "findings",
				    json_rows(&d->found), "warnings", json_rows(&d->facts.warnings), "changed",
				    json_rows(&d->unseen), "not_looked_at", hidden),
			  e);
}

int dry_run(const struct cr_opts *o, struct cr_err *e)
{
	struct dry d = { .o = o, .img = -1, .status = malloc(STATUS_MAX) };
	int ret;

	if (o->tree <= 0) {
		free(d.status);
		return cr_err_set(e, CR_E_USAGE, 0, "command line", "-t PID is missing");
	}
	/* Warnings are part of the answer. */
	if (cr_log_level == CR_LOG_WARN)
		cr_log_level = CR_LOG_ERROR;
	ret = d.status ? look(&d, e) : cr_err_nomem(e);
	if (!ret && o->json)
		ret = print_json(&d, e);
	else if (!ret)
		print_text(&d);
	if (!ret)
		ret = d.found.n ? CR_REFUSED : CR_OK;
	cr_report_free(&d.found);
	cr_report_free(&d.unseen);
	cr_report_free(&d.facts.warnings);
	json_decref(d.facts.files);
	free(d.list);
	free(d.status);
	return ret;
}
