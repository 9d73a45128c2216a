/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inject [-o RECORD] [-p TASK:CALL:N:FAULT] [-s CALL:N:MS] [-t SECONDS] -- COMMAND...
 *
 * Runs a command below ptrace(2), writes down every system call that our tools in it make, and lets one of them fail.
 *
 * Theory of operation
 * All tasks that the command makes are followed (holder, keepers, restored tasks). Two tracers cannot have one task: when
 * criu-restore seizes a task that it made, we let go of it first, at the entry of its ptrace call. So a restored task is
 * ours while the code of criu-restore runs in it, which is what is to be tested, and nobody's but criu-restore's when its
 * registers are set. The root task is seized at its birth: criu-restore is told that it has it, and gets it when it asks for
 * something else of it (the call is replaced by PTRACE_SEIZE and made again). The tasks of a dump are not below us at all:
 * the holder has them.
 *
 * A point is TASK:CALL:N, the same in each run: TASK is the name of the program and the path by which the task was made
 * (criu-freeze.1: the first child, criu-freeze.1/2 its second thread but one), N counts the calls of this name of this
 * thread since its exec. FAULT is a number (errno), "short" (half of the bytes) or "one" (one byte).
 * A call that fails is not made (its number becomes -1); close(2) is made, because it closes whatever it returns.
 *
 * -s makes the N-th call of a name of each of our threads slow.
 *
 * RECORD has one line per call, in the order in which they ended:
 *	SEQ-ENTRY SEQ-EXIT TASK CALL N RESULT OBJECT ARG0 ARG1 ARG2 ARG3
 * OBJECT is the path that a descriptor or a name stands for, "-" where there is none.
 * Exit status: of the command; 124: something did not end in time (it is killed, and named on stderr); 125: the injector.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

enum { TASKS = 4096, CALLS = 512, NAME = 96, GRACE_MS = 3000, DETACH_MS = 5000, SHORT = -1, ONE = -2 };
enum {
	OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
		  PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL
};

struct task {
	pid_t tid, tgid;
	char name[NAME]; /* empty: its maker's event has not come yet, it stays in its first stop */
	bool waits;	 /* stopped, because it has no name yet */
	bool tool;	 /* a program of ours: "criu-..." */
	unsigned children, threads;
	unsigned *count; /* per call */
	unsigned remotes, task_calls;
	/* between entry and exit */
	bool inside;
	long nr;
	uint64_t args[6], entry;
	char object[256];
	int fault;		  /* errno, SHORT, ONE or 0 */
	bool skipped;		  /* not made */
	bool changed;		  /* argument registers, which a system call must leave alone */
	uint64_t iov_at, iov_len; /* what a short vector was: put back at the exit */
	/* a seizure that was put off */
	pid_t tracer;	  /* who believes to have it; 0: nobody */
	uint64_t options; /* of that PTRACE_SEIZE */
	bool pretend;	  /* the call is not made and succeeds */
	bool seizes;	  /* what was put off is done in place of the call, which is made again afterwards */
	bool again;	  /* and here it comes */
	pid_t answer_of;  /* the registers of this task are about to tell the result of a call that was let fail */
};

struct state {
	struct task task[TASKS];
	unsigned n;
	FILE *record;
	char point[NAME]; /* task, call and number to let fail */
	char call[32];
	unsigned long nth;
	int fault;
	bool done;
	char slow[32]; /* call */
	unsigned long slow_nth, slow_ms;
	uint64_t seq;
	pid_t main;
	int status;
};

/* Stops at each system call cost the most: only where they are needed. */
static void go_on(const struct state *s, const struct task *t, int sig)
{
	bool look = s->record || s->slow_ms || t->inside || t->answer_of || !strncmp(t->name, "criu-restore", 12) ||
		    (s->nth && !s->done && !strcmp(t->name, s->point));

	ptrace(look ? PTRACE_SYSCALL : PTRACE_CONT, t->tid, 0, sig);
}

static volatile sig_atomic_t expired;

static void on_alarm(int sig)
{
	expired = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(125);
}

static struct task *find(struct state *s, pid_t tid)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->task[i].tid == tid)
			return &s->task[i];
	return NULL;
}

static struct task *add(struct state *s, pid_t tid)
{
	struct task *t;

	if (s->n == TASKS) {
		errno = ENOSPC;
		die("too many tasks");
	}
	t = &s->task[s->n++];
	*t = (struct task){ .tid = tid, .count = calloc(CALLS, sizeof(unsigned)) };
	if (!t->count)
		die("calloc");
	return t;
}

static void forget(struct state *s, struct task *t)
{
	/* PTRACE_O_EXITKILL of what was put off */
	for (unsigned i = 0; i < s->n; i++)
		if (s->task[i].tracer == t->tid)
			kill(s->task[i].tid, SIGKILL);
	free(t->count);
	*t = s->task[--s->n];
}

static pid_t tgid_of(pid_t tid)
{
	char path[64], line[256];
	pid_t tgid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		return tid;
	while (fgets(line, sizeof(line), f) && !tgid)
		if (!strncmp(line, "Tgid:", 5))
			tgid = atoi(line + 5);
	fclose(f);
	return tgid ? tgid : tid;
}

/* ---- what a call is about ---- */

static bool peek(pid_t pid, uint64_t at, void *to, size_t len)
{
	struct iovec l = { to, len }, r = { (void *)(uintptr_t)at, len };

	return process_vm_readv(pid, &l, 1, &r, 1, 0) == (ssize_t)len;
}

static bool poke(pid_t pid, uint64_t at, const void *from, size_t len)
{
	struct iovec l = { (void *)(uintptr_t)from, len }, r = { (void *)(uintptr_t)at, len };

	return process_vm_writev(pid, &l, 1, &r, 1, 0) == (ssize_t)len;
}

static void peek_string(pid_t pid, uint64_t at, char *to, size_t size)
{
	struct iovec l = { to, size - 1 }, r[2] = { { (void *)(uintptr_t)at, 4096 - (at & 4095) } };
	ssize_t n;

	r[0].iov_len = r[0].iov_len < size - 1 ? r[0].iov_len : size - 1;
	r[1] = (struct iovec){ (void *)(uintptr_t)(at + r[0].iov_len), size - 1 - r[0].iov_len };
	n = process_vm_readv(pid, &l, 1, r, r[1].iov_len ? 2 : 1, 0);
	to[n < 0 ? 0 : n] = 0;
}

static void fd_path(pid_t pid, int fd, char *to, size_t size)
{
	char link[64];
	ssize_t n;

	if (fd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/%d/cwd", pid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, fd);
	n = readlink(link, to, size - 1);
	to[n < 0 ? 0 : n] = 0;
}

static void describe(struct task *t, const struct call_row *row)
{
	char dir[128] = "", name[128] = "";

	switch (row ? row->object : OB_NONE) {
	case OB_FD:
		fd_path(t->tgid, (int)t->args[0], t->object, sizeof(t->object));
		break;
	case OB_PATH:
		peek_string(t->tid, t->args[0], t->object, sizeof(t->object));
		break;
	case OB_AT:
		peek_string(t->tid, t->args[1], name, sizeof(name));
		if (name[0] != '/')
			fd_path(t->tgid, (int)t->args[0], dir, sizeof(dir));
		snprintf(t->object, sizeof(t->object), "%s%s%s", dir, dir[0] && name[0] ? "/" : "", name);
		break;
	case OB_PID:
		snprintf(t->object, sizeof(t->object), "pid:%d", (int)t->args[t->nr == SYS_ptrace ? 1 : 0]);
		break;
	default:
		t->object[0] = 0;
	}
	for (char *p = t->object; *p; p++)
		if ((unsigned char)*p <= ' ')
			*p = '?';
}

static const char *call_name(long nr, char buf[32])
{
	const struct call_row *row = call_find(nr);

	if (row)
		return row->name;
	snprintf(buf, 32, "syscall_%ld", nr);
	return buf;
}

static void write_line(struct state *s, const struct task *t, int64_t result)
{
	char buf[32];

	if (!s->record)
		return;
	fprintf(s->record,
		"%" PRIu64 " %" PRIu64 " %s %s %u %" PRId64 " %s %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %#" PRIx64 "\n",
		t->entry, s->seq++, t->name, call_name(t->nr, buf), t->nr >= 0 && t->nr < CALLS ? t->count[t->nr] : 0,
		result, t->object[0] ? t->object : "-", t->args[0], t->args[1], t->args[2], t->args[3]);
}

/* ---- the fault ---- */

static void set_regs(pid_t tid, void (*change)(struct user_regs_struct *, uint64_t), uint64_t value)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, tid, 0, &r))
		return;
	change(&r, value);
	ptrace(PTRACE_SETREGS, tid, 0, &r);
}

static void no_call(struct user_regs_struct *r, uint64_t value)
{
	r->orig_rax = value;
}

static void result(struct user_regs_struct *r, uint64_t value)
{
	r->rax = value;
}

static void arg1(struct user_regs_struct *r, uint64_t value)
{
	r->rsi = value;
}

static void arg2(struct user_regs_struct *r, uint64_t value)
{
	r->rdx = value;
}

static void arg3(struct user_regs_struct *r, uint64_t value)
{
	r->r10 = value;
}

static void arg4(struct user_regs_struct *r, uint64_t value)
{
	r->r8 = value;
}

static uint64_t shorter(uint64_t len, int fault)
{
	return fault == ONE || len < 2 ? (len ? 1 : 0) : len / 2;
}

/* A vector: its first part only, and that shorter; it is put back, because the program goes on with it. */
static void shorten_vector(struct task *t, int fault)
{
	uint64_t part[2];

	if (!t->args[2] || !peek(t->tid, t->args[1], part, sizeof(part)))
		return;
	if (fault != ONE && t->args[2] > 1) {
		set_regs(t->tid, arg2, t->args[2] / 2);
		return;
	}
	t->iov_at = t->args[1] + 8;
	t->iov_len = part[1];
	part[1] = shorter(part[1], fault);
	poke(t->tid, t->iov_at, &part[1], 8);
	set_regs(t->tid, arg2, 1);
}

/* brk(2) does not return an error, but the end of the data that it could not change. */
static void arg0(struct user_regs_struct *r, uint64_t value)
{
	r->rdi = value;
}

static void begin_fault(struct state *s, struct task *t, const struct call_row *row)
{
	static void (*const args[])(struct user_regs_struct *, uint64_t) = { NULL, NULL, arg1, arg2, arg3, arg4 };

	s->done = true;
	t->fault = s->fault;
	t->changed = t->fault < 0 || t->nr == SYS_brk;
	describe(t, row);
	fprintf(stderr, "inject: fails: %s\n", t->object[0] ? t->object : "-");
	if (t->nr == SYS_futex && (t->args[1] & 0x7f) == 1) {
		t->fault = 0; /* FUTEX_WAKE cannot fail; the number of waits before it differs from run to run */
	} else if (t->nr == SYS_brk) {
		t->fault = 0;
		set_regs(t->tid, arg0, 0);
	} else if (t->fault > 0) {
		t->skipped = !row || row->kind != AFTER;
		if (t->skipped)
			set_regs(t->tid, no_call, (uint64_t)-1);
	} else if (row && row->count > 0) {
		set_regs(t->tid, args[row->count], shorter(t->args[row->count - 1], t->fault));
	} else if (row && row->count < 0) {
		shorten_vector(t, t->fault);
	}
}

/*
 * Calls that are made in a task which is not ours. Those that our stages have the holder make (lib/common/hold/protocol.h) are the
 * call "remote", found in the message; those that a tracer of ours makes by registers that it sets, to get and give back
 * the memory in the task (lib/common/trace/remote.c, tools/criu-restore/resume.c), are the call "task-call". The number
 * of the call, at @at in our program's memory, becomes one that no kernel knows, so it fails with ENOSYS.
 */
static bool inner_call(struct state *s, struct task *t, const char *kind, unsigned n, uint64_t at)
{
	const uint64_t none = 1023;
	char buf[32];
	int64_t nr;

	if (!peek(t->tid, at, &nr, sizeof(nr)))
		return false;
	if (s->record)
		fprintf(s->record, "%" PRIu64 " %" PRIu64 " %s %s %u 0 %s 0 0 0 0\n", t->entry, s->seq++, t->name, kind,
			n, call_name((long)nr, buf));
	if (s->done || strcmp(s->call, kind) != 0 || n != s->nth || strcmp(t->name, s->point) != 0)
		return false;
	s->done = true;
	fprintf(stderr, "inject: fails: %s-%s\n", kind, call_name((long)nr, buf));
	t->iov_at = at;
	t->iov_len = (uint64_t)nr;
	return poke(t->tid, at, &none, sizeof(none));
}

static void remote_call(struct state *s, struct task *t, uint64_t at)
{
	int64_t nr;

	if (peek(t->tid, at, &nr, sizeof(nr)) && nr >= 0)
		inner_call(s, t, "remote", ++t->remotes, at);
}

/* Return: the address of the registers in our program's memory, if the call is @request for them; else 0 */
static uint64_t regs_of(struct task *t, uint64_t request, struct user_regs_struct *r)
{
	struct iovec io;

	if (t->nr != SYS_ptrace || t->args[0] != request || t->args[2] != NT_PRSTATUS ||
	    !peek(t->tid, t->args[3], &io, sizeof(io)) || io.iov_len != sizeof(*r) ||
	    !peek(t->tid, (uintptr_t)io.iov_base, r, sizeof(*r)))
		return 0;
	return (uintptr_t)io.iov_base;
}

/* The registers stand before a system call instruction, and that call is mmap(2) or munmap(2). */
static void task_call(struct state *s, struct task *t)
{
	const uint8_t insn[2] = { 0x0f, 0x05 };
	struct user_regs_struct r;
	uint64_t at = regs_of(t, PTRACE_SETREGSET, &r);
	uint8_t code[2];

	if (!at || ~r.orig_rax || (r.rax != SYS_mmap && r.rax != SYS_munmap) ||
	    !peek((pid_t)t->args[1], r.rip, code, sizeof(code)) || memcmp(code, insn, sizeof(code)) != 0)
		return;
	if (inner_call(s, t, "task-call", ++t->task_calls, at + offsetof(struct user_regs_struct, rax)))
		t->answer_of = (pid_t)t->args[1];
}

/* What the tracer reads of the call that failed is the error of the point. */
static void task_answer(const struct state *s, struct task *t)
{
	const int64_t result = -s->fault;
	struct user_regs_struct r;
	uint64_t at;

	if (!t->answer_of || (pid_t)t->args[1] != t->answer_of)
		return;
	at = regs_of(t, PTRACE_GETREGSET, &r);
	if (!at || (int64_t)r.rax != -ENOSYS)
		return;
	poke(t->tid, at + offsetof(struct user_regs_struct, rax), &result, sizeof(result));
	t->answer_of = 0;
}

static void remote_calls(struct state *s, struct task *t)
{
	enum {
		VERB_CALLS = 8,
		VERB_CALLS_MANY = 17,
		CALL_BYTES = 64,
		PART_BYTES = 16,
		PARTS_MAX = 64,
		BATCH_MAX = 256
	};
	struct iovec iov[2];
	struct msghdr msg;
	uint64_t at, end;
	uint32_t verb, part[4];

	if (!peek(t->tid, t->args[1], &msg, sizeof(msg)) || msg.msg_iovlen != 2 ||
	    !peek(t->tid, (uintptr_t)msg.msg_iov, iov, sizeof(iov)) || iov[0].iov_len != 40 ||
	    !peek(t->tid, (uintptr_t)iov[0].iov_base, &verb, sizeof(verb)))
		return;
	at = (uintptr_t)iov[1].iov_base;
	end = at + iov[1].iov_len;
	if (verb == VERB_CALLS)
		for (; at + CALL_BYTES <= end; at += CALL_BYTES)
			remote_call(s, t, at);
	for (unsigned i = 0; verb == VERB_CALLS_MANY && i < PARTS_MAX && at + PART_BYTES <= end; i++) {
		if (!peek(t->tid, at, part, sizeof(part)) || part[1] > BATCH_MAX)
			return;
		at += PART_BYTES;
		for (uint32_t k = 0; k < part[1]; k++, at += CALL_BYTES)
			remote_call(s, t, at);
	}
}

/* ---- stops ---- */

static void detach(struct state *s, struct task *t)
{
	int status = 0;
	pid_t tid = t->tid;

	if (!t->waits) {
		pid_t got;

		ptrace(PTRACE_INTERRUPT, tid, 0, 0);
		/* A leader that dies is told of only when its threads, which are ours, have been: so not for ever. */
		for (int ms = 0; (got = waitpid(tid, &status, __WALL | WNOHANG)) == 0 && ms < DETACH_MS; ms++)
			poll(NULL, 0, ms > 100);
		if (got != tid)
			return;
	}
	if (!WIFEXITED(status) && !WIFSIGNALED(status))
		ptrace(PTRACE_DETACH, tid, 0,
		       WIFSTOPPED(status) && !(status >> 16) && !(WSTOPSIG(status) & 0x80) ? WSTOPSIG(status) : 0);
	forget(s, t);
}

static void seize_args(struct user_regs_struct *r, uint64_t options)
{
	r->rdi = PTRACE_SEIZE;
	r->rdx = 0;
	r->r10 = options;
}

/* Another tracer comes. */
static void hand_over(struct state *s, struct task *t)
{
	struct task *other = find(s, (pid_t)t->args[1]);

	if (!other)
		return;
	if (t->args[0] != PTRACE_SEIZE) {
		if (other->tracer != t->tid)
			return;
		t->seizes = true;
		set_regs(t->tid, seize_args, other->options);
		detach(s, other);
	} else if (other->inside && other->nr == SYS_futex) { /* parked */
		detach(s, other);
	} else {
		other->tracer = t->tid;
		other->options = t->args[3];
		t->pretend = true;
		set_regs(t->tid, no_call, (uint64_t)-1);
	}
}

static void on_entry(struct state *s, struct task *t, const struct __ptrace_syscall_info *info)
{
	const struct call_row *row = call_find((long)info->entry.nr);
	char buf[32];

	t->inside = true;
	t->nr = (long)info->entry.nr;
	memcpy(t->args, info->entry.args, sizeof(t->args));
	t->fault = 0;
	t->skipped = t->changed = false;
	t->iov_at = 0;
	if (!t->tool)
		return;
	if (t->again) {
		t->again = false;
		return;
	}
	if (t->nr >= 0 && t->nr < CALLS)
		t->count[t->nr]++;
	t->entry = s->seq++;
	if (s->record)
		describe(t, row);
	if (!s->done && s->nth && t->nr >= 0 && t->nr < CALLS && t->count[t->nr] == s->nth &&
	    !strcmp(t->name, s->point) && !strcmp(call_name(t->nr, buf), s->call))
		begin_fault(s, t, row);
	if (t->nr == SYS_sendmsg && !t->fault)
		remote_calls(s, t);
	if (t->nr == SYS_ptrace && !t->fault)
		task_call(s, t);
	if (s->slow_ms && t->nr >= 0 && t->nr < CALLS && t->count[t->nr] == s->slow_nth &&
	    !strcmp(call_name(t->nr, buf), s->slow))
		poll(NULL, 0, (int)s->slow_ms);
	if (row && row->kind == NEVER && strncmp(row->why, "cannot", 6))
		write_line(s, t, 0);
	if (t->nr == SYS_ptrace && !t->skipped)
		hand_over(s, t);
}

static void call_again(struct user_regs_struct *r, uint64_t ignored)
{
	r->rip -= 2;
	r->rax = SYS_ptrace;
}

static void args_back(struct task *t)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, t->tid, 0, &r))
		return;
	r.rdi = t->args[0];
	r.rsi = t->args[1];
	r.rdx = t->args[2];
	r.r10 = t->args[3];
	r.r8 = t->args[4];
	ptrace(PTRACE_SETREGS, t->tid, 0, &r);
}

static void on_exit_stop(struct state *s, struct task *t, const struct __ptrace_syscall_info *info)
{
	int64_t rval = info->exit.rval;

	if (!t->inside)
		return;
	t->inside = false;
	if (t->seizes) {
		t->seizes = false;
		args_back(t);
		if (!rval) {
			t->again = true;
			set_regs(t->tid, call_again, 0);
			return;
		}
	}
	if (t->pretend) {
		t->pretend = false;
		rval = 0;
		set_regs(t->tid, result, 0);
	}
	if (t->fault > 0) {
		rval = -t->fault;
		set_regs(t->tid, result, (uint64_t)rval);
	}
	if (t->changed)
		args_back(t);
	if (t->iov_at)
		poke(t->tid, t->iov_at, &t->iov_len, 8);
	task_answer(s, t);
	if (t->tool)
		write_line(s, t, rval);
}

static void on_exec(struct state *s, struct task *t)
{
	char path[64], exe[256];
	const char *base;
	unsigned same = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", t->tid);
	n = readlink(path, exe, sizeof(exe) - 1);
	exe[n < 0 ? 0 : n] = 0;
	base = strrchr(exe, '/');
	base = base ? base + 1 : exe;
	t->tool = !strncmp(base, "criu-", 5) || !strcmp(base, "crit");
	t->tgid = tgid_of(t->tid);
	t->children = t->threads = t->remotes = t->task_calls = 0;
	memset(t->count, 0, CALLS * sizeof(unsigned));
	/* The wrapper runs criu-freeze twice: the second is criu-freeze@2. */
	if (t->tool) {
		static char seen[64][NAME];
		static unsigned n_seen;

		for (unsigned i = 0; i < n_seen; i++)
			same += !strcmp(seen[i], base);
		if (n_seen < 64)
			snprintf(seen[n_seen++], NAME, "%.64s", base);
	}
	if (same)
		snprintf(t->name, NAME, "%.64s@%u", base, same + 1);
	else
		snprintf(t->name, NAME, "%.64s", base);
}

/* A new task has its name from its maker. */
static void on_new(struct state *s, struct task *maker, bool maybe_thread)
{
	unsigned long msg = 0;
	char name[NAME];
	struct task *t;
	pid_t tid;

	ptrace(PTRACE_GETEVENTMSG, maker->tid, 0, &msg);
	tid = (pid_t)msg;
	if (maybe_thread && tgid_of(tid) == maker->tgid) {
		struct task *leader = find(s, maker->tgid);
		size_t n = strcspn(maker->name, "/");

		snprintf(name, NAME, "%.*s/%u", (int)(n < 80 ? n : 80), maker->name,
			 ++(leader ? leader : maker)->threads);
	} else {
		size_t n = strcspn(maker->name, "/");

		snprintf(name, NAME, "%.*s.%u", (int)(n < 80 ? n : 80), maker->name, ++maker->children);
	}
	t = find(s, tid);
	/* add() may not move the maker: the array is fixed */
	if (!t)
		t = add(s, tid);
	snprintf(t->name, NAME, "%s", name);
	t->tool = maker->tool;
	t->tgid = tgid_of(tid);
	if (t->waits) {
		t->waits = false;
		go_on(s, t, 0);
	}
}

static void on_stop(struct state *s, pid_t tid, int status)
{
	struct __ptrace_syscall_info info;
	struct task *t = find(s, tid);
	int event = status >> 16, sig = WSTOPSIG(status), pass = 0;

	if (!t)
		t = add(s, tid);
	if (!t->name[0]) {
		t->waits = true;
		return;
	}
	if (sig == (SIGTRAP | 0x80)) {
		memset(&info, 0, sizeof(info));
		ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
			on_entry(s, t, &info);
		else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
			on_exit_stop(s, t, &info);
	} else if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) {
		ptrace(PTRACE_LISTEN, tid, 0, 0);
		return;
	} else if (event == PTRACE_EVENT_EXEC) {
		on_exec(s, t);
	} else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
		on_new(s, t, event == PTRACE_EVENT_CLONE);
	} else if (!event) {
		pass = sig;
	}
	go_on(s, t, pass);
}

static void report_left(const struct state *s, const char *why)
{
	char buf[32];

	for (unsigned i = 0; i < s->n; i++)
		fprintf(stderr, "inject: %s: %s (%d) is in %s %s\n", why, s->task[i].name[0] ? s->task[i].name : "?",
			s->task[i].tid, s->task[i].inside ? call_name(s->task[i].nr, buf) : "its own code",
			s->task[i].object);
}

static void set_alarm(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
	struct itimerspec it = { .it_value = ts, .it_interval = { 0, 100000000 } };
	static timer_t timer;
	static bool made;

	if (!made && timer_create(CLOCK_MONOTONIC, NULL, &timer))
		die("timer_create");
	made = true;
	timer_settime(timer, 0, &it, NULL);
}

static int run(struct state *s)
{
	bool ended = false;

	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);
		struct task *t;

		if (tid < 0 && errno == ECHILD)
			break;
		if (expired) {
			report_left(s, ended ? "left" : "timeout");
			return 124;
		}
		if (tid < 0)
			continue;
		if (WIFSTOPPED(status)) {
			on_stop(s, tid, status);
			continue;
		}
		t = find(s, tid);
		if (t)
			forget(s, t);
		if (tid == s->main) {
			ended = true;
			s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			set_alarm(GRACE_MS);
		} else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM) {
			fprintf(stderr, "inject: signal %d ended a task\n", WTERMSIG(status));
		}
	}
	return s->status;
}

static pid_t start(char **argv)
{
	int go[2];
	pid_t pid;
	char c;

	if (pipe2(go, O_CLOEXEC))
		die("pipe2");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		if (read(go[0], &c, 1) == 1)
			execvp(argv[0], argv);
		_exit(127);
	}
	if (ptrace(PTRACE_SEIZE, pid, 0, OPTIONS))
		die("PTRACE_SEIZE");
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	if (write(go[1], "g", 1) != 1)
		die("write");
	close(go[0]);
	close(go[1]);
	return pid;
}

static void parse_point(struct state *s, char *text)
{
	char *task = strtok(text, ":"), *call = strtok(NULL, ":"), *nth = strtok(NULL, ":"), *fault = strtok(NULL, ":");

	if (!fault) {
		fprintf(stderr, "inject: -p TASK:CALL:N:FAULT\n");
		exit(125);
	}
	snprintf(s->point, NAME, "%s", task);
	snprintf(s->call, sizeof(s->call), "%s", call);
	s->nth = strtoul(nth, NULL, 10);
	s->fault = !strcmp(fault, "short") ? SHORT : !strcmp(fault, "one") ? ONE : atoi(fault);
}

static void parse_slow(struct state *s, char *text)
{
	char *call = strtok(text, ":"), *nth = strtok(NULL, ":"), *ms = strtok(NULL, ":");

	if (!ms) {
		fprintf(stderr, "inject: -s CALL:N:MS\n");
		exit(125);
	}
	snprintf(s->slow, sizeof(s->slow), "%s", call);
	s->slow_nth = strtoul(nth, NULL, 10);
	s->slow_ms = strtoul(ms, NULL, 10);
}

/* The table as text, for who makes the list of points: NAME KIND SHORT ERRNO... */
static void print_table(void)
{
	static const char *const kinds[] = { "never", "fail", "after" };

	for (size_t i = 0; i < sizeof(call_rows) / sizeof(call_rows[0]); i++) {
		printf("%s %s %d", call_rows[i].name, kinds[call_rows[i].kind], call_rows[i].count);
		for (unsigned k = 0; k < 8 && call_rows[i].errors[k]; k++)
			printf(" %d", call_rows[i].errors[k]);
		printf("%s%s\n", call_rows[i].why ? " " : "", call_rows[i].why ? call_rows[i].why : "");
	}
}

int main(int argc, char **argv)
{
	static struct state s;
	long seconds = 30;
	int opt, ret;

	while ((opt = getopt(argc, argv, "+o:p:s:t:l")) != -1) {
		if (opt == 'o')
			s.record = fopen(optarg, "we");
		else if (opt == 'p')
			parse_point(&s, optarg);
		else if (opt == 's')
			parse_slow(&s, optarg);
		else if (opt == 't')
			seconds = atol(optarg);
		else if (opt == 'l')
			return print_table(), 0;
		else
			return 125;
		if (opt == 'o' && !s.record)
			die(optarg);
	}
	if (optind == argc)
		return 125;
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	s.main = start(argv + optind);
	snprintf(add(&s, s.main)->name, NAME, "command");
	find(&s, s.main)->tgid = s.main;
	set_alarm(seconds * 1000);
	ret = run(&s);
	if (s.record && fclose(s.record))
		die("the record");
	if (s.nth && !s.done)
		fprintf(stderr, "inject: the point was not reached\n");
	return ret;
}
