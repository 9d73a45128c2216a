/* SPDX-License-Identifier: GPL-2.0-or-later */
/* criu-check: what this machine can do, and what our messages mean. The program behind `criu check`, `criu cpuinfo`, ... */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/opts.h"
#include "verbs.h"

static const char usage[] =
	"usage: criu-check check [--extra | --experimental | --all | --feature NAME] [--json]\n"
	"       criu-check cpuinfo {dump | check} [-D DIR] [--cpu-cap[=LIST]] [--json]\n"
	"       criu-check explain CODE | MESSAGE...\n"
	"       criu-check explain --markdown\n"
	"\n"
	"  check    what this kernel can do, and what is missing; --feature list: the names\n"
	"  cpuinfo  dump: write the features of this CPU into cpuinfo.img; check: compare it with this CPU\n"
	"  explain  what an error code or message means, and what to do";

static const struct verb {
	const char *name;
	bool need_img;
	int (*run)(const struct cr_opts *o, char **words, int nr, int *code, struct cr_err *e);
	int (*run_img)(const struct cr_opts *o, int img, char **words, int nr, int *code, struct cr_err *e);
} verbs[] = {
	/* CRIU opens the images directory for check too: the log is there. */
	{ "check", true, verb_check, NULL },
	{ "cpuinfo", true, NULL, verb_cpuinfo },
	{ "explain", false, verb_explain, NULL },
};

static const struct verb *find(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int verb(const struct cr_opts *o, int img, int *code, struct cr_err *e)
{
	const char *name = o->nr_words ? o->words[0] : "";
	const struct verb *v = find(name);

	if (!*name)
		return cr_err_set(e, CR_E_USAGE, 0, "command line", "a verb is missing");
	if (!v)
		return cr_err_set(e, CR_E_USAGE, 0, "command line", "there is no verb %s", name);
	if (v->run)
		return v->run(o, o->words + 1, o->nr_words - 1, code, e);
	return v->run_img(o, img, o->words + 1, o->nr_words - 1, code, e);
}

int main(int argc, char **argv)
{
	/* Needed before the options are parsed; the wrapper puts the verb first. */
	const struct verb *first = argc > 1 ? find(argv[1]) : NULL;
	struct cr_err err = { 0 };
	struct cr_opts opts;
	int img = -1, code = 0, ret;

	if (first && first->run == verb_explain)
		argv = explain_args(argc, argv, &argc);
	if (!argv)
		return CR_SYSTEM;
	ret = cr_tool_start("criu-check", usage, W_CHECK, first && first->need_img, argc, argv, &opts, &img, &err);
	if (!ret)
		ret = verb(&opts, img, &code, &err);
	if (!ret)
		ret = cr_err_stdout(&err);
	if (ret)
		log_failure(&err);
	return ret ? cr_exit_code(&opts, &err) : code;
}
