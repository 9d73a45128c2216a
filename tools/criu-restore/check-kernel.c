/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --check-only: the CPU, the kernel, the clock.
 *
 * Each feature is asked for with a call that cannot succeed, or that changes this process alone; the answer tells whether
 * the kernel knows the call. Only what these images need is asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core.pb-c.h"
#include "kind/mm/mm.h"
#include "kind/restore-check.h"
#include "mm.pb-c.h"
#include "restore.h"
#include "timens.pb-c.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

/* ---- CPU ---- */

/* Can the saved state of each be set here? */
static int threads_fit(struct restore *x, struct cr_err *e)
{
	static uint8_t xsave[XSAVE_MAX] __attribute__((aligned(64)));
	uint64_t gpr[27];
	char who[64];
	int err = 0;

	for (size_t i = 0; !err && i < x->plan.nr_images; i++)
		for (size_t k = 0; !err && k < x->plan.tasks[i].nr_threads; k++) {
			const struct plan_thread *th = &x->plan.tasks[i].threads[k];

			err = core_regs_from_image(th->core->thread_info, &x->xsave, gpr, xsave, sizeof(xsave), e);
			if (err)
				snprintf(e->object, sizeof(e->object), "%s, thread %d",
					 plan_who(&x->plan.tasks[i], who, sizeof(who)), th->tid);
			err = rst_found(&x->rst, err, e);
		}
	return err;
}

int check_cpu(struct restore *x, struct cr_err *e)
{
	int err;

	rst_area(&x->rst, "cpu", x->plan.nr_threads);
	err = threads_fit(x, e);
	return err ? err : cpu_fits(x, e);
}

/* ---- features ---- */

static bool any_task(const struct restore *x, bool (*is)(const struct plan_task *t))
{
	for (size_t i = 0; i < x->plan.nr_images; i++)
		if (x->plan.tasks[i].mm && is(&x->plan.tasks[i]))
			return true;
	return false;
}

static bool has_guards(const struct plan_task *t)
{
	return t->mm->n_vmas && t->mm->vmas[t->mm->n_vmas - 1]->status & MM_GUARD;
}

static bool has_filter(const struct plan_task *t)
{
	for (size_t i = 0; i < t->nr_threads; i++)
		if (t->threads[i].core->thread_core->has_seccomp_mode && t->threads[i].core->thread_core->seccomp_mode)
			return true;
	return false;
}

static bool has_rseq(const struct plan_task *t)
{
	for (size_t i = 0; i < t->nr_threads; i++)
		if (t->threads[i].core->thread_core->rseq_entry)
			return true;
	return false;
}

static bool has_membarrier(const struct plan_task *t)
{
	return t->core->tc->has_membarrier_registration_mask && t->core->tc->membarrier_registration_mask;
}

/* An impossible size: EINVAL where clone3() is known. */
static int try_clone3(const struct restore *x)
{
	return syscall(SYS_clone3, NULL, 0) < 0 ? errno : 0;
}

static int try_pidfd_getfd(const struct restore *x)
{
	return syscall(SYS_pidfd_getfd, -1, -1, 0) < 0 ? errno : 0;
}

static int try_close_range(const struct restore *x)
{
	return syscall(SYS_close_range, ~0u, ~0u, 0) < 0 ? errno : 0;
}

/* Part of CONFIG_CHECKPOINT_RESTORE. */
static int try_mm_map(const struct restore *x)
{
	unsigned size = 0;

	if (!prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0))
		return 0;
	return errno == EINVAL ? ENOSYS : errno;
}

static int try_seccomp(const struct restore *x)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL ? ENOSYS : 0;
}

static int try_rseq(const struct restore *x)
{
	return syscall(SYS_rseq, NULL, 0, 0, 0) < 0 ? errno : 0;
}

/* Each registration that the tasks have (membarrier(2)). */
static int try_membarrier(const struct restore *x)
{
	long known = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	for (size_t i = 0; known >= 0 && i < x->plan.nr_images; i++) {
		const struct plan_task *t = &x->plan.tasks[i];

		if (t->mm && has_membarrier(t) && t->core->tc->membarrier_registration_mask & ~(uint32_t)known)
			return ENOSYS;
	}
	return known < 0 ? errno : 0;
}

static int try_guards(const struct restore *x)
{
	void *p = mmap(NULL, MM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err = p == MAP_FAILED || !madvise(p, MM_PAGE, MADV_GUARD_INSTALL) ? 0 : ENOSYS;

	if (p != MAP_FAILED)
		munmap(p, MM_PAGE);
	return err;
}

static const struct feature {
	const char *name, *what;
	int (*try)(const struct restore *x);	   /* ENOSYS: not here */
	bool (*wanted)(const struct plan_task *t); /* NULL: by every restore */
} features[] = {
	{ "clone3", "processes with chosen pids (Linux 5.5)", try_clone3, NULL },
	{ "pidfd_getfd", "descriptors of another process (Linux 5.6)", try_pidfd_getfd, NULL },
	{ "close_range", "closing of descriptors (Linux 5.9)", try_close_range, NULL },
	{ "PR_SET_MM_MAP", "addresses of programs (CONFIG_CHECKPOINT_RESTORE)", try_mm_map, NULL },
	{ "seccomp", "the seccomp filters of the tree (CONFIG_SECCOMP_FILTER)", try_seccomp, has_filter },
	{ "rseq", "restartable sequences (CONFIG_RSEQ)", try_rseq, has_rseq },
	{ "membarrier", "the memory barriers that the tree has registered for", try_membarrier, has_membarrier },
	{ "MADV_GUARD_INSTALL", "the guard regions of the tree (Linux 6.13)", try_guards, has_guards },
};

/* Without them the clocks of the tree jump, but it is restored. */
static void time_namespaces(struct restore *x)
{
	struct cr_err e = { 0 };

	if (!x->plan.timens || !access("/proc/self/ns/time", F_OK))
		return;
	cr_err_set(&e, CR_E_KERNEL, errno, "time namespaces",
		   "the kernel has none, so the monotonic clock of the tree jumps");
	rst_doubt(&x->rst, &e);
}

/* Images of a dry run do not hold it: then the same kernel is the only certainty. */
static void same_kernel(struct restore *x)
{
	struct utsname u = { 0 };
	struct cr_err e = { 0 };
	json_t *m = NULL;
	const char *then;

	if (uname(&u) || manifest_read_head(x->rst.img, &m, &e))
		return;
	then = json_string_value(json_object_get(json_object_get(m, "host"), "kernel"));
	if (then && strcmp(then, u.release) != 0) {
		cr_err_set(&e, CR_E_MEM_LAYOUT, 0, "vdso",
			   "the dump was made with Linux %.80s, here runs %.80s: whether their vdsos are equal shows "
			   "only at the restore",
			   then, u.release);
		rst_doubt(&x->rst, &e);
	}
	json_decref(m);
}

static int vdso(struct restore *x, struct cr_err *e)
{
	bool unknown = false;
	int err = 0;

	for (size_t i = 0; !err && i < x->plan.nr_images; i++) {
		if (!x->plan.tasks[i].mm)
			continue;
		err = mm_check_vdso(&x->rst, x->plan.tasks[i].mm, x->plan.tasks[i].pid, &x->vdso,
				    thread_in_vdso(&x->plan.tasks[i]), e);
		unknown |= err > 0;
		err = rst_found(&x->rst, err > 0 ? 0 : err, e);
	}
	if (unknown)
		same_kernel(x);
	return err;
}

int check_kernel(struct restore *x, struct cr_err *e)
{
	const uint64_t may = 1ull << CAP_SYS_ADMIN | 1ull << CAP_CHECKPOINT_RESTORE;
	int err = 0;

	rst_area(&x->rst, "kernel", 1);
	for (size_t i = 0; !err && i < sizeof(features) / sizeof(features[0]); i++) {
		const struct feature *f = &features[i];

		if (f->wanted && !any_task(x, f->wanted))
			continue;
		rst_area(&x->rst, "kernel", 1);
		if (f->try(x) == ENOSYS)
			err = rst_found(&x->rst, cr_err_set(e, CR_E_KERNEL, ENOSYS, f->name, "%s", f->what), e);
	}
	time_namespaces(x);
	if (!err)
		err = vdso(x, e);
	rst_area(&x->rst, "credentials", 1);
	if (!err && !(x->own.creds.eff & may))
		err = rst_found(&x->rst,
				cr_err_set(e, CR_E_PRIVILEGE, EPERM, "the restore itself",
					   "it may not choose the pids of processes"),
				e);
	return err;
}

/* ---- clock ---- */

/* "2026-11-21T06:26:12.000000Z". Return: -1: no such time. */
static time_t parse_time(const char *text)
{
	struct tm tm = { 0 };

	return text && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? timegm(&tm) : -1;
}

/* The manifest says when the dump was made; else the inventory is as old as it. */
int check_clock(struct restore *x, struct cr_err *e)
{
	json_t *m = NULL;
	struct stat st;
	time_t then = -1, now = time(NULL);
	char text[32];
	struct tm tm;

	rst_area(&x->rst, "clock", 1);
	if (!manifest_read_head(x->rst.img, &m, e))
		then = parse_time(json_string_value(json_object_get(m, "created")));
	*e = (struct cr_err){ 0 };
	json_decref(m);
	if (then < 0 && !fstatat(x->rst.img, "inventory.img", &st, 0))
		then = st.st_mtime;
	if (then <= now + 1)
		return 0;
	gmtime_r(&then, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	cr_err_set(e, CR_E_CLOCK, 0, "clock",
		   "the dump was made at %s UTC, which is %lld s ahead of this machine's time", text,
		   (long long)(then - now));
	rst_doubt(&x->rst, e);
	*e = (struct cr_err){ 0 };
	return 0;
}
