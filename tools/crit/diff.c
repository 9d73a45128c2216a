/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crit diff: what changed between two checkpoints.
 *
 * Theory of operation: each checkpoint is written down as lines of text with keys: a line for each task, descriptor, mapping.
 * Both lists are sorted by key and walked together; lines with the same key and another text have changed. Numbers in the
 * text that change with each restore are compared by who shares them (diff-same.c). Page contents are compared mapping by
 * mapping (diff-pages.c). --fields compares all images entry by entry instead.
 */
#include "diff.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "fs.pb-c.h"
#include "mm.pb-c.h"
#include "pstree.pb-c.h"
#include "x.h"

struct facts {
	struct checkpoint c;
	struct fact *v;
	size_t n, cap;
};

static const char *const what_names[] = { "task", "thread", "file", "socket", "mapping", "pages" };

static int add(struct facts *f, struct fact fact, struct cr_err *e)
{
	fact.text = arena_strdup(&f->c.arena, fact.text);
	if (f->n == f->cap) {
		struct fact *more = realloc(f->v, (f->cap = 2 * f->cap + 256) * sizeof(*more));

		if (!more)
			return cr_err_nomem(e);
		f->v = more;
	}
	if (!fact.text)
		return cr_err_nomem(e);
	f->v[f->n++] = fact;
	return 0;
}

static int add_task(struct facts *f, const PstreeEntry *t, struct cr_err *e)
{
	const CoreEntry *core = checkpoint_task_one(&f->c, IMG_CORE, t->pid);
	const TaskCoreEntry *tc = core ? core->tc : NULL;
	const CredsEntry *cr = core && core->thread_core ? core->thread_core->creds : NULL;
	const char *name = checkpoint_comm(&f->c, t->pid);
	char comm[80], text[512];
	int ret;

	snprintf(text, sizeof(text), "%s, parent %u, group %u, session %u, state %u, uid %u, gid %u, %zu threads",
		 name_text(&f->c, name, strlen(name), comm, sizeof(comm)), t->ppid, t->pgid, t->sid,
		 tc ? tc->task_state : 0, cr ? cr->euid : 0, cr ? cr->egid : 0, t->n_threads);
	ret = add(f, (struct fact){ DIFF_TASK, t->pid, 0, 0, text }, e);
	for (size_t k = 0; !ret && k < t->n_threads && t->n_threads > 1; k++)
		ret = add(f, (struct fact){ DIFF_THREAD, t->pid, t->threads[k], 0, "" }, e);
	return ret;
}

/* The numbers stand in the text from @at on, for @len bytes. */
static void set_ids(struct fact *f, enum diff_space space, uint64_t id, uint64_t other, size_t at, int len)
{
	f->space = space;
	f->ids[0] = id;
	f->ids[1] = other;
	f->ids_at = at;
	f->ids_len = (size_t)len;
}

/* What there is to say about the file behind a descriptor. */
static void file_fact(const struct checkpoint *c, uint32_t type, uint32_t id, struct fact *f, char *buf, size_t size)
{
	const void *entry = checkpoint_file(c, type, id);
	const RegFileEntry *reg = entry;
	const PipeEntry *pipe = entry;
	const UnixSkEntry *sk = entry;
	size_t fill;

	f->text = buf;
	if (socket_text(c, type, id, buf, size)) {
		static const char mark[] = "unix[";
		const char *at = type == FD_TYPES__UNIXSK ? strstr(buf, mark) : NULL;

		f->what = DIFF_SOCKET;
		if (at)
			set_ids(f, DIFF_UNIX, sk->ino, sk->peer, (size_t)(at - buf) + strlen(mark),
				snprintf(NULL, 0, "%u (%u)", sk->ino, sk->peer));
		return;
	}
	f->what = DIFF_FILE;
	checkpoint_file_text(c, type, id, buf, size);
	fill = strlen(buf);
	if (entry && type == FD_TYPES__REG) {
		if (fill < size)
			snprintf(buf + fill, size - fill, ", position %" PRIu64 ", flags %#x", reg->pos, reg->flags);
	} else if (entry && type == FD_TYPES__PIPE) {
		set_ids(f, DIFF_PIPE, pipe->pipe_id, 0, strlen("pipe["), snprintf(NULL, 0, "%u", pipe->pipe_id));
	} else {
		int len = snprintf(NULL, 0, "%u", id);

		set_ids(f, DIFF_FILE_ID, idmap_key(type, id), 0, fill - (size_t)len, len);
	}
}

static int add_fds(struct facts *f, const PstreeEntry *t, struct cr_err *e)
{
	const FsEntry *fs = checkpoint_task_one(&f->c, IMG_FS, t->pid);
	static const char *const dirs[] = { "cwd ", "root " };
	char text[NAME_TEXT_SIZE];
	FdinfoEntry **fds;
	size_t n = checkpoint_fds(&f->c, t, &fds);
	int ret = 0;

	for (size_t k = 0; !ret && k < n; k++) {
		struct fact fact = { .pid = t->pid, .number = fds[k]->fd };
		size_t fill;

		file_fact(&f->c, fds[k]->type, fds[k]->id, &fact, text, sizeof(text) - 32);
		fill = strlen(text);
		if (fds[k]->flags & 1)
			snprintf(text + fill, sizeof(text) - fill, ", cloexec");
		ret = add(f, fact, e);
	}
	for (unsigned int k = 0; !ret && fs && k < 2; k++) {
		size_t fill = (size_t)snprintf(text, sizeof(text), "%s", dirs[k]);

		checkpoint_file_text(&f->c, FD_TYPES__REG, k ? fs->root_id : fs->cwd_id, text + fill,
				     sizeof(text) - fill);
		ret = add(f, (struct fact){ DIFF_FILE, t->pid, DIFF_CWD + k, 0, text }, e);
	}
	return ret;
}

/* @name: vma_text(), which stands in the text from @at on */
static void vma_ids(const VmaEntry *v, const char *name, size_t at, struct fact *f)
{
	uint32_t id = (uint32_t)v->shmid;
	const char *mark;

	if (v->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)) {
		mark = strchr(name, '.');
		if (v->status & VMA_MEMFD && mark)
			set_ids(f, DIFF_FILE_ID, idmap_key(FD_TYPES__MEMFD, id), 0, at + (size_t)(mark + 1 - name),
				snprintf(NULL, 0, "%u", id));
	} else if (v->status & VMA_ANON_SHARED && !(v->status & (VMA_SYSVIPC | VMA_SOCKET))) {
		mark = strchr(name, '[');
		if (mark)
			set_ids(f, DIFF_SEGMENT, v->shmid, 0, at + (size_t)(mark + 1 - name),
				snprintf(NULL, 0, "%" PRIu64, v->shmid));
	}
}

static int add_vmas(struct facts *f, const PstreeEntry *t, struct cr_err *e)
{
	VmaEntry *const *vmas;
	size_t n = checkpoint_vmas(&f->c, t->pid, &vmas);
	char name[NAME_TEXT_SIZE], text[NAME_TEXT_SIZE + 8];
	int ret = 0;

	for (size_t k = 0; !ret && k < n; k++) {
		const VmaEntry *v = vmas[k];
		struct fact fact = { DIFF_MAPPING, t->pid, v->start, v->end, text };
		size_t at =
			(size_t)snprintf(text, sizeof(text), "%c%c%c%c ", v->prot & 1 ? 'r' : '-',
					 v->prot & 2 ? 'w' : '-', v->prot & 4 ? 'x' : '-', v->flags & 1 ? 's' : 'p');

		snprintf(text + at, sizeof(text) - at, "%s", vma_text(&f->c, v, name, sizeof(name)));
		vma_ids(v, name, at, &fact);
		ret = add(f, fact, e);
	}
	return ret;
}

static int by_key(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;

	if (x->what != y->what)
		return x->what < y->what ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

/* @f: for facts_close() in any case */
static int facts_open(struct facts *f, const char *path, bool json, struct cr_err *e)
{
	int ret = checkpoint_open(&f->c, path, e);

	if (ret < 0)
		return ret;
	f->c.spelled = json;
	for (size_t k = 0; !ret && k < f->c.n_tasks; k++) {
		ret = add_task(f, f->c.tasks[k], e);
		if (!ret)
			ret = add_fds(f, f->c.tasks[k], e);
		if (!ret)
			ret = add_vmas(f, f->c.tasks[k], e);
	}
	if (f->n)
		qsort(f->v, f->n, sizeof(*f->v), by_key);
	return ret;
}

/* Return: exit code, if not all could be read */
static int facts_close(struct facts *f)
{
	int code = damages_tell(&f->c);

	checkpoint_close(&f->c);
	free(f->v);
	return code;
}

/* "24030 fd 3: ", "24030 7f00-8f00: " */
static void place_text(const struct fact *f, char *buf, size_t size)
{
	if (f->what == DIFF_TASK)
		snprintf(buf, size, "%u", f->pid);
	else if (f->what == DIFF_THREAD)
		snprintf(buf, size, "%u thread %" PRIu64, f->pid, f->number);
	else if (f->what == DIFF_MAPPING)
		snprintf(buf, size, "%u %" PRIx64 "-%" PRIx64, f->pid, f->number, f->end);
	else if (f->number >= DIFF_CWD)
		snprintf(buf, size, "%u", f->pid);
	else
		snprintf(buf, size, "%u fd %" PRIu64, f->pid, f->number);
}

static void print_text(struct differ *d, const char *sign, const char *what, const char *place, const char *text)
{
	struct obuf *ob = d->out.ob;

	ob_text(ob, sign);
	ob_text(ob, what);
	ob_text(ob, " ");
	ob_text(ob, place);
	if (*text)
		ob_text(ob, ": ");
	ob_text(ob, text);
	ob_text(ob, "\n");
}

void diff_print(struct differ *d, enum diff_what what, uint32_t pid, const char *place, const char *old,
		const char *now)
{
	struct json_out *o = &d->out;

	d->found++;
	if (!d->json) {
		if (old)
			print_text(d, "- ", what_names[what], place, old);
		if (now)
			print_text(d, "+ ", what_names[what], place, now);
		return;
	}
	jo_begin(o, '{');
	jo_key(o, "what");
	jo_text(o, what_names[what]);
	jo_key(o, "pid");
	jo_unsigned(o, pid);
	jo_key(o, "place");
	jo_text(o, place);
	jo_key(o, "old");
	if (old)
		jo_text(o, old);
	else
		jo_raw(o, "null");
	jo_key(o, "new");
	if (now)
		jo_text(o, now);
	else
		jo_raw(o, "null");
	jo_end(o, '}');
}

/* Both lists by turns, zeroed at the start. */
struct turns {
	size_t a, b;
	const struct fact *old, *now; /* NULL: the other alone has it */
};

static bool turns_next(struct turns *w, const struct facts *old, const struct facts *now)
{
	const struct fact *x = w->a < old->n ? &old->v[w->a] : NULL, *y = w->b < now->n ? &now->v[w->b] : NULL;
	int order = !x ? 1 : !y ? -1 : by_key(x, y);

	w->old = order <= 0 ? x : NULL;
	w->now = order >= 0 ? y : NULL;
	w->a += w->old != NULL;
	w->b += w->now != NULL;
	return w->old || w->now;
}

static int compare(struct differ *d, const struct facts *old, struct facts *now, struct same *same, struct cr_err *e)
{
	char place[80];

	for (struct turns w = { 0 }; turns_next(&w, old, now);)
		if (w.old && w.now && !same_learn(same, w.old, w.now))
			return cr_err_nomem(e);
	if (!same_settle(same, &now->c.arena))
		return cr_err_nomem(e);
	for (struct turns w = { 0 }; turns_next(&w, old, now);) {
		const struct fact *one = w.old ? w.old : w.now;

		if (w.old && w.now && same_fact(same, w.old, w.now))
			continue;
		place_text(one, place, sizeof(place));
		diff_print(d, one->what, one->pid, place, w.old ? w.old->text : NULL, w.now ? w.now->text : NULL);
	}
	return 0;
}

static bool has_task(const struct checkpoint *c, uint32_t pid)
{
	for (size_t k = 0; k < c->n_tasks; k++)
		if (c->tasks[k]->pid == pid)
			return true;
	return false;
}

static int diff_checkpoints(struct differ *d, const char *before, const char *after, bool pages, struct cr_err *e)
{
	struct facts old = { .c.dir = -1 }, now = { .c.dir = -1 };
	struct same same = { 0 };
	int ret, code;

	ret = facts_open(&old, before, d->json, e);
	if (!ret)
		ret = facts_open(&now, after, d->json, e);
	if (!ret)
		ret = compare(d, &old, &now, &same, e);
	for (size_t k = 0; !ret && pages && k < now.c.n_tasks; k++)
		if (has_task(&old.c, now.c.tasks[k]->pid))
			ret = diff_pages(d, &old.c, &now.c, now.c.tasks[k]->pid, e);
	if (!ret && pages)
		ret = diff_segments(d, &old.c, &now.c, &same, e);
	free(same.v);
	code = facts_close(&old);
	d->damaged = facts_close(&now);
	d->damaged = d->damaged ? d->damaged : code;
	return ret;
}

/* On a failure, what was found before it is printed. */
static int diff(struct differ *d, const char *before, const char *after, bool fields, bool pages, struct cr_err *e)
{
	struct output out;
	struct cr_err no_output;
	int ret, written;

	ret = output_open(&out, NULL, e);
	if (ret < 0)
		return ret;
	d->out.ob = out.ob;
	if (d->json)
		jo_begin(&d->out, '[');
	ret = fields ? diff_fields(d, before, after, e) : diff_checkpoints(d, before, after, pages, e);
	if (d->json) {
		jo_end(&d->out, ']');
		ob_text(out.ob, "\n");
	}
	written = output_finish(&out, ret ? &no_output : e);
	output_abandon(&out);
	return ret ? ret : written;
}

int crit_diff(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "fields", no_argument, NULL, 'f' },
		{ "no-pages", no_argument, NULL, 'n' },
		{ 0 },
	};
	struct differ d = { .out.pretty = true };
	bool fields = false, pages = true;
	struct cr_err e;
	int c, ret;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			return crit_usage("diff", "wrong options");
		d.json = d.out.spelled = d.json || c == 'j';
		fields = fields || c == 'f';
		pages = pages && c != 'n';
	}
	if (argc - optind != 2)
		return crit_usage("diff", "needs two directories");
	if (fields && d.json)
		return crit_usage("diff", "--fields has no --json");
	ret = diff(&d, argv[optind], argv[optind + 1], fields, pages, &e);
	if (ret < 0) { /* as of diff(1), 1 means differences */
		c = crit_fail(&e);
		return c > 1 ? c : 2;
	}
	if (d.unknown)
		fprintf(stderr,
			"crit: %" PRIu64
			" pages could not be compared: they are not in the images (lazy, or a dry run)\n",
			d.unknown);
	return d.damaged ? d.damaged : d.found ? 1 : 0;
}
