/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation (credentials(7), capabilities(7)).
 *
 * Each thread sets its own, in the blob, as root. The order matters:
 *
 *	inheritable set			while the bounding set is still full
 *	SECBIT_NO_SETUID_FIXUP		so that changing ids does not touch capabilities
 *	groups, gids, uids		CAP_SETGID and CAP_SETUID are still there
 *	bounding set, ambient set	CAP_SETPCAP is still there; ambient before the security bits forbid it
 *	security bits, other sets	privilege ends here
 *	no_new_privs, death signal	the latter is cleared by every change of ids or capabilities
 *
 * Nothing is done where the thread has it all by inheritance from the main process, the common case.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "core.pb-c.h"
#include "kind/cred/cred.h"
#include "kind/restore-task.h"

static int from_image(const CredsEntry *ce, struct rst_creds *ret)
{
	*ret = (struct rst_creds){
		.uid = ce->uid,
		.euid = ce->euid,
		.suid = ce->suid,
		.fsuid = ce->fsuid,
		.gid = ce->gid,
		.egid = ce->egid,
		.sgid = ce->sgid,
		.fsgid = ce->fsgid,
		.secbits = ce->secbits,
		.groups = ce->groups,
		.nr_groups = (uint32_t)ce->n_groups,
		.no_new_privs = ce->has_no_new_privs && ce->no_new_privs,
	};
	if (ce->n_groups > RST_NGROUPS || cred_caps_from_image(ce->cap_inh, ce->n_cap_inh, &ret->inh) ||
	    cred_caps_from_image(ce->cap_prm, ce->n_cap_prm, &ret->prm) ||
	    cred_caps_from_image(ce->cap_eff, ce->n_cap_eff, &ret->eff) ||
	    cred_caps_from_image(ce->cap_bnd, ce->n_cap_bnd, &ret->bnd) ||
	    cred_caps_from_image(ce->cap_amb, ce->n_cap_amb, &ret->amb))
		return -EINVAL;
	return 0;
}

static int lowest(uint64_t set)
{
	return __builtin_ctzll(set);
}

/* capabilities(7), in the order of their numbers. */
static const char *const cap_names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

/* "CAP_CHOWN and 3 more" */
static const char *cap_text(uint64_t set, char buf[64])
{
	unsigned first = (unsigned)lowest(set), n = (unsigned)__builtin_popcountll(set);
	int len;

	if (first < sizeof(cap_names) / sizeof(cap_names[0]))
		len = snprintf(buf, 64, "%s", cap_names[first]);
	else
		len = snprintf(buf, 64, "capability %u", first);
	if (n > 1)
		snprintf(buf + len, 64 - (size_t)len, " and %u more", n - 1);
	return buf;
}

/* Capabilities that this kernel does not know cannot matter: nothing here asks for them. */
static void cut_caps(struct rst_creds *c, uint32_t last_cap)
{
	uint64_t known = last_cap >= 63 ? ~0ull : (1ull << (last_cap + 1)) - 1;

	c->inh &= known;
	c->prm &= known;
	c->eff &= known;
	c->bnd &= known;
	c->amb &= known;
}

int cred_check(const struct rst_own *own, const CredsEntry *ce, const char *who, struct cr_err *e)
{
	struct rst_creds c;
	char text[64];
	uint64_t lack;

	if (!ce)
		return 0;
	if (from_image(ce, &c))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, who, "its credentials have lists that are too long");
	if (ce->lsm_profile && *ce->lsm_profile && strcmp(ce->lsm_profile, "unconfined"))
		return cr_err_set(e, CR_E_LSM_LABEL, 0, who, "it ran with the security label \"%.100s\"",
				  ce->lsm_profile);
	cut_caps(&c, own->last_cap);
	lack = (c.prm | c.eff | c.inh) & ~own->creds.prm;
	if (lack) {
		cr_err_set(e, CR_E_PRIVILEGE, 0, who, "it had %s, which the restore does not have",
			   cap_text(lack, text));
		cr_err_remedy(e, "run the restore with the capabilities that the task had, for example as full root");
		return -EPERM;
	}
	lack = c.bnd & ~own->creds.bnd;
	if (lack) {
		cr_err_set(e, CR_E_PRIVILEGE, 0, who,
			   "its capability bounding set had %s, which that of the restore does not have",
			   cap_text(lack, text));
		cr_err_remedy(e, "run the restore where nothing is taken from the bounding set (a container, systemd "
				 "unit or capsh may have done it): it cannot be added again");
		return -EPERM;
	}
	return 0;
}

static bool same_ids(const struct rst_creds *a, const struct rst_creds *b)
{
	return a->uid == b->uid && a->euid == b->euid && a->suid == b->suid && a->fsuid == b->fsuid &&
	       a->gid == b->gid && a->egid == b->egid && a->sgid == b->sgid && a->fsgid == b->fsgid &&
	       a->nr_groups == b->nr_groups &&
	       (!a->nr_groups || !memcmp(a->groups, b->groups, a->nr_groups * sizeof(*a->groups)));
}

static bool same_caps(const struct rst_creds *a, const struct rst_creds *b)
{
	return a->inh == b->inh && a->prm == b->prm && a->eff == b->eff && a->bnd == b->bnd && a->amb == b->amb &&
	       a->secbits == b->secbits;
}

static void emit_capset(struct rst_prog *p, uint64_t inh, uint64_t prm, uint64_t eff)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {
		{ (uint32_t)eff, (uint32_t)prm, (uint32_t)inh },
		{ (uint32_t)(eff >> 32), (uint32_t)(prm >> 32), (uint32_t)(inh >> 32) },
	};
	uint64_t at = prog_data(p, &h, sizeof(h));

	prog_sys_data(p, "capabilities", 3, SYS_capset, at, prog_data(p, d, sizeof(d)));
}

static void emit_ids(struct rst_prog *p, const struct rst_creds *c)
{
	prog_sys_data(p, "supplementary groups", 1 << 1, SYS_setgroups, c->nr_groups,
		      prog_data(p, c->groups, c->nr_groups * sizeof(*c->groups)));
	prog_sys(p, "group ids", SYS_setresgid, c->gid, c->egid, c->sgid);
	prog_try(p, "file system group id", SYS_setfsgid, c->fsgid); /* returns the old one */
	prog_sys(p, "user ids", SYS_setresuid, c->uid, c->euid, c->suid);
	prog_try(p, "file system user id", SYS_setfsuid, c->fsuid);
}

static void emit_caps(struct rst_prog *p, const struct rst_own *own, const struct rst_creds *c, bool secbits)
{
	uint64_t drop = own->creds.bnd & ~c->bnd;

	for (; drop; drop &= drop - 1)
		prog_sys(p, "capability bounding set", SYS_prctl, PR_CAPBSET_DROP, (uint64_t)lowest(drop));
	if (own->creds.amb != c->amb) {
		prog_sys(p, "ambient capabilities", SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
		for (uint64_t amb = c->amb; amb; amb &= amb - 1)
			prog_sys(p, "ambient capabilities", SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE,
				 (uint64_t)lowest(amb));
	}
	if (secbits) /* which needs CAP_SETPCAP, also for what is set already */
		prog_sys(p, "security bits", SYS_prctl, PR_SET_SECUREBITS, c->secbits);
	emit_capset(p, c->inh, c->prm, c->eff);
}

void cred_emit(struct rst_prog *p, const struct rst_own *own, const ThreadCoreEntry *th, const CredsEntry *ce,
	       bool leader)
{
	struct rst_creds c;

	if (ce && !from_image(ce, &c)) {
		bool ids = !same_ids(&c, &own->creds);

		cut_caps(&c, own->last_cap);
		if (ids || !same_caps(&c, &own->creds)) {
			emit_capset(p, c.inh, own->creds.prm, own->creds.prm);
			if (ids) {
				prog_sys(p, "security bits", SYS_prctl, PR_SET_SECUREBITS,
					 own->creds.secbits | SECBIT_NO_SETUID_FIXUP);
				emit_ids(p, &c);
			}
			emit_caps(p, own, &c, ids || c.secbits != own->creds.secbits);
		}
		if (c.no_new_privs && !own->creds.no_new_privs)
			prog_sys(p, "no_new_privs", SYS_prctl, PR_SET_NO_NEW_PRIVS, 1);
	}
	/* The leader has one while it is restored, so that a restore that is killed leaves nothing. */
	if (leader || (th && th->has_pdeath_sig && th->pdeath_sig))
		prog_sys(p, "parent death signal", SYS_prctl, PR_SET_PDEATHSIG,
			 th && th->has_pdeath_sig ? th->pdeath_sig : 0);
}
