/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu explain: what an error means and what to do, from the registry of causes (lib/common/base/errors.def).
 *
 * Words are codes, one after the other, or else together one text: a message of CRIU's, one of ours, a line of a log, or
 * what somebody remembers of it (explain-find.c). Without words all causes are listed; with --markdown they are the page
 * doc/troubleshooting.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "image/manifest.h"
#include "verbs.h"

static const char *const how_names[] = { "none", "words", "message", "phrase", "code" };

static const char *remedy_of(enum cr_code code)
{
	const struct cr_err e = { .code = code };

	return cr_err_get_remedy(&e);
}

static bool is_later(enum cr_code code, const char **ret_text)
{
	*ret_text = "It belongs to what is not supported yet: nothing of this version says it.";
	return cr_code_later(code);
}

/* ---- for people ---- */

static void print_options(enum cr_code code)
{
	const char *pos = cr_code_options(code), *head = "  Options:";
	struct cr_option o;

	while (cr_option_next(&pos, &o)) {
		printf("%-14s--%s: %s%s\n", head, o.name, o.help, o.later ? " (not supported yet)" : "");
		head = "";
	}
}

static void print_cause(enum cr_code code)
{
	const char *head = "  CRIU says:", *s;
	size_t pos = 0;

	printf("%s\n  What:       %s\n  What to do: %s.\n", cr_code_name(code), cr_code_meaning(code), remedy_of(code));
	print_options(code);
	for (; (s = explain_phrase(code, &pos)); head = "")
		printf("%-14s\"%s\"\n", head, s);
	printf("  Exit code:  %d\n", cr_code_exit(code));
	if (is_later(code, &s))
		printf("  %s\n", s);
}

static void list_causes(void)
{
	for (unsigned c = 1; c < CR_E_COUNT; c++)
		printf("%-20s  %s%s\n", cr_code_name((enum cr_code)c), cr_code_meaning((enum cr_code)c),
		       cr_code_later((enum cr_code)c) ? " (to come)" : "");
}

/* ---- JSON ---- */

static json_t *json_cause(enum cr_code code)
{
	json_t *opts = json_array(), *texts = json_array();
	const char *pos = cr_code_options(code), *s;
	struct cr_option o;
	size_t at = 0;

	while (cr_option_next(&pos, &o))
		json_array_append_new(opts, json_pack("{s:s+, s:s, s:b}", "name", "--", o.name, "help", o.help,
						      "supported", !o.later));
	while ((s = explain_phrase(code, &at)))
		json_array_append_new(texts, json_string(s));
	return json_pack("{s:s, s:s, s:s, s:i, s:b, s:o, s:o}", "code", cr_code_name(code), "meaning",
			 cr_code_meaning(code), "remedy", remedy_of(code), "exit", (int)cr_code_exit(code), "later",
			 cr_code_later(code), "options", opts, "criu_says", texts);
}

static int print_json(const char *text, const char *match, const enum cr_code *v, size_t n, struct cr_err *e)
{
	json_t *causes = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(causes, json_cause(v[i]));
	return json_print(
		json_pack("{s:o, s:s, s:o}", "text", json_bytes(text, strlen(text)), "match", match, "causes", causes),
		e);
}

/* ---- the page ---- */

static void page_phrases(void)
{
	puts("## Messages of CRIU\n\nWho knows the old words finds the cause here.\n\n| CRIU says | here |\n| --- | "
	     "--- |");
	for (unsigned c = 1; c < CR_E_COUNT; c++) {
		size_t pos = 0;
		const char *s;

		while ((s = explain_phrase((enum cr_code)c, &pos)))
			printf("| %s | [%s](#%s) |\n", s, cr_code_name((enum cr_code)c), cr_code_name((enum cr_code)c));
	}
}

static void page(void)
{
	puts("<!-- SPDX-License-Identifier: GPL-2.0-or-later -->\n"
	     "<!-- Written by `make doc` from lib/common/base/errors.def and tools/criu-check/phrases.def. -->\n"
	     "# Troubleshooting\n\n"
	     "Each failure is one line of the log that begins with `Error (` and ends with a code in brackets:\n"
	     "which object, why, what to do, `[code]`. The same record is `error` in manifest.json (of a dump) or in\n"
	     "restore.json (of a restore). `criu explain CODE` prints what stands here; it also takes a whole line of "
	     "a\n"
	     "log, a message of CRIU, or a few words. `criu-collect --dry-run -t PID` lists all that stands in the "
	     "way\n"
	     "of a dump before anything is stopped.\n\n"
	     "The exit code is that of the single tools; `criu` ends with 1 for each failure.\n\n"
	     "## Causes");
	for (unsigned c = 1; c < CR_E_COUNT; c++) {
		const char *pos = cr_code_options((enum cr_code)c), *head = "\nOptions: ", *later;
		struct cr_option o;

		printf("\n### %s\n\n%s\n\nWhat to do: %s.\n", cr_code_name((enum cr_code)c),
		       cr_code_meaning((enum cr_code)c), remedy_of((enum cr_code)c));
		for (; cr_option_next(&pos, &o); head = ", ")
			printf("%s`--%s`%s", head, o.name, o.later ? " (not supported yet)" : "");
		printf("%s\nExit code: %d.\n", *head == ',' ? ".\n" : "", cr_code_exit((enum cr_code)c));
		if (is_later((enum cr_code)c, &later))
			printf("\n%s\n", later);
	}
	putchar('\n');
	page_phrases();
}

/* ---- what was asked ---- */

static char *join(char **words, int nr)
{
	size_t len = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	for (int i = 0; out && i < nr; i++)
		fprintf(out, "%s%s", i ? " " : "", words[i]);
	if (!out || fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static bool all_codes(char **words, int nr)
{
	for (int i = 0; i < nr; i++)
		if (cr_code_by_name(words[i]) == CR_E_NONE)
			return false;
	return nr > 0;
}

static void print_found(const char *text, enum explain_how how, const enum cr_code *v, size_t n)
{
	if (how == EXPLAIN_NONE)
		printf("Nothing is known of \"%s\". criu explain lists all causes.\n", text);
	if (how == EXPLAIN_WORDS)
		printf("No message is like \"%s\". It may be one of these:\n\n", text);
	for (size_t i = 0; i < n; i++) {
		if (i)
			putchar('\n');
		print_cause(v[i]);
	}
}

static int explain_text(const struct cr_opts *o, const char *text, int *code, struct cr_err *e)
{
	enum cr_code v[EXPLAIN_MAX];
	enum explain_how how;
	size_t n = explain_find(text, v, &how);

	*code = how <= EXPLAIN_WORDS ? CR_REFUSED : CR_OK;
	if (o->json)
		return print_json(text, how_names[how], v, n, e);
	print_found(text, how, v, n);
	return 0;
}

static int explain_all(const struct cr_opts *o, struct cr_err *e)
{
	enum cr_code v[CR_E_COUNT];
	size_t n = 0;

	for (unsigned c = 1; c < CR_E_COUNT; c++)
		v[n++] = (enum cr_code)c;
	if (o->json)
		return print_json("", "all", v, n, e);
	if (o->markdown)
		page();
	else
		list_causes();
	return 0;
}

static int explain_codes(const struct cr_opts *o, char **words, int nr, const char *text, struct cr_err *e)
{
	enum cr_code v[CR_E_COUNT];
	size_t n = 0;

	for (int i = 0; i < nr && n < CR_E_COUNT; i++)
		v[n++] = cr_code_by_name(words[i]);
	if (o->json)
		return print_json(text, how_names[EXPLAIN_CODE], v, n, e);
	print_found(text, EXPLAIN_CODE, v, n);
	return 0;
}

int verb_explain(const struct cr_opts *o, char **words, int nr, int *code, struct cr_err *e)
{
	char *text;
	int ret;

	if (!nr || o->markdown)
		return explain_all(o, e);
	text = join(words, nr);
	if (!text)
		return cr_err_nomem(e);
	ret = all_codes(words, nr) ? explain_codes(o, words, nr, text, e) : explain_text(o, text, code, e);
	free(text);
	return ret;
}

static bool is_ours(const char *arg)
{
	static const char *const ours[] = { "explain", "--json", "--markdown", "--help", "-h", "--version", "-V" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!strcmp(arg, ours[i]))
			return true;
	return false;
}

char **explain_args(int argc, char **argv, int *ret_argc)
{
	static char behind[] = "--";
	char **v = calloc((size_t)argc + 2, sizeof(*v));
	int n = 0, at = argc < 1 ? 0 : 1;

	if (!v)
		return NULL;
	v[n++] = argv[0];
	while (at < argc && is_ours(argv[at]))
		v[n++] = argv[at++];
	/* Behind the first word of the message --json is still ours. */
	for (int i = at; i < argc; i++)
		if (!strcmp(argv[i], "--json"))
			v[n++] = argv[i];
	if (at < argc && strcmp(argv[at], "--") != 0)
		v[n++] = behind;
	for (; at < argc; at++)
		if (strcmp(argv[at], "--json") != 0)
			v[n++] = argv[at];
	*ret_argc = n;
	return v;
}
