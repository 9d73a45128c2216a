/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pure parts of trace/: what is found in code, what a frame looks like; and a frame that the kernel takes. */
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "restart.h"
#include "tap.h"
#include "trace/code.h"
#include "trace/frame.h"
#include "trace/look.h"
#include "trace/remote.h"
#include "trace/trace.h"

static void test_find(void)
{
	static const uint8_t plain[] = { 0x90, 0x0f, 0x05, 0xc3 };
	static const uint8_t vdso[] = { 0xcc, 0x0f, 0x05, 0x31, 0xd2, 0x31, 0xc9, 0x45, 0x31, 0xdb, 0xc3 };
	static const uint8_t harm[] = { 0x90, 0x0f, 0x05, 0x5d, 0xc3, 0x0f, 0x05, 0x31, 0xe4, 0xc3, 0x0f, 0x05 };
	static const uint8_t rest[] = { 0x90, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05, 0x0f };
	static const uint8_t no[] = { 0x90, 0x49, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05, 0x48, 0xc7, 0xc0, 0x0f };
	const uint8_t *ours = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);

	ok(code_find_syscall(plain, sizeof(plain)) == 1, "syscall; ret");
	ok(code_find_syscall(vdso, sizeof(vdso)) == 1, "syscall; xor ...; ret");
	ok(!code_find_syscall(harm, sizeof(harm)), "nothing that touches the stack");
	ok(code_find_restorer(rest, sizeof(rest)) == 1, "mov $15, %%rax; syscall");
	ok(code_find_restorer(no, sizeof(no)) == sizeof(no), "not one into r8, not half of one");
	ok(ours && code_find_syscall(ours, 4096), "this kernel's vdso has a syscall");
}

static void test_lost_nr(void)
{
	uint8_t code[RESTART_CODE];

	memset(code, 0x90, sizeof(code));
	ok(!restart_lost_nr(code), "no number");
	memcpy(code + 10, "\xb8\xe6\0\0\0", 5);
	ok(restart_lost_nr(code) == 230, "clock_nanosleep");
	memcpy(code + 20, "\xb8\x07\0\0\0", 5);
	ok(restart_lost_nr(code) == 7, "the last one counts");
	memcpy(code + 27, "\xb8\x01\0\0\0", 5);
	ok(restart_lost_nr(code) == 7, "calls that are not restarted in this way do not count");
}

static volatile int reached;

static void spin(void)
{
	for (;;)
		reached++;
}

/* A child spins; it gets a frame of its registers, is sent through rt_sigreturn, and spins on with the same state. */
static void test_frame(void)
{
	static uint8_t page[65536] __attribute__((aligned(64)));
	uint8_t before[FRAME_MAX], after[FRAME_MAX];
	struct user_regs_struct home, r, now;
	pid_t pid = fork();
	uint64_t mask = 0;
	ssize_t n, m;
	int64_t ret;
	size_t len;

	if (!pid)
		spin();
	usleep(10000);
	ok(!trace_seize(pid, 0) && !trace_stop(pid) && !trace_get_regs(pid, &home), "a child stands");
	n = trace_get_xstate(pid, before, sizeof(before));
	ok(n >= 576, "its vector state has %zd bytes", n);
	len = frame_xstate_len(before, n);
	ok(frame_size(len) <= FRAME_MAX, "a frame has %zu bytes", frame_size(len));
	frame_build(page, (uintptr_t)page, 0, &home, 1ull << (SIGUSR1 - 1), before, len);
	ok(!mem_write(pid, (uintptr_t)page, page, frame_size(len)), "the frame is in its memory");
	r = home;
	r.rsp = (uintptr_t)page + 8;
	trace_set_regs(pid, &r);
	ok(!trace_syscall_at(pid,
			     getauxval(AT_SYSINFO_EHDR) +
				     code_find_syscall((const uint8_t *)getauxval(AT_SYSINFO_EHDR), 4096),
			     15, (const uint64_t[6]){ 0 }, &ret),
	   "it goes through rt_sigreturn");
	m = trace_get_xstate(pid, after, sizeof(after));
	ok(!trace_get_regs(pid, &now) && now.rip == home.rip && now.rsp == home.rsp && now.rax == home.rax &&
		   now.rcx == home.rcx && now.r11 == home.r11 && now.eflags == home.eflags,
	   "registers are back");
	ok(m == n && !memcmp(before, after, 464) && !memcmp(before + 512, after + 512, n - 512),
	   "vector state is back");
	ok(!trace_get_sigmask(pid, &mask) && mask == 1ull << (SIGUSR1 - 1), "the mask is the frame's");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- a stack with no room ---- */

static uint64_t stack_start(void)
{
	char line[256];
	uint64_t start = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "[stack]"))
			sscanf(line, "%lx", &start);
	if (f)
		fclose(f);
	return start;
}

/* Without the sanitizer, whose frames would be larger than what is left. */
static __attribute__((noinline, no_sanitize("address", "undefined"))) void deep(uint64_t start,
										volatile unsigned *there)
{
	volatile char here[512];

	for (size_t i = 0; i < sizeof(here); i++)
		here[i] = 0x5a;
	if ((uint64_t)(uintptr_t)here - start > 1500) {
		deep(start, there);
	} else {
		*there = 1;
		while (*there)
			pause();
	}
	if (here[5] != 0x5a)
		_exit(1);
}

/* Down to the end of what is mapped: the stack must grow for the frame. */
static void test_deep(void)
{
	struct remote_call call = { .nr = SYS_getpid };
	struct remote_proc p = { 0 };
	struct remote_thread t = { 0 };
	struct remote_batch b = { .p = &p, .t = &t };
	volatile unsigned *there = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	if (!pid)
		deep(stack_start(), there);
	for (int i = 0; i < 1000 && !*there; i++)
		usleep(10000);
	usleep(10000);
	p.pid = t.tid = pid;
	ok(!trace_seize(pid, 0) && !trace_stop(pid) && !remote_load(&t), "a child stands, deep in its stack");
	ok(!remote_look(&p, t.home.rsp) && p.stack && t.home.rsp - p.stack < 4096, "less than a page is left");
	p.low_sp = t.home.rsp;
	remote_map(&b, 1);
	ok(!b.err && p.map, "our area is mapped (%d)", b.err);
	b.calls = &call;
	b.n = 1;
	remote_run(&b, 1);
	ok(!b.err && call.ret == pid, "a call is made");
	remote_unmap(&b, 1);
	ok(!b.err && !p.map, "our area is unmapped");
	trace_detach(pid, 0);
	usleep(10000);
	ok(waitpid(pid, NULL, WNOHANG) == 0, "it lives");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- what a call leaves ---- */

/*
 * The frame of the first call lies in [stack]. A program that comes to stand there later, with nothing written over it, must
 * not be taken for one that works for a holder: it would be sent back to where it was then.
 */
static void test_frame_left(void)
{
	struct remote_proc p = { 0 };
	struct remote_thread t = { 0 }, again = { 0 };
	struct remote_batch b = { .p = &p, .t = &t };
	struct user_regs_struct r;
	pid_t pid = fork();
	uint64_t stack;

	if (!pid)
		spin();
	usleep(10000);
	p.pid = t.tid = again.tid = pid;
	ok(!trace_seize(pid, 0) && !trace_stop(pid) && !remote_load(&t) && !remote_look(&p, t.home.rsp),
	   "a child stands");
	p.low_sp = t.home.rsp;
	stack = p.stack;
	remote_map(&b, 1);
	remote_unmap(&b, 1);
	ok(!b.err && p.stack == stack, "calls were made with their frame at the low end of its stack");
	r = t.home;
	r.rsp = (stack + FRAME_ALIGN - 1) & -(uint64_t)FRAME_ALIGN;
	r.rbx = 0x1234;
	ok(!trace_set_regs(pid, &r) && !remote_load(&again) && again.home.rsp == r.rsp && again.home.rbx == r.rbx,
	   "its registers are its own where the frame was");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- signals ---- */

static volatile int *caught;

static void catch (int sig)
{
	(void)sig;
	++*caught;
}

/* The holder is killed when it has seen that a thread is about to take a signal. */
static void test_signal_kept(void)
{
	pid_t pid, tracer;
	int status;

	caught = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (!pid) {
		signal(SIGUSR1, catch);
		spin();
	}
	usleep(10000);
	tracer = fork();
	if (!tracer) {
		struct trace_event ev, same;
		bool good = !trace_seize(pid, 0) && !kill(pid, SIGUSR1) && !trace_wait(pid, false, &ev) &&
			    ev.kind == TRACE_SIGNAL && ev.sig == SIGUSR1 && !trace_wait(pid, true, &same) &&
			    same.kind == TRACE_SIGNAL;

		_exit(!good);
	}
	ok(waitpid(tracer, &status, 0) == tracer && !status, "a signal is seen, as often as one looks");
	for (int i = 0; i < 100 && !*caught; i++)
		usleep(10000);
	ok(*caught == 1, "it comes when the tracer has died");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL); /* as in the holder */
	test_find();
	test_lost_nr();
	test_frame();
	test_deep();
	test_frame_left();
	test_signal_kept();
	return tap_done();
}
