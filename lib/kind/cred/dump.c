/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: credentials belong to the thread. /proc/PID/task/TID/status has all of them but the securebits,
 * which the thread itself is asked for. Capability sets are two 32-bit words, the low one first. What seccomp filters
 * there are was found by criu-collect (seccomp.img); here each thread names its last one. Security labels
 * are looked at by criu-collect (kind `lsm`).
 */
#include "kind/cred/cred-dump.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "core.pb-c.h"
#include "kind/cred/cred.h"
#include "kind/parasite.h"

struct cred_priv {
	size_t bits_call;
};

static int cred_ask(struct para_thread *t, struct hold_batch *b, void *priv, struct cr_err *e)
{
	struct cred_priv *k = priv;

	k->bits_call = hold_batch_add(b, SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0);
	return 0;
}

static int groups(struct para_thread *t, CredsEntry *c, struct cr_err *e)
{
	ssize_t n = proc_status_groups(t->status, NULL, 0);
	char name[128];

	if (n > 0) {
		c->groups = arena_calloc(t->arena, (size_t)n, sizeof(uint32_t));
		if (!c->groups)
			return cr_err_nomem(e);
		n = proc_status_groups(t->status, c->groups, (size_t)n);
	}
	if (n < 0)
		return cr_err_set(e, CR_E_SYSTEM, (int)-n, para_name(t, name), "cannot read its groups");
	c->n_groups = (size_t)n;
	return 0;
}

static int seccomp(struct para_thread *t, ThreadCoreEntry *th, struct cr_err *e)
{
	char name[128];

	bool filter = t->status->seccomp == SECCOMP_MODE__filter;

	if (!t->status->seccomp)
		return 0;
	if (filter && (!t->stage || t->stage->seccomp_mode != SECCOMP_MODE__filter))
		return cr_err_set(e, CR_E_HOLDER_VOID, 0, para_name(t, name),
				  "it has seccomp filters, but criu-collect left no word of it");
	th->has_seccomp_mode = true;
	th->seccomp_mode = (SeccompMode)t->status->seccomp;
	if (filter) {
		th->has_seccomp_filter = true;
		th->seccomp_filter = t->stage->seccomp_filter;
	}
	return 0;
}

static int cred_fill(struct para_thread *t, const struct hold_batch *b, const void *priv, struct cr_err *e)
{
	const struct cred_priv *k = priv;
	const struct proc_status *s = t->status;
	CredsEntry *c = arena_alloc(t->arena, sizeof(*c));
	char name[128];
	int err;

	if (!c)
		return cr_err_nomem(e);
	if (b->calls[k->bits_call].ret < 0)
		return cr_err_set(e, CR_E_SYSTEM, (int)-b->calls[k->bits_call].ret, para_name(t, name),
				  "prctl(PR_GET_SECUREBITS) failed in it");
	creds_entry__init(c);
	c->uid = s->uid[0];
	c->euid = s->uid[1];
	c->suid = s->uid[2];
	c->fsuid = s->uid[3];
	c->gid = s->gid[0];
	c->egid = s->gid[1];
	c->sgid = s->gid[2];
	c->fsgid = s->gid[3];
	c->secbits = (uint32_t)b->calls[k->bits_call].ret;
	err = cred_caps_to_image(s, t->arena, c, e);
	if (!err)
		err = groups(t, c, e);
	if (s->no_new_privs) {
		c->has_no_new_privs = true;
		c->no_new_privs = 1;
	}
	t->core->thread_core->creds = c;
	return err ? err : seccomp(t, t->core->thread_core, e);
}

const struct para_hook cred_para_hook = { "cred", cred_ask, cred_fill, sizeof(struct cred_priv), "anywhere" };
