/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --check-only: would a restore succeed here?
 *
 * Theory of operation. The images are read into the same plan, and the same hooks look at it as in a real restore; but
 * what they find is noted (lib/kind/restore-check.h) and the check goes on, so that the user learns everything in one
 * go. What a real restore finds out by doing it has a hook of its own (precheck of lib/kind/restore.h) or is tested in
 * check-host.c, check-kernel.c and check-needs.c. Nothing is made but what is gone when a descriptor is closed; no task,
 * no file, no name; nothing is written, not even a record.
 *
 * A bad image ends the check: what refers to it cannot be trusted. The report has what was found until then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "inventory.pb-c.h"
#include "kind/restore-check.h"
#include "restore.h"

bool check_marked(int img)
{
	struct arena a = { 0 };
	InventoryEntry *inv = NULL;
	struct cr_err ignored = { 0 };
	bool ret = false;

	if (!img_read_one(img, IMG_INVENTORY, 0, &a, &inv, &ignored))
		for (size_t i = 0; inv->plugins_entry && i < inv->plugins_entry->n_plugins; i++)
			ret |= !strcmp(inv->plugins_entry->plugins[i], IMG_PLUGIN_CHECK_ONLY);
	arena_free(&a);
	return ret;
}

static int images(struct restore *x, struct cr_err *e)
{
	int err;

	rst_area(&x->rst, "images", 1);
	err = manifest_check_sealed(x->rst.img, e);
	if (err == 0)
		return cr_err_set(e, CR_E_NO_CHECKPOINT, 0, "images directory", "there is no inventory.img");
	if (err < 0)
		return err;
	err = verify_files(x->rst.img, x->opts.checksum, e);
	if (!err)
		err = plan_load(&x->rst, &x->plan, e);
	if (!err)
		verify_tables(x);
	return err;
}

/* Up to what a real restore does before it makes the first task. */
static int hooks(struct restore *x, struct cr_err *e)
{
	int err = rst_own_load(&x->own, &x->arena, e);

	if (!err)
		err = mm_vdso_own(&x->vdso, e);
	core_xsave_layout(&x->xsave);
	if (!err)
		err = order_check(x, e);
	if (!err)
		err = tree_check_pids(x, e);
	return err ? err : load_files(x, e);
}

static int look(struct restore *x, uint64_t *bytes, struct cr_err *e)
{
	int err = images(x, e);

	if (!err)
		err = hooks(x, e);
	if (!err)
		err = check_files(x, e);
	if (!err && x->opts.checksum)
		err = verify_programs(&x->rst, e);
	if (!err)
		err = check_mounts(x, e);
	if (!err)
		err = check_memory(x, bytes, e);
	if (!err)
		err = check_limits(x, e);
	if (!err)
		err = check_cgroups(x, *bytes, e);
	if (!err)
		err = check_cpu(x, e);
	if (!err)
		err = check_kernel(x, e);
	return err ? err : check_clock(x, e);
}

/* ---- the report ---- */

static const char *const results[] = { "ok", "refused", "bad-image" };

static size_t count(const struct rst_check *c, bool warnings)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += c->v[i].warning == warnings;
	return n;
}

static void print_areas(const struct rst_check *c)
{
	for (size_t i = 0; i < c->nr_areas; i++) {
		const struct rst_area *a = &c->areas[i];

		printf("%-12s %6zu tested", a->name, a->tested);
		if (a->refused)
			printf(", %zu refused", a->refused);
		if (a->warned)
			printf(", %zu doubtful", a->warned);
		putchar('\n');
	}
}

static void print_text(const struct restore *x, const struct rst_check *c, int code, uint64_t bytes)
{
	size_t refused = count(c, false), warned = count(c, true);
	char text[1024];

	printf("Checked, without starting anything: %zu processes, %zu threads, %llu MiB of memory\n", x->plan.nr_live,
	       x->plan.nr_threads, (unsigned long long)bytes >> 20);
	print_areas(c);
	for (int warning = 0; warning < 2; warning++)
		for (size_t i = 0; i < c->n; i++)
			if (c->v[i].warning == warning)
				printf("%s: %s\n", warning ? "Warning" : "Refused",
				       cr_err_text(&c->v[i].err, text, sizeof(text)));
	if (code == CR_BADIMG)
		puts("These images cannot be restored.");
	else if (refused)
		printf("A restore would be refused here, for %zu reason%s.\n", refused, refused > 1 ? "s" : "");
	else
		printf("Nothing is in the way of a restore here%s.\n", warned ? ", but see the warnings" : "");
}

static json_t *finding_json(const struct rst_finding *f)
{
	json_t *o = manifest_error("criu-restore", &f->err);

	if (o) {
		json_object_del(o, "stage");
		json_object_set_new(o, "severity", json_string(f->warning ? "warning" : "refused"));
		json_object_set_new(o, "area", json_string(f->area));
	}
	return o;
}

/* doc/check-only.md */
static int print_json(const struct restore *x, const struct rst_check *c, int code, uint64_t bytes, bool marked,
		      struct cr_err *e)
{
	json_t *areas = json_array(), *findings = json_array();

	for (size_t i = 0; i < c->nr_areas; i++)
		json_array_append_new(areas, json_pack("{s:s, s:I, s:I, s:I}", "area", c->areas[i].name, "tested",
						       (json_int_t)c->areas[i].tested, "refused",
						       (json_int_t)c->areas[i].refused, "warnings",
						       (json_int_t)c->areas[i].warned));
	for (size_t i = 0; i < c->n; i++)
		json_array_append_new(findings, finding_json(&c->v[i]));
	return json_print(json_pack("{s:i, s:s, s:b, s:I, s:I, s:I, s:o, s:o}", "format", 1, "result", results[code],
				    "check_only", marked, "processes", (json_int_t)x->plan.nr_live, "threads",
				    (json_int_t)x->plan.nr_threads, "memory", (json_int_t)bytes, "areas", areas,
				    "findings", findings),
			  e);
}

/* Who looks only at the log finds it there too. */
static void log_findings(const struct rst_check *c)
{
	char text[1024];

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].warning)
			log_warn("%s", cr_err_text(&c->v[i].err, text, sizeof(text)));
		else
			log_failure(&c->v[i].err);
}

int check_run(struct restore *x, int *ret_code, struct cr_err *e)
{
	bool marked = check_marked(x->rst.img);
	struct rst_check c = { 0 };
	uint64_t bytes = 0;
	int err;

	x->rst.check = &c;
	x->opts.check_only = true;
	if (marked)
		log_warn("The images are of a dry run: this is a check, nothing is started");
	err = look(x, &bytes, e);
	*ret_code = count(&c, false) ? CR_REFUSED : CR_OK;
	if (err) {
		*ret_code = (int)cr_code_exit(e->code);
		if (*ret_code != CR_BADIMG && *ret_code != CR_REFUSED)
			goto out;
		if (rst_final(&x->rst, e)) {
			err = cr_err_nomem(e);
			goto out;
		}
	}
	if (x->opts.log_file)
		log_findings(&c);
	if (x->opts.json) {
		err = print_json(x, &c, *ret_code, bytes, marked, e);
	} else {
		print_text(x, &c, *ret_code, bytes);
		err = cr_err_stdout(e);
	}
out:
	free(c.v);
	x->rst.check = NULL;
	return err;
}
