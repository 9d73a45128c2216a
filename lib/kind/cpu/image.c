/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A program looks at CPUID once, at its start, and chooses code by it. After a restore on another CPU it goes on with
 * that choice, so what the CPU of the checkpoint had is kept: always in the manifest, and in cpuinfo.img where CRIU
 * writes it. CPUID is asked directly; /proc/cpuinfo would cost milliseconds on a large machine.
 *
 * The words of cpuinfo.img are CPUID's registers. CRIU 3.17 adds bits of its own to word 3, which CPUID does not have:
 * two of them, which every x86-64 has, are written here too. It leaves SSE out of the mask of components, and refuses
 * an image that has it: written without, and added again when read, as no x86-64 is without it.
 */
#include "kind/cpu/cpu.h"

#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpuinfo.pb-c.h"
#include "image/image.h"

enum {
	CAPABILITY_VER = 2,
	WORDS_VER_1 = 12,
	XF_X87_SSE = 3,
	XF_SSE = 2,
	LINUX_1_REP_GOOD = 1 << 16,
	LINUX_1_NOPL = 1 << 20,
};

static const char vendor_intel[] = "GenuineIntel", vendor_amd[] = "AuthenticAMD";

struct leaf {
	uint32_t a, b, c, d;
};

/* Zeroes when the CPU has no such leaf: it would answer with another's. */
static struct leaf leaf(uint32_t max, uint32_t nr, uint32_t sub)
{
	struct leaf l = { 0 };

	if (nr <= max)
		__cpuid_count(nr, sub, l.a, l.b, l.c, l.d);
	return l;
}

/* The brand string, without what is no printable ASCII. */
static void own_model_id(struct cpu_info *c, uint32_t max)
{
	char text[49] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < 3; i++) {
		struct leaf l = leaf(max, 0x80000002 + i, 0);

		memcpy(text + (size_t)i * sizeof(l), &l, sizeof(l));
	}
	for (const char *p = text + strspn(text, " "); *p; p++)
		if (*p >= ' ' && *p <= '~')
			c->model_id[n++] = *p;
	while (n && c->model_id[n - 1] == ' ')
		n--;
	c->model_id[n] = 0;
}

/* Family, model and stepping, as the kernel computes them from leaf 1 (SDM 2A, CPUID; extended ones are added from 15 on). */
static void signature(struct cpu_info *c, uint32_t eax)
{
	c->family = eax >> 8 & 0xf;
	c->model = eax >> 4 & 0xf;
	c->stepping = eax & 0xf;
	if (c->family == 0xf)
		c->family += eax >> 20 & 0xff;
	if (c->family >= 6)
		c->model += (eax >> 16 & 0xf) << 4;
}

static void own_xfeatures(struct cpu_info *c, uint32_t max)
{
	struct leaf l;
	uint32_t lo, hi;

	c->xfeatures = XF_X87_SSE;
	c->xsave_size = c->xsave_size_max = 512;
	if (!(c->word[CPU_1_ECX] & bit_OSXSAVE))
		return;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	c->xfeatures = (uint64_t)hi << 32 | lo;
	l = leaf(max, 0xd, 0);
	c->xsave_size = l.b;
	c->xsave_size_max = l.c;
	c->word[CPU_D1_EAX] = leaf(max, 0xd, 1).a;
}

void cpu_info_own(struct cpu_info *ret)
{
	struct cpu_info c = { .nr_words = CPU_WORDS };
	struct leaf l = leaf(0, 0, 0);
	uint32_t max = l.a, ext_max = leaf(0x80000000, 0x80000000, 0).a, *w = c.word;

	memcpy(c.vendor, &l.b, 4);
	memcpy(c.vendor + 4, &l.d, 4);
	memcpy(c.vendor + 8, &l.c, 4);
	l = leaf(max, 1, 0);
	signature(&c, l.a);
	w[CPU_1_EDX] = l.d;
	w[CPU_1_ECX] = l.c;
	w[CPU_6_EAX] = leaf(max, 6, 0).a;
	l = leaf(max, 7, 0);
	w[CPU_7_EBX] = l.b;
	w[CPU_7_ECX] = l.c;
	w[CPU_7_EDX] = l.d;
	if (l.a >= 1) {
		l = leaf(max, 7, 1);
		w[CPU_71_EAX] = l.a;
		w[CPU_71_EDX] = l.d;
	}
	l = leaf(ext_max, 0x80000001, 0);
	w[CPU_81_EDX] = l.d;
	w[CPU_81_ECX] = l.c;
	w[CPU_87_EBX] = leaf(ext_max, 0x80000007, 0).b;
	w[CPU_88_EBX] = leaf(ext_max, 0x80000008, 0).b;
	w[CPU_8A_EDX] = leaf(ext_max, 0x8000000a, 0).d;
	w[CPU_LINUX_1] = LINUX_1_REP_GOOD | LINUX_1_NOPL;
	own_xfeatures(&c, max);
	own_model_id(&c, ext_max);
	*ret = c;
}

static CpuinfoX86Entry__Vendor vendor_to_image(const char *vendor)
{
	if (!strcmp(vendor, vendor_intel))
		return CPUINFO_X86_ENTRY__VENDOR__INTEL;
	return strcmp(vendor, vendor_amd) ? CPUINFO_X86_ENTRY__VENDOR__UNKNOWN : CPUINFO_X86_ENTRY__VENDOR__AMD;
}

int cpu_info_write(int img, const struct cpu_info *c, struct cr_err *e)
{
	CpuinfoX86Entry x = CPUINFO_X86_ENTRY__INIT, *list = &x;
	CpuinfoEntry entry = CPUINFO_ENTRY__INIT;
	struct cpu_info copy = *c;

	x.vendor_id = vendor_to_image(c->vendor);
	x.cpu_family = c->family;
	x.model = c->model;
	x.stepping = c->stepping;
	x.capability_ver = CAPABILITY_VER;
	x.n_capability = CPU_IMAGE_WORDS;
	x.capability = copy.word;
	x.model_id = copy.model_id;
	x.has_xfeatures_mask = x.has_xsave_size = x.has_xsave_size_max = true;
	x.xfeatures_mask = c->xfeatures & ~(uint64_t)XF_SSE;
	x.xsave_size = c->xsave_size;
	x.xsave_size_max = c->xsave_size_max;
	entry.n_x86_entry = 1;
	entry.x86_entry = &list;
	return img_write_one(img, IMG_CPUINFO, 0, &entry, e);
}

static int from_image(const CpuinfoEntry *entry, const char *name, struct cpu_info *ret, struct cr_err *e)
{
	const CpuinfoX86Entry *x = entry->n_x86_entry ? entry->x86_entry[0] : NULL;
	struct cpu_info c = { 0 };

	if (!x) {
		cr_err_set(e, CR_E_CPU, 0, name, "it is not of an x86-64 CPU");
		cr_err_remedy(e, "restore on the architecture of the dump");
		return -EINVAL;
	}
	if (x->capability_ver < 1 || x->capability_ver > CAPABILITY_VER)
		return cr_err_set(e, CR_E_IMG_VERSION, 0, name, "its capability_ver is %u, known are 1 and 2",
				  x->capability_ver);
	if (x->vendor_id != CPUINFO_X86_ENTRY__VENDOR__UNKNOWN)
		memcpy(c.vendor, x->vendor_id == CPUINFO_X86_ENTRY__VENDOR__INTEL ? vendor_intel : vendor_amd,
		       sizeof(c.vendor));
	if (x->model_id)
		snprintf(c.model_id, sizeof(c.model_id), "%s", x->model_id);
	c.family = x->cpu_family;
	c.model = x->model;
	c.stepping = x->stepping;
	c.nr_words = x->capability_ver == 1 ? WORDS_VER_1 : CPU_IMAGE_WORDS;
	if (x->n_capability < c.nr_words)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, name, "it has %zu words of capabilities, not %u",
				  x->n_capability, c.nr_words);
	memcpy(c.word, x->capability, c.nr_words * sizeof(c.word[0]));
	if (x->has_xfeatures_mask)
		c.xfeatures = x->xfeatures_mask | XF_X87_SSE;
	c.xsave_size = x->xsave_size;
	c.xsave_size_max = x->xsave_size_max;
	*ret = c;
	return 0;
}

int cpu_info_read(int img, struct cpu_info *ret, struct cr_err *e)
{
	struct arena a = { 0 };
	CpuinfoEntry *entry;
	struct img_reader r;
	int got = img_open(img, IMG_CPUINFO, 0, &r, e), err;

	if (got <= 0)
		return got;
	got = img_get(&r, &a, &entry, e);
	if (!got)
		err = cr_err_set(e, CR_E_IMG_TRUNCATED, 0, r.name, "it has no entry");
	else
		err = got < 0 ? got : from_image(entry, r.name, ret, e);
	img_close(&r);
	arena_free(&a);
	return err ? err : 1;
}
