/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers of a thread: as ptrace has them (user_regs_struct, XSAVE area in standard format) and as core-TID.img has
 * them. */
#ifndef CR_KIND_CORE_H
#define CR_KIND_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct ThreadInfoX86;

/* Where the parts of an XSAVE area in standard format are (Intel SDM 1, 13.4; CPUID leaf 0xD). */
enum {
	XC_X87,
	XC_SSE,
	XC_YMM,
	XC_BNDREGS,
	XC_BNDCSR,
	XC_OPMASK,
	XC_ZMM_HI256,
	XC_HI16_ZMM,
	XC_PKRU = 9,
	XC_TILECFG = 17,
	XC_TILEDATA,
	XC_COUNT
};
enum { XSAVE_LEGACY = 512, XSAVE_HEAD = 576, XSAVE_MAX = 16384 };

struct xsave_layout {
	uint64_t xcr0; /* components that the kernel has enabled */
	uint32_t size; /* bytes that PTRACE_SETREGSET wants */
	struct {
		uint32_t offset, size;
	} part[XC_COUNT]; /* 0, 0: this CPU has none */
};

/* Of the CPU that we run on. */
void core_xsave_layout(struct xsave_layout *ret);

/*
 * To the image's form.
 * @gpr: struct user_regs_struct, fixed up (bare restart.h)
 * @xsave: NT_X86_XSTATE; parts in their initial state are written as such, whatever the bytes are
 * @ret: in @a
 * Return: 0 or -errno with @e (CR_E_AMX, CR_E_COMPAT_TASK: cannot be carried).
 */
int core_regs_to_image(const uint64_t gpr[27], uint64_t clear_tid, const struct xsave_layout *l, const uint8_t *xsave,
		       size_t len, struct arena *a, struct ThreadInfoX86 **ret, struct cr_err *e);
/*
 * And back, for PTRACE_SETREGS and PTRACE_SETREGSET (NT_X86_XSTATE).
 * @xsave: at least @l->size bytes; filled to exactly @l->size
 * Return: 0 or -errno with @e (CR_E_IMG_CORRUPT; CR_E_CPU: state that this CPU cannot hold).
 */
int core_regs_from_image(const struct ThreadInfoX86 *ti, const struct xsave_layout *l, uint64_t gpr[27], uint8_t *xsave,
			 size_t size, struct cr_err *e);

#endif
