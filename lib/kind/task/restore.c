/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Odds and ends of a process: limits, OOM score, login uid, personality, membarrier registrations; and what the main
 * process has of all that, because children inherit it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "kind/restore-check.h"
#include "kind/restore-task.h"

static const char *const limit_names[RST_RLIMITS] = {
	"cpu time (RLIMIT_CPU)",
	"file size (RLIMIT_FSIZE)",
	"data size (RLIMIT_DATA)",
	"stack size (RLIMIT_STACK)",
	"core file size (RLIMIT_CORE)",
	"resident set (RLIMIT_RSS)",
	"processes (RLIMIT_NPROC)",
	"open files (RLIMIT_NOFILE)",
	"locked memory (RLIMIT_MEMLOCK)",
	"address space (RLIMIT_AS)",
	"file locks (RLIMIT_LOCKS)",
	"pending signals (RLIMIT_SIGPENDING)",
	"message queues (RLIMIT_MSGQUEUE)",
	"nice priority (RLIMIT_NICE)",
	"real-time priority (RLIMIT_RTPRIO)",
	"real-time CPU time (RLIMIT_RTTIME)",
};

static int own_caps(struct rst_own *own, struct cr_err *e)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {};
	int have;

	if (syscall(SYS_capget, &h, d))
		return cr_err_set(e, CR_E_SYSTEM, errno, "own credentials", "they cannot be read (capget)");
	own->creds.inh = (uint64_t)d[1].inheritable << 32 | d[0].inheritable;
	own->creds.prm = (uint64_t)d[1].permitted << 32 | d[0].permitted;
	own->creds.eff = (uint64_t)d[1].effective << 32 | d[0].effective;
	for (uint32_t cap = 0; cap < 64; cap++) {
		have = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (have < 0)
			break;
		own->last_cap = cap;
		own->creds.bnd |= (uint64_t)have << cap;
		if (own->creds.inh && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			own->creds.amb |= 1ull << cap;
	}
	have = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	own->creds.secbits = (uint32_t)have;
	own->creds.no_new_privs = (uint32_t)prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	return have < 0
		       ? cr_err_set(e, CR_E_SYSTEM, errno, "own credentials", "they cannot be read (PR_GET_SECUREBITS)")
		       : 0;
}

static int own_ids(struct rst_own *own, struct arena *a, struct cr_err *e)
{
	struct rst_creds *c = &own->creds;
	uint32_t *groups;
	int n;

	if (getresuid(&c->uid, &c->euid, &c->suid) || getresgid(&c->gid, &c->egid, &c->sgid))
		return cr_err_set(e, CR_E_SYSTEM, errno, "own credentials", "they cannot be read (getresuid)");
	c->fsuid = c->euid;
	c->fsgid = c->egid;
	n = getgroups(0, NULL);
	if (n < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, "own credentials", "they cannot be read (getgroups)");
	if (!n)
		return 0;
	groups = arena_calloc(a, (size_t)n, sizeof(*groups));
	if (!groups)
		return cr_err_nomem(e);
	n = getgroups(n, groups);
	if (n < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, "own credentials", "they cannot be read (getgroups)");
	c->groups = groups;
	c->nr_groups = (uint32_t)n;
	return 0;
}

static void own_signals(struct rst_own *own)
{
	uint64_t k[4]; /* handler, flags, restorer, mask */

	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && !syscall(SYS_rt_sigaction, sig, NULL, k, 8) &&
		    (k[0] || k[1] || k[3]))
			own->sig_not_default |= 1ull << (sig - 1);
}

int rst_own_load(struct rst_own *own, struct arena *a, struct cr_err *e)
{
	char buf[32];
	ssize_t n;
	int err;

	memset(own, 0, sizeof(*own));
	err = own_ids(own, a, e);
	if (!err)
		err = own_caps(own, e);
	if (err)
		return err;
	for (unsigned i = 0; i < RST_RLIMITS; i++)
		if (prlimit64(0, (enum __rlimit_resource)i, NULL, &own->rlim[i]))
			return cr_err_set(e, CR_E_SYSTEM, errno, "own limits", "%s cannot be read", limit_names[i]);
	own_signals(own);
	own->personality = (uint32_t)personality(0xffffffff);
	errno = 0;
	own->nice = getpriority(PRIO_PROCESS, 0);
	own->policy = sched_getscheduler(0);
	n = read_buf_at(AT_FDCWD, "/proc/self/oom_score_adj", buf, sizeof(buf));
	if (n < 0 && n != -ENOENT)
		return cr_err_set(e, CR_E_SYSTEM, (int)-n, "own oom_score_adj", "cannot be read");
	own->oom_score_adj = n > 0 ? atoi(buf) : 0;
	own->loginuid = -2;
	if (read_buf_at(AT_FDCWD, "/proc/self/loginuid", buf, sizeof(buf)) > 0)
		own->loginuid = (int64_t)strtoul(buf, NULL, 10);
	own->sid = getsid(0);
	own->pgid = getpgrp();
	return 0;
}

static const char *amount(uint64_t n, char buf[24])
{
	snprintf(buf, 24, n == RLIM_INFINITY ? "unlimited" : "%llu", (unsigned long long)n);
	return buf;
}

/* A container may have a little less than the machine of the dump, and nobody in it can raise it: then the image has to. */
static int limit_check(const struct rst_own *own, const RlimitEntry *l, size_t i, pid_t pid, const char *who,
		       struct cr_err *e)
{
	long long have = (long long)own->rlim[i].rlim_max;
	char soft[64] = "", wanted[24], ours[24];

	if (l->max <= own->rlim[i].rlim_max)
		return 0;
	cr_err_set(e, CR_E_LIMIT, 0, who, "its hard limit of %s is %s, ours %s, and it cannot be raised",
		   limit_names[i], amount(l->max, wanted), amount(own->rlim[i].rlim_max, ours));
	if (l->cur > own->rlim[i].rlim_max)
		snprintf(soft, sizeof(soft), " 'tc.rlimits.rlimits[%zu].cur=%lld'", i, have);
	cr_err_remedy(e,
		      "raise the hard limit of the shell, run with CAP_SYS_RESOURCE, or lower it in the image: "
		      "crit edit core-%d.img%s 'tc.rlimits.rlimits[%zu].max=%lld'",
		      pid, soft, i, have);
	return -EPERM;
}

int task_check(struct rst *r, const struct rst_own *own, pid_t pid, const TaskCoreEntry *tc, const char *who,
	       struct cr_err *e)
{
	size_t n = tc->rlimits ? tc->rlimits->n_rlimits : 0;
	bool may_raise = own->creds.eff >> CAP_SYS_RESOURCE & 1;
	int err = 0;

	if (n > RST_RLIMITS)
		return cr_err_set(e, CR_E_IMG_UNKNOWN, 0, who, "it has %zu resource limits, this kernel %d", n,
				  RST_RLIMITS);
	for (size_t i = 0; !err && !may_raise && i < n; i++)
		err = rst_found(r, limit_check(own, tc->rlimits->rlimits[i], i, pid, who, e), e);
	if (err)
		return err;
	if (tc->has_oom_score_adj && tc->oom_score_adj < own->oom_score_adj && !may_raise) {
		cr_err_set(e, CR_E_LIMIT, 0, who, "its oom_score_adj is %d, ours %d, and it cannot be lowered",
			   tc->oom_score_adj, own->oom_score_adj);
		cr_err_remedy(e, "run with CAP_SYS_RESOURCE, or lower oom_score_adj of the shell");
		return -EPERM;
	}
	return 0;
}

int task_restore_proc(const struct rst_own *own, const TaskCoreEntry *tc, struct cr_err *e)
{
	char buf[16];
	int err;

	if (tc->has_oom_score_adj && tc->oom_score_adj != own->oom_score_adj) {
		snprintf(buf, sizeof(buf), "%d", tc->oom_score_adj);
		err = write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", buf);
		if (err)
			return cr_err_set(e, CR_E_SYSTEM, -err, "/proc/self/oom_score_adj",
					  "%s cannot be written to it", buf);
	}
	/* Set once by login and often immutable afterwards (audit.feature loginuid_immutable): a difference is not
	 * fatal. */
	if (tc->has_loginuid && own->loginuid >= -1 && tc->loginuid != (uint32_t)own->loginuid) {
		snprintf(buf, sizeof(buf), "%u", tc->loginuid);
		(void)write_file_at(AT_FDCWD, "/proc/self/loginuid", buf);
	}
	return 0;
}

void task_emit(struct rst_prog *p, const struct rst_own *own, const TaskCoreEntry *tc, bool thp_disabled)
{
	uint32_t bits = tc->has_membarrier_registration_mask ? tc->membarrier_registration_mask : 0;

	/* Registering is quick only while the process has one thread. */
	for (; bits; bits &= bits - 1)
		prog_sys(p, "membarrier registration", SYS_membarrier, bits & -bits);
	if (thp_disabled)
		prog_sys(p, "PR_SET_THP_DISABLE", SYS_prctl, PR_SET_THP_DISABLE, 1);
	if (tc->personality != own->personality)
		prog_sys(p, "personality", SYS_personality, tc->personality);
}

void task_emit_limits(struct rst_prog *p, const struct rst_own *own, const TaskCoreEntry *tc)
{
	for (size_t i = 0; tc->rlimits && i < tc->rlimits->n_rlimits && i < RST_RLIMITS; i++) {
		const RlimitEntry *l = tc->rlimits->rlimits[i];
		struct rlimit64 r = { l->cur, l->max };

		if (r.rlim_cur == own->rlim[i].rlim_cur && r.rlim_max == own->rlim[i].rlim_max)
			continue;
		prog_sys_data(p, limit_names[i], 1 << 2, SYS_prlimit64, 0, i, prog_data(p, &r, sizeof(r)), 0);
	}
}

void task_emit_thread(struct rst_prog *p, const CoreEntry *core, const char *comm)
{
	char name[16] = "";

	strncpy(name, comm, sizeof(name) - 1);
	prog_sys_data(p, "name (comm)", 1 << 1, SYS_prctl, PR_SET_NAME, prog_data(p, name, sizeof(name)));
	if (core->thread_core && core->thread_core->futex_rla)
		prog_sys(p, "robust futex list", SYS_set_robust_list, core->thread_core->futex_rla,
			 core->thread_core->futex_rla_len);
	if (core->thread_info)
		prog_try(p, "clear_child_tid", SYS_set_tid_address, core->thread_info->clear_tid_addr);
}
