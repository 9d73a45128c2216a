/* SPDX-License-Identifier: GPL-2.0-or-later */
/* May the checkpoint run on this CPU? lib/kind/cpu says; here is which threads are asked for, and what follows. */
#include <errno.h>

#include "base/log.h"
#include "kind/cpu/cpu.h"
#include "kind/restore-check.h"
#include "restore.h"

static uint64_t used_state(const struct plan *p)
{
	uint64_t used = 0;

	for (size_t i = 0; i < p->nr_images; i++)
		for (size_t k = 0; k < p->tasks[i].nr_threads; k++)
			if (p->tasks[i].threads[k].core)
				used |= cpu_xstate_of(p->tasks[i].threads[k].core);
	return used;
}

int cpu_fits(struct restore *x, struct cr_err *e)
{
	struct cr_report refused = {}, notes = {};
	char text[1024];
	int err;

	rst_area(&x->rst, "cpu", 1);
	err = cpu_check(x->rst.img, x->opts.cpu_cap, used_state(&x->plan), &refused, &notes, e);
	for (size_t i = 0; !err && i < notes.n; i++) {
		log_warn("%s", cr_err_text(&notes.v[i], text, sizeof(text)));
		rst_doubt(&x->rst, &notes.v[i]);
	}
	/* What matters most comes first in the report, and is what is returned: the others are told before. */
	for (size_t i = refused.n; !err && i-- > 0;) {
		*e = refused.v[i];
		err = rst_found(&x->rst, -EINVAL, e);
		if (err && i) {
			log_failure(e);
			err = 0;
		}
	}
	cr_report_free(&refused);
	cr_report_free(&notes);
	return err;
}
