/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel facts that trace/ and the holder rely on (lib/common/trace/remote.c, tools/criu-freeze/tree.c). */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

/* A loop, and a `syscall; ret` whose return address leads back into it. */
void spin(void);
extern char call_and_return[];
__asm__(".globl spin\nspin: pause\njmp spin\n"
	".globl call_and_return\ncall_and_return: syscall\nret\n");

static pid_t start(void (*body)(void))
{
	pid_t pid = fork();

	if (!pid) {
		body();
		_exit(0);
	}
	usleep(10000);
	return pid;
}

static bool stop_it(pid_t pid, int *status)
{
	return !ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) && !ptrace(PTRACE_INTERRUPT, pid, 0, 0) &&
	       waitpid(pid, status, __WALL) == pid && WIFSTOPPED(*status);
}

static bool alive(pid_t pid)
{
	usleep(10000);
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A tracer that makes calls in @pid, with @how to resume it, until it is killed. */
static void calls(pid_t pid, int how)
{
	struct user_regs_struct home, r;
	struct iovec io = { &home, sizeof(home) }, mine = { &r, sizeof(r) };
	uint64_t back = (uintptr_t)spin, frame;
	struct iovec here = { &back, 8 }, there;
	int status;

	if (!stop_it(pid, &status) || ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io))
		_exit(1);
	frame = (home.rsp - 4096) & ~15ull;
	there = (struct iovec){ (void *)(uintptr_t)frame, 8 };
	if (process_vm_writev(pid, &here, 1, &there, 1, 0) != 8)
		_exit(1);
	for (;;) {
		r = home;
		r.rip = (uintptr_t)call_and_return;
		r.rsp = frame;
		r.rax = SYS_getpid;
		r.orig_rax = -1;
		ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &mine);
		ptrace(how, pid, 0, 0);
		waitpid(pid, &status, __WALL);
	}
}

static int deaths(int how, int rounds)
{
	int died = 0;

	for (int i = 0; i < rounds; i++) {
		pid_t pid = start(spin), tracer = fork();

		if (!tracer)
			calls(pid, how);
		usleep(3000 + 100 * i);
		end(tracer);
		died += !alive(pid);
		end(pid);
	}
	return died;
}

static void sleep_long(void)
{
	struct timespec ts = { 100, 0 };

	_exit(nanosleep(&ts, NULL) ? 1 : 0);
}

static void test_deaths(void)
{
	ok(deaths(PTRACE_SINGLESTEP, 20) > 0, "a task whose tracer dies while it single-steps is killed by SIGTRAP");
	ok(deaths(PTRACE_SYSCALL, 20) == 0, "a task whose tracer dies between stops of PTRACE_SYSCALL lives");
}

/* A signal that is ignored stops a traced task, and is nothing without a tracer. */
static void test_ignored_signal(void)
{
	pid_t pid = start(spin);
	int status;

	ok(stop_it(pid, &status), "a task stops");
	ok((status >> 16) == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGTRAP, "by PTRACE_EVENT_STOP");
	kill(pid, SIGURG);
	ptrace(PTRACE_CONT, pid, 0, 0);
	ok(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGURG,
	   "SIGURG, ignored by default, stops a traced task");
	ptrace(PTRACE_DETACH, pid, 0, 0);
	kill(pid, SIGURG);
	ok(alive(pid), "and is nothing to one without tracer");
	end(pid);
}

static volatile sig_atomic_t *caught;

static void on_signal(int sig)
{
	(void)sig;
	++*caught;
}

static void catching(void)
{
	signal(SIGUSR1, on_signal);
	spin();
}

/* A tracer dies while a signal is about to be delivered. Return: how often it was. */
static int delivered(int flags)
{
	pid_t pid, tracer;

	*caught = 0;
	pid = start(catching);
	tracer = fork();
	if (!tracer) {
		siginfo_t si = { 0 };

		ptrace(PTRACE_SEIZE, pid, 0, 0);
		kill(pid, SIGUSR1);
		_exit(waitid(P_PID, pid, &si, WSTOPPED | __WALL | flags) || si.si_status != SIGUSR1);
	}
	if (waitpid(tracer, &(int){ 0 }, 0) != tracer || !alive(pid))
		return -1;
	end(pid);
	return *caught;
}

/* So trace_wait() does not take signals. */
static void test_signal_stop(void)
{
	caught = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ok(delivered(0) == 0, "a signal that the tracer has waited for is lost when the tracer dies");
	ok(delivered(WNOWAIT) == 1, "one that it has only looked at is delivered");
}

static void test_restart(void)
{
	struct user_regs_struct r, mine;
	struct iovec io = { &r, sizeof(r) }, set = { &mine, sizeof(mine) };
	pid_t pid = start(sleep_long);
	int status;

	stop_it(pid, &status);
	ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io);
	ok((long)r.rax == -516 && r.orig_rax >= 35, "a sleep shows -ERESTART_RESTARTBLOCK");
	mine = r;
	mine.rip = (uintptr_t)call_and_return;
	mine.rax = SYS_getpid;
	mine.orig_rax = -1;
	ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &set);
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	waitpid(pid, &status, __WALL);
	ok(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80), "at the entry of a call");
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	waitpid(pid, &status, __WALL);
	set.iov_len = sizeof(mine);
	ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &set);
	ok((pid_t)mine.rax == pid, "it makes a call for us");
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, __WALL);
	ok((status >> 16) == PTRACE_EVENT_STOP,
	   "an interrupt asked for before it is resumed stops it before user mode");
	ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &io);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	ok(alive(pid), "and with its registers put back it sleeps on");
	end(pid);
}

static void test_group_stop(void)
{
	pid_t pid = start(spin), tracer;
	int status;

	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	tracer = fork();
	if (!tracer) {
		stop_it(pid, &status);
		_exit((status >> 16) == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGSTOP ? 0 : 1);
	}
	waitpid(tracer, &status, 0);
	ok(WIFEXITED(status) && !WEXITSTATUS(status), "a stopped task shows what stopped it");
	usleep(10000);
	kill(pid, SIGCONT);
	ok(waitpid(pid, &status, WCONTINUED | WNOHANG) == pid && WIFCONTINUED(status),
	   "it is stopped still when the tracer is dead, until SIGCONT");
	end(pid);
}

static void in_vfork(void)
{
	if (!vfork()) {
		usleep(200000);
		_exit(0);
	}
	spin();
}

static void test_vfork(void)
{
	pid_t pid = start(in_vfork);
	int status;

	ptrace(PTRACE_SEIZE, pid, 0, 0);
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	usleep(20000);
	ok(waitpid(pid, &status, __WALL | WNOHANG) == 0, "a task in vfork does not stop");
	ok(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status), "before its child has ended");
	end(pid);
}

int main(void)
{
	test_deaths();
	test_ignored_signal();
	test_signal_stop();
	test_restart();
	test_group_stop();
	test_vfork();
	return tap_done();
}
