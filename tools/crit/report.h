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
	size_t maps, fds, files;
};

/* report-tasks.c: "tasks" and "tables" */
int report_tasks(struct report *r, struct cr_err *e);
/* report-files.c: "files" and "sockets" */
void report_files(struct report *r);
/* report-sums.c: everything else. @dir: as the user gave it */
int report_sums(struct report *r, const char *dir, struct cr_err *e);

/* A text of at most 300 bytes. */
void report_text(struct report *r, const char *text);

#endif
