/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Three things can go wrong when a program moves to another CPU. A thread's saved state has registers that are not
 * there: it cannot be restored. The program has chosen code (the C library's string functions at its start, say) whose
 * instructions are not there: it dies of SIGILL some time later, or never. Its extended state is larger here than what
 * it has made room for: XSAVE writes initial values of new components too, XSAVEC does not. All else, such as erms,
 * fsrm or what the kernel alone uses, is no reason to refuse anything.
 *
 * A feature that needs a component of the extended state counts only where the kernel has enabled that, as programs
 * look at both (SDM 1, 14.3): a bare bit of CPUID means nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core-x86.pb-c.h"
#include "core.pb-c.h"
#include "image/image.h"
#include "kind/cpu/cpu.h"
#include "kind/cpu/image-names.h"
#include "pstree.pb-c.h"

int cpu_cap_parse(const char *list, unsigned *ret, struct cr_err *e)
{
	static const struct {
		const char *name;
		unsigned caps;
	} names[] = {
		{ "all", CPU_CAP_CPU | CPU_CAP_FPU | CPU_CAP_INS },
		{ "cpu", CPU_CAP_CPU },
		{ "fpu", CPU_CAP_FPU },
		{ "ins", CPU_CAP_INS },
		{ "none", 0 },
	};
	enum { NR = sizeof(names) / sizeof(names[0]) };
	unsigned caps = 0, off = 0;
	bool none = false;

	if (!list) {
		*ret = CPU_CAP_DEFAULT;
		return 0;
	}
	if (!*list || *list == '^')
		caps = names[0].caps; /* "^cpu": all but this */
	while (*list) {
		bool inverse = *list == '^';
		size_t n, i;

		list += inverse;
		n = strcspn(list, ",");
		for (i = 0; i < NR; i++)
			if (strlen(names[i].name) == n && !strncmp(names[i].name, list, n))
				break;
		if (i == NR || (inverse && !names[i].caps))
			return cr_err_set(e, CR_E_USAGE, 0, "--cpu-cap",
					  "\"%.*s\" is none of all, cpu, fpu, ins, none, nor one of these behind ^",
					  (int)n, list);
		*(inverse ? &off : &caps) |= names[i].caps;
		none |= !names[i].caps;
		list += n + (list[n] == ',');
	}
	*ret = none ? 0 : (caps & ~off) | CPU_CAP_IMAGE;
	return 0;
}

uint64_t cpu_xstate_of(const struct CoreEntry *core)
{
	const ThreadInfoX86 *ti = core->thread_info;

	return ti && ti->fpregs && ti->fpregs->xsave ? ti->fpregs->xsave->xstate_bv : 0;
}

static int xstate_of_thread(int img, uint32_t tid, struct arena *a, uint64_t *used, struct cr_err *e)
{
	struct img_reader r;
	CoreEntry *core;
	int got = img_open(img, IMG_CORE, tid, &r, e);

	if (got <= 0)
		return got; /* a zombie's threads have none */
	got = img_get(&r, a, &core, e);
	if (got > 0)
		*used |= cpu_xstate_of(core);
	img_close(&r);
	arena_reset(a);
	return got < 0 ? got : 0;
}

int cpu_xstate_of_checkpoint(int img, uint64_t *ret, struct cr_err *e)
{
	struct arena a = { 0 }, core = { 0 };
	struct img_reader r;
	PstreeEntry *p;
	uint64_t used = 0;
	int got = img_open(img, IMG_PSTREE, 0, &r, e), err = 0;

	if (got <= 0)
		return got;
	while (!err && (got = img_get(&r, &a, &p, e)) > 0)
		for (size_t i = 0; !err && i < p->n_threads; i++)
			err = xstate_of_thread(img, p->threads[i], &core, &used, e);
	img_close(&r);
	arena_free(&core);
	arena_free(&a);
	if (!err && got < 0)
		err = got;
	if (!err)
		*ret = used;
	return err;
}

/* ---- comparing ---- */

struct cmp {
	unsigned caps;
	struct cpu_diffs *out;
	int err;
};

static bool refused(unsigned caps, enum cpu_matter matter, bool here)
{
	if (caps & CPU_CAP_CPU)
		return true;
	if (here)
		return false;
	return (matter == CPU_SAVED_STATE && caps & CPU_CAP_FPU) || (matter == CPU_CODE && caps & CPU_CAP_INS);
}

/* @name: of static life, or NULL: then @text is copied */
static void add(struct cmp *c, const char *name, const char *text, enum cpu_matter matter, bool here)
{
	struct cpu_diff *v = reallocarray(c->out->v, c->out->n + 1, sizeof(*v)), *d;

	if (!v) {
		c->err = -ENOMEM;
		return;
	}
	c->out->v = v;
	d = &v[c->out->n++];
	*d = (struct cpu_diff){ .name = name, .matter = matter, .here = here };
	d->refused = refused(c->caps, matter, here);
	if (!name)
		snprintf(d->name_buf, sizeof(d->name_buf), "%s", text);
}

static bool has(const struct cpu_info *c, unsigned word, unsigned bit, const struct cpu_feature *f)
{
	if (!(c->word[word] >> bit & 1))
		return false;
	/* Images of old have no mask. */
	return !f || !c->xfeatures || (c->xfeatures & f->state) == f->state;
}

static void compare_bit(struct cmp *c, const struct cpu_info *then, const struct cpu_info *here, unsigned w, unsigned b)
{
	const struct cpu_feature *f = cpu_feature(w, b);
	bool was = has(then, w, b, f), is = has(here, w, b, f);
	char text[48];

	if (was == is)
		return;
	snprintf(text, sizeof(text), "word %u bit %u", w, b);
	add(c, f ? f->name : NULL, text, f && f->code ? CPU_CODE : CPU_NOTHING, is);
}

static void compare_words(struct cmp *c, const struct cpu_info *then, const struct cpu_info *here)
{
	unsigned n = then->nr_words < here->nr_words ? then->nr_words : here->nr_words;

	for (unsigned w = 0; w < n; w++)
		for (unsigned b = 0; b < 32; b++)
			if (!(cpu_volatile_bits(w) >> b & 1))
				compare_bit(c, then, here, w, b);
}

static void compare_state(struct cmp *c, const struct cpu_info *then, const struct cpu_info *here, uint64_t used)
{
	/* Without a mask at least what threads use is known. */
	uint64_t was = then->xfeatures | used, diff = was ^ here->xfeatures;
	char text[48];

	for (unsigned b = 0; b < 64; b++) {
		const char *name = cpu_component(b);
		bool is = here->xfeatures >> b & 1;

		if (!(diff >> b & 1) || (is && !then->xfeatures))
			continue;
		if (name)
			snprintf(text, sizeof(text), "state of %s", name);
		else
			snprintf(text, sizeof(text), "state component %u", b);
		add(c, NULL, text, used >> b & 1 ? CPU_SAVED_STATE : is ? CPU_NOTHING : CPU_CODE, is);
	}
	if (then->xsave_size && here->xsave_size > then->xsave_size) {
		snprintf(text, sizeof(text), "xsave area of %u bytes, was %u", here->xsave_size, then->xsave_size);
		add(c, NULL, text, CPU_ROOM, true);
	}
}

static void compare_model(struct cmp *c, const struct cpu_info *then, const struct cpu_info *here)
{
	char text[48];

	if (*then->vendor && strcmp(then->vendor, here->vendor) != 0) {
		snprintf(text, sizeof(text), "vendor %s", then->vendor);
		add(c, NULL, text, CPU_NOTHING, false);
	}
	if (then->family != here->family || then->model != here->model) {
		snprintf(text, sizeof(text), "family %u model %u", then->family, then->model);
		add(c, NULL, text, CPU_NOTHING, false);
	}
}

/* Those that are missing first, and of these what matters most; else in the order of the bits. */
static int order(struct cpu_diffs *d)
{
	struct cpu_diff *v = calloc(d->n + 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	for (int here = 0; here < 2; here++)
		for (enum cpu_matter m = CPU_SAVED_STATE; m <= CPU_NOTHING; m++)
			for (size_t i = 0; i < d->n; i++)
				if (d->v[i].here == here && d->v[i].matter == m)
					v[n++] = d->v[i];
	free(d->v);
	d->v = v;
	for (size_t i = 0; i < n; i++)
		if (!v[i].name)
			v[i].name = v[i].name_buf;
	return 0;
}

int cpu_compare(const struct cpu_info *then, const struct cpu_info *here, uint64_t used, unsigned caps,
		struct cpu_diffs *ret)
{
	struct cpu_diffs out = { 0 };
	struct cmp c = { caps, &out, 0 };

	compare_state(&c, then, here, used);
	compare_words(&c, then, here);
	compare_model(&c, then, here);
	if (!c.err)
		c.err = order(&out);
	if (c.err)
		cpu_diffs_free(&out);
	else
		*ret = out;
	return c.err;
}

void cpu_diffs_free(struct cpu_diffs *d)
{
	free(d->v);
	*d = (struct cpu_diffs){ 0 };
}

const char *cpu_matter_name(enum cpu_matter m)
{
	static const char *const names[] = { "saved-state", "code", "room", "nothing" };

	return names[m];
}

const char *cpu_matter_text(enum cpu_matter m)
{
	static const char *const texts[] = {
		"the saved state of a thread has it",
		"the program may have chosen code by it",
		"the program may have made less room for it",
		"no program depends on it",
	};

	return texts[m];
}
