/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU that a checkpoint was made on, the one that we run on, and what of the difference matters.
 *
 * The facts are always in the manifest (host.cpu); cpuinfo.img holds them in CRIU's form where --cpu-cap asked for it.
 */
#ifndef CR_KIND_CPU_H
#define CR_KIND_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "base/err.h"

struct CoreEntry;

/*
 * Words of capabilities: CPUID's registers in the order of cpuinfo.img (which is that of older kernels' enum
 * cpuid_leafs; found by looking at an image of CRIU 3.17). Those from CPU_IMAGE_WORDS on are ours, in the manifest only.
 */
enum {
	CPU_1_EDX,
	CPU_81_EDX, /* leaf 0x80000001 */
	CPU_LINUX_1 = 3,
	CPU_1_ECX,
	CPU_81_ECX = 6,
	CPU_7_EBX = 9,
	CPU_D1_EAX,
	CPU_7_ECX,
	CPU_88_EBX = 13, /* leaf 0x80000008 */
	CPU_6_EAX,
	CPU_8A_EDX,	 /* leaf 0x8000000a */
	CPU_87_EBX = 17, /* leaf 0x80000007 */
	CPU_7_EDX,
	CPU_71_EAX, /* leaf 7, subleaf 1 */
	CPU_71_EDX,
	CPU_WORDS,
	CPU_IMAGE_WORDS = CPU_71_EAX
};

struct cpu_info {
	char vendor[13]; /* as CPUID has it: "GenuineIntel"; from an image: what stands for it */
	char model_id[49];
	uint32_t family, model, stepping;
	uint32_t nr_words; /* that are known */
	uint32_t word[CPU_WORDS];
	uint64_t xfeatures; /* components of the extended state that the kernel has enabled (XCR0); 0: not known */
	uint32_t xsave_size, xsave_size_max; /* bytes in the standard format: of what is enabled, of all there is */
};

/* Of the CPU that we run on. CPUID only: about 15 instructions, each of which a hypervisor emulates. */
void cpu_info_own(struct cpu_info *ret);

/* The manifest's host.cpu (doc/manifest.md). Return: NULL when memory ran out. */
json_t *cpu_info_to_json(const struct cpu_info *c);
/* cpuinfo.img. Return: 0 or -errno with @e. */
int cpu_info_write(int img, const struct cpu_info *c, struct cr_err *e);
/* Return: 1 read; 0 there is none; -errno with @e. */
int cpu_info_read(int img, struct cpu_info *ret, struct cr_err *e);
/*
 * What a checkpoint says of its CPU: cpuinfo.img, or else the manifest.
 * @ret_from: name of the file
 * Return: 1 known; 0 neither says anything; -errno with @e.
 */
int cpu_info_of_checkpoint(int img, struct cpu_info *ret, const char **ret_from, struct cr_err *e);

/* --cpu-cap */
enum {
	CPU_CAP_CPU = 1,   /* all must be equal */
	CPU_CAP_FPU = 2,   /* the extended state must fit */
	CPU_CAP_INS = 4,   /* every instruction set must be there */
	CPU_CAP_IMAGE = 8, /* the option was given, and not as "none": cpuinfo.img is written */
	CPU_CAP_DEFAULT = CPU_CAP_FPU | CPU_CAP_INS
};

/* @list: the option's value; NULL: not given; "": given without one. Return: 0, -EINVAL with @e (CR_E_USAGE). */
int cpu_cap_parse(const char *list, unsigned *ret, struct cr_err *e);

/* Whether a difference matters to the program. */
enum cpu_matter {
	CPU_SAVED_STATE, /* the saved state of a thread has it: it cannot be restored without */
	CPU_CODE,	 /* the program may have chosen code by it */
	CPU_ROOM, /* the saved extended state is larger here: a program that noted the size may have too little room */
	CPU_NOTHING, /* only the kernel uses it, or it is a hint of speed */
};

struct cpu_diff {
	const char *name; /* as in /proc/cpuinfo: "avx512f"; of what has none: "word 9 bit 13" */
	enum cpu_matter matter;
	bool here; /* this CPU has it, that of the checkpoint had not */
	bool refused;
	char name_buf[48];
};
struct cpu_diffs {
	struct cpu_diff *v; /* owned; cpu_diffs_free() */
	size_t n;
};

/* What of the extended state one thread uses: bits of XCR0. */
uint64_t cpu_xstate_of(const struct CoreEntry *core);
/* The same of all threads of a checkpoint, from its images. Return: 0 or -errno with @e. */
int cpu_xstate_of_checkpoint(int img, uint64_t *ret, struct cr_err *e);

/*
 * Compare. Missing ones come first, and of these what matters most.
 * @used: extended state that threads use
 * @caps: what is refused; all differences are listed whatever it says
 * Return: 0 or -ENOMEM.
 */
int cpu_compare(const struct cpu_info *then, const struct cpu_info *here, uint64_t used, unsigned caps,
		struct cpu_diffs *ret);
void cpu_diffs_free(struct cpu_diffs *d);
/* "saved-state", "code", "room", "nothing" */
const char *cpu_matter_name(enum cpu_matter m);
/* What it means to the user, as a clause. */
const char *cpu_matter_text(enum cpu_matter m);

/*
 * For a restore: may this checkpoint run here? Fills @refused (rows of CR_E_CPU, one per kind of difference, with the
 * names) and @notes (what differs and is let pass). A checkpoint that does not tell its CPU passes.
 * @cpu_cap: the option's value, see cpu_cap_parse()
 * @used: see cpu_compare()
 * Return: 0 also when refused; -errno with @e when the images cannot be read or the option is wrong.
 */
int cpu_check(int img, const char *cpu_cap, uint64_t used, struct cr_report *refused, struct cr_report *notes,
	      struct cr_err *e);

#endif
