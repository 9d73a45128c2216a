/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu check: test the kernel and say what is missing, in CRIU's words and with CRIU's exit codes. Other than CRIU's it
 * does not stop at the first that is missing: what there is to mend is told in one go.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "features.h"
#include "image/manifest.h"
#include "verbs.h"

/* The verdicts. */
static const char all_good[] = "Looks good.";
static const char bad[] = "Does not look good.";
static const char partly[] = "Looks good but some kernel features are missing\n"
			     "which, depending on your process tree, may cause\n"
			     "dump or restore failure.";

struct count {
	unsigned needed, other; /* missing */
};

static bool chosen(const struct feature *f, const struct cr_opts *o)
{
	switch (f->category) {
	case FT_NEEDED:
	case FT_INFO:
		return true;
	case FT_EXTRA:
		return o->extra || o->all;
	case FT_EXPERIMENTAL:
		return o->experimental || o->all;
	case FT_ASKED:
		break;
	}
	return false;
}

static void tell(const struct feature *f, const struct probe *p, enum probe_result r)
{
	int level = f->category == FT_NEEDED ? CR_LOG_ERROR : CR_LOG_WARN;

	if (f->category == FT_INFO)
		level = CR_LOG_INFO;
	cr_log(level, "%s %s: %s. %s It takes %s.", f->name,
	       r == PROBE_UNKNOWN ? "could not be tested" : "is not supported", p->why, f->meaning, f->remedy);
}

static json_t *row(const struct feature *f, const struct probe *p, enum probe_result r)
{
	json_t *o = json_pack("{s:s, s:s?, s:i, s:b, s:b, s:s, s:s}", "name", f->name, "since", f->since, "category",
			      f->category == FT_INFO ? 0 : (int)f->category, "supported", r == PROBE_YES, "tested",
			      r != PROBE_UNKNOWN, "meaning", f->meaning, "remedy", f->remedy);

	if (o && r != PROBE_YES)
		json_object_set_new(o, "reason", json_string(p->why));
	return o;
}

/* Test one; into @rows, or told by the log. */
static enum probe_result test(const struct feature *f, json_t *rows)
{
	struct probe p = { "" };
	enum probe_result r = probe_run(f->probe, &p);

	if (rows)
		json_array_append_new(rows, row(f, &p, r));
	else if (r != PROBE_YES)
		tell(f, &p, r);
	return r;
}

static int print_json(json_t *rows, const char *verdict, struct cr_err *e)
{
	return json_print(json_pack("{s:i, s:s, s:o}", "format", 1, "verdict", verdict, "features", rows), e);
}

static int check_all(const struct cr_opts *o, int *code, struct cr_err *e)
{
	json_t *rows = o->json ? json_array() : NULL;
	struct count missing = { 0 };

	for (const struct feature *f = features; f->name; f++) {
		/* Apparmor counts only where it is in use. */
		bool counts = f->category >= FT_NEEDED && f->category <= FT_EXPERIMENTAL &&
			      (f->probe != probe_apparmor_stacking || apparmor_on());

		if (!(chosen(f, o) || (rows && o->all)) || (!counts && !rows && f->category != FT_INFO))
			continue;
		if (test(f, rows) != PROBE_YES && counts)
			++*(f->category == FT_NEEDED ? &missing.needed : &missing.other);
	}
	*code = missing.needed || missing.other ? CR_REFUSED : 0;
	if (rows)
		return print_json(rows, missing.needed ? "bad" : missing.other ? "partly" : "good", e);
	puts(missing.needed ? bad : missing.other ? partly : all_good);
	return 0;
}

static int list(const struct cr_opts *o, struct cr_err *e)
{
	json_t *rows = o->json ? json_array() : NULL;

	for (const struct feature *f = features; f->name; f++) {
		if (rows)
			json_array_append_new(rows, json_pack("{s:s, s:s?}", "name", f->name, "since", f->since));
		else
			puts(f->name);
	}
	return rows ? json_print(json_pack("{s:i, s:o}", "format", 1, "features", rows), e) : 0;
}

static const struct feature *find(const char *name, struct cr_err *e)
{
	for (const struct feature *f = features; f->name; f++)
		if (!strcmp(f->name, name))
			return f;
	/* CRIU's words */
	cr_err_set(e, CR_E_USAGE, 0, "--feature", "Unknown feature %s", name);
	cr_err_remedy(e, "see criu check --feature list");
	return NULL;
}

static bool supported(const struct feature *f, json_t *rows)
{
	if (test(f, rows) != PROBE_YES)
		return false;
	if (!rows)
		printf("%s is supported\n", f->name);
	return true;
}

static int check_named(const struct cr_opts *o, int *code, struct cr_err *e)
{
	json_t *rows;

	for (unsigned i = 0; i < o->feature.n; i++)
		if (!find(o->feature.v[i], e))
			return -EINVAL;
	rows = o->json ? json_array() : NULL;
	for (unsigned i = 0; i < o->feature.n; i++) {
		const struct feature *f = find(o->feature.v[i], NULL);

		if (f && !supported(f, rows))
			*code = CR_REFUSED;
	}
	return rows ? print_json(rows, *code ? "bad" : "good", e) : 0;
}

int verb_check(const struct cr_opts *o, char **words, int nr, int *code, struct cr_err *e)
{
	if (nr)
		return cr_err_set(e, CR_E_USAGE, 0, "criu check", "it takes no word (%s)", words[0]);
	if (!o->feature.n)
		return check_all(o, code, e);
	return o->feature.n == 1 && !strcmp(o->feature.v[0], "list") ? list(o, e) : check_named(o, code, e);
}
