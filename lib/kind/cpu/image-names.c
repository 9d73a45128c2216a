/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which bit of CPUID is what, by Intel's SDM (2A, CPUID), AMD's APM (3, appendix E) and the names that /proc/cpuinfo has.
 * INS: a program may use instructions because of it. OTHER: the kernel uses it, or it tells what is fast; code that was
 * chosen by it runs anywhere.
 */
#include "kind/cpu/image-names.h"

#include "kind/cpu/cpu.h"

enum { AVX = 1 << 2, AVX512 = 7 << 5 | AVX, MPX = 3 << 3, PKRU = 1 << 9, AMX = 3 << 17, APX = 1 << 19 };

/* clang-format off */
#define INS(w, b, name)	     { CPU_##w, b, true, 0, name }
#define AVX(w, b, name)	     { CPU_##w, b, true, AVX, name }
#define AVX512(w, b, name)   { CPU_##w, b, true, AVX512, name }
#define STATE(w, b, s, name) { CPU_##w, b, true, s, name }
#define OTHER(w, b, name)    { CPU_##w, b, false, 0, name }

/* Ordered by word and bit. */
static const struct cpu_feature features[] = {
	INS(1_EDX, 0, "fpu"), OTHER(1_EDX, 1, "vme"), OTHER(1_EDX, 2, "de"), OTHER(1_EDX, 3, "pse"), INS(1_EDX, 4, "tsc"),
	OTHER(1_EDX, 5, "msr"), OTHER(1_EDX, 6, "pae"), OTHER(1_EDX, 7, "mce"), INS(1_EDX, 8, "cx8"),
	OTHER(1_EDX, 9, "apic"), INS(1_EDX, 11, "sep"), OTHER(1_EDX, 12, "mtrr"), OTHER(1_EDX, 13, "pge"),
	OTHER(1_EDX, 14, "mca"), INS(1_EDX, 15, "cmov"), OTHER(1_EDX, 16, "pat"), OTHER(1_EDX, 17, "pse36"),
	OTHER(1_EDX, 18, "pn"), INS(1_EDX, 19, "clflush"), OTHER(1_EDX, 21, "dts"), OTHER(1_EDX, 22, "acpi"),
	INS(1_EDX, 23, "mmx"), INS(1_EDX, 24, "fxsr"), INS(1_EDX, 25, "sse"), INS(1_EDX, 26, "sse2"),
	OTHER(1_EDX, 27, "ss"), OTHER(1_EDX, 28, "ht"), OTHER(1_EDX, 29, "tm"), OTHER(1_EDX, 31, "pbe"),

	INS(81_EDX, 11, "syscall"), OTHER(81_EDX, 19, "mp"), OTHER(81_EDX, 20, "nx"), INS(81_EDX, 22, "mmxext"),
	OTHER(81_EDX, 25, "fxsr_opt"), OTHER(81_EDX, 26, "pdpe1gb"), INS(81_EDX, 27, "rdtscp"), INS(81_EDX, 29, "lm"),
	INS(81_EDX, 30, "3dnowext"), INS(81_EDX, 31, "3dnow"),

	OTHER(LINUX_1, 16, "rep_good"), OTHER(LINUX_1, 20, "nopl"),

	INS(1_ECX, 0, "pni"), INS(1_ECX, 1, "pclmulqdq"), OTHER(1_ECX, 2, "dtes64"), OTHER(1_ECX, 3, "monitor"),
	OTHER(1_ECX, 4, "ds_cpl"), OTHER(1_ECX, 5, "vmx"), OTHER(1_ECX, 6, "smx"), OTHER(1_ECX, 7, "est"),
	OTHER(1_ECX, 8, "tm2"), INS(1_ECX, 9, "ssse3"), OTHER(1_ECX, 10, "cid"), OTHER(1_ECX, 11, "sdbg"),
	AVX(1_ECX, 12, "fma"), INS(1_ECX, 13, "cx16"), OTHER(1_ECX, 14, "xtpr"), OTHER(1_ECX, 15, "pdcm"),
	OTHER(1_ECX, 17, "pcid"), OTHER(1_ECX, 18, "dca"), INS(1_ECX, 19, "sse4_1"), INS(1_ECX, 20, "sse4_2"),
	OTHER(1_ECX, 21, "x2apic"), INS(1_ECX, 22, "movbe"), INS(1_ECX, 23, "popcnt"),
	OTHER(1_ECX, 24, "tsc_deadline_timer"), INS(1_ECX, 25, "aes"), INS(1_ECX, 26, "xsave"),
	AVX(1_ECX, 28, "avx"), AVX(1_ECX, 29, "f16c"), INS(1_ECX, 30, "rdrand"), OTHER(1_ECX, 31, "hypervisor"),

	INS(81_ECX, 0, "lahf_lm"), OTHER(81_ECX, 1, "cmp_legacy"), OTHER(81_ECX, 2, "svm"), OTHER(81_ECX, 3, "extapic"),
	OTHER(81_ECX, 4, "cr8_legacy"), INS(81_ECX, 5, "abm"), INS(81_ECX, 6, "sse4a"), OTHER(81_ECX, 7, "misalignsse"),
	INS(81_ECX, 8, "3dnowprefetch"), OTHER(81_ECX, 9, "osvw"), OTHER(81_ECX, 10, "ibs"), AVX(81_ECX, 11, "xop"),
	OTHER(81_ECX, 12, "skinit"), OTHER(81_ECX, 13, "wdt"), INS(81_ECX, 15, "lwp"), AVX(81_ECX, 16, "fma4"),
	OTHER(81_ECX, 17, "tce"), OTHER(81_ECX, 19, "nodeid_msr"), INS(81_ECX, 21, "tbm"), OTHER(81_ECX, 22, "topoext"),
	OTHER(81_ECX, 23, "perfctr_core"), OTHER(81_ECX, 24, "perfctr_nb"), OTHER(81_ECX, 26, "bpext"),
	OTHER(81_ECX, 27, "ptsc"), OTHER(81_ECX, 28, "perfctr_llc"), INS(81_ECX, 29, "mwaitx"),

	INS(7_EBX, 0, "fsgsbase"), OTHER(7_EBX, 1, "tsc_adjust"), OTHER(7_EBX, 2, "sgx"), INS(7_EBX, 3, "bmi1"),
	INS(7_EBX, 4, "hle"), AVX(7_EBX, 5, "avx2"), OTHER(7_EBX, 6, "fdp_excptn_only"), OTHER(7_EBX, 7, "smep"),
	INS(7_EBX, 8, "bmi2"), OTHER(7_EBX, 9, "erms"), OTHER(7_EBX, 10, "invpcid"), INS(7_EBX, 11, "rtm"),
	OTHER(7_EBX, 12, "cqm"), OTHER(7_EBX, 13, "zero_fcs_fds"), STATE(7_EBX, 14, MPX, "mpx"), OTHER(7_EBX, 15, "rdt_a"),
	AVX512(7_EBX, 16, "avx512f"), AVX512(7_EBX, 17, "avx512dq"), INS(7_EBX, 18, "rdseed"), INS(7_EBX, 19, "adx"),
	OTHER(7_EBX, 20, "smap"), AVX512(7_EBX, 21, "avx512ifma"), INS(7_EBX, 23, "clflushopt"), INS(7_EBX, 24, "clwb"),
	OTHER(7_EBX, 25, "intel_pt"), AVX512(7_EBX, 26, "avx512pf"), AVX512(7_EBX, 27, "avx512er"),
	AVX512(7_EBX, 28, "avx512cd"), INS(7_EBX, 29, "sha_ni"), AVX512(7_EBX, 30, "avx512bw"),
	AVX512(7_EBX, 31, "avx512vl"),

	INS(D1_EAX, 0, "xsaveopt"), INS(D1_EAX, 1, "xsavec"), INS(D1_EAX, 2, "xgetbv1"), OTHER(D1_EAX, 3, "xsaves"),
	OTHER(D1_EAX, 4, "xfd"),

	INS(7_ECX, 0, "prefetchwt1"), AVX512(7_ECX, 1, "avx512vbmi"), OTHER(7_ECX, 2, "umip"), STATE(7_ECX, 3, PKRU, "pku"),
	INS(7_ECX, 5, "waitpkg"), AVX512(7_ECX, 6, "avx512_vbmi2"), OTHER(7_ECX, 7, "shstk"), INS(7_ECX, 8, "gfni"),
	AVX(7_ECX, 9, "vaes"), AVX(7_ECX, 10, "vpclmulqdq"), AVX512(7_ECX, 11, "avx512_vnni"),
	AVX512(7_ECX, 12, "avx512_bitalg"), OTHER(7_ECX, 13, "tme"), AVX512(7_ECX, 14, "avx512_vpopcntdq"),
	OTHER(7_ECX, 16, "la57"), INS(7_ECX, 22, "rdpid"), OTHER(7_ECX, 24, "bus_lock_detect"), INS(7_ECX, 25, "cldemote"),
	INS(7_ECX, 27, "movdiri"), INS(7_ECX, 28, "movdir64b"), INS(7_ECX, 29, "enqcmd"), OTHER(7_ECX, 30, "sgx_lc"),
	OTHER(7_ECX, 31, "pks"),

	INS(88_EBX, 0, "clzero"), OTHER(88_EBX, 1, "irperf"), OTHER(88_EBX, 2, "xsaveerptr"), INS(88_EBX, 4, "rdpru"),
	OTHER(88_EBX, 9, "wbnoinvd"), OTHER(88_EBX, 12, "ibpb"), OTHER(88_EBX, 14, "ibrs"), OTHER(88_EBX, 15, "stibp"),
	OTHER(88_EBX, 23, "amd_ppin"), OTHER(88_EBX, 24, "ssbd"), OTHER(88_EBX, 25, "virt_ssbd"), OTHER(88_EBX, 27, "cppc"),

	OTHER(6_EAX, 0, "dtherm"), OTHER(6_EAX, 1, "ida"), OTHER(6_EAX, 2, "arat"), OTHER(6_EAX, 4, "pln"),
	OTHER(6_EAX, 6, "pts"), OTHER(6_EAX, 7, "hwp"), OTHER(6_EAX, 8, "hwp_notify"), OTHER(6_EAX, 9, "hwp_act_window"),
	OTHER(6_EAX, 10, "hwp_epp"), OTHER(6_EAX, 11, "hwp_pkg_req"),

	OTHER(8A_EDX, 0, "npt"), OTHER(8A_EDX, 1, "lbrv"), OTHER(8A_EDX, 2, "svm_lock"), OTHER(8A_EDX, 3, "nrip_save"),
	OTHER(8A_EDX, 13, "avic"), OTHER(8A_EDX, 15, "v_vmsave_vmload"), OTHER(8A_EDX, 16, "vgif"),

	OTHER(87_EBX, 0, "overflow_recov"), OTHER(87_EBX, 1, "succor"), OTHER(87_EBX, 3, "smca"),

	AVX512(7_EDX, 2, "avx512_4vnniw"), AVX512(7_EDX, 3, "avx512_4fmaps"), OTHER(7_EDX, 4, "fsrm"),
	INS(7_EDX, 5, "uintr"), AVX512(7_EDX, 8, "avx512_vp2intersect"), OTHER(7_EDX, 9, "srbds_ctrl"),
	OTHER(7_EDX, 10, "md_clear"), OTHER(7_EDX, 11, "rtm_always_abort"), OTHER(7_EDX, 13, "tsx_force_abort"),
	INS(7_EDX, 14, "serialize"), OTHER(7_EDX, 15, "hybrid_cpu"), INS(7_EDX, 16, "tsxldtrk"), OTHER(7_EDX, 18, "pconfig"),
	OTHER(7_EDX, 19, "arch_lbr"), OTHER(7_EDX, 20, "ibt"), STATE(7_EDX, 22, AMX, "amx_bf16"),
	AVX512(7_EDX, 23, "avx512_fp16"), STATE(7_EDX, 24, AMX, "amx_tile"), STATE(7_EDX, 25, AMX, "amx_int8"),
	OTHER(7_EDX, 26, "spec_ctrl"), OTHER(7_EDX, 27, "intel_stibp"), OTHER(7_EDX, 28, "flush_l1d"),
	OTHER(7_EDX, 29, "arch_capabilities"), OTHER(7_EDX, 30, "core_capabilities"), OTHER(7_EDX, 31, "spec_ctrl_ssbd"),

	AVX(71_EAX, 0, "sha512"), AVX(71_EAX, 1, "sm3"), AVX(71_EAX, 2, "sm4"), INS(71_EAX, 3, "rao_int"),
	AVX(71_EAX, 4, "avx_vnni"), AVX512(71_EAX, 5, "avx512_bf16"), OTHER(71_EAX, 6, "lass"), INS(71_EAX, 7, "cmpccxadd"),
	OTHER(71_EAX, 8, "arch_perfmon_ext"), OTHER(71_EAX, 10, "fzrm"), OTHER(71_EAX, 11, "fsrs"), OTHER(71_EAX, 12, "fsrc"),
	OTHER(71_EAX, 17, "fred"), OTHER(71_EAX, 18, "lkgs"), OTHER(71_EAX, 19, "wrmsrns"),
	STATE(71_EAX, 21, AMX, "amx_fp16"), OTHER(71_EAX, 22, "hreset"), AVX(71_EAX, 23, "avx_ifma"), OTHER(71_EAX, 26, "lam"),

	AVX(71_EDX, 4, "avx_vnni_int8"), AVX(71_EDX, 5, "avx_ne_convert"), STATE(71_EDX, 8, AMX, "amx_complex"),
	AVX(71_EDX, 10, "avx_vnni_int16"), INS(71_EDX, 14, "prefetchi"), AVX512(71_EDX, 19, "avx10"),
	STATE(71_EDX, 21, APX, "apx_f"),
};

static const char *const components[] = {
	[0] = "x87", [1] = "sse", [2] = "avx", [3] = "bndregs", [4] = "bndcsr", [5] = "avx512 opmask",
	[6] = "avx512 zmm_hi256", [7] = "avx512 hi16_zmm", [9] = "pkru", [17] = "amx tilecfg", [18] = "amx tiledata", [19] = "apx",
};
/* clang-format on */

const struct cpu_feature *cpu_feature(unsigned word, unsigned bit)
{
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (features[i].word == word && features[i].bit == bit)
			return &features[i];
	return NULL;
}

const char *cpu_component(unsigned bit)
{
	return bit < sizeof(components) / sizeof(components[0]) ? components[bit] : NULL;
}

uint32_t cpu_volatile_bits(unsigned word)
{
	switch (word) {
	case CPU_1_ECX:
		return 1u << 27; /* osxsave: whether the kernel has enabled what bit 26 says */
	case CPU_7_ECX:
		return 1u << 4 | 0x3eu << 16; /* ospke; a number (mawau) */
	case CPU_81_EDX:
		return 0x0183f3ffu; /* what AMD repeats of leaf 1, Intel does not */
	case CPU_LINUX_1:
		return ~(1u << 16 | 1u << 20); /* of the kernel's making */
	}
	return 0;
}
