/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restart CALL: waits in one system call for ever, and says what came of it: "handler" when SIGUSR1 has been handled,
 * "returned N ERRNO" when the call came back. Calls: pause sigsuspend epoll poll sleep read, and readr, whose handler
 * has SA_RESTART. Does not look for "go".
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(1);
}

static void on_signal(int sig)
{
	(void)sig;
	say("handler\n");
}

static int wait_in_sigsuspend(void)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	say("ready\n");
	return sigsuspend(&old);
}

static int wait_in(const char *call)
{
	struct timespec ever = { 100000, 0 };
	struct epoll_event event;
	int fds[2];
	char byte;

	if (!strcmp(call, "sigsuspend"))
		return wait_in_sigsuspend();
	if (pipe(fds))
		return -2;
	say("ready\n");
	if (!strcmp(call, "pause"))
		return pause();
	if (!strcmp(call, "epoll"))
		return epoll_wait(epoll_create1(0), &event, 1, -1);
	if (!strcmp(call, "poll"))
		return poll(NULL, 0, 100000000);
	if (!strcmp(call, "sleep"))
		return nanosleep(&ever, NULL);
	return (int)read(fds[0], &byte, 1);
}

int main(int argc, char **argv)
{
	const char *call = argc > 1 ? argv[1] : "pause";
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = strcmp(call, "readr") ? 0 : SA_RESTART };
	char text[64];
	int ret;

	sigaction(SIGUSR1, &sa, NULL);
	ret = wait_in(call);
	snprintf(text, sizeof(text), "returned %d %d\n", ret, errno);
	say(text);
	for (;;)
		pause();
}
