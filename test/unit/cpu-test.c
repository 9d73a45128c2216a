/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of the difference between two CPUs matters. LIBS: kind-image */
#include <string.h>

#include "kind/cpu/cpu.h"
#include "tap.h"

enum { XF_BASE = 7, XF_AVX512 = 0xe7, BIT_AVX512F = 16, BIT_ERMS = 9, BIT_ADX = 19 };

static struct cpu_info plain(void)
{
	return (struct cpu_info){ .vendor = "GenuineIntel",
				  .family = 6,
				  .model = 85,
				  .nr_words = CPU_WORDS,
				  .xfeatures = XF_BASE,
				  .xsave_size = 832,
				  .xsave_size_max = 832 };
}

/* The difference of this name, or NULL. */
static const struct cpu_diff *find(const struct cpu_diffs *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->v[i].name, name))
			return &d->v[i];
	return NULL;
}

static bool is(const struct cpu_diffs *d, const char *name, enum cpu_matter matter, bool here, bool refused)
{
	const struct cpu_diff *v = find(d, name);

	return v && v->matter == matter && v->here == here && v->refused == refused;
}

static void test_same(void)
{
	struct cpu_info a = plain(), b = plain();
	struct cpu_diffs d;

	ok(!cpu_compare(&a, &b, 0, CPU_CAP_CPU, &d) && d.n == 0, "the same CPU: no difference");
	cpu_diffs_free(&d);
	b.word[CPU_1_ECX] ^= 1u << 27;
	ok(!cpu_compare(&a, &b, 0, CPU_CAP_CPU, &d) && d.n == 0, "osxsave is the kernel's, not the CPU's");
	cpu_diffs_free(&d);
}

static void test_weights(void)
{
	struct cpu_info then = plain(), here = plain();
	struct cpu_diffs d;

	then.word[CPU_7_EBX] = 1u << BIT_ERMS | 1u << BIT_ADX;
	then.word[CPU_81_ECX] = 1u << 14; /* has no name */
	here.word[CPU_7_EBX] = 1u << 8;
	ok(!cpu_compare(&then, &here, 0, CPU_CAP_DEFAULT, &d), "compared");
	ok(is(&d, "adx", CPU_CODE, false, true), "a missing instruction set is refused");
	ok(is(&d, "erms", CPU_NOTHING, false, false), "a missing hint is not");
	ok(is(&d, "bmi2", CPU_CODE, true, false), "a new instruction set is not");
	ok(is(&d, "word 6 bit 14", CPU_NOTHING, false, false), "what has no name is shown by its place");
	ok(d.n == 4 && !strcmp(d.v[0].name, "adx") && d.v[3].here, "what matters comes first, what is new last");
	cpu_diffs_free(&d);
	ok(!cpu_compare(&then, &here, 0, CPU_CAP_CPU, &d) && is(&d, "erms", CPU_NOTHING, false, true) &&
		   is(&d, "bmi2", CPU_CODE, true, true),
	   "the cap cpu refuses all of them");
	cpu_diffs_free(&d);
	ok(!cpu_compare(&then, &here, 0, CPU_CAP_FPU, &d) && is(&d, "adx", CPU_CODE, false, false),
	   "the cap fpu does not ask for instruction sets");
	cpu_diffs_free(&d);
}

static void test_state(void)
{
	struct cpu_info then = plain(), here = plain();
	struct cpu_diffs d;

	then.word[CPU_7_EBX] = here.word[CPU_7_EBX] = 1u << BIT_AVX512F;
	ok(!cpu_compare(&then, &here, 0, CPU_CAP_DEFAULT, &d) && d.n == 0,
	   "avx512f that no kernel has enabled is none");
	cpu_diffs_free(&d);
	then.xfeatures = XF_AVX512;
	then.xsave_size = 2432;
	ok(!cpu_compare(&then, &here, 1 << 5, CPU_CAP_DEFAULT, &d), "compared");
	ok(is(&d, "avx512f", CPU_CODE, false, true), "avx512f that only one kernel has enabled is a difference");
	ok(is(&d, "state of avx512 opmask", CPU_SAVED_STATE, false, true), "state that a thread uses");
	ok(is(&d, "state of avx512 hi16_zmm", CPU_CODE, false, true), "state that none uses");
	cpu_diffs_free(&d);
	ok(!cpu_compare(&here, &then, 0, CPU_CAP_DEFAULT, &d) &&
		   is(&d, "xsave area of 2432 bytes, was 832", CPU_ROOM, true, false) &&
		   is(&d, "state of avx512 opmask", CPU_NOTHING, true, false),
	   "more of it: told");
	cpu_diffs_free(&d);
}

static void test_old_images(void)
{
	struct cpu_info then = plain(), here = plain();
	struct cpu_diffs d;

	then.nr_words = 12;
	then.xfeatures = 0;
	then.xsave_size = 0;
	then.word[CPU_7_EBX] = here.word[CPU_7_EBX] = 1u << BIT_AVX512F;
	here.xfeatures = XF_AVX512;
	here.word[CPU_7_EDX] = 1u << 4;
	ok(!cpu_compare(&then, &here, 0, CPU_CAP_CPU, &d) && d.n == 0,
	   "words and masks that an image has not are not compared");
	cpu_diffs_free(&d);
	ok(!cpu_compare(&then, &here, 1u << 9, CPU_CAP_DEFAULT, &d) && d.n == 1 &&
		   is(&d, "state of pkru", CPU_SAVED_STATE, false, true),
	   "without a mask, what threads use is known");
	cpu_diffs_free(&d);
}

static void test_caps(void)
{
	static const struct {
		const char *list;
		int caps; /* -1: refused */
	} rows[] = {
		{ NULL, CPU_CAP_FPU | CPU_CAP_INS },
		{ "", 15 },
		{ "all", 15 },
		{ "cpu", CPU_CAP_IMAGE | CPU_CAP_CPU },
		{ "fpu,ins", CPU_CAP_IMAGE | CPU_CAP_FPU | CPU_CAP_INS },
		{ "^ins", CPU_CAP_IMAGE | CPU_CAP_CPU | CPU_CAP_FPU },
		{ "all,^cpu,^fpu", CPU_CAP_IMAGE | CPU_CAP_INS },
		{ "none", 0 },
		{ "cpu,none", 0 },
		{ "cpux", -1 },
		{ "cp", -1 },
		{ "^none", -1 },
		{ "cpu,,fpu", -1 },
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cr_err e = { 0 };
		unsigned caps = 0;
		int err = cpu_cap_parse(rows[i].list, &caps, &e);

		if (rows[i].caps < 0 ? !err || e.code != CR_E_USAGE : err || caps != (unsigned)rows[i].caps) {
			printf("# \"%s\": %d, %#x\n", rows[i].list ? rows[i].list : "(null)", err, caps);
			good = false;
		}
	}
	ok(good, "forms of --cpu-cap");
}

int main(void)
{
	test_same();
	test_weights();
	test_state();
	test_old_images();
	test_caps();
	return tap_done();
}
