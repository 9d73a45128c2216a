/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seccomp, dump half.
 *
 * Theory of operation: filters of a thread form a chain, the newest first; what was inherited by fork or shared by
 * TSYNC is one chain in the kernel, but ptrace shows each thread its own copy. Chains are put into a tree again from
 * the oldest filter on: equal programs behind equal parents are one entry of seccomp.img, whose `prev` comes before it.
 * A thread remembers the entry of its newest filter.
 *
 * A filter that hands calls to a supervisor (SECCOMP_RET_USER_NOTIF) has its listener's descriptor somewhere; it is
 * refused. Whether a filter has a listener is not told by ptrace, so its program is looked at.
 *
 * seccomp.img is written even when nobody has a filter, as CRIU does.
 */
#include "kind/seccomp/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "image/stage.h"
#include "kind/dump.h"
#include "seccomp.pb-c.h"

#ifndef SECCOMP_RET_USER_NOTIF
#define SECCOMP_RET_USER_NOTIF 0x7fc00000u
#endif

enum { CHAIN_MAX = 1024, NO_PREV = UINT32_MAX };

struct filter {
	struct sock_filter *insns; /* malloc'ed */
	size_t n;
	uint32_t flags, prev; /* prev: index, NO_PREV */
};

struct seccomp_run {
	struct dump *d;
	struct filter *v;
	size_t n, cap;
};

bool seccomp_can_notify(const struct sock_filter *f, size_t n)
{
	bool computed = false, constant = false;

	for (size_t i = 0; i < n; i++) {
		bool notify = (f[i].k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF;

		if (f[i].code == (BPF_RET | BPF_K) && notify)
			return true;
		if (f[i].code == (BPF_RET | BPF_A))
			computed = true;
		if (notify && (BPF_CLASS(f[i].code) == BPF_LD || BPF_CLASS(f[i].code) == BPF_LDX ||
			       BPF_CLASS(f[i].code) == BPF_ALU))
			constant = true;
	}
	return computed && constant;
}

/* Take a filter over, or find it. Return: its index, or -ENOMEM. */
static ssize_t intern(struct seccomp_run *r, struct filter *f)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct filter *o = &r->v[i];

		if (o->prev == f->prev && o->flags == f->flags && o->n == f->n &&
		    !memcmp(o->insns, f->insns, f->n * sizeof(*f->insns)))
			return (ssize_t)i;
	}
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 16;
		struct filter *v = realloc(r->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n] = *f;
	f->insns = NULL;
	return (ssize_t)r->n++;
}

static void free_chain(struct filter *chain, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(chain[i].insns);
	free(chain);
}

/* All filters of a thread, the newest first. Return: count or -errno. */
static ssize_t fetch(struct seccomp_run *r, pid_t tid, struct filter *chain, struct cr_err *e)
{
	size_t n;

	for (n = 0; n < CHAIN_MAX; n++) {
		ssize_t k = hold_seccomp(r->d->hold, tid, (unsigned)n, &chain[n].insns, &chain[n].flags, e);

		if (k == -ENOENT)
			return (ssize_t)n;
		if (k < 0)
			return k;
		chain[n].n = (size_t)k;
	}
	return cr_err_set(e, CR_E_UNSUPPORTED, 0, "seccomp", "thread %d has more than %d filters", tid, CHAIN_MAX);
}

static int dump_thread(struct seccomp_run *r, const struct dump_task *t, struct dump_thread *th, struct cr_err *e)
{
	struct filter *chain = calloc(CHAIN_MAX, sizeof(*chain));
	uint32_t prev = NO_PREV;
	ssize_t n;

	if (!chain)
		return cr_err_nomem(e);
	n = fetch(r, th->tid, chain, e);
	for (ssize_t i = n - 1; i >= 0; i--) {
		size_t known = r->n;
		ssize_t at;

		chain[i].prev = prev;
		at = intern(r, &chain[i]);
		if (at < 0) {
			n = cr_err_nomem(e);
			break;
		}
		/* Once for a filter, not once for each thread. */
		if (r->n > known && seccomp_can_notify(r->v[at].insns, r->v[at].n)) {
			struct cr_err refusal = { 0 };

			cr_err_set(&refusal, CR_E_SECCOMP_NOTIFY, 0, t->label,
				   "a seccomp filter of its thread %d hands calls to a supervisor", th->tid);
			cr_report_add(r->d->refusals, &refusal);
		}
		prev = (uint32_t)at;
	}
	free_chain(chain, CHAIN_MAX);
	if (n < 0)
		return (int)n;
	if (!n)
		return cr_err_set(e, CR_E_HOLDER, 0, t->label, "thread %d has seccomp mode 2 but no filter", th->tid);
	th->seccomp_filter = prev;
	return 0;
}

static int write_image(struct seccomp_run *r, struct cr_err *e)
{
	SeccompEntry se = SECCOMP_ENTRY__INIT;
	SeccompFilter *f = calloc(r->n + 1, sizeof(*f));
	SeccompFilter **list = calloc(r->n + 1, sizeof(SeccompFilter *));
	int ret;

	for (size_t i = 0; f && list && i < r->n; i++) {
		seccomp_filter__init(&f[i]);
		f[i].filter.data = (uint8_t *)r->v[i].insns;
		f[i].filter.len = r->v[i].n * sizeof(*r->v[i].insns);
		f[i].has_prev = r->v[i].prev != NO_PREV;
		f[i].prev = f[i].has_prev ? r->v[i].prev : 0;
		f[i].has_flags = r->v[i].flags != 0;
		f[i].flags = r->v[i].flags;
		list[i] = &f[i];
	}
	se.n_seccomp_filters = r->n;
	se.seccomp_filters = list;
	ret = f && list ? stage_write_image(r->d->facts, r->d->img, IMG_SECCOMP, 0, &se, e) : cr_err_nomem(e);
	free(f);
	free(list);
	return ret;
}

static int run(struct dump *d, struct cr_err *e)
{
	struct seccomp_run r = { .d = d };
	int ret = 0;

	for (size_t i = 0; !ret && i < d->nr_tasks; i++)
		for (size_t k = 0; !ret && k < d->tasks[i].nr_threads; k++)
			if (d->tasks[i].threads[k].seccomp_mode == SECCOMP_MODE_FILTER)
				ret = dump_thread(&r, &d->tasks[i], &d->tasks[i].threads[k], e);
	if (!ret)
		ret = write_image(&r, e);
	for (size_t i = 0; i < r.n; i++)
		free(r.v[i].insns);
	free(r.v);
	return ret;
}

const struct dump_hook seccomp_dump = { "seccomp", run, "needs nothing of the others" };
