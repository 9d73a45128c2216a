/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * One table (options.def) describes every option of every tool; the wrapper hands the same arguments to each of them.
 * So the parser is written once, here, and permutes as getopt_long() does: words may stand anywhere, behind "--"
 * everything is a word. Abbreviated long options are not accepted: a script that uses one would break with the next
 * option.
 *
 * Configuration files (criu(8): in this order /etc/criu/default.conf, $HOME/.criu/default.conf, $CRIU_CONFIG_FILE,
 * --config) come before the command line, but which of them are read is said on it. Hence two passes over @argv: the
 * first looks only for --config and --no-default-config, the second sets the values on top of the files'.
 */
#include "base/opts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

enum kind { K_BOOL, K_FLAG, K_STR, K_INT, K_VERBOSE, K_LIST, K_LATER };

/* Options of CRIU that are not there yet have no field. */
#define AT_BOOL(f)    offsetof(struct cr_opts, f)
#define AT_FLAG(f)    offsetof(struct cr_opts, f)
#define AT_STR(f)     offsetof(struct cr_opts, f)
#define AT_INT(f)     offsetof(struct cr_opts, f)
#define AT_VERBOSE(f) offsetof(struct cr_opts, f)
#define AT_LIST(f)    offsetof(struct cr_opts, f)
#define AT_LATER(f)   0

static const struct row {
	enum kind kind;
	size_t at;
	const char *name, *arg, *help;
	char letter;
	unsigned char who;
} rows[] = {
#define OPT(kind, field, long_name, short_name, arg, who, help) \
	{ K_##kind, AT_##kind(field), long_name, arg, help, short_name, who },
#include "options.def"
#undef OPT
};
#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

/* Options whose value is one of a few words. @later: words of CRIU that are refused by name. */
static const struct choice {
	const char *name, *words, *later;
} choices[] = {
	{ "manage-cgroups", "none soft ignore", "props full strict" },
	{ "file-validation", "filesize buildid", "" },
	{ "network-lock", "nftables skip none", "iptables" },
};

enum { VERBOSITY_DEFAULT = 2, CONFIG_MAX = 1 << 20 };

/* What is being parsed, for error messages and because the first pass has no effects. */
struct parse {
	struct cr_opts *o;
	struct cr_err *e;
	const char *where; /* "command line", or FILE:LINE */
	bool look_only;
};

/* "[N]": the argument may be missing, and then must be glued to the option. "[CTRL:]/PATH" may not be missing. */
static bool arg_optional(const struct row *r)
{
	return r->arg && r->arg[0] == '[' && r->arg[strlen(r->arg) - 1] == ']';
}

static void *field(const struct parse *p, const struct row *r)
{
	return (char *)p->o + r->at;
}

static const struct row *by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < NR_ROWS; i++)
		if (!strncmp(rows[i].name, name, len) && !rows[i].name[len])
			return &rows[i];
	return NULL;
}

static const struct row *by_letter(char c)
{
	for (size_t i = 0; i < NR_ROWS; i++)
		if (rows[i].letter && rows[i].letter == c)
			return &rows[i];
	return NULL;
}

static int number(const struct parse *p, const struct row *r, const char *s, int min, int *ret)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(s, &end, 10);
	if (errno || end == s || *end || v < min || v > INT_MAX)
		return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "--%s needs a number from %d to %d, not \"%s\"",
				  r->name, min, INT_MAX, s);
	*ret = (int)v;
	return 0;
}

static int list_add(const struct parse *p, struct cr_list *l, const char *s)
{
	const char **v = reallocarray(l->v, l->n + 2, sizeof(*v));

	if (!v)
		return cr_err_nomem(p->e);
	v[l->n++] = s;
	v[l->n] = NULL;
	l->v = v;
	return 0;
}

static int set_int(const struct parse *p, const struct row *r, const char *arg)
{
	int *v = field(p, r);
	int ret = number(p, r, arg, r->at == offsetof(struct cr_opts, tree), v);

	/* At once: the number may be used again by what is opened next. */
	if (!ret && r->at == offsetof(struct cr_opts, close_fd) && !p->look_only)
		close(*v);
	return ret;
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word), n;

	for (; *words; words += n + (words[n] == ' ')) {
		n = strcspn(words, " ");
		if (n == len && !strncmp(words, word, n))
			return true;
	}
	return false;
}

static int check_choice(const struct parse *p, const struct row *r, const char *arg)
{
	for (size_t i = 0; arg && i < sizeof(choices) / sizeof(choices[0]); i++) {
		const struct choice *c = &choices[i];

		if (strcmp(c->name, r->name) != 0 || has_word(c->words, arg))
			continue;
		if (has_word(c->later, arg))
			return cr_err_set(p->e, CR_E_OPTION_UNSUPPORTED, 0, p->where, "--%s=%s is not supported yet",
					  r->name, arg);
		return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "--%s takes one of \"%s\", not \"%s\"", r->name,
				  c->words, arg);
	}
	return 0;
}

/* @arg: NULL when there is none. @off: --no-NAME. */
static int apply(const struct parse *p, const struct row *r, const char *arg, bool off)
{
	switch (r->kind) {
	case K_BOOL:
	case K_FLAG:
		*(bool *)field(p, r) = !off;
		return 0;
	case K_STR:
		*(const char **)field(p, r) = arg ? arg : "";
		return check_choice(p, r, arg);
	case K_INT:
		return set_int(p, r, arg);
	case K_VERBOSE:
		if (arg)
			return number(p, r, arg, 0, field(p, r));
		++*(int *)field(p, r);
		return 0;
	case K_LIST:
		return list_add(p, field(p, r), arg);
	case K_LATER:
		/* --no-lazy-pages asks for what is done anyhow. */
		if (off)
			return 0;
		return cr_err_set(p->e, CR_E_OPTION_UNSUPPORTED, 0, p->where, "--%s is not supported yet", r->name);
	}
	return -EINVAL;
}

static int unknown(const struct parse *p, const char *dashes, const char *name, int len)
{
	return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "unknown option %s%.*s", dashes, len, name);
}

/*
 * The row of a long option.
 * @ret_off: whether it is the --no-NAME form, which BOOL has (and LATER where it is a switch)
 */
static const struct row *find_long(const char *name, size_t len, bool *ret_off)
{
	const struct row *r = by_name(name, len);

	*ret_off = false;
	if (r || len <= 3 || strncmp(name, "no-", 3) != 0)
		return r;
	r = by_name(name + 3, len - 3);
	*ret_off = true;
	return r && (r->kind == K_BOOL || (r->kind == K_LATER && !r->arg)) ? r : NULL;
}

/*
 * One long option, given without its dashes: "name", or "name=value".
 * @next: the word behind, or NULL
 * Return: how many further words were used (0 or 1), or -EINVAL
 */
static int long_option(const struct parse *p, const char *word, const char *next)
{
	const char *eq = strchrnul(word, '='), *arg = *eq ? eq + 1 : NULL;
	int used = 0, ret;
	bool off;
	const struct row *r = find_long(word, eq - word, &off);

	if (!r)
		return unknown(p, "--", word, (int)(eq - word));
	if (arg && (!r->arg || off))
		return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "--%.*s takes no value", (int)(eq - word), word);
	if (r->arg && !arg && !off && !arg_optional(r)) {
		if (!next && r->kind != K_LATER)
			return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "--%s needs a value (%s)", r->name, r->arg);
		arg = next;
		used = next != NULL;
	}
	ret = apply(p, r, arg, off);
	return ret < 0 ? ret : used;
}

/* -v, -vv, -v4: digits set the level, each v adds one. Return: characters used, or -EINVAL. */
static int verbose_letters(const struct parse *p, const struct row *r, const char *s)
{
	size_t n = strspn(s + 1, "0123456789");
	char digits[16];
	int ret;

	if (n >= sizeof(digits))
		return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "-%s: the number is too large", s);
	memcpy(digits, s + 1, n);
	digits[n] = 0;
	ret = apply(p, r, n ? digits : NULL, false);
	return ret < 0 ? ret : (int)n + 1;
}

/* A word of short options, without its dash. Return: how many further words were used, or -EINVAL. */
static int short_options(const struct parse *p, const char *s, const char *next)
{
	while (*s) {
		const struct row *r = by_letter(*s);
		int ret;

		if (!r)
			return unknown(p, "-", s, 1);
		if (r->kind == K_VERBOSE) {
			ret = verbose_letters(p, r, s);
			if (ret < 0)
				return ret;
			s += ret;
			continue;
		}
		if (!r->arg) {
			ret = apply(p, r, NULL, false);
			if (ret < 0)
				return ret;
			s++;
			continue;
		}
		/* With a value: the rest of the word, or the next one. */
		if (s[1] || arg_optional(r))
			return apply(p, r, s[1] ? s + 1 : NULL, false);
		if (!next && r->kind != K_LATER)
			return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "-%c needs a value (%s)", *s, r->arg);
		ret = apply(p, r, next, false);
		return ret < 0 ? ret : next != NULL;
	}
	return 0;
}

static int command_line(const struct parse *p, int argc, char **argv)
{
	struct cr_opts *o = p->o;
	int i;

	/* As many as there can be: the words are pointers into argv, nothing is copied. */
	o->words = calloc(argc + 1, sizeof(char *));
	if (!o->words)
		return cr_err_nomem(p->e);
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		int used = 0;

		if (argv[i][0] != '-' || !argv[i][1] || (argv[i][1] >= '0' && argv[i][1] <= '9')) /* -1 */
			o->words[o->nr_words++] = argv[i];
		else if (argv[i][1] == '-')
			used = long_option(p, argv[i] + 2, next);
		else
			used = short_options(p, argv[i] + 1, next);
		if (used < 0)
			return used;
		i += used;
	}
	o->rest = o->nr_words;
	for (i++; i < argc; i++)
		o->words[o->nr_words++] = argv[i];
	return 0;
}

/*
 * The value of a line, in place: until a blank or '#', or in double quotes, where \" is a quote.
 * Return: what stands behind it, NULL when a quote is missing
 */
static char *config_value(char *s, char **ret)
{
	char *to = s;

	if (*s != '"') {
		size_t n = strcspn(s, " \t#");
		bool comment = s[n] == '#';

		*ret = s;
		to = s + n + (s[n] && !comment);
		s[n] = 0;
		return comment ? s + n : to;
	}
	*ret = to;
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1] == '"')
			s++;
		*to++ = *s;
	}
	if (!*s)
		return NULL;
	*to = 0;
	return s + 1;
}

/* One line of a configuration file: NAME [VALUE] [# comment]. */
static int config_line(const struct parse *p, char *line)
{
	char *name = line + strspn(line, " \t\r"), *value = NULL, *behind;
	const struct row *r;
	size_t n;
	bool off;

	line[strcspn(line, "\r")] = 0;
	n = strcspn(name, " \t#");
	if (!n)
		return 0;
	behind = name + n;
	if (*behind == '#')
		*behind = 0;
	else if (*behind)
		*behind++ = 0;
	behind += strspn(behind, " \t");
	if (*behind && *behind != '#') {
		behind = config_value(behind, &value);
		if (!behind)
			return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "the value of %s has no closing quote", name);
		behind += strspn(behind, " \t");
		if (*behind && *behind != '#')
			return cr_err_set(p->e, CR_E_USAGE, 0, p->where,
					  "unsupported configuration file format: \"%s\" behind the value of %s",
					  behind, name);
	}
	r = find_long(name, strlen(name), &off);
	if (!r)
		return unknown(p, "", name, (int)strlen(name));
	if (value && (!r->arg || off))
		return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "%s takes no value", name);
	if (!value && r->arg && !off && !arg_optional(r))
		return cr_err_set(p->e, CR_E_USAGE, 0, p->where, "%s needs a value (%s)", name, r->arg);
	return apply(p, r, value, off);
}

/* A file that is not there is no error, whoever names it. */
static int config_file(struct parse *p, const char *path)
{
	const char *saved = p->where;
	char where[160];
	unsigned nr = 0;
	char *text, *line, *next;
	struct stat st;
	ssize_t n;
	int ret = 0;

	/* Each program of a dump reads it, and criu-freeze more than once; a pipe would have it for one of them. */
	if (!stat(path, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) {
		cr_err_set(p->e, CR_E_USAGE, 0, path, "it is a pipe, and several programs have to read it");
		cr_err_remedy(p->e, "write the options into a file, and name that");
		return -EINVAL;
	}
	n = read_file_at(AT_FDCWD, path, CONFIG_MAX, &text);
	if (n == -ENOENT || n == -ENOTDIR)
		return 0;
	if (n < 0)
		return cr_err_set(p->e, CR_E_USAGE, (int)-n, path, "cannot read the configuration file");
	p->where = where;
	/* The values stay in use: text is never freed. */
	for (line = text; line && !ret; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		snprintf(where, sizeof(where), "%s:%u", path, ++nr);
		ret = config_line(p, line);
	}
	p->where = saved;
	return ret;
}

static int config_files(struct parse *p, const char *config, bool no_default)
{
	const char *home = getenv("HOME"), *env = getenv("CRIU_CONFIG_FILE");
	char path[PATH_MAX];
	int ret;

	if (!config && !no_default) {
		ret = config_file(p, "/etc/criu/default.conf");
		if (ret)
			return ret;
		if (home && (size_t)snprintf(path, sizeof(path), "%s/.criu/default.conf", home) < sizeof(path)) {
			/* HOME may be another user's (sudo -u): what that one may not read is not meant. */
			ret = access(path, R_OK) && errno == EACCES ? 0 : config_file(p, path);
			if (ret)
				return ret;
		}
	}
	if (env && *env) {
		ret = config_file(p, env);
		if (ret)
			return ret;
	}
	return config ? config_file(p, config) : 0;
}

static void defaults(struct cr_opts *o)
{
	*o = (struct cr_opts){ 0 };
	for (size_t i = 0; i < NR_ROWS; i++)
		if (rows[i].kind == K_INT)
			*(int *)((char *)o + rows[i].at) = -1;
	o->verbosity = VERBOSITY_DEFAULT;
}

int cr_opts_parse(int argc, char **argv, struct cr_opts *ret, struct cr_err *e)
{
	struct parse p = { ret, e, "command line", true };
	struct cr_opts first;
	int err;

	defaults(ret);
	err = command_line(&p, argc, argv);
	first = *ret;
	free(ret->words);
	for (size_t i = 0; i < NR_ROWS; i++)
		if (rows[i].kind == K_LIST)
			free(((struct cr_list *)field(&p, &rows[i]))->v);
	defaults(ret);
	/* Known already: whose message it will be, and in whose manner (cr_tool_start()). */
	if (err) {
		ret->as_criu = first.as_criu;
		ret->wait = first.wait;
		return err;
	}
	p.look_only = false;
	err = config_files(&p, first.config, first.no_default_config);
	if (!err)
		err = command_line(&p, argc, argv);
	if (err) {
		ret->as_criu = first.as_criu;
		ret->wait = first.wait;
	}
	return err;
}

bool cr_option_next(const char **pos, struct cr_option *ret)
{
	const char *s = *pos + strspn(*pos, " ");
	size_t n = strcspn(s, " ");

	*pos = s + n;
	for (size_t i = 0; n > 2 && i < NR_ROWS; i++) {
		const struct row *r = &rows[i];

		if (strlen(r->name) == n - 2 && !strncmp(r->name, s + 2, n - 2)) {
			*ret = (struct cr_option){ r->name, r->help, r->kind == K_LATER };
			return true;
		}
	}
	return false;
}

static void help_row(FILE *out, const struct row *r)
{
	const char *arg = r->arg ? r->arg : "";
	char left[80];

	snprintf(left, sizeof(left), "%c%c%c --%s%s%s", r->letter ? '-' : ' ', r->letter ? r->letter : ' ',
		 r->letter ? ',' : ' ', r->name,
		 !r->arg	   ? ""
		 : arg_optional(r) ? "[="
				   : " ",
		 arg_optional(r) ? arg + 1 : arg);
	fprintf(out, "  %-34s %s\n", left, r->help);
}

void cr_opts_help(FILE *out, unsigned who)
{
	bool more = false;

	for (size_t i = 0; i < NR_ROWS; i++)
		if (rows[i].kind != K_LATER && (rows[i].who & who))
			help_row(out, &rows[i]);
	for (size_t i = 0; i < NR_ROWS; i++)
		more |= rows[i].kind == K_LATER && (rows[i].who & who);
	if (!more)
		return;
	fputs("\nNot supported yet, refused by name:\n", out);
	for (size_t i = 0; i < NR_ROWS; i++)
		if (rows[i].kind == K_LATER && (rows[i].who & who))
			help_row(out, &rows[i]);
}
