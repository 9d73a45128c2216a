/* SPDX-License-Identifier: GPL-2.0-or-later */
/* criu-check: what this machine can do, and what our messages mean. The program behind `criu check`, `criu cpuinfo`, ... */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/opts.h"
#include "verbs.h"

static const char usage[] = "usage: criu-check explain CODE | MESSAGE...\n"
			    "\n"
			    "  explain  what an error code or message means, and what to do";

static const struct verb {
	const char *name;
	int (*run)(const struct cr_opts *o, char **words, int nr, int *code, struct cr_err *e);
} verbs[] = {
	{ "explain", verb_explain },
};

static int verb(const struct cr_opts *o, int *code, struct cr_err *e)
{
	const char *name = o->nr_words ? o->words[0] : "";

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!strcmp(verbs[i].name, name))
			return verbs[i].run(o, o->words + 1, o->nr_words - 1, code, e);
	}
	if (!*name)
		return cr_err_set(e, CR_E_USAGE, 0, "criu-check", "a verb is missing");
	return cr_err_set(e, CR_E_USAGE, 0, "criu-check", "there is no verb %s", name);
}

int main(int argc, char **argv)
{
	struct cr_err err = { 0 };
	struct cr_opts opts;
	int img = -1, code = 0, ret;

	ret = cr_tool_start("criu-check", usage, W_CHECK, false, argc, argv, &opts, &img, &err);
	if (!ret)
		ret = verb(&opts, &code, &err);
	if (ret)
		log_failure(&err);
	return ret ? cr_exit_code(&opts, &err) : code;
}
