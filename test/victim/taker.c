/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * taker PID:HOW...: takes numbers, as a process, thread, group (whose leader is gone), session (whose leader and
 * group are gone) or zombie, prints "ready" and waits. No victim of a dump: it is what a restore finds in its way.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t fork_as(pid_t pid)
{
	struct clone_args ca = { .exit_signal = SIGCHLD, .set_tid = (unsigned long)&pid, .set_tid_size = 1 };
	long ret = syscall(SYS_clone3, &ca, sizeof(ca));

	if (ret < 0) {
		printf("pid %d: %s\n", pid, strerror(errno));
		exit(1);
	}
	return (pid_t)ret;
}

static void *wait_here(void *arg)
{
	__atomic_store_n((int *)arg, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	for (;;)
		pause();
	return arg;
}

/* The next pid is one behind the last: others may be quicker. */
static void thread_as(pid_t want)
{
	for (int i = 0; i < 1000; i++) {
		int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC), *tid = calloc(1, sizeof(*tid));
		char text[16];
		pthread_t t;
		int n = snprintf(text, sizeof(text), "%d", want - 1);

		if (fd < 0 || !tid || write(fd, text, (size_t)n) != n || pthread_create(&t, NULL, wait_here, tid))
			break;
		close(fd);
		while (!__atomic_load_n(tid, __ATOMIC_ACQUIRE))
			usleep(100);
		if (*tid == want)
			return;
	}
	printf("no thread %d\n", want);
	exit(1);
}

static void leave_member(pid_t pid, int session)
{
	pid_t leader = fork_as(pid);
	int status;

	if (!leader) {
		session ? (void)setsid() : (void)setpgid(0, 0);
		if (fork())
			_exit(0);
		if (session)
			setpgid(0, 0);
		for (;;)
			pause();
	}
	waitpid(leader, &status, 0);
}

static void take(const char *arg)
{
	pid_t pid = atoi(arg);
	const char *how = strchr(arg, ':') ? strchr(arg, ':') + 1 : "process";

	if (!strcmp(how, "thread")) {
		thread_as(pid);
	} else if (!strcmp(how, "group") || !strcmp(how, "session")) {
		leave_member(pid, *how == 's');
	} else if (!fork_as(pid)) {
		if (!strcmp(how, "zombie"))
			_exit(0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
}

int main(int argc, char **argv)
{
	/* The threads last: their many tries must not take the other numbers. */
	for (int i = 1; i < argc; i++)
		if (!strstr(argv[i], ":thread"))
			take(argv[i]);
	for (int i = 1; i < argc; i++)
		if (strstr(argv[i], ":thread"))
			take(argv[i]);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
