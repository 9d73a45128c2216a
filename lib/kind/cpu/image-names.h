/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of the bits of CPUID. */
#ifndef CR_KIND_CPU_IMAGE_NAMES_H
#define CR_KIND_CPU_IMAGE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu_feature {
	uint8_t word, bit;
	bool code;	/* programs have instructions by it; false: for the kernel, or a hint */
	uint32_t state; /* components of the extended state without which it cannot be used */
	const char *name;
};

/* NULL: the bit has no name here. */
const struct cpu_feature *cpu_feature(unsigned word, unsigned bit);
/* Of a component of the extended state: "avx512 zmm_hi256"; NULL: not known. */
const char *cpu_component(unsigned bit);
/* Bits of a word that differ between machines, and say nothing of the CPU. */
uint32_t cpu_volatile_bits(unsigned word);

#endif
