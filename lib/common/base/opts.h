/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of all tools, parsed by one table (options.def), from configuration files and the command line. */
#ifndef CR_BASE_OPTS_H
#define CR_BASE_OPTS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

/* The programs; DUMP: the four that dump. CRIU: for none of them yet. */
enum cr_who {
	W_FREEZE = 1,
	W_COLLECT = 2,
	W_PARASITE = 4,
	W_PAGES = 8,
	W_DUMP = 15,
	W_RESTORE = 16,
	W_CRIU = 32,
	W_CHECK = 64,
	W_ALL = 127
};

struct cr_list {
	const char **v; /* NULL-terminated when n > 0 */
	unsigned n;
};

struct cr_opts {
#define FIELD_BOOL(f)	 bool f;
#define FIELD_FLAG(f)	 bool f;
#define FIELD_STR(f)	 const char *f;
#define FIELD_INT(f)	 int f; /* -1: not given */
#define FIELD_VERBOSE(f) int f;
#define FIELD_LIST(f)	 struct cr_list f;
#define FIELD_LATER(f)
#define OPT(kind, field, long_name, short_name, arg, who, help) FIELD_##kind(field)
#include "options.def"
#undef OPT
#undef FIELD_BOOL
#undef FIELD_FLAG
#undef FIELD_STR
#undef FIELD_INT
#undef FIELD_VERBOSE
#undef FIELD_LIST
#undef FIELD_LATER
	char **words; /* what is no option, and all behind -- */
	int nr_words;
	int rest; /* index of the first word that stood behind --; nr_words when there is none */
};

/* The level of CRIU that is implemented: `criu --version` and the log's first line. */
#define CRIU_LEVEL "4.2"

/*
 * Configuration files (/etc/criu/default.conf, $HOME/.criu/default.conf, $CRIU_CONFIG_FILE, --config), then
 * @argv. Closes the descriptors of --close at once.
 * @ret: strings point into @argv or into memory that lives as long as the program
 * Return: 0, or -EINVAL with @e (CR_E_USAGE, CR_E_OPTION_UNSUPPORTED).
 */
int cr_opts_parse(int argc, char **argv, struct cr_opts *ret, struct cr_err *e);
/* An option of a list "--a --b". */
struct cr_option {
	const char *name, *help;
	bool later; /* known, but not supported yet */
};
/* The next one. @pos: where in the list, moved on. Return: false: no more, or there is no such option. */
bool cr_option_next(const char **pos, struct cr_option *ret);

/* The options of @who as --help shows them. */
void cr_opts_help(FILE *out, unsigned who);

/* The exit status for @e: the registry's, or with --as-criu CRIU's (1 for every failure). */
int cr_exit_code(const struct cr_opts *o, const struct cr_err *e);

/*
 * What every main() does first: parse, answer --help (with @usage as its head) and --version by exit(0), change to the
 * work directory, open the log (-o; the wrapper opens it once and passes --log-file on, so it is appended to when
 * CRIU_LOG_OPEN is set in the environment), set the log level. Under the wrapper a wrong option is told by criu-freeze
 * alone: a tool with --wait exits without a word.
 * @ret_img: descriptor of the images directory, opened before the change of directory; -1 when @need_img is false
 * Return: 0 or -errno with @e.
 */
int cr_tool_start(const char *prog, const char *usage, unsigned who, bool need_img, int argc, char **argv,
		  struct cr_opts *ret, int *ret_img, struct cr_err *e);

#endif
