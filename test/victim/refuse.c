/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must be refused by name: refuse WHAT makes one such state and waits. After "go" it says that it still runs.
 */
#include "victim.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

static pid_t child, second;

static void sleep_for_ever(void)
{
	for (;;)
		pause();
}

static void make_traced(void)
{
	need((child = fork()) >= 0);
	if (!child)
		sleep_for_ever();
	need(!ptrace(PTRACE_SEIZE, child, 0, 0));
}

static void make_notify(void)
{
	struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getitimer, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, insn };

	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	need(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog) >= 0);
}

/* A tile register in use, as the kernel's documentation (arch/x86/xstate.rst) says that a program asks for it. */
static void make_amx(void)
{
	enum { REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
	static const struct {
		uint8_t palette, start_row, zero[14];
		uint16_t row_bytes[16];
		uint8_t rows[16];
	} config __attribute__((aligned(64))) = { .palette = 1, .row_bytes = { 64 }, .rows = { 16 } };

	need(!syscall(SYS_arch_prctl, REQ_XCOMP_PERM, XTILEDATA));
	asm volatile("ldtilecfg %0\n\ttilezero %%tmm0" : : "m"(config));
}

/* Calls from anywhere may be handed to a handler of SIGSYS; just now they are not. */
static void make_dispatch(void)
{
	static char selector;

	need(!prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, 0, 0, &selector));
}

static void make_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	need(fd >= 0 && !ioctl(fd, UFFDIO_API, &api));
}

/* Registered memory whose descriptor is held by nobody of the tree any more is no state; so both stay. */
static void make_userfault_memory(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	void *p = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && p != MAP_FAILED);
	reg.range.start = (uintptr_t)p;
	reg.range.len = 1 << 16;
	need(!ioctl(fd, UFFDIO_REGISTER, &reg));
}

static void make_namespace(int flag)
{
	need(!unshare(flag));
	need((child = fork()) >= 0);
	if (!child)
		sleep_for_ever();
}

static int pause_for_ever(void *arg)
{
	for (;;)
		syscall(SYS_pause);
	return arg != NULL;
}

/* Children go with us, also when a check fails. */
static pid_t clone_with(int flags, char *stack, size_t size)
{
	pid_t pid = clone(pause_for_ever, stack + size, flags | SIGCHLD, NULL);

	need(pid >= 0);
	return pid;
}

static void make_shared_by(int flag)
{
	static char stack[65536] __attribute__((aligned(16)));

	child = clone_with(flag, stack, sizeof(stack));
}

/* Two siblings share a table that their parent has no more. */
static void make_shared_table_of_siblings(void)
{
	static char stack[2][65536] __attribute__((aligned(16)));

	child = clone_with(CLONE_FILES, stack[0], sizeof(stack[0]));
	second = clone_with(CLONE_FILES, stack[1], sizeof(stack[1]));
	need(!unshare(CLONE_FILES));
}

static void make_tree_with_leader_dead(void)
{
	/* A thread group whose leader has ended: a detached thread goes on. */
	need((child = fork()) >= 0);
	if (!child) {
		static char stack[65536] __attribute__((aligned(16)));

		asm volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n2:\tmov $34, %%eax\n\tsyscall\n\tjmp 2b\n1:"
			     :
			     : "a"(SYS_clone),
			       "D"(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM),
			       "S"(stack + sizeof(stack)), "d"(0)
			     : "rcx", "r11", "memory");
		syscall(SYS_exit, 0);
	}
	usleep(100000);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "traced"))
		make_traced();
	else if (!strcmp(what, "seccomp-notify"))
		make_notify();
	else if (!strcmp(what, "amx"))
		make_amx();
	else if (!strcmp(what, "dispatch"))
		make_dispatch();
	else if (!strcmp(what, "userfaultfd"))
		make_userfaultfd();
	else if (!strcmp(what, "userfault-memory"))
		make_userfault_memory();
	else if (!strcmp(what, "netns"))
		make_namespace(CLONE_NEWNET);
	else if (!strcmp(what, "utsns"))
		make_namespace(CLONE_NEWUTS);
	else if (!strcmp(what, "ipcns"))
		make_namespace(CLONE_NEWIPC);
	else if (!strcmp(what, "mntns"))
		make_namespace(CLONE_NEWNS);
	else if (!strcmp(what, "pidns"))
		make_namespace(CLONE_NEWPID);
	else if (!strcmp(what, "userns"))
		make_namespace(CLONE_NEWUSER);
	else if (!strcmp(what, "cgroupns"))
		make_namespace(CLONE_NEWCGROUP);
	else if (!strcmp(what, "shared-vm"))
		make_shared_by(CLONE_VM);
	else if (!strcmp(what, "shared-fs"))
		make_shared_by(CLONE_FS);
	else if (!strcmp(what, "shared-table"))
		make_shared_table_of_siblings();
	else if (!strcmp(what, "leader-dead"))
		make_tree_with_leader_dead();
	else
		need(!"refuse: unknown state");
	victim_ready();
	victim_wait();
	check("still running", true);
	if (child > 0)
		kill(child, SIGKILL);
	if (second > 0)
		kill(second, SIGKILL);
	return victim_done();
}
