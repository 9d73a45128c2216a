/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of the checkpoint as a whole: images, segments, times, needs, warnings. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.pb-c.h"
#include "inventory.pb-c.h"
#include "needs.h"
#include "overview.h"
#include "report.h"
#include "stats.pb-c.h"
#include "verify.h"

enum { FINDINGS_MOST = 500, WARNINGS_MOST = 1000 };

/* Members of the manifest, under the same names; those of another type are left out. @keys: NULL at the end */
static void put_strings(struct report *r, const json_t *object, const char *const keys[])
{
	for (; *keys; keys++) {
		const char *text = json_string_value(json_object_get(object, *keys));

		if (!text)
			continue;
		jo_key(r->out, *keys);
		report_text(r, text);
	}
}

static void put_integers(struct report *r, const json_t *object, const char *const keys[])
{
	for (; *keys; keys++) {
		const json_t *v = json_object_get(object, *keys);

		if (json_is_integer(v) && json_integer_value(v) >= 0)
			jo_put_number(r->out, *keys, json_integer_value(v));
	}
}

static void put_real(struct report *r, const json_t *object, const char *key)
{
	char text[64];

	if (!json_is_number(json_object_get(object, key)))
		return;
	snprintf(text, sizeof(text), "%.6f", json_number_value(json_object_get(object, key)));
	jo_key(r->out, key);
	jo_raw(r->out, text);
}

static void put_made(struct report *r)
{
	static const char *const head[] = { "id", "created", "sealed", "state", "version", NULL },
				 *const host[] = { "arch", "kernel", "node", NULL },
				 *const numbers[] = { "page_size", NULL };

	jo_key(r->out, "made");
	jo_begin(r->out, '{');
	put_strings(r, r->manifest, head);
	put_strings(r, json_object_get(r->manifest, "host"), host);
	put_integers(r, json_object_get(r->manifest, "host"), numbers);
	jo_end(r->out, '}');
}

static void put_stages(struct report *r)
{
	static const char *const texts[] = { "name", "version", "state", "end", NULL }, *const numbers[] = {
		"bytes",	 "frozen_us",	  "freezing_us",   "memdump_time",
		"memwrite_time", "pages_scanned", "pages_written", NULL
	};
	const json_t *stage, *stages = json_object_get(r->manifest, "stages");
	size_t k;

	jo_key(r->out, "stages");
	jo_begin(r->out, '[');
	json_array_foreach(stages, k, stage)
	{
		if (k == 64)
			break;
		jo_begin(r->out, '{');
		put_strings(r, stage, texts);
		put_integers(r, stage, numbers);
		put_real(r, stage, "seconds");
		jo_put_number(r->out, "nfiles", json_array_size(json_object_get(stage, "files")));
		jo_end(r->out, '}');
	}
	jo_end(r->out, ']');
}

static void put_stats(struct report *r)
{
	const StatsEntry *stats = checkpoint_one(r->c, IMG_STATS_DUMP, 0);
	const DumpStatsEntry *d = stats ? stats->dump : NULL;

	if (!d)
		return;
	jo_key(r->out, "stats");
	jo_begin(r->out, '{');
	jo_put_number(r->out, "freezing", d->freezing_time);
	jo_put_number(r->out, "frozen", d->frozen_time);
	jo_put_number(r->out, "memdump", d->memdump_time);
	jo_put_number(r->out, "memwrite", d->memwrite_time);
	jo_put_number(r->out, "scanned", d->pages_scanned);
	jo_put_number(r->out, "skipped", d->pages_skipped_parent);
	jo_put_number(r->out, "written", d->pages_written);
	jo_put_number(r->out, "lazy", d->pages_lazy);
	jo_end(r->out, '}');
}

/* A row: an object, or for the page, to be short, a list. */
static void row_begin(struct report *r)
{
	jo_begin(r->out, r->objects ? '{' : '[');
}

static void row_end(struct report *r)
{
	jo_end(r->out, r->objects ? '}' : ']');
}

static void row_text(struct report *r, const char *key, const char *text)
{
	if (r->objects)
		jo_key(r->out, key);
	report_text(r, text);
}

static void row_number(struct report *r, const char *key, uint64_t v)
{
	if (r->objects)
		jo_key(r->out, key);
	jo_unsigned(r->out, v);
}

static void put_images(struct report *r)
{
	struct overview o = { 0 };

	overview_images(r->c, &o);
	jo_key(r->out, "images");
	jo_begin(r->out, '[');
	for (int k = 0; k < IMG_TYPES; k++) {
		if (!o.images[k].n)
			continue;
		row_begin(r);
		row_text(r, "name", img_table[k].format);
		row_number(r, "files", o.images[k].n);
		row_number(r, "bytes", o.images[k].bytes);
		row_end(r);
	}
	jo_end(r->out, ']');
	jo_put_flag(r->out, "finished", o.inventory);
	jo_put_number(r->out, "segments", o.n_segments);
	jo_put_number(r->out, "segment_pages", page_sum_all(&o.segments));
	if (o.parent)
		jo_put_text(r->out, "parent", o.parent);
}

static void put_root_ids(struct report *r)
{
	const InventoryEntry *inv = checkpoint_one(r->c, IMG_INVENTORY, 0);

	jo_key(r->out, "ns_names");
	jo_begin(r->out, '[');
	for (unsigned int k = 0; k < NS_KINDS; k++)
		jo_text(r->out, ns_name(k));
	jo_end(r->out, ']');
	jo_key(r->out, "ns_host");
	jo_begin(r->out, '[');
	for (unsigned int k = 0; inv && inv->root_ids && k < NS_KINDS; k++)
		jo_unsigned(r->out, ns_id(inv->root_ids, k));
	jo_end(r->out, ']');
}

static int put_needs(struct report *r, struct cr_err *e)
{
	struct needs needs = { 0 };
	int ret;

	ret = checkpoint_needs(r->c, r->manifest, &needs, e);
	if (ret < 0)
		return ret;
	jo_put_number(r->out, "nneeds", needs.n + needs.dropped);
	jo_key(r->out, "needs");
	jo_begin(r->out, '[');
	for (size_t k = 0; k < needs.n && k < r->needs; k++) {
		row_begin(r);
		row_text(r, "kind", needs.v[k].kind);
		row_text(r, "object", needs.v[k].object);
		row_text(r, "detail", needs.v[k].detail);
		row_end(r);
	}
	jo_end(r->out, ']');
	return 0;
}

int report_facts(struct report *r, const char *dir, struct cr_err *e)
{
	char text[NAME_TEXT_SIZE];

	jo_put_text(r->out, "dir", name_text(r->c, dir, strlen(dir), text, sizeof(text)));
	jo_put_text(r->out, "crit", CR_VERSION);
	put_made(r);
	put_stages(r);
	put_stats(r);
	put_images(r);
	put_root_ids(r);
	return put_needs(r, e);
}

static void put_warning(struct report *r, const char *level, const char *where, const char *what, const char *remedy)
{
	jo_begin(r->out, '[');
	jo_text(r->out, level);
	report_text(r, where ? where : "");
	report_text(r, what ? what : "");
	report_text(r, remedy ? remedy : "");
	jo_end(r->out, ']');
}

/* Of all stages. @member: "warnings" or "failures" */
static void put_noted(struct report *r, const char *member, const char *level)
{
	const json_t *stage, *row, *stages = json_object_get(r->manifest, "stages");
	size_t s, k, n = 0;

	json_array_foreach(stages, s, stage)
	{
		const json_t *rows = json_object_get(stage, member);

		json_array_foreach(rows, k, row)
		{
			if (n++ == WARNINGS_MOST)
				return;
			put_warning(r, level, json_string_value(json_object_get(row, "object")),
				    json_string_value(json_object_get(row, "reason")),
				    json_string_value(json_object_get(row, "remedy")));
		}
	}
}

int report_warnings(struct report *r, const char *dir, struct cr_err *e)
{
	struct findings all = { 0 };
	int ret;

	jo_key(r->out, "warnings");
	jo_begin(r->out, '[');
	put_noted(r, "failures", "failure");
	put_noted(r, "warnings", "warning");
	ret = verify_path(dir, &all, e);
	verify_settle(&all);
	for (size_t k = 0; !ret && k < all.n && k < FINDINGS_MOST; k++) {
		const struct finding *f = &all.v[k];
		char where[512], file[400];

		safe_text(f->file, strlen(f->file), file, sizeof(file));
		snprintf(where, sizeof(where), f->entry < 0 ? "%s" : "%s: entry %ld", file, f->entry);
		put_warning(r, f->warning ? "warning" : "error", where, f->problem, "");
	}
	jo_end(r->out, ']');
	jo_put_number(r->out, "nfindings", all.n);
	findings_free(&all);
	return ret;
}
