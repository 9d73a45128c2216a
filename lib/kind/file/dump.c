/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A descriptor of a stopped task is looked at through a copy of our own (pidfd_getfd(2)): fstat, readlink of
 * /proc/self/fd, fcntl and getsockopt then work without the task. What only /proc/PID/fdinfo tells (close-on-exec,
 * position, what eventfds and their like hold) is read from there. The copy is closed as soon as the entry is
 * written: closing it does nothing to the task's, but note that close() of any descriptor of a file drops the POSIX
 * locks of the process that closes, which is us and has none.
 *
 * Each new description gets an id, is handed to the kind that says it is its own, and goes to files.img at once;
 * fdinfo-N.img has a row per number. A description that is refused is remembered, so that its copies do not repeat it.
 * Entries must not wait until the end: a descriptor may cost 256 bytes of memory here, and an entry is larger.
 */
#include "kind/file/dump-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "kind/file/dump.h"

#include "fdinfo.pb-c.h"

struct file_ids *file_ids_get(struct dump *d)
{
	struct file_ids *f = d->files;

	if (f)
		return f;
	f = arena_alloc(d->arena, sizeof(*f));
	if (!f)
		return NULL;
	f->next_id = 1;
	f->memfds_end = &f->memfds;
	f->link = malloc(DUMP_LINK);
	if (!f->link)
		return NULL;
	d->files = f;
	return f;
}

void dump_files_free(struct dump *d)
{
	struct file_ids *f = d->files;

	if (!f)
		return;
	for (unsigned i = 0; i < f->nr_images; i++)
		img_abandon(&f->images[i].w);
	share_free(&f->share);
	arena_free(&f->scratch);
	look_free(f->looker);
	free(f->link);
	free(f->paths);
	free(f->needs);
	d->files = NULL;
}

uint32_t dump_new_id(struct dump *d)
{
	return d->files->next_id++;
}

int dump_image(struct dump *d, enum img_type type, struct img_writer **ret, struct cr_err *e)
{
	struct file_ids *f = d->files;
	int err;

	for (unsigned i = 0; i < f->nr_images; i++)
		if (f->images[i].type == type) {
			*ret = &f->images[i].w;
			return 0;
		}
	if (f->nr_images == DUMP_IMAGES_MAX)
		return cr_err_set(e, CR_E_SYSTEM, 0, "criu-collect", "its table of open images is full");
	err = img_create(d->img, type, 0, &f->images[f->nr_images].w, e);
	if (err < 0)
		return err;
	f->images[f->nr_images].type = type;
	*ret = &f->images[f->nr_images++].w;
	return 0;
}

int dump_put_file(struct dump *d, const struct FileEntry *fe, struct cr_err *e)
{
	struct img_writer *w;
	int ret = dump_image(d, IMG_FILES, &w, e);

	return ret < 0 ? ret : img_put(w, fe, e);
}

void **dump_kind_state(struct dump *d, const struct fd_dump_ops *ops)
{
	unsigned i = 0;

	while (dump_fd_order[i] && dump_fd_order[i] != ops && i < DUMP_KINDS_MAX - 1)
		i++;
	return &d->files->kind_state[i];
}

static int refuse_lock(const struct fd_look *l, const char *lock, struct cr_err *e)
{
	char kind[16] = "lock";

	/* "1: POSIX  ADVISORY  WRITE 123 fe:00:99 0 EOF" */
	sscanf(lock, "%*[^ ] %15s", kind);
	return dump_refuse(l, e, CR_E_FILE_LOCK, "%s locks are not supported yet", kind);
}

/* A description that was not seen before: let its kind write the entry. Return: 0, -errno (refused, or worse). */
static int dump_new(struct dump *d, const struct look_slot *s, uint32_t id, uint32_t *ret_type, struct cr_err *e)
{
	const struct fd_look *l = &s->look;
	const struct fd_dump_ops *const *ops = dump_fd_order;
	FileEntry fe = FILE_ENTRY__INIT;
	int ret;

	if (s->lock)
		return refuse_lock(l, s->lock, e);
	while (*ops && !(*ops)->match(l))
		ops++;
	if (!*ops)
		return dump_refuse(l, e, CR_E_FD_KIND, "what this descriptor is, is not known here");
	fe.type = (FdTypes)(*ops)->type;
	fe.id = id;
	ret = (*ops)->dump(d, l, &fe, e);
	if (ret < 0)
		return ret;
	*ret_type = fe.type;
	log_debug("fd: pid %d fd %d: %s, id %u, %s", l->task->pid, l->fd, (*ops)->name, id, l->link);
	return dump_put_file(d, &fe, e);
}

/* A description that has no id yet: it gets one and an entry, or is refused (id 0). */
static int dump_fresh(struct dump *d, struct look_slot *s, uint32_t index, struct cr_err *e)
{
	uint32_t id = dump_new_id(d), type = 0;
	struct cr_err why = { 0 };
	struct share_node *node;
	int ret = look_more(d->files, s, &why);

	if (!ret)
		ret = dump_new(d, s, id, &type, &why);
	arena_reset(&d->files->scratch);
	if (ret < 0 && cr_code_exit(why.code) != CR_REFUSED) {
		*e = why;
		return ret;
	}
	node = &d->files->share.nodes[index];
	node->id = ret < 0 ? 0 : id;
	node->type = type;
	return ret < 0 && cr_report_add(d->refusals, &why) < 0 ? cr_err_nomem(e) : 0;
}

/* One number of a table. */
static int dump_fd(struct dump *d, struct look_slot *s, struct img_writer *w, struct cr_err *e)
{
	const struct fd_look *l = &s->look;
	FdinfoEntry row = FDINFO_ENTRY__INIT;
	struct share_node *node;
	uint32_t index;
	bool fresh;
	int ret;

	if (s->err && d->dry && (s->err == EBADF || s->err == ENOENT))
		return 0; /* the task, which runs, has closed it */
	if (s->err)
		return dump_failed(l, s->err, s->call, e);
	node = share_find(&d->files->share, share_key(l), l->task->pid, l->fd, &fresh, &ret);
	if (!node)
		return dump_failed(l, -ret, "kcmp", e);
	index = node - d->files->share.nodes;
	if (fresh) {
		ret = dump_fresh(d, s, index, e);
		if (ret < 0)
			return ret;
		node = &d->files->share.nodes[index];
	}
	if (!node->id)
		return 0;
	row.id = node->id;
	row.type = (FdTypes)node->type;
	row.flags = l->cloexec; /* FD_CLOEXEC is 1 */
	row.fd = l->fd;
	return img_put(w, &row, e);
}

static int dump_rows(struct dump *d, const struct dump_task *t, struct look_table *table, struct img_writer *w,
		     struct cr_err *e)
{
	struct look_slot *slots;
	ssize_t n = 0;
	int ret = 0;

	while (!ret && (n = look_next(d->files, table, &slots)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (!ret)
				ret = dump_fd(d, &slots[i], w, e);
			fd_close(slots[i].look.lfd);
		}
	return !ret && n < 0 ? cr_err_nomem(e) : ret;
}

/* All descriptors of one table, through the first task that has it. */
static int dump_table(struct dump *d, const struct dump_task *t, struct cr_err *e)
{
	struct fd_look l = { .task = t, .fd = -1, .lfd = -1 };
	struct look_table table;
	char name[IMG_NAME_MAX];
	struct img_writer w;
	int ret = look_begin(t, &table);

	if (ret < 0)
		return dump_failed(&l, -ret, "its descriptors", e);
	ret = img_create(d->img, IMG_FDINFO, t->files_id, &w, e);
	if (!ret)
		ret = dump_rows(d, t, &table, &w, e);
	if (!ret)
		ret = img_finish(&w, e);
	if (!ret)
		stage_wrote(d->facts, img_name(IMG_FDINFO, t->files_id, name), w.bytes);
	img_abandon(&w);
	look_end(&table);
	return ret;
}

/* Has a task before @i the same table? */
static bool table_seen(const struct dump *d, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (d->tasks[k].proc >= 0 && d->tasks[k].files_id == d->tasks[i].files_id)
			return true;
	return false;
}

static int dump_files(struct dump *d, struct cr_err *e)
{
	if (!file_ids_get(d))
		return cr_err_nomem(e);
	for (size_t i = 0; i < d->nr_tasks; i++) {
		int ret;

		if (d->tasks[i].proc < 0 || table_seen(d, i))
			continue;
		ret = dump_table(d, &d->tasks[i], e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int dump_files_end(struct dump *d, struct cr_err *e)
{
	struct file_ids *f = file_ids_get(d);
	struct img_writer *w;
	int ret = 0;

	if (!f)
		return cr_err_nomem(e);
	for (unsigned i = 0; dump_fd_order[i] && !ret; i++)
		if (dump_fd_order[i]->finish)
			ret = dump_fd_order[i]->finish(d, e);
	if (!ret)
		ret = memfds_finish(d, e);
	if (!ret)
		ret = paths_finish(d, e);
	if (!ret)
		ret = dump_image(d, IMG_FILES, &w, e); /* there also when it is empty */
	for (unsigned i = 0; i < f->nr_images && !ret; i++) {
		char name[IMG_NAME_MAX];

		ret = img_finish(&f->images[i].w, e);
		if (!ret)
			stage_wrote(d->facts, img_name(f->images[i].type, 0, name), f->images[i].w.bytes);
	}
	log_info("fd: %u ids, %u descriptions, %zu files by path", f->next_id - 1, f->share.nr, f->nr_paths);
	dump_files_free(d);
	return ret;
}

const struct dump_hook files_dump = { "files", dump_files,
				      "before the parasite, whose descriptors are not the task's" };
const struct dump_hook files_end_dump = { "files-end", dump_files_end,
					  "after the last dump_file_id(): mappings, exe, cwd, root" };
