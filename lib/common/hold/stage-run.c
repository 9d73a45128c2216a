/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hold/stage-run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Another stage has told why it lets the tree go: once is enough. */
static void told_already(const struct cr_err *e)
{
	log_info("%s: %s%s%s", e->object, e->reason, e->err ? ": " : "", e->err ? strerror(e->err) : "");
}

int stage_not_begun(const struct cr_opts *o, const struct cr_err *e)
{
	/* That the holder, or the wrapper, has gone, or another stage has failed (ESTALE), is told by who ended it; that it cannot
	 * be reached is not. */
	if (o->wait && ((e->code == CR_E_HOLDER_VOID &&
			 (!e->err || e->err == EPIPE || e->err == ECONNRESET || e->err == ESTALE)) ||
			(e->code == CR_E_NOT_HELD && getenv("CRIU_LOG_OPEN"))))
		told_already(e);
	else
		log_failure(e);
	return cr_exit_code(o, e);
}

void stage_log(const struct cr_report *refusals)
{
	for (size_t i = 0; i < refusals->n; i++)
		log_failure(&refusals->v[i]);
}

/* What went wrong at the end is the failure only if there was none before. */
static int late_failure(int ret, int late_ret, struct cr_err *e, const struct cr_err *late)
{
	if (!late_ret)
		return ret;
	log_failure(late);
	if (ret)
		return ret;
	*e = *late;
	return late_ret;
}

/* The manifest could not be written. That there was a failure may still find room: it needs less. */
static void note_failure(int img, const char *name, struct cr_report *refusals, const struct cr_err *why)
{
	struct stage_facts f;
	struct cr_err ignored;

	stage_begin(&f, name);
	if (!cr_report_add(refusals, why))
		manifest_stage(img, &f, refusals, &ignored);
}

int stage_end(const struct cr_opts *o, int img, struct hold *h, struct stage_facts *f, struct cr_report *refusals,
	      int ret, struct cr_err *e)
{
	struct cr_err late = { 0 };
	int late_ret;

	if (ret && e->code == CR_E_HOLDER_VOID && manifest_failed(img)) {
		told_already(e);
		return cr_exit_code(o, e);
	}
	if (ret && !refusals->n)
		cr_report_add(refusals, e);
	stage_log(refusals);
	late_ret = manifest_stage(img, f, ret ? refusals : NULL, &late);
	if (late_ret && !ret)
		note_failure(img, f->name, refusals, &late);
	ret = late_failure(ret, late_ret, e, &late);
	ret = late_failure(ret, hold_finish(h, ret, &late), e, &late);
	cr_report_free(refusals);
	return ret ? cr_exit_code(o, e) : 0;
}
