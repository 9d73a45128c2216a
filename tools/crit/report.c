/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crit report: a checkpoint as one page for a browser.
 *
 * Theory of operation: the page is tools/crit/report/, put together by the build and linked into crit; at its marker goes the
 * data, as JSON in a <script> that is not run. All names come from images and may be hostile: in the JSON <, > and & are
 * escaped, so nothing in it ends the script; the page's own script puts them on screen as text only; and its Content-
 * Security-Policy lets no other script run and nothing be loaded. Lists are cut where the page would grow beyond some megabytes;
 * the page says so. It is drawn when it comes into view, so that a thousand tasks cost nothing.
 */
#include "report.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { MAPS_MOST = 40000, FDS_MOST = 60000, FILES_MOST = 20000, NEEDS_MOST = 3000, TEXT_MOST = 300 };

/* report/page.html, by embed.S */
extern const char report_page_start[], report_page_end[];

void report_text(struct report *r, const char *text)
{
	size_t len = strlen(text);

	if (!r->text || len <= r->text) {
		jo_text(r->out, text);
	} else {
		char cut[TEXT_MOST + 8];

		snprintf(cut, sizeof(cut), "%.100s...%.197s", text, text + len - 197);
		jo_text(r->out, cut);
	}
}

static int put_data(struct checkpoint *c, const char *dir, struct obuf *ob, struct cr_err *e)
{
	struct json_out out = { .ob = ob, .html = true };
	struct report r = { .out = &out,
			    .c = c,
			    .manifest = checkpoint_manifest(c),
			    .maps = MAPS_MOST,
			    .fds = FDS_MOST,
			    .files = FILES_MOST,
			    .needs = NEEDS_MOST,
			    .text = TEXT_MOST };
	int ret;

	jo_begin(&out, '{');
	ret = report_tasks(&r, e);
	if (!ret) {
		report_files(&r);
		ret = report_facts(&r, dir, e);
		if (!ret)
			ret = report_warnings(&r, dir, e);
	}
	damages_json(c, &out, true);
	jo_end(&out, '}');
	json_decref(r.manifest);
	return ret;
}

/* Return: exit code */
static int put_page(const char *dir, const char *path)
{
	static const char marker[] = "@DATA@";
	const size_t size = (uintptr_t)report_page_end - (uintptr_t)report_page_start;
	const char *at = memmem(report_page_start, size, marker, strlen(marker));
	const size_t before = at ? (size_t)(at - report_page_start) : 0, after = before + strlen(marker);
	struct checkpoint c;
	struct output out;
	struct cr_err e;
	int ret;

	ret = checkpoint_open(&c, dir, &e);
	if (ret < 0)
		return crit_fail(&e);
	ret = output_open(&out, path, &e);
	if (!ret) {
		ob_put(out.ob, report_page_start, before);
		ret = put_data(&c, dir, out.ob, &e);
		ob_put(out.ob, report_page_start + after, size - after);
		if (!ret)
			ret = output_finish(&out, &e);
	}
	output_abandon(&out);
	ret = ret < 0 ? crit_fail(&e) : damages_tell(&c);
	checkpoint_close(&c);
	return ret;
}

int crit_report(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "output", required_argument, NULL, 'o' },
		{ 0 },
	};
	const char *path = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (c == '?')
			return crit_usage("report", "wrong options");
		path = optarg;
	}
	if (argc - optind != 1)
		return crit_usage("report", "needs a directory");
	return put_page(argv[optind], path);
}
