/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A task that is stopped at the entry of fork(2), vfork(2), clone3(2) or wait4(2), so that the call is to be made again
 * (-ERESTARTNOINTR, -ERESTARTSYS), makes calls for us, and is let go; or we die in the middle of such a call. Each child
 * must be born once, each fork return once, each child be waited for once. Then the same at random moments.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/sched.h>

#include "tap.h"
#include "trace/remote.h"
#include "trace/trace.h"

enum { ERESTARTSYS = 512, ERESTARTNOINTR = 513, RANDOM = 200 };

static struct shared {
	volatile uint64_t born, returned, ended, bad;
	volatile uint32_t free; /* children of the one that waits may end */
	volatile long rax;
} * s;

static const struct how {
	const char *name;
	long nr, restart;
} hows[] = {
	{ "fork", SYS_clone, -ERESTARTNOINTR },
	{ "vfork", SYS_vfork, -ERESTARTNOINTR },
	{ "clone3", SYS_clone3, -ERESTARTNOINTR },
	{ "wait4", SYS_wait4, -ERESTARTSYS },
};

static pid_t make_child(long nr)
{
	struct clone_args ca = { .exit_signal = SIGCHLD };

	return nr == SYS_clone3 ? (pid_t)syscall(SYS_clone3, &ca, sizeof(ca)) : fork();
}

/* Counts what it does; nobody else writes there. */
static _Noreturn void work(long nr)
{
	for (;;) {
		pid_t pid = nr == SYS_vfork ? vfork()
					    : make_child(nr); /* vfork: here, since nobody may return from there */
		int status = 0;

		if (!pid) {
			s->born++;
			while (nr == SYS_wait4 && !s->free)
				usleep(1000);
			_exit(7);
		}
		s->returned++;
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 7 << 8)
			s->bad++;
		s->ended++;
		if (s->born != s->ended || s->returned != s->ended)
			s->bad++;
	}
}

/* To the entry of the call, and from there, with an interrupt pending, into it. */
static bool stop_in(pid_t pid, long nr)
{
	struct user_regs_struct r;
	struct trace_event ev;

	if (trace_seize(pid, 0) || trace_stop(pid))
		return false;
	do {
		if (trace_cont_syscall(pid) || trace_wait(pid, false, &ev) || trace_get_regs(pid, &r))
			return false;
	} while (ev.kind != TRACE_SYSCALL || (long)r.orig_rax != nr || (long)r.rax != -ENOSYS);
	if (trace_interrupt(pid) || trace_cont(pid, 0))
		return false;
	while (!trace_wait(pid, false, &ev) && ev.kind != TRACE_STOP)
		if (trace_cont(pid, ev.kind == TRACE_SIGNAL ? ev.sig : 0))
			return false;
	if (trace_get_regs(pid, &r))
		return false;
	s->rax = (long)r.rax;
	return true;
}

/* @deadly: the second call in the task kills us. Return: whether all went well (if we live). */
static bool make_calls(pid_t pid, bool single, bool deadly)
{
	struct remote_call calls[3] = { { .nr = SYS_getpid }, { .nr = -1 }, { .nr = SYS_getpid } };
	struct remote_proc p = { .pid = pid };
	struct remote_thread t = { .tid = pid, .single = single };
	struct remote_batch b = { .p = &p, .t = &t, .calls = calls, .n = 3 };
	bool good;

	if (deadly)
		calls[1] = (struct remote_call){ .nr = SYS_kill, .arg = { (uint64_t)getpid(), SIGKILL } };
	if (remote_load(&t) || remote_look(&p, t.home.rsp))
		return false;
	p.low_sp = t.home.rsp;
	remote_map(&b, 1);
	b.calls = calls;
	b.n = 3;
	if (!b.err)
		remote_run(&b, 1);
	good = !b.err && calls[0].ret == pid && calls[2].ret == pid;
	remote_unmap(&b, 1);
	return good && !b.err && !trace_detach(pid, 0);
}

static bool goes_on(void)
{
	uint64_t to = s->ended + 3;

	for (int i = 0; i < 3000 && s->ended < to && !s->bad; i++)
		usleep(10000);
	return s->ended >= to && !s->bad;
}

/* In a process of its own, which may die of it. */
static int traced(pid_t pid, long nr, bool single, bool deadly)
{
	pid_t tracer = fork();
	int status;

	if (!tracer) {
		bool good = nr ? stop_in(pid, nr) : !trace_seize(pid, 0) && !trace_stop(pid);

		s->free = 1;
		_exit(!(good && make_calls(pid, single, deadly)));
	}
	waitpid(tracer, &status, 0);
	return status;
}

static pid_t start(long nr)
{
	pid_t pid;

	/* Not the page of the last one: a child of it may not have counted itself yet. */
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (!pid)
		work(nr);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_at_entry(const struct how *h)
{
	for (int i = 0; i < 4; i++) {
		bool single = i & 1, deadly = i & 2;
		pid_t pid = start(h->nr);
		int status = traced(pid, h->nr, single, deadly);

		ok(s->rax == h->restart, "%s: stopped in it, to be made again (%ld)", h->name, s->rax);
		ok(status == (deadly ? SIGKILL : 0), "calls in there, %s%s", single ? "one by one" : "in a row",
		   deadly ? ": we die in the middle" : "");
		ok(goes_on(), "each child is born, and waited for, once");
		end(pid);
	}
}

static void test_random(const struct how *h)
{
	pid_t pid = start(h->nr);
	int bad = 0;

	s->free = 1;
	for (int i = 0; i < RANDOM; i++) {
		usleep((useconds_t)rand() % 500);
		bad += traced(pid, 0, i & 1, i & 2) != (i & 2 ? SIGKILL : 0);
	}
	ok(!bad && goes_on(), "%s: %d times at a random moment, half of them deadly for us (%lu rounds)", h->name,
	   RANDOM, (unsigned long)s->ended);
	end(pid);
}

int main(void)
{
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL); /* as in the holder */
	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		test_at_entry(&hows[i]);
		test_random(&hows[i]);
	}
	return tap_done();
}
