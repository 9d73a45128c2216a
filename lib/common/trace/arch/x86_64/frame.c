/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trace/frame.h"

#include <assert.h>
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <asm/sigcontext.h>

#include "restart.h"

/* struct rt_sigframe of arch/x86/include/asm/sigframe.h, struct ucontext of asm-generic/ucontext.h. */
struct rt_frame {
	uint64_t pretcode;
	uint64_t uc_flags, uc_link;
	uint64_t ss_sp;
	uint32_t ss_flags, ss_pad;
	uint64_t ss_size;
	struct sigcontext_64 mc;
	uint64_t sigmask;
	uint8_t info[128];
};

enum {
	UC_XSTATE = 1,
	UC_SIGCONTEXT_SS_ = 2,
	UC_STRICT_RESTORE_SS_ = 4,
	/* No flags of sigaltstack(2): restore_altstack() fails, silently, and leaves the thread's own alone. */
	SS_INVALID = 0x40,
	XSTATE_BV = 512,
	SW_RESERVED = 464,
	AMX_BITS = 3 << 17,
	XSTATE_MIN = 576,
};

_Static_assert(sizeof(struct sigcontext_64) == 256, "sigcontext is the kernel's");
_Static_assert(offsetof(struct rt_frame, mc) == 8 + 40, "ucontext is the kernel's");
_Static_assert(offsetof(struct rt_frame, sigmask) == 8 + 40 + 256, "ucontext is the kernel's");
_Static_assert(sizeof(struct rt_frame) <= FRAME_XSTATE, "registers fit before the xsave area");

size_t frame_size(size_t xlen)
{
	return FRAME_XSTATE + xlen + FP_XSTATE_MAGIC2_SIZE;
}

size_t frame_xstate_len(const uint8_t *xstate, size_t xlen)
{
	uint64_t features;
	size_t end = 576;

	if (xlen < 576)
		return xlen;
	memcpy(&features, xstate + SW_RESERVED, sizeof(features));
	if (!(features & AMX_BITS))
		return xlen;
	for (unsigned i = 2; i < 63; i++) {
		unsigned size, offset, c, d;

		if (!(features & ~(uint64_t)AMX_BITS & 1ull << i))
			continue;
		__cpuid_count(0xd, i, size, offset, c, d);
		if (offset + size > end)
			end = offset + size;
	}
	return end < xlen ? end : xlen;
}

bool frame_is_ours(const uint8_t *head)
{
	struct rt_frame f;

	_Static_assert(offsetof(struct rt_frame, ss_size) == FRAME_HEAD, "up to the flags of the alternate stack");
	memcpy(&f, head, FRAME_HEAD);
	return f.uc_flags == (UC_XSTATE | UC_SIGCONTEXT_SS_ | UC_STRICT_RESTORE_SS_) && !f.uc_link && !f.ss_sp &&
	       f.ss_flags == SS_INVALID && !f.ss_pad;
}

ssize_t frame_parse(const uint8_t *frame, size_t len, struct user_regs_struct *home, uint64_t *sigmask,
		    const uint8_t **xstate)
{
	struct _fpx_sw_bytes sw;
	struct rt_frame f;

	if (len < FRAME_XSTATE + XSTATE_MIN || !frame_is_ours(frame))
		return -EINVAL;
	memcpy(&f, frame, sizeof(f));
	memcpy(&sw, frame + FRAME_XSTATE + SW_RESERVED, sizeof(sw));
	if (sw.magic1 != FP_XSTATE_MAGIC1 || sw.xstate_size < XSTATE_MIN || sw.xstate_size > len - FRAME_XSTATE)
		return -EINVAL;
	home->r8 = f.mc.r8;
	home->r9 = f.mc.r9;
	home->r10 = f.mc.r10;
	home->r11 = f.mc.r11;
	home->r12 = f.mc.r12;
	home->r13 = f.mc.r13;
	home->r14 = f.mc.r14;
	home->r15 = f.mc.r15;
	home->rdi = f.mc.di;
	home->rsi = f.mc.si;
	home->rbp = f.mc.bp;
	home->rbx = f.mc.bx;
	home->rdx = f.mc.dx;
	home->rax = f.mc.ax;
	home->rcx = f.mc.cx;
	home->rsp = f.mc.sp;
	home->rip = f.mc.ip;
	home->eflags = f.mc.flags;
	home->cs = f.mc.cs;
	home->ss = f.mc.ss;
	home->orig_rax = (uint64_t)-1;
	*sigmask = f.sigmask;
	*xstate = frame + FRAME_XSTATE;
	return sw.xstate_size;
}

static void registers(struct sigcontext_64 *mc, const struct user_regs_struct *r)
{
	mc->r8 = r->r8;
	mc->r9 = r->r9;
	mc->r10 = r->r10;
	mc->r11 = r->r11;
	mc->r12 = r->r12;
	mc->r13 = r->r13;
	mc->r14 = r->r14;
	mc->r15 = r->r15;
	mc->di = r->rdi;
	mc->si = r->rsi;
	mc->bp = r->rbp;
	mc->bx = r->rbx;
	mc->dx = r->rdx;
	mc->ax = r->rax;
	mc->cx = r->rcx;
	mc->sp = r->rsp;
	mc->ip = r->rip;
	mc->flags = r->eflags;
	mc->cs = (uint16_t)r->cs;
	mc->ss = (uint16_t)r->ss;
}

void frame_build(uint8_t *buf, uint64_t addr, uint64_t restorer, const struct user_regs_struct *home, uint64_t sigmask,
		 const uint8_t *xstate, size_t xlen)
{
	struct rt_frame f = {
		.pretcode = restorer,
		.uc_flags = UC_XSTATE | UC_SIGCONTEXT_SS_ | UC_STRICT_RESTORE_SS_,
		.ss_flags = SS_INVALID,
		.sigmask = sigmask,
	};
	uint32_t magic2 = FP_XSTATE_MAGIC2;
	struct _fpx_sw_bytes sw = {
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = (uint32_t)(xlen + FP_XSTATE_MAGIC2_SIZE),
		.xstate_size = (uint32_t)xlen,
	};
	struct user_regs_struct r = *home;
	uint64_t gpr[GPR_COUNT];

	_Static_assert(sizeof(gpr) == sizeof(r), "user_regs_struct is an array of 27");
	memcpy(gpr, &r, sizeof(gpr));
	restart_fix_up(gpr, RESTART_NO_HANDLER);
	memcpy(&r, gpr, sizeof(gpr));
	registers(&f.mc, &r);
	f.mc.fpstate = addr + FRAME_XSTATE;
	memset(buf, 0, FRAME_XSTATE);
	memcpy(buf, &f, sizeof(f));
	memcpy(buf + FRAME_XSTATE, xstate, xlen);
	memcpy(&sw.xfeatures, xstate + SW_RESERVED, sizeof(sw.xfeatures));
	sw.xfeatures &= ~(uint64_t)AMX_BITS;
	memcpy(buf + FRAME_XSTATE + SW_RESERVED, &sw, sizeof(sw));
	memcpy(buf + FRAME_XSTATE + xlen, &magic2, sizeof(magic2));
}
