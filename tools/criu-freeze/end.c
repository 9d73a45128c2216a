/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a dump: seal, then kill, thaw or stop.
 *
 * Order matters: the images are on disk and sealed before the holder may kill anything; action scripts (post-dump) run
 * between the two, with the tree still stopped, and one that fails turns the end into a thaw, as CRIU does; the
 * statistics come last, because the frozen time ends with the last resume or kill.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/script.h"
#include "freeze.h"
#include "hold/client.h"
#include "seal.h"
#include "stats.h"

enum how { END_KILL, END_THAW, END_STOP };

static bool sealed(int img)
{
	struct cr_err ignored;

	return manifest_check_sealed(img, &ignored) == 1;
}

static void write_failure(int img, const char *stage, const struct cr_err *e)
{
	struct cr_report r = { 0 };
	struct stage_facts f;
	struct cr_err late;

	if (sealed(img))
		return;
	stage_begin(&f, stage);
	if (!cr_report_add(&r, e) && manifest_stage(img, &f, &r, &late))
		log_failure(&late);
	cr_report_free(&r);
}

static int tell_sealed(struct hold *h, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_SEALED };
	ssize_t n = hold_request(h, &req, NULL, 0, -1, NULL, 0, e);

	return n < 0 ? (int)n : 0;
}

static int interrupted(struct cr_err *e, const char *sig)
{
	cr_err_set(e, CR_E_INTERRUPTED, 0, "dump", "SIG%s came", sig);
	cr_err_remedy(e, "make the dump again; the tree runs on");
	return -EINTR;
}

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

void end_by_signal(void)
{
	if (caught) {
		signal(caught, SIG_DFL);
		raise(caught);
	}
}

void end_catch_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction old;

	for (int i = 0; i < 3; i++)
		if (!sigaction(sigs[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(sigs[i], &act, NULL);
}

/* Until the seal; a dump that is complete ends as it was asked to. */
static int check_caught(struct cr_err *e)
{
	return caught ? interrupted(e, sigabbrev_np(caught)) : 0;
}

/* With a holder that has held the tree since the manifest was begun: a holder ends with its hold. */
static int seal_held(const struct cr_opts *o, int img, json_t *m, struct hold *h, struct cr_err *e)
{
	int err;

	if (!h->banner.started_ns)
		return cr_err_set(e, CR_E_NOT_HELD, 0, "holder", "it does not hold the tree");
	if (seal_is(m)) /* by `seal` */
		return seal_whole(img, e) ?: tell_sealed(h, e);
	err = seal_images(img, m, &(struct seal_how){ !o->no_sync, o->checksum, check_caught }, e);
	if (err) {
		write_failure(img, "seal", e);
		return err;
	}
	err = tell_sealed(h, e);
	if (err) { /* the tree may have run since: this is no checkpoint of it, and without inventory.img it counts as none */
		unlinkat(img, "inventory.img", 0);
		write_failure(img, "seal", e);
	}
	return err;
}

static bool option(json_t *m, const char *name)
{
	return json_is_true(json_object_get(json_object_get(m, "options"), name));
}

/* criu-freeze's row; NULL: there is none. */
static json_t *freeze_row(json_t *m)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(m, "stages"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));

		if (name && !strcmp(name, "criu-freeze"))
			return row;
	}
	return NULL;
}

/* Is it of the dump for which @h holds the tree? */
static bool is_of(json_t *m, const struct hold *h)
{
	const char *epoch = json_string_value(json_object_get(freeze_row(m), "epoch"));
	char ours[FACTS_EPOCH];

	return epoch && !strcmp(epoch, facts_epoch(h->banner.epoch, ours));
}

struct frozen {
	const struct hold *h;
	json_int_t us;
	const char *how;
};

static int note_frozen_in(json_t *head, void *ctx, struct cr_err *e)
{
	const struct frozen *f = ctx;
	json_t *row = freeze_row(head);

	if (!is_of(head, f->h))
		return 1;
	if (json_object_set_new(row, "frozen_us", json_integer(f->us)) ||
	    json_object_set_new(row, "end", json_string(f->how)))
		return cr_err_nomem(e);
	return 0;
}

/*
 * The frozen time belongs to criu-freeze's row. The hold is over, so another dump may have begun in the directory: it has removed
 * this manifest, or what is being written, and its own is none of ours.
 */
static void note_frozen(int img, struct frozen f, bool sync)
{
	struct cr_err late;
	int err = manifest_change(img, note_frozen_in, &f, sync, &late);

	if (err && err != -ENOENT)
		log_failure(&late);
}

static json_int_t freezing_us(json_t *m)
{
	return json_integer_value(json_object_get(freeze_row(m), "freezing_us"));
}

static int ask_to_end(struct hold *h, enum how how, struct hold_end *end, struct cr_err *e)
{
	struct hold_req req = { .verb = how == END_KILL ? HOLD_KILL : HOLD_THAW, .arg = { how == END_STOP } };
	ssize_t n = hold_request(h, &req, NULL, 0, -1, end, sizeof(*end), e);

	if (n < 0)
		return (int)n;
	if (n != sizeof(*end))
		return cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "its answer has a wrong length");
	if (end->unreaped)
		log_info("%d tasks are dead, but process %d has to reap them before their pids are free", end->unreaped,
			 end->reaper);
	return 0;
}

/* A connection that broke is no proof that the holder is gone: as long as it answers it is asked again. */
static int let_go(const struct cr_opts *o, int img, struct hold *h, enum how how, struct hold_end *end,
		  struct cr_err *e)
{
	int err = ask_to_end(h, how, end, e);
	struct cr_err ignored;
	struct hold again;

	if (err && e->code == CR_E_HOLDER_VOID && !hold_connect(img, hold_who(o, HOLD_ST_NONE), &again, &ignored)) {
		hold_close(h);
		*h = again;
		err = ask_to_end(h, how, end, e);
	}
	return err;
}

/* @m: the manifest, or NULL: to be read */
static int finish(const struct cr_opts *o, int img, json_t *m, struct hold *h, enum how how, struct cr_err *e)
{
	static const char *const names[] = { "killed", "running", "stopped" };
	_cleanup_close_ int work = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cr_err late = { 0 };
	_cleanup_close_ int root = (int)syscall(SYS_pidfd_open, h->banner.root, 0);
	struct hold_end end = { 0 };
	int err = let_go(o, img, h, how, &end, e);

	if (err && (how != END_KILL || !heal_kill(img, root)))
		return err;
	hold_await_end(h);
	/* The checkpoint stands and the tree is gone: what fails now is told, but no failure of the dump. */
	if (m) {
		json_incref(m);
	} else if (manifest_read_head(img, &m, &late)) {
		log_failure(&late);
		return 0;
	}
	note_frozen(img, (struct frozen){ h, (json_int_t)(end.frozen_ns / 1000), names[how] }, !o->no_sync);
	log_info("Writing stats");
	if (stats_dump(work, m, (uint32_t)freezing_us(m), (uint32_t)(end.frozen_ns / 1000), o->display_stats, &late)) {
		cr_err_remedy(&late, "name a directory that can be written with -W");
		log_failure(&late);
	}
	json_decref(m);
	return 0;
}

/* The tree is held: what is missing can be mended, or given up. */
static int read_manifest(int img, const struct hold *h, json_t **ret, struct cr_err *e)
{
	int err = manifest_read_head(img, ret, e);

	/* Images of another dump that somebody has put there are no checkpoint of this tree. */
	if (!err && !is_of(*ret, h))
		err = cr_err_set(e, CR_E_NOT_SEALED, 0, MANIFEST_NAME, "it is of another dump than that of holder %d",
				 h->banner.holder);
	if (err == -ENOENT || err == -EINVAL)
		cr_err_remedy(e, "let the tree run, and make the dump again: criu-freeze thaw -D DIR");
	return err;
}

/* Is the holder gone? */
static bool is_lost(const struct cr_err *e)
{
	return e->code == CR_E_HOLDER_VOID || (e->code == CR_E_NOT_HELD && e->err == ECONNREFUSED);
}

int freeze_seal(const struct cr_opts *o, int img, struct cr_err *e)
{
	struct hold h = { .fd = -1 };
	json_t *m = NULL;
	int err = hold_connect(img, hold_who(o, HOLD_ST_NONE), &h, e);

	if (!err)
		err = read_manifest(img, &h, &m, e);
	if (!err)
		err = seal_held(o, img, m, &h, e);
	json_decref(m);
	hold_close(&h);
	return err;
}

static enum how how_to_end(const struct cr_opts *o, json_t *m)
{
	if (o->leave_stopped || option(m, "leave_stopped"))
		return END_STOP;
	return o->leave_running || option(m, "leave_running") || manifest_check_only(m) ? END_THAW : END_KILL;
}

void freeze_end_failed(const struct cr_opts *o, int img, const struct cr_err *e)
{
	struct hold h = { .fd = -1 };
	struct cr_err ignored;
	struct hold_end end;

	if (hold_connect(img, hold_who(o, HOLD_ST_NONE), &h, &ignored)) {
		if (ignored.code == CR_E_DIR_BUSY) /* our holder died, and another dump has begun in the directory */
			return;
		heal_image(img);
	} else if (!let_go(o, img, &h, END_THAW, &end, &ignored)) {
		hold_await_end(&h);
	}
	hold_close(&h);
	write_failure(img, "criu-freeze end", e);
	dir_release(img);
}

/* The wrapper has no step behind its last. By hand the tree stays held: the user may mend and try again. */
static void give_up(const struct cr_opts *o, int img, struct hold *h)
{
	struct cr_err ignored;
	struct hold_end end;

	if (!let_go(o, img, h, END_THAW, &end, &ignored))
		hold_await_end(h);
	dir_release(img);
}

/* The end of a checkpoint that is sealed. A script may have done to it what it liked. */
static int end_sealed(const struct cr_opts *o, int img, json_t *m, struct hold *h, int *ret_code, struct cr_err *e)
{
	enum how how = how_to_end(o, m);
	struct cr_err script = { 0 };
	int code = manifest_check_only(m) ? 0 : script_run(o, "post-dump", img, h->banner.root, &script), err = 0;

	if (code) {
		log_failure(&script);
		how = END_THAW;
		*ret_code = code > 0 ? code & 0xff : 1;
	}
	if (how == END_KILL)
		err = seal_whole(img, e);
	if (!err)
		return finish(o, img, m, h, how, e);
	if (o->as_criu) {
		cr_err_remedy(e, "make the dump again, with scripts that leave the images alone; the tree runs on");
		give_up(o, img, h);
	}
	return err;
}

int freeze_end(const struct cr_opts *o, int img, int *ret_code, struct cr_err *e)
{
	struct hold h = { .fd = -1 };
	json_t *m = NULL;
	int err = hold_connect(img, hold_who(o, HOLD_ST_NONE), &h, e);

	if (err) {
		if (o->as_criu)
			freeze_end_failed(o, img, e);
		else if (is_lost(e))
			heal_image(img);
		return err;
	}
	err = read_manifest(img, &h, &m, e);
	if (!err)
		err = seal_held(o, img, m, &h, e);
	else if (o->as_criu)
		write_failure(img, "criu-freeze end", e);
	if (!err)
		err = end_sealed(o, img, m, &h, ret_code, e);
	else if (o->as_criu)
		give_up(o, img, &h);
	if (err && is_lost(e))
		heal_tree(m);
	json_decref(m);
	hold_close(&h);
	if (!err && !*ret_code)
		log_info("Dumping finished successfully");
	else if (err)
		log_error("Dumping FAILED.");
	return err;
}

int freeze_kill(const struct cr_opts *o, int img, struct cr_err *e)
{
	struct hold h = { .fd = -1 };
	json_t *m = NULL;
	int err = hold_connect(img, hold_who(o, HOLD_ST_NONE), &h, e);

	if (!err)
		err = read_manifest(img, &h, &m, e);
	if (!err && manifest_check_only(m)) {
		err = cr_err_set(e, CR_E_CHECK_ONLY, 0, "images directory", "the tree could not be restored from it");
		cr_err_remedy(e, "let the tree run: criu-freeze thaw -D DIR");
	}
	if (!err)
		err = seal_whole(img, e);
	if (!err)
		err = finish(o, img, m, &h, END_KILL, e);
	json_decref(m);
	hold_close(&h);
	return err;
}

/* A stage that was killed, or ran out of memory, has told nobody: the log and the manifest shall say it. */
static void note_silent_end(int img)
{
	static const char *const names[] = { "criu-freeze", "criu-collect", "criu-parasite", "criu-pages" };
	struct cr_err e = { 0 };
	char object[64] = "";
	json_t *m = NULL;

	if (manifest_failed(img) || sealed(img) || manifest_read_head(img, &m, &e))
		return;
	for (int i = 0; i < 4; i++)
		if (!seal_stage_done(m, names[i]))
			snprintf(object + strlen(object), sizeof(object) - strlen(object), "%s%s", *object ? ", " : "",
				 names[i]);
	json_decref(m);
	cr_err_set(&e, CR_E_STAGE_DIED, 0, *object ? object : "stages",
		   "ended without a word before the work was done");
	log_failure(&e);
	write_failure(img, "criu-freeze thaw", &e);
}

/* The wrapper's: why there is no dump, for the log and the manifest. @ours: the directory is not another dump's. */
static void note_end(int img, bool ours)
{
	const char *sig = getenv("CRIU_INTERRUPTED");
	struct cr_err e = { 0 };
	json_t *m = NULL;

	if (!sig) {
		if (ours)
			note_silent_end(img);
		return;
	}
	interrupted(&e, sig);
	log_failure(&e);
	if (ours && !manifest_failed(img) && !sealed(img) && !manifest_read_head(img, &m, &e)) {
		json_decref(m);
		interrupted(&e, sig);
		write_failure(img, "criu-freeze thaw", &e);
	}
}

/* The tree runs since its holder died. What that has left is removed. */
static void clean_up_after(int img)
{
	heal_image(img);
	dir_remove_socket(img);
	dir_release(img);
	log_warn("the holder had died, and the tree has run since");
}

static int let_run(const struct cr_opts *o, int img, struct hold *h, enum how how, struct cr_err *e)
{
	struct hold_end end;
	int err;

	if (sealed(img))
		return finish(o, img, NULL, h, how, e);
	err = let_go(o, img, h, how, &end, e);
	if (!err)
		hold_await_end(h);
	dir_release(img);
	return err;
}

/* For the wrapper, when a stage has failed or a signal came: it runs, or will by the end of the lease, whatever is found. */
static int thaw_after_failure(const struct cr_opts *o, int img, struct hold *h, int err, struct cr_err *e)
{
	bool ours = !err || e->code != CR_E_DIR_BUSY;

	note_end(img, ours);
	if (!err)
		err = let_run(o, img, h, END_THAW, e);
	if (err && is_lost(e))
		clean_up_after(img);
	else if (err == -ENOENT)
		heal_image(img);
	if (err && ours)
		dir_release(img);
	log_error("Dumping FAILED.");
	return err && (is_lost(e) || e->code == CR_E_NOT_HELD || !ours) ? 0 : err;
}

int freeze_thaw(const struct cr_opts *o, int img, bool stopped, struct cr_err *e)
{
	struct hold h = { .fd = -1 };
	int err;

	/* One that is stopped would let us wait. */
	if (img < 0 || (o->tree > 0 && !getenv("CRIU_LOG_OPEN") && tracer_is_stopped(o->tree)))
		return tracer_thaw(o->tree, e);
	err = hold_connect(img, hold_who(o, HOLD_ST_NONE), &h, e);
	if (getenv("CRIU_LOG_OPEN")) {
		err = thaw_after_failure(o, img, &h, err, e);
	} else if (o->tree > 0 && (err == -ENOENT || (!err && !tracer_holds(h.banner.holder, o->tree)))) {
		err = tracer_thaw(o->tree, e);
	} else {
		if (!err)
			err = let_run(o, img, &h, stopped ? END_STOP : END_THAW, e);
		if (err && is_lost(e)) {
			clean_up_after(img);
			err = 0;
		}
	}
	hold_close(&h);
	return err;
}
