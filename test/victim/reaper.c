/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reaper COMMAND [ARG...]: run COMMAND as a child subreaper (PR_SET_CHILD_SUBREAPER, prctl(2)) that collects every
 * orphan below it at once, so that the pid of a killed task is free for its restore without waiting for the machine's
 * pid 1. When COMMAND has ended, what it left behind is killed. Exits with its status; 1 and a line when something was
 * left.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t command;

static void forward(int sig)
{
	int saved = errno;

	kill(command, sig);
	errno = saved;
}

/* For people: what was left. Return: false for what is ending already (no command line). */
static bool tell(int pid)
{
	char path[64], text[256] = "";
	FILE *f;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	f = fopen(path, "re");
	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	for (size_t i = 0; i + 1 < n; i++)
		if (!text[i])
			text[i] = ' ';
	if (n)
		fprintf(stderr, "reaper: left: %d %s\n", pid, text);
	return n > 0;
}

/* SIGKILL to every child; their own children become ours. Return: how many there were. */
static int kill_children(void)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	int pid, n = 0;

	while (f && fscanf(f, "%d", &pid) == 1) {
		bool counts = tell(pid);

		if (!kill(pid, SIGKILL) && counts)
			n++;
	}
	if (f)
		fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	int status, result = 127, left = 0;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: reaper COMMAND [ARG...]\n");
		return 100;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	command = fork();
	if (!command) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	signal(SIGTERM, forward);
	signal(SIGINT, forward);
	for (;;) {
		pid = waitpid(-1, &status, 0);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		if (pid != command)
			continue;
		result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		left = kill_children();
		while (waitpid(-1, NULL, 0) > 0)
			kill_children();
		break;
	}
	if (left)
		fprintf(stderr, "reaper: %d processes were left behind by %s\n", left, argv[1]);
	return result ? result : left != 0;
}
