/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting for criu, with the signals that were meant for it. */
#include <errno.h>
#include <sys/wait.h>

#include "ns.h"

void ns_block(sigset_t *set, sigset_t *old)
{
	static const int list[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		sigaddset(set, list[i]);
	sigprocmask(SIG_BLOCK, set, old);
}

int ns_wait(pid_t pid, const sigset_t *set)
{
	for (;;) {
		int status, sig;
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got == pid)
			return status;
		if (got < 0 && errno != EINTR)
			return -errno;
		sig = sigwaitinfo(set, NULL);
		if (sig > 0 && sig != SIGCHLD)
			kill(pid, sig);
	}
}

int ns_exit_code(int status)
{
	if (status < 0)
		return NS_EXIT_WAIT;
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}
