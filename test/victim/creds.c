/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Credentials (C1-C4, C7-C9): three tasks (plain root; dropped uids with kept capabilities, ambient set, securebits and
 * groups; a thread with other uids than its process), oom_score_adj, limits, dumpable, no_new_privs.
 */
#include "victim.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sys/fsuid.h>
#include <sys/resource.h>

struct creds {
	uid_t r, e, s, fs;
	gid_t gr, ge, gs, gfs;
	int nr_groups;
	gid_t groups[64];
	struct __user_cap_data_struct cap[2];
	uint64_t bounding, ambient;
	int securebits, nnp, dumpable, oom;
	struct rlimit limit[16];
};

static int read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -9999;
	close(fd);
	return atoi(text);
}

static void look(struct creds *c)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };

	memset(c, 0, sizeof(*c));
	syscall(SYS_getresuid, &c->r, &c->e, &c->s);
	syscall(SYS_getresgid, &c->gr, &c->ge, &c->gs);
	c->fs = (uid_t)setfsuid((uid_t)-1);
	c->gfs = (gid_t)setfsgid((gid_t)-1);
	c->nr_groups = getgroups(64, c->groups);
	syscall(SYS_capget, &hdr, c->cap);
	for (int i = 0; i < 41; i++) {
		c->bounding |= (uint64_t)(prctl(PR_CAPBSET_READ, i) == 1) << i;
		c->ambient |= (uint64_t)(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1) << i;
	}
	c->securebits = prctl(PR_GET_SECUREBITS);
	c->nnp = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	c->dumpable = prctl(PR_GET_DUMPABLE);
	c->oom = read_number("/proc/self/oom_score_adj");
	for (int i = 0; i < 16; i++)
		getrlimit(i, &c->limit[i]);
}

static void say_diff(const char *who, const struct creds *a, const struct creds *b)
{
	if (!memcmp(a, b, sizeof(*a)))
		return;
	victim_say("# %s: uid %u/%u/%u/%u was %u/%u/%u/%u; caps %x:%x was %x:%x; amb %llx was %llx; bnd %llx was %llx; "
		   "sec %d was %d; dumpable %d was %d; oom %d was %d; nnp %d was %d; groups %d was %d",
		   who, b->r, b->e, b->s, b->fs, a->r, a->e, a->s, a->fs, b->cap[0].effective, b->cap[0].permitted,
		   a->cap[0].effective, a->cap[0].permitted, (unsigned long long)b->ambient,
		   (unsigned long long)a->ambient, (unsigned long long)b->bounding, (unsigned long long)a->bounding,
		   b->securebits, a->securebits, b->dumpable, a->dumpable, b->oom, a->oom, b->nnp, a->nnp, b->nr_groups,
		   a->nr_groups);
}

static void keep_caps(uint32_t bits)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct cap[2] = { { bits, bits | 1u << CAP_KILL, bits } };

	need(!syscall(SYS_capset, &hdr, cap));
}

static void setup_dropped(void)
{
	gid_t groups[40];
	struct rlimit rl;
	int fd;

	for (int i = 0; i < 40; i++)
		groups[i] = (gid_t)(2000 + i);
	fd = open("/proc/self/oom_score_adj", O_WRONLY);
	need(fd >= 0 && write(fd, "321", 3) == 3);
	close(fd);
	rl.rlim_cur = 777;
	rl.rlim_max = 999;
	need(!setrlimit(RLIMIT_NOFILE, &rl));
	need(!getrlimit(RLIMIT_STACK, &rl));
	rl.rlim_cur = 4 << 20;
	need(!setrlimit(RLIMIT_STACK, &rl));
	need(!prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT) && !prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE));
	need(!setgroups(40, groups));
	need(!setresgid(1001, 1002, 1003));
	need(!prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP));
	need(!setresuid(1011, 1012, 1013));
	setfsgid(1004);
	setfsuid(1014);
	keep_caps(1u << CAP_NET_BIND_SERVICE | 1u << CAP_SYS_PTRACE);
	need(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0));
	need(!prctl(PR_SET_DUMPABLE, 1));
	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static struct creds thread_before, thread_after;
static volatile int thread_stage;

static void *other_thread(void *arg)
{
	need(!syscall(SYS_setresgid, 3001, 3001, 3002));
	need(!syscall(SYS_setresuid, 3011, 3012, 0));
	look(&thread_before);
	thread_stage = 1;
	while (thread_stage != 2)
		usleep(5000);
	look(&thread_after);
	thread_stage = 3;
	return arg;
}

int main(void)
{
	struct {
		struct creds before, after;
		volatile int stage;
	} *child = mmap(NULL, sizeof(*child), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static struct creds before, after;
	pthread_t t;
	pid_t pid;

	need(child != MAP_FAILED);
	need((pid = fork()) >= 0);
	if (!pid) {
		setup_dropped();
		look(&child->before);
		child->stage = 1;
		while (child->stage != 2)
			usleep(5000);
		look(&child->after);
		child->stage = 3;
		for (;;)
			pause();
	}
	prctl(PR_SET_DUMPABLE, 0);
	while (child->stage != 1)
		usleep(1000);
	need(!pthread_create(&t, NULL, other_thread, NULL));
	while (thread_stage != 1)
		usleep(1000);
	prctl(PR_SET_DUMPABLE, 0);
	look(&before);
	look(&thread_before);
	thread_before.r = 0;
	victim_fact("child", "%d", pid);
	victim_ready();
	victim_wait();
	look(&after);
	child->stage = thread_stage = 2;
	for (int i = 0; i < 400 && (child->stage != 3 || thread_stage != 3); i++)
		usleep(10000);
	check("root task", !memcmp(&before, &after, sizeof(after)));
	check("task with dropped ids", child->stage == 3 && !memcmp(&child->before, &child->after, sizeof(after)));
	check("thread with ids of its own", thread_stage == 3 && thread_after.r == 3011 && thread_after.e == 3012 &&
						    thread_after.s == 0 && thread_after.gr == 3001 &&
						    thread_after.gs == 3002 && thread_after.fs == 3012);
	say_diff("root", &before, &after);
	say_diff("child", &child->before, &child->after);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return victim_done();
}
