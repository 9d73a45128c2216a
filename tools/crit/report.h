/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of crit report: the data of the page, as JSON. */
#ifndef CRIT_REPORT_H
#define CRIT_REPORT_H

#include <jansson.h>

#include "checkpoint.h"
#include "json-out.h"

struct report {
	struct json_out *out;
	struct checkpoint *c;
	json_t *manifest; /* NULL: none */
	/* What may still be written: a page is for a browser, and has some megabytes at most. */
	size_t maps, fds, files, needs;
	size_t text;  /* longest text; 0: whole */
	bool objects; /* rows of images and needs with names, for others than the page */
};

/* report-tasks.c: "tasks" and "tables" */
int report_tasks(struct report *r, struct cr_err *e);
/* report-files.c: "files" and "sockets" */
void report_files(struct report *r);
/* report-sums.c: what is known of the checkpoint as a whole. @dir: as the user gave it */
int report_facts(struct report *r, const char *dir, struct cr_err *e);
/* What the stages noted and crit verify finds. */
int report_warnings(struct report *r, const char *dir, struct cr_err *e);

/* A text, cut in its middle if it is too long for the page. */
void report_text(struct report *r, const char *text);

#endif
