/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seccomp (C10, C11): a child in strict mode that goes on through its only system calls, and a process with a chain of
 * two filters, a thread with a third one of its own, the log flag, shared with a child by inheritance.
 */
#include "victim.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>

/* One filter: system call @nr fails with @err. */
static void deny(int nr, int err, unsigned flags)
{
	struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, insn };

	need(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog));
}

static bool fails_with(int nr, int err)
{
	errno = 0;
	return syscall(nr, 0, 0, 0) == -1 && errno == err;
}

static volatile int stage;
static volatile bool thread_ok;

static void *with_own_filter(void *arg)
{
	deny(SYS_sched_yield, 77, 0);
	stage = 1;
	while (stage != 2)
		usleep(5000);
	thread_ok = fails_with(SYS_sched_yield, 77) && fails_with(SYS_getitimer, 99) && fails_with(SYS_gettid, 88);
	stage = 3;
	return arg;
}

static int seccomp_mode(pid_t pid)
{
	char path[64], line[128];
	int mode = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			break;
	if (f)
		fclose(f);
	return mode;
}

int main(void)
{
	int in[2], out[2], status;
	pid_t strict, heir;
	char byte = 0;
	pthread_t t;

	need(!pipe(in) && !pipe(out));
	need((strict = fork()) >= 0);
	if (!strict) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		while (read(in[0], &byte, 1) == 1)
			if (write(out[1], &byte, 1) != 1)
				break;
		syscall(SYS_exit, 5);
	}
	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	deny(SYS_getitimer, 99, 0);
	deny(SYS_gettid, 88, SECCOMP_FILTER_FLAG_LOG);
	need((heir = fork()) >= 0);
	if (!heir) {
		victim_wait();
		_exit(fails_with(SYS_getitimer, 99) && fails_with(SYS_gettid, 88) ? 42 : 43);
	}
	need(!pthread_create(&t, NULL, with_own_filter, NULL));
	while (stage != 1)
		usleep(1000);
	while (seccomp_mode(strict) != 1)
		usleep(1000);

	victim_ready();
	victim_wait();

	check("chain of filters", fails_with(SYS_getitimer, 99) && fails_with(SYS_gettid, 88));
	check("not the thread's", syscall(SYS_sched_yield) == 0);
	stage = 2;
	for (int i = 0; i < 400 && stage != 3; i++)
		usleep(10000);
	check("filter of a thread", thread_ok);
	check("inherited filters", waitpid(heir, &status, 0) == heir && status == 42 << 8);
	check("strict mode", seccomp_mode(strict) == 1);
	check("strict task goes on", write(in[1], "x", 1) == 1 && read(out[0], &byte, 1) == 1 && byte == 'x');
	close(in[1]);
	close(in[0]);
	kill(strict, SIGKILL);
	waitpid(strict, &status, 0);
	return victim_done();
}
