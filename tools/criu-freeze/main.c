/* SPDX-License-Identifier: GPL-2.0-or-later */
/* criu-freeze: stop a tree and keep it stopped; seal the images; let the tree go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/opts.h"
#include "freeze.h"

static const char usage[] =
	"usage: criu-freeze -t PID [-D DIR] [OPTION]...\n"
	"       criu-freeze -t PID [-D DIR] [OPTION]... -- COMMAND [ARG]...\n"
	"       criu-freeze exec -t PID [-D DIR] [OPTION]... SYSCALL [ARG]...\n"
	"       criu-freeze {end | seal | kill | thaw | stop | status | cont | unlock} [-D DIR] [OPTION]...\n"
	"\n"
	"Stop a tree of processes, and leave a holder that keeps it stopped for the next stages. With a command: run "
	"it with the tree\n"
	"stopped, then let the tree run.\n"
	"  end     seal, then do what the options of the dump say: kill the tree, let it run (-R), or leave it stopped "
	"(-s)\n"
	"  seal    make a checkpoint of the images\n"
	"  kill    end the tree; only after the seal\n"
	"  thaw    let the tree run\n"
	"  stop    keep the tree stopped until told otherwise\n"
	"  status  tell about the holder\n"
	"  cont    send a tree that was left stopped (-s) on its way\n"
	"  unlock  remove the network lock of a dump\n"
	"  exec    make a system call in a task, held or running; ARG: a number, &string, &buf:SIZE, &hex:BYTES";

static int unlock(void)
{
	puts("Nothing is locked: connections are not carried yet.");
	return 0;
}

static int verb(const struct cr_opts *o, int img, int *code, struct cr_err *e)
{
	const char *v = o->nr_words ? o->words[0] : "";

	if (o->rest < o->nr_words && !o->rest)
		return freeze_command(o, img, code, e);
	if (!*v)
		return freeze_start(o, img, e);
	if (!strcmp(v, "exec"))
		return freeze_exec(o, img, code, e) ?: cr_err_stdout(e);
	if (o->nr_words > 1)
		return cr_err_set(e, CR_E_USAGE, 0, "command line", "%s takes no more words", v);
	if (!strcmp(v, "end"))
		return freeze_end(o, img, code, e);
	if (!strcmp(v, "seal"))
		return freeze_seal(o, img, e);
	if (!strcmp(v, "kill"))
		return freeze_kill(o, img, e);
	if (!strcmp(v, "thaw"))
		return freeze_thaw(o, img, false, e);
	if (!strcmp(v, "stop"))
		return freeze_stop(o, img, e);
	if (!strcmp(v, "status"))
		return freeze_status(o, img, e) ?: cr_err_stdout(e);
	if (!strcmp(v, "cont"))
		return freeze_cont(o, img, e);
	if (!strcmp(v, "unlock"))
		return unlock() ?: cr_err_stdout(e);
	return cr_err_set(e, CR_E_USAGE, 0, "command line", "there is no verb %s", v);
}

/* What does not need its directories: to let a tree run. */
static int without_start(const struct cr_opts *o, int img, int ret, struct cr_err *e)
{
	if (!strcmp(o->words[0], "end") && o->as_criu && img >= 0)
		freeze_end_failed(o, img, e);
	if (strcmp(o->words[0], "thaw") || e->code != CR_E_DIR_MISSING || getenv("CRIU_LOG_OPEN"))
		return ret;
	if (o->tree > 0)
		return freeze_thaw(o, -1, false, e);
	cr_err_remedy(e, "name the directory of the dump with -D, or the root of the tree: criu-freeze thaw -t PID");
	return ret;
}

int main(int argc, char **argv)
{
	struct cr_err err = { 0 };
	struct cr_opts opts;
	int img = -1, code = 0, ret;
	bool started;

	if (argc > 1 && !strcmp(argv[1], "end") && getenv("CRIU_LOG_OPEN"))
		end_catch_signals();
	ret = cr_tool_start("criu-freeze", usage, W_FREEZE, true, argc, argv, &opts, &img, &err);
	started = !ret;
	if (started)
		ret = verb(&opts, img, &code, &err);
	else if (opts.nr_words == 1)
		ret = without_start(&opts, img, ret, &err);
	if (ret) {
		cr_err_place(&err, img);
		log_failure(&err);
		if (err.code != CR_E_USAGE && (opts.nr_words == 0 || (!started && getenv("CRIU_LOG_OPEN"))))
			log_error("Dumping FAILED.");
	}
	fd_close(img);
	if (ret && err.code == CR_E_INTERRUPTED)
		end_by_signal();
	return ret ? cr_exit_code(&opts, &err) : code;
}
