/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has a pid: as process, thread, process group and session; container names of cgroups. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc/who.h"
#include "tap.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void containers(void)
{
	static const struct {
		const char *path, *want;
	} v[] = {
		{ "/", NULL },
		{ "/user.slice/user-0.slice/session-1.scope", NULL },
		{ "/system.slice/docker-" ID ".scope", "docker 0123456789ab" },
		{ "/docker/" ID, "docker 0123456789ab" },
		{ "/docker/" ID "/init", "docker 0123456789ab" },
		{ "/system.slice/docker.service", NULL },
		{ "/machine.slice/libpod-" ID ".scope/container", "podman 0123456789ab" },
		{ "/user.slice/user-1000.slice/libpod-conmon-" ID ".scope", NULL },
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-" ID
		  ".scope",
		  "kubernetes containerd 0123456789ab" },
		{ "/kubepods/besteffort/pod1234/" ID, "kubernetes container 0123456789ab" },
		{ "/kubepods.slice/kubepods-pod7.slice/crio-" ID ".scope", "kubernetes cri-o 0123456789ab" },
		{ "/lxc.payload.web/system.slice", "lxc web" },
		{ "/lxc/web", "lxc web" },
		{ "/lxc", NULL },
		{ "/machine.slice/machine-deb\\x2d12.scope/payload", "machine deb\\x2d12" },
		{ "/system.slice/systemd-nspawn@deb.service", "nspawn deb" },
		{ "/docker/" ID "/docker/ffffffffffff6789abcdef0123456789abcdef0123456789abcdef0123456789",
		  "docker ffffffffffff" },
		{ "/docker/0123", NULL },
		{ "", NULL },
		{ "/lxc/a\nb", "lxc a?b" },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		char got[128] = "";
		bool found = proc_cgroup_container(v[i].path, got, sizeof(got));

		ok(found == (v[i].want != NULL) && (!found || !strcmp(got, v[i].want)), "%zu: %s", i,
		   found ? got : "none");
	}
}

static int tid;

static void *thread(void *arg)
{
	__atomic_store_n(&tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	for (;;)
		pause();
	return arg;
}

/*
 * The number of a group, or of a session alone, whose leader is gone: it is taken, but there is no such process.
 * @ret_member: who is in it, to be killed
 */
static pid_t orphan(bool session, pid_t *ret_member)
{
	pid_t leader, member;
	int pair[2], status;

	if (pipe(pair))
		return 0;
	leader = fork();
	if (!leader) {
		session ? (void)setsid() : (void)setpgid(0, 0);
		if (fork())
			_exit(0);
		if (session)
			setpgid(0, 0);
		member = getpid();
		if (write(pair[1], &member, sizeof(member)) != sizeof(member))
			_exit(1);
		for (;;)
			pause();
	}
	waitpid(leader, &status, 0);
	if (read(pair[0], ret_member, sizeof(*ret_member)) != sizeof(*ret_member))
		return 0;
	close(pair[0]);
	close(pair[1]);
	return leader;
}

static void sockets(void)
{
	struct proc_who w;
	struct stat st;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) || fstat(pair[0], &st))
		return;
	ok(!proc_who_socket((uint32_t)st.st_ino, &w) && w.pid == getpid() && w.as == PROC_WHO_PROCESS && w.start,
	   "who has a socket");
	close(pair[0]);
	ok(proc_who_socket((uint32_t)st.st_ino, &w) == -ESRCH, "a socket that was closed");
	ok(proc_who_socket(0, &w) == -ESRCH, "no socket");
	close(pair[1]);
}

int main(void)
{
	time_t now = time(NULL);
	char text[384], start[32];
	struct proc_who w;
	pthread_t t;
	pid_t member, leader;
	siginfo_t info;

	containers();
	ok(!proc_who(getpid(), &w) && w.as == PROC_WHO_PROCESS && w.pid == getpid() && w.ppid == getppid(),
	   "a process");
	ok(!strcmp(w.comm, "proc-who-test") && strstr(w.command, "proc-who-test") && w.parent[0], "its names");
	ok(w.start <= now + 2 && w.start > now - 60, "when it was started");
	proc_who_text(&w, text, sizeof(text));
	ok(!strncmp(text, "it is in use by proc-who-test (process ", 39) &&
		   strstr(text, proc_who_start(&w, start, sizeof(start))),
	   "%s", text);
	pthread_create(&t, NULL, thread, NULL);
	while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
		usleep(100);
	ok(!proc_who(tid, &w) && w.as == PROC_WHO_THREAD && w.pid == getpid(), "a thread");
	leader = orphan(false, &member);
	ok(leader && !proc_who(leader, &w) && w.as == PROC_WHO_GROUP && w.pid == member, "a process group");
	kill(member, SIGKILL);
	leader = orphan(true, &member);
	ok(leader && !proc_who(leader, &w) && w.as == PROC_WHO_SESSION && w.pid == member, "a session");
	ok(strstr(proc_who_text(&w, text, sizeof(text)), "it is the session of proc-who-test (process "), "%s", text);
	kill(member, SIGKILL);
	leader = fork();
	if (!leader)
		_exit(0);
	waitid(P_PID, (id_t)leader, &info, WEXITED | WNOWAIT);
	ok(!proc_who(leader, &w) && w.state == 'Z' && !w.command[0], "a zombie");
	ok(strstr(proc_who_text(&w, text, sizeof(text)), "in use by the zombie proc-who-test (process "), "%s", text);
	waitpid(leader, NULL, 0);
	ok(proc_who(leader, &w) == -ESRCH, "nobody");
	sockets();
	return tap_done();
}
