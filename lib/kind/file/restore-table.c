// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: filling a table, in the task that restores it.
 *
 * Everything that is not kept is closed, kept descriptors move to numbers that the table does not want. Then the rows
 * are filled by rising number, so that open(2), which returns the lowest free number, mostly hits the wanted one; what
 * it does not hit is moved at once by dup3(2). Descriptions owned by other tasks come last, when this task has
 * announced all of its own.
 *
 * Nothing is logged from here: descriptor 2 is the restored program's by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/restore-internal.h"

static struct file_table *my_table(const struct rst *r)
{
	return r->files && r->files->table != FILES_NONE ? &r->files->tables[r->files->table] : NULL;
}

static bool wanted(const struct file_table *t, int fd)
{
	size_t i = files_row(t, fd);

	return i < t->n && t->rows[i].fd == fd;
}

/* A copy of @fd at a number that the table does not want, above all of them if there is room. Return: number or -errno.
 */
static int dup_spare(const struct file_table *t, int from, int fd)
{
	size_t i;
	int n;

	n = fcntl(fd, F_DUPFD_CLOEXEC, from);
	if (n >= 0 || (errno != EINVAL && errno != EMFILE))
		return n < 0 ? -errno : n;
	from = 0;
	while ((n = fcntl(fd, F_DUPFD_CLOEXEC, from)) >= 0 && wanted(t, n)) {
		close(n);
		from = n + 1;
		for (i = files_row(t, from); i < t->n && t->rows[i].fd == from; i++)
			from++;
	}
	return n < 0 ? -errno : n;
}

int files_lift(struct rst *r, int *fd, struct cr_err *e)
{
	struct file_table *t = my_table(r);
	int n;

	if (!t || !wanted(t, *fd))
		return 0;
	n = dup_spare(t, r->files->spare_from, *fd);
	if (n < 0)
		return cr_err_set(e, CR_E_LIMIT_FILES, -n, "descriptors", "no spare number beside the %zu of the task",
				  t->n);
	close(*fd);
	*fd = n;
	return 0;
}

static struct file_desc *here(const struct rst *r, struct file_desc *d)
{
	return r->files->table != FILES_NONE && d->here_table == r->files->table ? d : NULL;
}

int files_here(const struct rst *r, const struct FileEntry *fe)
{
	struct file_desc *d = here(r, files_desc(r, fe));

	return d ? d->here : -1;
}

const struct FileEntry *files_at(const struct rst *r, int fd)
{
	struct file_table *t = my_table(r);
	size_t i;

	if (!t)
		return NULL;
	i = files_row(t, fd);
	return i < t->n && t->rows[i].fd == fd ? r->files->descs[t->rows[i].desc].fe : NULL;
}

/* ---- placing ---- */

static void enter(struct files_plan *p, struct file_desc *d, uint32_t row)
{
	if (d->here_table == p->table)
		return;
	d->here_table = p->table;
	d->first = row;
	d->here = -1;
	d->spare = false;
}

/* Put @fd at the number of a row; @fd is closed unless it is there already. */
static int put(const struct file_row *row, int fd)
{
	int err = 0;

	if (fd == row->fd)
		return fcntl(fd, F_SETFD, row->cloexec ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
	if (dup3(fd, row->fd, row->cloexec ? O_CLOEXEC : 0) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void announce(struct files_plan *p, const struct file_desc *d)
{
	struct file_slot *s;

	if (d->slot == FILES_NONE || d->owner != p->table)
		return;
	s = &p->slots[d->slot];
	s->pid = getpid();
	s->fd = d->here;
	rst_wake(&s->ready, 1);
}

/* A description is there as @fd: to its first number, or to a spare one when it has none in this table. */
static int place(struct rst *r, struct file_desc *d, int fd, struct cr_err *e)
{
	struct files_plan *p = r->files;
	struct file_table *t = my_table(r);
	int ret;

	enter(p, d, FILES_NONE);
	if (d->first == FILES_NONE) {
		ret = files_lift(r, &fd, e);
		if (ret < 0) {
			close(fd);
			return ret;
		}
		d->here = fd;
		d->spare = true;
	} else {
		ret = put(&t->rows[d->first], fd);
		if (ret < 0)
			return files_failed(r, d->fe, -ret, "dup3", e);
		d->here = t->rows[d->first].fd;
	}
	announce(p, d);
	return 0;
}

int files_publish(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e)
{
	return place(r, files_desc(r, fe), fd, e);
}

static int open_own(struct rst *r, struct file_desc *d, struct cr_err *e)
{
	int fd;

	fd = d->ops->open(r, d->fe, e);
	return fd < 0 ? fd : place(r, d, fd, e);
}

/* ---- descriptions of other tasks ---- */

static int owner_pidfd(struct rst *r, pid_t pid, struct cr_err *e)
{
	struct files_plan *p = r->files;
	int fd, ret;

	if (p->cached_pid == pid)
		return p->cached_pidfd;
	if (p->cached_pid >= 0)
		p->cached_pidfd = fd_close(p->cached_pidfd);
	p->cached_pid = -1;
	fd = syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, "shared descriptors",
				  "task %d, which opened them, cannot be reached", pid);
	ret = files_lift(r, &fd, e);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	p->cached_pid = pid;
	return p->cached_pidfd = fd;
}

static int fetch(struct rst *r, struct file_desc *d, struct cr_err *e)
{
	struct file_slot *s = &r->files->slots[d->slot];
	int fd, pidfd, ret;

	ret = rst_wait(r, &s->ready, 1);
	if (ret < 0)
		return cr_err_set(e, CR_E_RESTORE_TASK, -ret, "shared descriptors", "the restore has failed elsewhere");
	pidfd = owner_pidfd(r, s->pid, e);
	if (pidfd < 0)
		return pidfd;
	fd = syscall(SYS_pidfd_getfd, pidfd, s->fd, 0);
	if (fd < 0)
		return files_failed(r, d->fe, errno, "pidfd_getfd", e);
	return place(r, d, fd, e);
}

int files_from_main(struct rst *r, int fd, struct cr_err *e)
{
	_cleanup_close_ int own = -1;
	int ret, pidfd = r->main_pidfd;

	/* A task that has its descriptors from another one keeps none for us. */
	if (pidfd < 0 && getpid() != r->main_pid)
		pidfd = own = syscall(SYS_pidfd_open, r->main_pid, 0);
	if (getpid() == r->main_pid)
		ret = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	else
		ret = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	return ret < 0 ? cr_err_set(e, CR_E_SYSTEM, errno, "main process", "descriptor %d cannot be taken", fd) : ret;
}

/* ---- the table ---- */

int files_raise_limit(const struct file_table *t, struct cr_err *e)
{
	int top = t->n ? t->rows[t->n - 1].fd : 0;
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, "RLIMIT_NOFILE", "cannot be read");
	if ((rlim_t)top >= lim.rlim_max) {
		/* With CAP_SYS_RESOURCE it can be raised. */
		struct rlimit want = { .rlim_cur = top + 64, .rlim_max = top + 64 };

		if (setrlimit(RLIMIT_NOFILE, &want) == 0)
			return 0;
		cr_err_set(e, CR_E_LIMIT_FILES, errno, "RLIMIT_NOFILE",
			   "descriptor %d is wanted, the hard limit is %llu", top, (unsigned long long)lim.rlim_max);
		cr_err_remedy(e, "raise the hard limit of open files (ulimit -Hn) of the caller");
		return -EMFILE;
	}
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

/* Close all but @kept[]. */
static int close_others(int *kept, size_t n, struct cr_err *e)
{
	unsigned from = 0;
	size_t i;

	qsort(kept, n, sizeof(*kept), by_value);
	for (i = 0; i < n; i++) {
		if (kept[i] < 0)
			continue;
		if ((unsigned)kept[i] > from && syscall(SYS_close_range, from, kept[i] - 1, 0) < 0)
			goto failed;
		from = kept[i] + 1;
	}
	if (syscall(SYS_close_range, from, ~0u, 0) == 0)
		return 0;
failed:
	return cr_err_set(e, CR_E_SYSTEM, errno, "descriptors", "close_range failed");
}

/* Move what is kept out of the way. The image directory and the main process are kept in any case. */
static int clear_table(struct rst *r, struct file_table *t, int *const *keep, size_t nr_keep, struct cr_err *e)
{
	size_t n = nr_keep + 2, i, k;
	int old, moved, ret, *kept;
	int **all;

	all = malloc(n * (sizeof(*all) + sizeof(*kept)));
	if (!all)
		return cr_err_nomem(e);
	kept = (int *)(all + n);
	memcpy(all, keep, nr_keep * sizeof(*all));
	all[nr_keep] = &r->img;
	all[nr_keep + 1] = &r->main_pidfd;
	for (i = 0; i < n; i++)
		kept[i] = *all[i];
	ret = close_others(kept, n, e);
	for (i = 0; i < n && !ret; i++) {
		old = *all[i];
		if (old < 0 || !wanted(t, old))
			continue;
		moved = dup_spare(t, r->files->spare_from, old);
		if (moved < 0) {
			ret = cr_err_set(e, CR_E_LIMIT_FILES, -moved, "descriptors",
					 "no spare number beside the %zu of the task", t->n);
			break;
		}
		close(old);
		for (k = 0; k < n; k++)
			if (*all[k] == old)
				*all[k] = moved;
	}
	free(all);
	return ret;
}

/* @own: the descriptions that this task makes; else those of others. */
static int fill_rows(struct rst *r, struct file_table *t, bool own, struct cr_err *e)
{
	struct files_plan *p = r->files;
	size_t i;
	int ret;

	for (i = 0; i < t->n; i++) {
		struct file_row *row = &t->rows[i];
		struct file_desc *d = &p->descs[row->desc];

		if ((d->owner == p->table) != own)
			continue;
		if (d->here < 0) {
			ret = own ? open_own(r, d, e) : fetch(r, d, e);
			if (ret < 0)
				return ret;
		}
		if (d->here != row->fd && dup3(d->here, row->fd, row->cloexec ? O_CLOEXEC : 0) < 0)
			return files_failed(r, d->fe, errno, "dup3", e);
	}
	return 0;
}

/* What has no number here: to be sent in a queue, or a member of a group that only other tasks have. */
static int fill_extras(struct rst *r, bool own, struct cr_err *e)
{
	struct files_plan *p = r->files;
	size_t i;
	int ret = 0;

	for (i = 0; i < p->nr_extra && !ret; i++) {
		struct file_desc *d = &p->descs[p->extra[i].desc];

		if (p->extra[i].table != p->table || (d->owner == p->table) != own)
			continue;
		enter(p, d, FILES_NONE);
		if (d->here < 0)
			ret = own ? open_own(r, d, e) : fetch(r, d, e);
	}
	return ret;
}

/* A group whose first member is in this table, while another that is only wanted elsewhere was not made with it. */
static int fill_groups(struct rst *r, struct cr_err *e)
{
	struct files_plan *p = r->files;
	size_t i;
	int ret = 0;

	for (i = 0; i < p->nr_descs && !ret; i++) {
		struct file_desc *d = &p->descs[i];

		if (d->owner != p->table || d->slot == FILES_NONE || (here(r, d) && d->here >= 0))
			continue;
		enter(p, d, FILES_NONE);
		ret = open_own(r, d, e);
	}
	return ret;
}

int files_restore(struct rst *r, uint32_t files_id, int *const *keep, size_t nr_keep, struct cr_err *e)
{
	struct files_plan *p = r->files;
	struct file_table *t;
	uint32_t i;
	int ret;

	for (i = 0; i < p->nr_tables && p->tables[i].id != files_id; i++)
		;
	if (i == p->nr_tables)
		return cr_err_set(e, CR_E_IMG_REF, 0, "descriptors", "no plan for table %u", files_id);
	t = &p->tables[i];
	p->table = i;
	p->cached_pid = p->cached_pidfd = -1;
	p->spare_from = t->n ? t->rows[t->n - 1].fd + 1 : 3;
	for (i = t->n; i-- > 0;) {
		p->descs[t->rows[i].desc].here_table = FILES_NONE;
		enter(p, &p->descs[t->rows[i].desc], i);
	}
	ret = files_raise_limit(t, e);
	if (!ret)
		ret = clear_table(r, t, keep, nr_keep, e);
	if (!ret)
		ret = fill_rows(r, t, true, e);
	if (!ret)
		ret = fill_extras(r, true, e);
	if (!ret)
		ret = fill_groups(r, e);
	if (!ret)
		ret = fill_rows(r, t, false, e);
	if (!ret)
		ret = fill_extras(r, false, e);
	p->cached_pidfd = fd_close(p->cached_pidfd);
	p->cached_pid = -1;
	return ret;
}
