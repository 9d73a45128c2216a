/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals (B8-B11): pending ones of the process and of two threads with their siginfo, the order of queued real-time
 * signals, masks, handlers with flags, masks and restorers, SIGCHLD's flags without a handler, the alternate stack.
 */
#include "victim.h"
#include <pthread.h>

static char altstack[64 * 1024];
static volatile pid_t helper_tid;
static volatile bool helper_ok, helper_go;
static volatile sig_atomic_t ran_on_alt, got_sig;

static void on_alt(int sig, siginfo_t *si, void *ctx)
{
	char here;

	(void)si, (void)ctx;
	ran_on_alt = &here >= altstack && &here < altstack + sizeof(altstack);
	got_sig = sig;
}

static void on_plain(int sig)
{
	got_sig = sig;
}

static void block(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* glibc shows tgkill's SI_TKILL as SI_USER. */
static bool take(int sig, int code, int value)
{
	struct timespec zero = { 0, 0 };
	siginfo_t si;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	if (sigtimedwait(&set, &si, &zero) != sig)
		return false;
	return si.si_code == code && (code != SI_QUEUE || si.si_value.sival_int == value) && si.si_pid == getpid();
}

static void *helper(void *arg)
{
	block(SIGRTMIN + 9);
	helper_tid = (pid_t)syscall(SYS_gettid);
	while (!helper_go)
		usleep(5000);
	helper_ok = take(SIGRTMIN + 9, SI_USER, 0) && !take(SIGRTMIN + 9, SI_USER, 0);
	return arg;
}

static bool action_is(int sig, void *handler, int flags, int masked)
{
	struct sigaction sa;

	sigaction(sig, NULL, &sa);
	return (void *)sa.sa_sigaction == handler && (sa.sa_flags & ~0x04000000) == flags &&
	       (!masked || sigismember(&sa.sa_mask, masked) == 1) && sigismember(&sa.sa_mask, SIGTERM) == 0;
}

int main(void)
{
	stack_t ss = { .ss_sp = altstack, .ss_size = sizeof(altstack) }, got;
	struct sigaction sa = { .sa_sigaction = on_alt, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	sigset_t mask, now;
	pthread_t t;

	need(!sigaltstack(&ss, NULL));
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGHUP);
	need(!sigaction(SIGUSR2, &sa, NULL));
	sa = (struct sigaction){ .sa_handler = on_plain, .sa_flags = SA_RESTART | SA_RESETHAND };
	sigaddset(&sa.sa_mask, SIGRTMIN + 20);
	need(!sigaction(SIGUSR1, &sa, NULL));
	signal(SIGPIPE, SIG_IGN);
	sa = (struct sigaction){ .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT | SA_NOCLDSTOP };
	need(!sigaction(SIGCHLD, &sa, NULL));
	sa = (struct sigaction){ .sa_handler = on_plain };
	need(!sigaction(SIGTRAP, &sa, NULL));
	for (int sig = SIGRTMIN + 3; sig < SIGRTMIN + 6; sig++)
		block(sig);
	block(SIGTERM);
	block(SIGTRAP);
	need(!pthread_create(&t, NULL, helper, NULL));
	while (!helper_tid)
		usleep(1000);
	for (int i = 0; i < 5; i++)
		need(!sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = 100 + i }));
	kill(getpid(), SIGTERM);
	kill(getpid(), SIGTRAP);
	syscall(SYS_tgkill, getpid(), getpid(), SIGRTMIN + 4);
	syscall(SYS_tgkill, getpid(), helper_tid, SIGRTMIN + 9);
	sigprocmask(SIG_SETMASK, NULL, &mask);

	victim_ready();
	victim_wait();

	sigprocmask(SIG_SETMASK, NULL, &now);
	check("mask", !memcmp(&mask, &now, 8));
	for (int i = 0; i < 5; i++)
		check("queued value in order", take(SIGRTMIN + 3, SI_QUEUE, 100 + i));
	check("no more of them", !take(SIGRTMIN + 3, SI_QUEUE, 105));
	check("pending of the process", take(SIGTERM, SI_USER, 0));
	check("pending SIGTRAP", take(SIGTRAP, SI_USER, 0));
	check("pending of the thread", take(SIGRTMIN + 4, SI_USER, 0));
	check("nothing invented", !take(SIGRTMIN + 5, SI_USER, 0));
	helper_go = true;
	pthread_join(t, NULL);
	check("pending of another thread", helper_ok);
	check("handler with siginfo", action_is(SIGUSR2, (void *)on_alt, SA_SIGINFO | SA_ONSTACK | SA_NODEFER, SIGHUP));
	check("one-shot handler", action_is(SIGUSR1, (void *)on_plain, SA_RESTART | (int)SA_RESETHAND, SIGRTMIN + 20));
	check("ignored", action_is(SIGPIPE, (void *)SIG_IGN, SA_RESTART, 0));
	check("SIGCHLD's flags", action_is(SIGCHLD, (void *)SIG_DFL, SA_NOCLDWAIT | SA_NOCLDSTOP, 0));
	check("handler of SIGTRAP", action_is(SIGTRAP, (void *)on_plain, 0, 0));
	check("default", action_is(SIGALRM, (void *)SIG_DFL, 0, 0));
	sigaltstack(NULL, &got);
	check("altstack", got.ss_sp == altstack && got.ss_size == sizeof(altstack) && !(got.ss_flags & SS_DISABLE));
	raise(SIGUSR2);
	check("handler runs on the altstack", got_sig == SIGUSR2 && ran_on_alt);
	raise(SIGUSR1);
	check("handler runs", got_sig == SIGUSR1);
	return victim_done();
}
