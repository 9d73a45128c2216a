/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers to the image and back; interrupted system calls; capability words. LIBS: kind-image */
#include <string.h>

#include "bare/arch/x86_64/restart.h"
#include "core-x86.pb-c.h"
#include "kind/core/core.h"
#include "kind/cred/cred.h"
#include "tap.h"

/* A CPU with AVX-512 and PKRU. */
static const struct xsave_layout cpu = {
	.xcr0 = 0x2e7,
	.size = 2696,
	.part = { [XC_YMM] = { 576, 256 },
		  [XC_OPMASK] = { 1088, 64 },
		  [XC_ZMM_HI256] = { 1152, 512 },
		  [XC_HI16_ZMM] = { 1664, 1024 },
		  [XC_PKRU] = { 2688, 8 } },
};

static void fill(uint8_t *x, uint64_t bv)
{
	for (unsigned i = 0; i < cpu.size; i++)
		x[i] = (uint8_t)(i * 7 + (i >> 8) + 1);
	memset(x + 416, 0, 160); /* software's and the rest of the head */
	x[5] = 0;		 /* reserved byte of the tag word */
	memcpy(x + 512, &bv, sizeof(bv));
}

static void test_round_trip(uint64_t bv, const char *what)
{
	uint8_t in[XSAVE_MAX], out[XSAVE_MAX];
	uint64_t gpr[27], back[27];
	struct arena a = { 0 };
	struct cr_err e = { 0 };
	ThreadInfoX86 *ti = NULL;
	bool same;

	for (unsigned i = 0; i < 27; i++)
		gpr[i] = 0x1111111111111111ull * i;
	gpr[GPR_CS] = 0x33;
	fill(in, bv);
	ok(!core_regs_to_image(gpr, 77, &cpu, in, cpu.size, &a, &ti, &e), "%s: to the image", what);
	ok(ti->clear_tid_addr == 77 && ti->gpregs->ip == gpr[GPR_RIP] && ti->gpregs->gs == gpr[GPR_GS] &&
		   ti->gpregs->r15 == gpr[GPR_R15],
	   "%s: registers stand where they belong", what);
	ok(ti->n_tls == 3 && ti->tls[0]->entry_number == 12 && ti->fpregs->n_st_space == 32 &&
		   ti->fpregs->n_xmm_space == 64 && ti->fpregs->xsave->n_ymmh_space == 64 &&
		   ti->fpregs->xsave->n_opmask_reg == 8 && ti->fpregs->xsave->n_zmm_upper == 64 &&
		   ti->fpregs->xsave->n_hi16_zmm == 128 && ti->fpregs->xsave->n_pkru == 2 &&
		   !ti->fpregs->xsave->n_bndreg_state,
	   "%s: lists as CRIU's", what);
	ok(!core_regs_from_image(ti, &cpu, back, out, sizeof(out), &e), "%s: and back", what);
	ok(!memcmp(gpr, back, sizeof(gpr)), "%s: the same registers", what);
	same = !memcmp(in + 512, out + 512, 8);
	if (bv & 1)
		same = same && !memcmp(in, out, 24) && !memcmp(in + 32, out + 32, 128);
	if (bv & 2)
		same = same && !memcmp(in + 24, out + 24, 8) && !memcmp(in + 160, out + 160, 256);
	for (unsigned i = XC_YMM; i < XC_COUNT; i++)
		if (bv >> i & 1)
			same = same && !memcmp(in + cpu.part[i].offset, out + cpu.part[i].offset, cpu.part[i].size);
	ok(same, "%s: the same state", what);
	arena_free(&a);
}

static void test_initial(void)
{
	uint8_t in[XSAVE_MAX];
	uint64_t gpr[27] = { [GPR_CS] = 0x33 };
	struct arena a = { 0 };
	struct cr_err e = { 0 };
	ThreadInfoX86 *ti = NULL;
	uint32_t any = 0;

	fill(in, 0);
	core_regs_to_image(gpr, 0, &cpu, in, cpu.size, &a, &ti, &e);
	for (unsigned i = 0; i < 32; i++)
		any |= ti->fpregs->st_space[i];
	for (unsigned i = 0; i < 64; i++)
		any |= ti->fpregs->xmm_space[i] | ti->fpregs->xsave->ymmh_space[i];
	ok(!any && ti->fpregs->cwd == 0x37f && ti->fpregs->mxcsr == 0x1f80,
	   "parts in their initial state are written so");
	ok(ti->fpregs->xsave->pkru[0] != 0, "PKRU is written whatever its bit says");
	arena_free(&a);
}

static void test_refusals(void)
{
	uint8_t x[XSAVE_MAX];
	uint64_t gpr[27] = { [GPR_CS] = 0x23 };
	struct arena a = { 0 };
	struct cr_err e = { 0 };
	ThreadInfoX86 *ti = NULL;
	struct xsave_layout old = { .xcr0 = 3, .size = 576 };

	fill(x, 3);
	ok(core_regs_to_image(gpr, 0, &cpu, x, cpu.size, &a, &ti, &e) && e.code == CR_E_COMPAT_TASK,
	   "32-bit code is refused");
	gpr[GPR_CS] = 0x33;
	fill(x, 1 << 18);
	ok(core_regs_to_image(gpr, 0, &cpu, x, cpu.size, &a, &ti, &e) && e.code == CR_E_AMX, "AMX tiles are refused");
	fill(x, 7);
	core_regs_to_image(gpr, 0, &cpu, x, cpu.size, &a, &ti, &e);
	ok(core_regs_from_image(ti, &old, gpr, x, sizeof(x), &e) && e.code == CR_E_CPU,
	   "AVX state does not fit an old CPU");
	ti->fpregs->xsave->xstate_bv = 3;
	ok(!core_regs_from_image(ti, &old, gpr, x, sizeof(x), &e), "AVX in its initial state does");
	ti->fpregs->n_xmm_space = 65;
	ok(core_regs_from_image(ti, &cpu, gpr, x, sizeof(x), &e) && e.code == CR_E_IMG_CORRUPT,
	   "a list too long is refused");
	arena_free(&a);
}

static void test_real_cpu(void)
{
	struct xsave_layout l;

	core_xsave_layout(&l);
	ok((l.xcr0 & 3) == 3 && l.size >= 576 && l.size <= XSAVE_MAX, "layout of this CPU: %u bytes", l.size);
}

static void restart(int64_t rax, uint64_t nr, enum restart_signal sig, uint64_t want_rax, int64_t want_rip,
		    const char *what)
{
	uint64_t gpr[GPR_COUNT] = { [GPR_RAX] = (uint64_t)rax, [GPR_ORIG_RAX] = nr, [GPR_RIP] = 1002 };

	restart_fix_up(gpr, sig);
	ok(gpr[GPR_RAX] == want_rax && (int64_t)gpr[GPR_RIP] == want_rip, "%s", what);
}

static void test_restart(void)
{
	const uint64_t eintr = (uint64_t)-4;

	restart(-512, 0, RESTART_NO_HANDLER, 0, 1000, "ERESTARTSYS: again");
	restart(-512, 0, RESTART_HANDLER, 0, 1000, "ERESTARTSYS with SA_RESTART: again");
	restart(-512, 0, RESTART_EINTR, eintr, 1002, "ERESTARTSYS with a handler without SA_RESTART: EINTR");
	restart(-513, 7, RESTART_EINTR, 7, 1000, "ERESTARTNOINTR: again in any case");
	restart(-514, 34, RESTART_NO_HANDLER, 34, 1000, "ERESTARTNOHAND (pause): again");
	restart(-514, 34, RESTART_HANDLER, eintr, 1002, "ERESTARTNOHAND with a handler: EINTR");
	restart(-516, 35, RESTART_NO_HANDLER, 35, 1000, "ERESTART_RESTARTBLOCK (nanosleep): again");
	restart(-516, 35, RESTART_HANDLER, eintr, 1002, "ERESTART_RESTARTBLOCK with a handler: EINTR");
	restart(-4, 232, RESTART_NO_HANDLER, 232, 1000, "EINTR of epoll_wait without a signal: again");
	restart(-4, 232, RESTART_EINTR, eintr, 1002, "EINTR of epoll_wait with a signal stays");
	restart(-4, 3, RESTART_NO_HANDLER, eintr, 1002, "EINTR of close stays");
	restart(-512, (uint64_t)-1, RESTART_NO_HANDLER, (uint64_t)-512, 1002, "not in a system call: nothing");
	restart(5, 0, RESTART_NO_HANDLER, 5, 1002, "a result: nothing");
}

static void test_rseq(void)
{
	uint64_t gpr[GPR_COUNT] = { [GPR_RIP] = 0x1010 };
	uint64_t cs[4] = { 0, 0x1000, 0x20, 0x2000 };

	ok(restart_rseq(gpr, cs) && gpr[GPR_RIP] == 0x2000, "inside of a sequence: to the abort handler");
	gpr[GPR_RIP] = 0x1020;
	ok(!restart_rseq(gpr, cs) && gpr[GPR_RIP] == 0x1020, "behind its commit: nothing");
	gpr[GPR_RIP] = 0xfff;
	ok(!restart_rseq(gpr, cs), "before it: nothing");
}

static void test_caps(void)
{
	uint32_t words[3] = { 0xfeffffff, 0x1ff, 0 };
	uint64_t set = 0;

	ok(!cred_caps_from_image(words, 2, &set) && set == 0x1fffeffffffull, "capability words, low first");
	ok(!cred_caps_from_image(words, 1, &set) && set == 0xfeffffff, "one word");
	ok(!cred_caps_from_image(NULL, 0, &set) && set == 0, "no word");
	ok(cred_caps_from_image(words, 3, &set), "three words are refused");
}

int main(void)
{
	test_round_trip(0x2e7, "all state");
	test_round_trip(0xa2, "some state");
	test_round_trip(0, "no state");
	test_initial();
	test_refusals();
	test_real_cpu();
	test_restart();
	test_rseq();
	test_caps();
	return tap_done();
}
