/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Security labels, dump half.
 *
 * Theory of operation: /proc/PID/attr/current holds the label that AppArmor or SELinux gave to a task; without either
 * the kernel refuses to read it (EINVAL), and nothing has to be done. A restored task gets the label of criu-restore,
 * so a label is fine when it is ours or "unconfined"; others are not carried yet and refused. Threads of AppArmor can
 * have labels of their own (aa_change_hat): they are looked at too.
 */
#include "kind/lsm/lsm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "kind/dump.h"

enum { LABEL_MAX = 4096 };

/* Without the newline that some kernels add. */
static ssize_t read_label(int dirfd, const char *path, char *buf)
{
	ssize_t n = read_buf_at(dirfd, path, buf, LABEL_MAX);

	while (n > 0 && (buf[n - 1] == '\n' || !buf[n - 1]))
		buf[--n] = 0;
	return n;
}

static void check(struct dump *d, const struct dump_task *t, const char *path, const char *own)
{
	char label[LABEL_MAX];
	struct cr_err refusal = { 0 };
	ssize_t n = read_label(t->proc, path, label);

	if (n <= 0 || !strcmp(label, own) || !strcmp(label, "unconfined"))
		return;
	cr_err_set(&refusal, CR_E_LSM_LABEL, 0, t->label, "its security label is %.128s", label);
	cr_report_add(d->refusals, &refusal);
}

static int run(struct dump *d, struct cr_err *e)
{
	_cleanup_close_ int self = open_proc_pid(getpid());
	char own[LABEL_MAX];

	if (self < 0 || read_label(self, "attr/current", own) < 0)
		return 0;
	for (size_t i = 0; i < d->nr_tasks; i++)
		for (size_t k = 0; k < d->tasks[i].nr_threads; k++) {
			char path[48];

			snprintf(path, sizeof(path), "task/%d/attr/current", d->tasks[i].threads[k].tid);
			check(d, &d->tasks[i], path, own);
		}
	return 0;
}

const struct dump_hook lsm_dump = { "lsm", run, "early: a refusal that costs nothing" };
