/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPU in the manifest, and what a restore asks: may this checkpoint run here? */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/manifest.h"
#include "kind/cpu/cpu.h"

/* ---- manifest ---- */

json_t *cpu_info_to_json(const struct cpu_info *c)
{
	json_t *words = json_array();

	for (uint32_t i = 0; i < c->nr_words; i++)
		json_array_append_new(words, json_integer(c->word[i]));
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:I, s:I, s:I}", "vendor", c->vendor, "model_name",
			 c->model_id, "family", (json_int_t)c->family, "model", (json_int_t)c->model, "stepping",
			 (json_int_t)c->stepping, "capability", words, "xfeatures", (json_int_t)c->xfeatures,
			 "xsave_size", (json_int_t)c->xsave_size, "xsave_size_max", (json_int_t)c->xsave_size_max);
}

static int bad(struct cr_err *e, const char *what)
{
	return cr_err_set(e, CR_E_IMG_CORRUPT, 0, MANIFEST_NAME, "host.cpu: %s", what);
}

static int from_json(const json_t *j, struct cpu_info *ret, struct cr_err *e)
{
	const json_t *words = json_object_get(j, "capability");
	const char *vendor = json_string_value(json_object_get(j, "vendor"));
	const char *model = json_string_value(json_object_get(j, "model_name"));
	struct cpu_info c = { .nr_words = (uint32_t)json_array_size(words) };
	const struct {
		const char *name;
		uint32_t *to;
	} numbers[] = {
		{ "family", &c.family },
		{ "model", &c.model },
		{ "stepping", &c.stepping },
		{ "xsave_size", &c.xsave_size },
		{ "xsave_size_max", &c.xsave_size_max },
	};
	json_int_t v;

	if (!vendor || strlen(vendor) >= sizeof(c.vendor) || c.nr_words < 1)
		return bad(e, "vendor or capability is missing");
	memcpy(c.vendor, vendor, strlen(vendor) + 1);
	snprintf(c.model_id, sizeof(c.model_id), "%s", model ? model : "");
	if (c.nr_words > CPU_WORDS) /* of a later version */
		c.nr_words = CPU_WORDS;
	for (uint32_t i = 0; i < c.nr_words; i++) {
		v = json_integer_value(json_array_get(words, i));
		if (v < 0 || v > UINT32_MAX)
			return bad(e, "a word of capability is out of range");
		c.word[i] = (uint32_t)v;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		v = json_integer_value(json_object_get(j, numbers[i].name));
		if (v < 0 || v > UINT32_MAX)
			return bad(e, "a number is out of range");
		*numbers[i].to = (uint32_t)v;
	}
	v = json_integer_value(json_object_get(j, "xfeatures"));
	if (v < 0)
		return bad(e, "xfeatures is out of range");
	c.xfeatures = (uint64_t)v;
	*ret = c;
	return 0;
}

int cpu_info_of_checkpoint(int img, struct cpu_info *ret, const char **ret_from, struct cr_err *e)
{
	json_t *m = NULL, *cpu;
	int got = cpu_info_read(img, ret, e);

	*ret_from = "cpuinfo.img";
	if (got)
		return got;
	got = manifest_read_head(img, &m, e);
	if (got)
		return got == -ENOENT ? 0 : got;
	*ret_from = MANIFEST_NAME;
	cpu = json_object_get(json_object_get(m, "host"), "cpu");
	if (json_object_get(cpu, "capability"))
		got = from_json(cpu, ret, e);
	else
		got = -ENOENT; /* made before it was written */
	json_decref(m);
	if (got == -ENOENT)
		return 0;
	return got ? got : 1;
}

/* ---- restore ---- */

/* "avx512f avx512dq ... and 12 more" of what has the same weight. Return: how many there are. */
static size_t names(const struct cpu_diffs *d, enum cpu_matter matter, bool here, bool refused, char *buf, size_t size)
{
	size_t n = 0, len = 0, left = 0;

	buf[0] = 0;
	for (size_t i = 0; i < d->n; i++) {
		const struct cpu_diff *v = &d->v[i];
		size_t room = strlen(v->name) + 2;

		if (v->matter != matter || v->here != here || v->refused != refused)
			continue;
		n++;
		if (left || len + room + sizeof(" and 1000 more") > size)
			left++;
		else
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "", v->name);
	}
	if (left)
		snprintf(buf + len, size - len, " and %zu more", left);
	return n;
}

static void set_remedy(struct cr_err *row, enum cpu_matter matter, bool here)
{
	if (matter == CPU_SAVED_STATE)
		cr_err_remedy(row, "restore on a CPU that has it");
	else if (matter == CPU_CODE && !here)
		cr_err_remedy(row,
			      "restore on a CPU that has them, or pass --cpu-cap=fpu if the program does not use them");
	else
		cr_err_remedy(row, "restore on an equal CPU, or pass --cpu-cap=fpu,ins");
}

/* One row for all differences of one weight. */
static int add_row(const struct cpu_diffs *d, enum cpu_matter matter, bool here, bool refused, const char *from,
		   struct cr_report *to)
{
	struct cr_err row = { 0 };
	char list[160];

	if (!names(d, matter, here, refused, list, sizeof(list)))
		return 0;
	cr_err_set(&row, CR_E_CPU, 0, "CPU", "%s %s: %s (%s)",
		   here ? "it has what that of the checkpoint had not:" : "it lacks", list, cpu_matter_text(matter),
		   from);
	if (refused)
		set_remedy(&row, matter, here);
	else
		cr_err_remedy(&row, "criu cpuinfo check -D DIR lists all differences");
	return cr_report_add(to, &row);
}

int cpu_check(int img, const char *cpu_cap, uint64_t used, struct cr_report *refused, struct cr_report *notes,
	      struct cr_err *e)
{
	struct cpu_info then, here;
	struct cpu_diffs diffs = { 0 };
	const char *from;
	unsigned caps;
	int err = cpu_cap_parse(cpu_cap, &caps, e);

	if (!err)
		err = cpu_info_of_checkpoint(img, &then, &from, e);
	if (err <= 0)
		return err;
	cpu_info_own(&here);
	err = cpu_compare(&then, &here, used, caps, &diffs);
	for (int k = 0; !err && k < 2 * (CPU_NOTHING + 1); k++) {
		enum cpu_matter matter = (enum cpu_matter)(k % (CPU_NOTHING + 1));
		bool more = k > CPU_NOTHING;

		err = add_row(&diffs, matter, more, true, from, refused);
		if (!err && matter != CPU_NOTHING && (!more || matter == CPU_ROOM))
			err = add_row(&diffs, matter, more, false, from, notes);
	}
	cpu_diffs_free(&diffs);
	return err ? cr_err_nomem(e) : 0;
}
