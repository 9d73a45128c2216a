/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signal descriptors (E15): mask, flags, and a pending signal that comes out of one after the restore. */
#include "victim.h"

#include <sys/signalfd.h>

int main(void)
{
	struct signalfd_siginfo si;
	sigset_t usr, rt;
	int a, b;

	sigemptyset(&usr);
	sigaddset(&usr, SIGUSR1);
	sigemptyset(&rt);
	sigaddset(&rt, SIGRTMIN + 2);
	sigaddset(&rt, SIGRTMAX);
	need(sigprocmask(SIG_BLOCK, &usr, NULL) == 0 && sigprocmask(SIG_BLOCK, &rt, NULL) == 0);
	need((a = signalfd(-1, &usr, SFD_NONBLOCK)) >= 0 && (b = signalfd(-1, &rt, SFD_NONBLOCK | SFD_CLOEXEC)) >= 0);
	need(sigqueue(getpid(), SIGRTMAX, (union sigval){ .sival_int = 77 }) == 0);
	victim_fact("rt", "%d", b);
	victim_ready();
	victim_wait();

	check("not the other's signal", read(a, &si, sizeof(si)) == -1 && errno == EAGAIN);
	check("pending signal",
	      read(b, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == (unsigned)SIGRTMAX && si.ssi_int == 77);
	kill(getpid(), SIGUSR1);
	check("new signal", read(a, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGUSR1);
	check("close-on-exec", fcntl(b, F_GETFD) == FD_CLOEXEC && fcntl(a, F_GETFD) == 0);
	return victim_done();
}
