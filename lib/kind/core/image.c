/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * ptrace gives the extended state as one XSAVE area in the standard (not compacted) format; its layout is the CPU's and
 * is asked by CPUID leaf 0xD. The image has a list per component, so a restore can lay them out for another CPU.
 * xstate_bv says which components are not in their initial state. The kernel fills the others with initial values
 * (copy_xstate_to_uabi_buf), but a reader must not need to know that: here a component whose bit is clear is written
 * with its initial values, and given to the kernel with its bit clear.
 *
 * MXCSR belongs to SSE and AVX both: it is valid if either bit is set (SDM 1, 13.5.2). PKRU is kept by the kernel apart
 * from the XSAVE area, so what ptrace gives is right whatever the bit says.
 */
#include "kind/core/core.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>

#include "bare/arch/x86_64/restart.h"
#include "core-x86.pb-c.h"

enum { MXCSR_DEFAULT = 0x1f80, MXCSR_MASK_DEFAULT = 0xffff, FCW_DEFAULT = 0x37f, USER64_CS = 0x33 };
enum {
	OFF_MXCSR = 24,
	OFF_MXCSR_MASK = 28,
	OFF_ST = 32,
	OFF_XMM = 160,
	ST_BYTES = 128,
	XMM_BYTES = 256,
	OFF_XSTATE_BV = 512
};
#define BIT(n)	   (1ull << (n))
#define KNOWN_BITS 0x2ffull /* what the image has lists for */

void core_xsave_layout(struct xsave_layout *ret)
{
	uint32_t a, b, c, d;

	memset(ret, 0, sizeof(*ret));
	ret->size = XSAVE_LEGACY;
	ret->xcr0 = BIT(XC_X87) | BIT(XC_SSE);
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	ret->xcr0 = (uint64_t)d << 32 | a;
	if (!__get_cpuid_count(0xd, 0, &a, &b, &c, &d))
		return;
	ret->size = b;
	for (unsigned i = XC_YMM; i < XC_COUNT; i++) {
		if (!(ret->xcr0 & BIT(i)) || !__get_cpuid_count(0xd, i, &a, &b, &c, &d))
			continue;
		ret->part[i].size = a;
		ret->part[i].offset = b;
	}
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* Where a component is in an area of @len bytes; NULL: the CPU has none. */
static const uint8_t *part(const struct xsave_layout *l, unsigned i, const uint8_t *xsave, size_t len)
{
	if (!l->part[i].size || l->part[i].offset + (size_t)l->part[i].size > len)
		return NULL;
	return xsave + l->part[i].offset;
}

/* A copy of @bytes at @from in @a; zeros when @from is NULL. */
static void *copy(struct arena *a, const uint8_t *from, size_t bytes)
{
	void *ret = arena_alloc(a, bytes);

	if (ret && from)
		memcpy(ret, from, bytes);
	return ret;
}

/* The lists of UserX86XsaveEntry: which component, and how wide the words are. */
struct list {
	unsigned part, width;
	size_t n_off, v_off;
};
#define LIST(p, w, field)                                                                        \
	{                                                                                        \
		p, w, offsetof(UserX86XsaveEntry, n_##field), offsetof(UserX86XsaveEntry, field) \
	}
static const struct list lists[] = {
	LIST(XC_YMM, 4, ymmh_space),	LIST(XC_BNDREGS, 8, bndreg_state), LIST(XC_BNDCSR, 8, bndcsr_state),
	LIST(XC_OPMASK, 8, opmask_reg), LIST(XC_ZMM_HI256, 8, zmm_upper),  LIST(XC_HI16_ZMM, 8, hi16_zmm),
	LIST(XC_PKRU, 4, pkru),
};
enum { NR_LISTS = sizeof(lists) / sizeof(lists[0]) };

static int xsave_to_image(const struct xsave_layout *l, const uint8_t *xsave, size_t len, struct arena *a,
			  UserX86XsaveEntry **ret, struct cr_err *e)
{
	uint64_t bv = get64(xsave + OFF_XSTATE_BV);
	UserX86XsaveEntry *x = arena_alloc(a, sizeof(*x));

	if (bv & (BIT(XC_TILECFG) | BIT(XC_TILEDATA)))
		return cr_err_set(e, CR_E_AMX, EOPNOTSUPP, "", "the tiles are in use");
	if (bv & ~KNOWN_BITS)
		return cr_err_set(e, CR_E_UNSUPPORTED, EOPNOTSUPP, "",
				  "extended CPU state %#llx has no place in the image",
				  (unsigned long long)(bv & ~KNOWN_BITS));
	if (!x)
		return cr_err_nomem(e);
	user_x86_xsave_entry__init(x);
	x->xstate_bv = bv;
	for (unsigned i = 0; i < NR_LISTS; i++) {
		const struct list *k = &lists[i];
		const uint8_t *from = part(l, k->part, xsave, len);
		void *words;

		if (!from)
			continue;
		if (!(bv & BIT(k->part)) && k->part != XC_PKRU)
			from = NULL;
		words = copy(a, from, l->part[k->part].size);
		if (!words)
			return cr_err_nomem(e);
		*(size_t *)((char *)x + k->n_off) = l->part[k->part].size / k->width;
		*(void **)((char *)x + k->v_off) = words;
	}
	x->cet = arena_alloc(a, sizeof(*x->cet));
	if (!x->cet)
		return cr_err_nomem(e);
	user_x86_cet_entry__init(x->cet); /* zeros: no shadow stack, as CRIU 4.2 writes it */
	*ret = x;
	return 0;
}

static int fpregs_to_image(const struct xsave_layout *l, const uint8_t *xsave, size_t len, struct arena *a,
			   UserX86FpregsEntry **ret, struct cr_err *e)
{
	UserX86FpregsEntry *f = arena_alloc(a, sizeof(*f));
	uint64_t bv = len >= XSAVE_HEAD ? get64(xsave + OFF_XSTATE_BV) : BIT(XC_X87) | BIT(XC_SSE);
	bool x87 = bv & BIT(XC_X87), sse = bv & BIT(XC_SSE);

	if (!f)
		return cr_err_nomem(e);
	user_x86_fpregs_entry__init(f);
	f->cwd = x87 ? get16(xsave) : FCW_DEFAULT;
	if (x87) {
		f->swd = get16(xsave + 2);
		f->twd = get16(xsave + 4);
		f->fop = get16(xsave + 6);
		f->rip = get64(xsave + 8);
		f->rdp = get64(xsave + 16);
	}
	f->mxcsr = sse || bv & BIT(XC_YMM) ? get32(xsave + OFF_MXCSR) : MXCSR_DEFAULT;
	f->mxcsr_mask = get32(xsave + OFF_MXCSR_MASK);
	f->n_st_space = ST_BYTES / 4;
	f->st_space = copy(a, x87 ? xsave + OFF_ST : NULL, ST_BYTES);
	f->n_xmm_space = XMM_BYTES / 4;
	f->xmm_space = copy(a, sse ? xsave + OFF_XMM : NULL, XMM_BYTES);
	if (!f->st_space || !f->xmm_space)
		return cr_err_nomem(e);
	*ret = f;
	return len >= XSAVE_HEAD ? xsave_to_image(l, xsave, len, a, &f->xsave, e) : 0;
}

/* The three TLS slots of the GDT, unused: 64-bit tasks have their TLS in fs_base. */
static int tls_to_image(struct arena *a, ThreadInfoX86 *ti, struct cr_err *e)
{
	enum { GDT_TLS_MIN = 12, SLOTS = 3 };
	UserDescT *d = arena_calloc(a, SLOTS, sizeof(*d));
	UserDescT **v = arena_calloc(a, SLOTS, sizeof(*v));

	if (!d || !v)
		return cr_err_nomem(e);
	for (unsigned i = 0; i < SLOTS; i++) {
		user_desc_t__init(&d[i]);
		d[i].entry_number = GDT_TLS_MIN + i;
		d[i].read_exec_only = d[i].seg_not_present = true;
		v[i] = &d[i];
	}
	ti->n_tls = SLOTS;
	ti->tls = v;
	return 0;
}

/* UserX86RegsEntry has the order of struct user_regs_struct. */
static uint64_t *reg_field(UserX86RegsEntry *r, unsigned i)
{
	uint64_t *const v[GPR_COUNT] = { &r->r15,     &r->r14,	   &r->r13, &r->r12, &r->bp,	&r->bx, &r->r11,
					 &r->r10,     &r->r9,	   &r->r8,  &r->ax,  &r->cx,	&r->dx, &r->si,
					 &r->di,      &r->orig_ax, &r->ip,  &r->cs,  &r->flags, &r->sp, &r->ss,
					 &r->fs_base, &r->gs_base, &r->ds,  &r->es,  &r->fs,	&r->gs };

	return v[i];
}

int core_regs_to_image(const uint64_t gpr[27], uint64_t clear_tid, const struct xsave_layout *l, const uint8_t *xsave,
		       size_t len, struct arena *a, struct ThreadInfoX86 **ret, struct cr_err *e)
{
	ThreadInfoX86 *ti = arena_alloc(a, sizeof(*ti));
	UserX86RegsEntry *r = arena_alloc(a, sizeof(*r));
	int err;

	if (!ti || !r)
		return cr_err_nomem(e);
	if (gpr[GPR_CS] != USER64_CS)
		return cr_err_set(e, CR_E_COMPAT_TASK, EOPNOTSUPP, "", "its code segment is %#llx",
				  (unsigned long long)gpr[GPR_CS]);
	if (len < XSAVE_LEGACY)
		return cr_err_set(e, CR_E_HOLDER, EPROTO, "", "%zu bytes are no XSAVE area", len);
	thread_info_x86__init(ti);
	user_x86_regs_entry__init(r);
	ti->clear_tid_addr = clear_tid;
	ti->gpregs = r;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		*reg_field(r, i) = gpr[i];
	r->has_mode = true;
	r->mode = USER_X86_REGS_MODE__NATIVE;
	err = fpregs_to_image(l, xsave, len, a, &ti->fpregs, e);
	if (!err)
		err = tls_to_image(a, ti, e);
	if (!err)
		*ret = ti;
	return err;
}

static int bad(struct cr_err *e, const char *what)
{
	return cr_err_set(e, CR_E_IMG_CORRUPT, EINVAL, "registers", "%s", what);
}

static int xsave_from_image(const UserX86XsaveEntry *x, const struct xsave_layout *l, uint8_t *xsave, struct cr_err *e)
{
	uint64_t bv = x->xstate_bv;

	for (unsigned i = 0; i < NR_LISTS; i++) {
		const struct list *k = &lists[i];
		size_t bytes = *(const size_t *)((const char *)x + k->n_off) * k->width;
		const void *words = *(void *const *)((const char *)x + k->v_off);

		if (!l->part[k->part].size)
			continue;
		if (bytes > l->part[k->part].size)
			return bad(e, "a list of extended state is longer than the component");
		if (bytes)
			memcpy(xsave + l->part[k->part].offset, words, bytes);
		else if (k->part != XC_PKRU) /* PKRU 0 would open all keys, but an image without the list knew none */
			bv &= ~BIT(k->part);
	}
	if (bv & ~l->xcr0)
		return cr_err_set(e, CR_E_CPU, EOPNOTSUPP, "registers",
				  "extended state %#llx is not known to this CPU or kernel",
				  (unsigned long long)(bv & ~l->xcr0));
	put64(xsave + OFF_XSTATE_BV, bv);
	return 0;
}

int core_regs_from_image(const struct ThreadInfoX86 *ti, const struct xsave_layout *l, uint64_t gpr[27], uint8_t *xsave,
			 size_t size, struct cr_err *e)
{
	const UserX86FpregsEntry *f = ti->fpregs;

	if (ti->gpregs->has_mode && ti->gpregs->mode != USER_X86_REGS_MODE__NATIVE)
		return cr_err_set(e, CR_E_COMPAT_TASK, EOPNOTSUPP, "registers", "the image is of a 32-bit task");
	if (f->n_st_space * 4 > ST_BYTES || f->n_xmm_space * 4 > XMM_BYTES)
		return bad(e, "st_space or xmm_space is too long");
	if (size < l->size)
		return -ENOBUFS;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		gpr[i] = *reg_field(ti->gpregs, i);
	memset(xsave, 0, l->size);
	put16(xsave, (uint16_t)f->cwd);
	put16(xsave + 2, (uint16_t)f->swd);
	put16(xsave + 4, (uint16_t)f->twd);
	put16(xsave + 6, (uint16_t)f->fop);
	put64(xsave + 8, f->rip);
	put64(xsave + 16, f->rdp);
	put32(xsave + OFF_MXCSR, f->mxcsr);
	put32(xsave + OFF_MXCSR_MASK, f->mxcsr_mask);
	if (f->n_st_space)
		memcpy(xsave + OFF_ST, f->st_space, f->n_st_space * 4);
	if (f->n_xmm_space)
		memcpy(xsave + OFF_XMM, f->xmm_space, f->n_xmm_space * 4);
	if (l->size < XSAVE_HEAD)
		return 0;
	/* MXCSR is loaded only with SSE or AVX state; x87 state may be initial in the lists but not in its control
	 * word. */
	if (f->xsave)
		return xsave_from_image(f->xsave, l, xsave, e);
	put64(xsave + OFF_XSTATE_BV, BIT(XC_X87) | BIT(XC_SSE));
	return 0;
}
