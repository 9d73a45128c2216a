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

static void write_failure(int img, const char *stage, const struct cr_err *e)
{
	struct cr_report r = { 0 };
	struct stage_facts f;
	struct cr_err late;

	stage_begin(&f, stage);
	if (!cr_report_add(&r, e) && manifest_stage(img, &f, &r, &late))
		log_failure(&late);
	cr_report_free(&r);
}

static bool sealed(int img)
{
	struct cr_err ignored;

	return manifest_check_sealed(img, &ignored) == 1;
}

static int tell_sealed(struct hold *h, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_SEALED };
	ssize_t n = hold_request(h, &req, NULL, 0, -1, NULL, 0, e);

	return n < 0 ? (int)n : 0;
}

/* With a holder that has held the tree since the manifest was begun: a holder ends with its hold. */
static int seal_held(const struct cr_opts *o, int img, json_t *m, struct hold *h, struct cr_err *e)
{
	int err;

	if (!h->banner.started_ns)
		return cr_err_set(e, CR_E_NOT_HELD, 0, "holder", "it does not hold the tree");
	err = seal_images(img, m, !o->no_sync, o->checksum, e);
	if (err) {
		write_failure(img, "seal", e);
		return err;
	}
	err = tell_sealed(h, e);
	if (err) { /* the tree may have run since: this is no checkpoint of it */
		unlinkat(img, "inventory.img", 0);
		write_failure(img, "seal", e);
	}
	return err;
}

int freeze_seal(const struct cr_opts *o, int img, struct cr_err *e)
{
	struct hold h = { .fd = -1 };
	json_t *m = NULL;
	int err = hold_connect(img, HOLD_ST_NONE, 0, &h, e);

	if (err)
		return err;
	err = manifest_read_head(img, &m, e);
	if (!err)
		err = seal_held(o, img, m, &h, e);
	json_decref(m);
	hold_close(&h);
	return err;
}

static bool option(json_t *m, const char *name)
{
	return json_is_true(json_object_get(json_object_get(m, "options"), name));
}

/* The frozen time belongs to criu-freeze's row. */
static void note_frozen(int img, json_t *m, json_int_t us, const char *how, bool sync)
{
	json_t *stages = json_object_get(m, "stages"), *row = NULL, *r;
	struct cr_err late;
	size_t i;

	json_array_foreach(stages, i, r)
	{
		const char *name = json_string_value(json_object_get(r, "name"));

		if (name && !strcmp(name, "criu-freeze"))
			row = r;
	}
	if (!row)
		return;
	json_object_set_new(row, "frozen_us", json_integer(us));
	json_object_set_new(row, "end", json_string(how));
	if (manifest_note(img, json_pack("{s:O}", "stages", stages), sync, &late))
		log_failure(&late);
}

static json_int_t freezing_us(json_t *m)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(m, "stages"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));

		if (name && !strcmp(name, "criu-freeze"))
			return json_integer_value(json_object_get(row, "freezing_us"));
	}
	return 0;
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
static int let_go(int img, struct hold *h, enum how how, struct hold_end *end, struct cr_err *e)
{
	int err = ask_to_end(h, how, end, e);
	struct cr_err ignored;
	struct hold again;

	if (err && e->code == CR_E_HOLDER_VOID && !hold_connect(img, HOLD_ST_NONE, 0, &again, &ignored)) {
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
	int err = let_go(img, h, how, &end, e);

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
	note_frozen(img, m, (json_int_t)(end.frozen_ns / 1000), names[how], !o->no_sync);
	log_info("Writing stats");
	if (stats_dump(work, m, (uint32_t)freezing_us(m), (uint32_t)(end.frozen_ns / 1000), o->display_stats, &late)) {
		cr_err_remedy(&late, "name a directory that can be written with -W");
		log_failure(&late);
	}
	json_decref(m);
	return 0;
}

static enum how how_to_end(const struct cr_opts *o, json_t *m)
{
	if (o->leave_stopped || option(m, "leave_stopped"))
		return END_STOP;
	return o->leave_running || option(m, "leave_running") || manifest_check_only(m) ? END_THAW : END_KILL;
}

void freeze_end_failed(int img, const struct cr_err *e)
{
	struct hold h = { .fd = -1 };
	struct cr_err ignored;
	struct hold_end end;

	if (hold_connect(img, HOLD_ST_NONE, 0, &h, &ignored))
		heal_image(img);
	else if (!let_go(img, &h, END_THAW, &end, &ignored))
		hold_await_end(&h);
	hold_close(&h);
	if (!sealed(img))
		write_failure(img, "criu-freeze end", e);
	dir_release(img);
}

static volatile sig_atomic_t caught;

static void catch (int sig)
{
	caught = sig;
}

/* The wrapper cannot hear ^C any more, since we have replaced it. */
static void catch_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction act = { .sa_handler = catch, .sa_flags = SA_RESTART };
	struct sigaction old;

	for (int i = 0; i < 3; i++)
		if (!sigaction(sigs[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(sigs[i], &act, NULL);
}

/* Before the seal; a dump that is complete ends as it was asked to. */
static int check_caught(struct cr_err *e)
{
	return caught ? cr_err_set(e, CR_E_INTERRUPTED, 0, "dump", "SIG%s came", sigabbrev_np(caught)) : 0;
}

int freeze_end(const struct cr_opts *o, int img, int *ret_code, struct cr_err *e)
{
	struct cr_err script = { 0 };
	struct hold_end end;
	struct hold h = { .fd = -1 };
	json_t *m = NULL;
	enum how how;
	int code = 0, err;

	if (o->as_criu)
		catch_signals();
	err = hold_connect(img, HOLD_ST_NONE, 0, &h, e);
	if (err) {
		if (o->as_criu)
			freeze_end_failed(img, e);
		else
			heal_image(img);
		return err;
	}
	err = manifest_read_head(img, &m, e);
	how = how_to_end(o, m);
	if (!err)
		err = check_caught(e);
	if (err && o->as_criu)
		write_failure(img, "criu-freeze end", e);
	if (!err)
		err = seal_held(o, img, m, &h, e);
	if (err && o->as_criu) {
		/* The wrapper has no step behind this one. By hand the tree stays held: the user may mend and try
		 * again. */
		if (!let_go(img, &h, END_THAW, &end, &script))
			hold_await_end(&h);
		dir_release(img);
	}
	if (!err && !manifest_check_only(m))
		code = script_run(o, "post-dump", img, h.banner.root, &script);
	if (code) {
		log_failure(&script);
		how = END_THAW;
		*ret_code = code > 0 ? code & 0xff : 1;
	}
	if (!err)
		err = finish(o, img, m, &h, how, e);
	if (err)
		heal_tree(m);
	json_decref(m);
	hold_close(&h);
	if (!err && !code)
		log_info("Dumping finished successfully");
	else if (err)
		log_error("Dumping FAILED.");
	return err;
}

int freeze_kill(const struct cr_opts *o, int img, struct cr_err *e)
{
	struct hold h = { .fd = -1 };
	json_t *m = NULL;
	int err = hold_connect(img, HOLD_ST_NONE, 0, &h, e);

	if (err)
		return err;
	err = manifest_read_head(img, &m, e);
	if (!err && manifest_check_only(m)) {
		err = cr_err_set(e, CR_E_CHECK_ONLY, 0, "images directory", "the tree could not be restored from it");
		cr_err_remedy(e, "let the tree run: criu-freeze thaw -D DIR");
	}
	if (!err)
		err = seal_whole(img, m, e);
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

/* The wrapper's: why there is no dump, for the log and the manifest. */
static void note_end(int img)
{
	const char *sig = getenv("CRIU_INTERRUPTED");
	struct cr_err e = { 0 };
	json_t *m = NULL;

	if (!sig) {
		note_silent_end(img);
		return;
	}
	cr_err_set(&e, CR_E_INTERRUPTED, 0, "dump", "SIG%s came", sig);
	log_failure(&e);
	if (!manifest_failed(img) && !sealed(img) && !manifest_read_head(img, &m, &e)) {
		json_decref(m);
		cr_err_set(&e, CR_E_INTERRUPTED, 0, "dump", "SIG%s came", sig);
		write_failure(img, "criu-freeze thaw", &e);
	}
}

/* The tree runs since its holder died. What that has left is removed. */
static void clean_up_after(int img)
{
	_cleanup_close_ int work = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	heal_image(img);
	dir_remove_socket(img);
	if (work >= 0) /* where the file system of the images has no sockets */
		dir_remove_socket(work);
	if (!sealed(img))
		dir_release(img);
	log_warn("the holder had died, and the tree has run since");
}

static int let_run(const struct cr_opts *o, int img, struct hold *h, enum how how, struct cr_err *e)
{
	struct hold_end end;
	int err;

	if (sealed(img))
		return finish(o, img, NULL, h, how, e);
	err = let_go(img, h, how, &end, e);
	if (!err)
		hold_await_end(h);
	dir_release(img);
	return err;
}

int freeze_thaw(const struct cr_opts *o, int img, bool stopped, struct cr_err *e)
{
	bool by_wrapper = getenv("CRIU_LOG_OPEN"); /* which does this when a stage has failed, or a signal came */
	struct hold h = { .fd = -1 };
	int err;

	if (img < 0)
		return tracer_thaw(o->tree, e);
	err = hold_connect(img, HOLD_ST_NONE, 0, &h, e);
	if (by_wrapper)
		note_end(img);
	else if (o->tree > 0 && (err == -ENOENT || (!err && !tracer_holds(h.banner.holder, o->tree)))) {
		hold_close(&h);
		return tracer_thaw(o->tree, e);
	}
	if (!err)
		err = let_run(o, img, &h, stopped ? END_STOP : END_THAW, e);
	if (err == -ECONNREFUSED || (err && e->code == CR_E_HOLDER_VOID)) {
		clean_up_after(img);
		err = 0;
	} else if (err) {
		heal_image(img);
		if (by_wrapper && !sealed(img))
			dir_release(img);
	}
	if (err && e->code == CR_E_NOT_HELD && by_wrapper)
		err = 0; /* it runs, which is what was asked for */
	if (by_wrapper)
		log_error("Dumping FAILED.");
	hold_close(&h);
	return err;
}
