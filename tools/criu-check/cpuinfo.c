/* SPDX-License-Identifier: GPL-2.0-or-later */
/* criu cpuinfo dump | check: is there on this CPU what was there at the dump, and does it matter? */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "image/manifest.h"
#include "kind/cpu/cpu.h"
#include "verbs.h"

enum { CRIU_MISMATCH = 255 };

/* Every cap that is set, "fpu,ins". */
static void caps_text(unsigned caps, char text[32])
{
	snprintf(text, 32, "%s%s%s", caps & CPU_CAP_CPU ? ",cpu" : "", caps & CPU_CAP_FPU ? ",fpu" : "",
		 caps & CPU_CAP_INS ? ",ins" : "");
	if (*text)
		memmove(text, text + 1, strlen(text));
	else
		snprintf(text, 32, "none");
}

static int dump(int img, unsigned caps, bool given, struct cr_err *e)
{
	struct cpu_info own;

	/* As CRIU: with --cpu-cap=none there is no image. */
	if (given && !(caps & CPU_CAP_IMAGE))
		return 0;
	cpu_info_own(&own);
	return cpu_info_write(img, &own, e);
}

static int print_json(const struct cpu_info *then, const struct cpu_info *here, const char *from, unsigned caps,
		      const struct cpu_diffs *d, bool refused, struct cr_err *e)
{
	json_t *rows = json_array();
	char text[32];

	caps_text(caps, text);
	for (size_t i = 0; i < d->n; i++)
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:b}", "name", d->v[i].name, "on",
						      d->v[i].here ? "this" : "checkpoint", "matters",
						      cpu_matter_name(d->v[i].matter), "refused", d->v[i].refused));
	return json_print(json_pack("{s:i, s:b, s:s, s:s, s:o, s:o, s:o}", "format", 1, "fits", !refused, "cpu_cap",
				    text, "from", from, "checkpoint", cpu_info_to_json(then), "this",
				    cpu_info_to_json(here), "differences", rows),
			  e);
}

static void print_group(const struct cpu_diffs *d, enum cpu_matter matter, bool here)
{
	bool any = false;

	for (size_t i = 0; i < d->n; i++) {
		const struct cpu_diff *v = &d->v[i];

		if (v->matter != matter || v->here != here)
			continue;
		if (!any)
			printf("%s (%s):\n", here ? "Only this CPU has" : "This CPU lacks", cpu_matter_text(matter));
		printf("  %s%s\n", v->name, v->refused ? "  - refused" : "");
		any = true;
	}
}

static void print_cpu(const char *what, const struct cpu_info *c)
{
	printf("%-11s %s, family %u, model %u, stepping %u, extended state %#llx (%u bytes)\n", what,
	       *c->model_id ? c->model_id : c->vendor, c->family, c->model, c->stepping,
	       (unsigned long long)c->xfeatures, c->xsave_size);
}

static void print_text(const struct cpu_info *then, const struct cpu_info *here, const struct cpu_diffs *d,
		       bool all_used)
{
	print_cpu("Checkpoint:", then);
	print_cpu("This CPU:", here);
	for (int k = 0; k < 2; k++)
		for (enum cpu_matter m = CPU_SAVED_STATE; m <= CPU_NOTHING; m++)
			print_group(d, m, k);
	if (all_used && d->n && d->v[0].matter == CPU_SAVED_STATE)
		puts("No checkpoint is here: threads are taken to use all of the extended state.");
	if (!d->n)
		puts("There is no difference.");
}

static int check(const struct cr_opts *o, int img, unsigned caps, int *code, struct cr_err *e)
{
	struct cpu_info then, here;
	struct cpu_diffs d = { 0 };
	struct cr_err mismatch;
	const char *from;
	uint64_t used = 0;
	unsigned refused = 0;
	bool all_used;
	char text[32];
	int err = cpu_info_of_checkpoint(img, &then, &from, e);

	if (!err) {
		cr_err_set(e, CR_E_IMG_MISSING, ENOENT, "cpuinfo.img",
			   "there is none, and no manifest that tells the CPU");
		cr_err_remedy(e, "make one on the other machine with: criu cpuinfo dump -D DIR");
		return -ENOENT;
	}
	if (err > 0)
		err = cpu_xstate_of_checkpoint(img, &used, e);
	/* Without a checkpoint it is not known what threads will use: all that they could. */
	all_used = faccessat(img, "pstree.img", F_OK, 0);
	if (!err && all_used)
		used = then.xfeatures;
	if (err)
		return err;
	cpu_info_own(&here);
	if (cpu_compare(&then, &here, used, caps, &d))
		return cr_err_nomem(e);
	for (size_t i = 0; i < d.n; i++)
		refused += d.v[i].refused;
	if (o->json)
		err = print_json(&then, &here, from, caps, &d, refused, e);
	else
		print_text(&then, &here, &d, all_used);
	if (refused) {
		caps_text(caps, text);
		cr_err_set(&mismatch, CR_E_CPU, 0, from, "this CPU does not fit (--cpu-cap=%s)", text);
		log_failure(&mismatch);
		*code = o->as_criu ? CRIU_MISMATCH : CR_REFUSED;
	}
	cpu_diffs_free(&d);
	return err;
}

int verb_cpuinfo(const struct cr_opts *o, int img, char **words, int nr, int *code, struct cr_err *e)
{
	unsigned caps;
	int err = cpu_cap_parse(o->cpu_cap, &caps, e);

	if (err)
		return err;
	if (nr == 1 && !strcmp(words[0], "dump"))
		return dump(img, caps, o->cpu_cap, e);
	if (nr == 1 && !strcmp(words[0], "check"))
		return check(o, img, caps, code, e);
	return cr_err_set(e, CR_E_USAGE, 0, "criu cpuinfo", "say dump or check");
}
