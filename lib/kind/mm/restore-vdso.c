/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * The task gets this kernel's vdso at the address where it had one: libc has looked up its functions and keeps pointers
 * into it. So every function must be where the dumped one had it. Three cases:
 *
 *	same	Code and data are equal, byte by byte, but for the notes (build id, release) and the string table, which
 *		no code depends on. Two builds of one kernel source pass this, on processors that are alike.
 *	fits	Functions and tables are at the same places, the code differs: the kernel has put other instructions in
 *		for another processor (rdtscp or lfence and rdtsc), or was built by another compiler. Who calls a
 *		function from its start does not notice. A thread that stands inside would go on in the middle of other
 *		code, so that is refused. (A signal handler that interrupted such a function, which are some tens of
 *		nanoseconds, cannot be seen.)
 *	differs	Refused.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kind/mm/mm.h"
#include "kind/mm/restore-internal.h"

/* Zero [off, off + size) of both. */
static void blank(uint8_t *a, uint8_t *b, size_t len, uint64_t off, uint64_t size)
{
	if (off > len || size > len - off)
		return;
	memset(a + off, 0, size);
	memset(b + off, 0, size);
}

/* Where the string table is, by the dynamic section; its own bytes are compared like all others. */
static void blank_strings(uint8_t *a, uint8_t *b, size_t len, const Elf64_Phdr *ph)
{
	uint64_t tab = 0, size = 0;

	if (ph->p_offset > len || ph->p_filesz > len - ph->p_offset)
		return;
	for (uint64_t o = 0; o + sizeof(Elf64_Dyn) <= ph->p_filesz; o += sizeof(Elf64_Dyn)) {
		Elf64_Dyn d;

		memcpy(&d, a + ph->p_offset + o, sizeof(d));
		if (d.d_tag == DT_STRTAB)
			tab = d.d_un.d_ptr;
		else if (d.d_tag == DT_STRSZ)
			size = d.d_un.d_val;
	}
	blank(a, b, len, tab, size);
}

static bool same_vdso(uint8_t *a, uint8_t *b, size_t len)
{
	Elf64_Ehdr h;

	if (!memcmp(a, b, len))
		return true;
	if (len < sizeof(h) || memcmp(a, b, sizeof(h)))
		return false;
	memcpy(&h, a, sizeof(h));
	if (h.e_phoff > len || h.e_phnum > 16 || h.e_phnum * sizeof(Elf64_Phdr) > len - h.e_phoff ||
	    memcmp(a + h.e_phoff, b + h.e_phoff, h.e_phnum * sizeof(Elf64_Phdr)))
		return false;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, a + h.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_NOTE)
			blank(a, b, len, ph.p_offset, ph.p_filesz);
		else if (ph.p_type == PT_DYNAMIC)
			blank_strings(a, b, len, &ph);
	}
	return !memcmp(a, b, len);
}

/* What libc and unwinders found in a vdso: offsets in it. */
struct layout {
	uint64_t phoff, phnum, dynamic, dynamic_len, eh_frame, symbols, nr_symbols, strings, strings_len;
};

static bool read_dynamic(const uint8_t *v, size_t len, struct layout *ret)
{
	if (ret->dynamic > len || ret->dynamic_len > len - ret->dynamic)
		return false;
	for (uint64_t o = 0; o + sizeof(Elf64_Dyn) <= ret->dynamic_len; o += sizeof(Elf64_Dyn)) {
		Elf64_Dyn d;

		memcpy(&d, v + ret->dynamic + o, sizeof(d));
		if (d.d_tag == DT_STRTAB)
			ret->strings = d.d_un.d_ptr;
		else if (d.d_tag == DT_STRSZ)
			ret->strings_len = d.d_un.d_val;
		else if (d.d_tag == DT_SYMTAB)
			ret->symbols = d.d_un.d_ptr;
	}
	/* The linker puts the one behind the other; nothing says how many symbols there are. */
	if (ret->symbols >= ret->strings || ret->strings > len || ret->strings_len > len - ret->strings)
		return false;
	ret->nr_symbols = (ret->strings - ret->symbols) / sizeof(Elf64_Sym);
	return ret->nr_symbols <= 256;
}

static bool read_layout(const uint8_t *v, size_t len, struct layout *ret)
{
	Elf64_Ehdr h;

	memset(ret, 0, sizeof(*ret));
	if (len < sizeof(h))
		return false;
	memcpy(&h, v, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_machine != EM_X86_64 || h.e_phoff > len || h.e_phnum > 16 ||
	    h.e_phnum * sizeof(Elf64_Phdr) > len - h.e_phoff)
		return false;
	ret->phoff = h.e_phoff;
	ret->phnum = h.e_phnum;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, v + h.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_DYNAMIC) {
			ret->dynamic = ph.p_offset;
			ret->dynamic_len = ph.p_filesz;
		} else if (ph.p_type == PT_GNU_EH_FRAME) {
			ret->eh_frame = ph.p_offset;
		}
	}
	return ret->dynamic && read_dynamic(v, len, ret);
}

/* Symbol @i: its name, or NULL when it is none that is defined. */
static const char *symbol(const uint8_t *v, const struct layout *l, uint64_t i, Elf64_Sym *ret)
{
	memcpy(ret, v + l->symbols + i * sizeof(*ret), sizeof(*ret));
	if (ret->st_shndx == SHN_UNDEF || ret->st_name >= l->strings_len ||
	    !memchr(v + l->strings + ret->st_name, 0, l->strings_len - ret->st_name))
		return NULL;
	return (const char *)v + l->strings + ret->st_name;
}

/* Has @b all functions of @a, where @a has them? */
static bool fits(const uint8_t *a, const uint8_t *b, size_t len)
{
	struct layout la, lb;

	if (!read_layout(a, len, &la) || !read_layout(b, len, &lb) || memcmp(&la, &lb, sizeof(la)))
		return false;
	for (uint64_t i = 0; i < la.nr_symbols; i++) {
		Elf64_Sym sa, sb;
		const char *name = symbol(a, &la, i, &sa), *other = symbol(b, &lb, i, &sb);

		if (!name != !other || sa.st_value != sb.st_value || (name && strcmp(name, other) != 0))
			return false;
	}
	return true;
}

int mm_vdso_compare(uint8_t *dumped, uint8_t *own, size_t len, pid_t inside, struct cr_err *e)
{
	bool fit = fits(dumped, own, len);

	if (same_vdso(dumped, own, len))
		return 0;
	if (!fit)
		return cr_err_set(e, CR_E_MEM_LAYOUT, 0, "vdso",
				  "the functions that the kernel gave to the task are elsewhere in this kernel's");
	if (!inside)
		return 0;
	cr_err_set(e, CR_E_MEM_LAYOUT, 0, "vdso",
		   "thread %d stands in code that the kernel gave it, which differs from this kernel's", inside);
	cr_err_remedy(e, "restore on a kernel and a processor like those of the dump, or dump again");
	return -EINVAL;
}

bool mm_in_vdso(const MmEntry *mm, uint64_t ip)
{
	for (size_t i = 0; i < mm->n_vmas; i++)
		if (mm->vmas[i]->status & MM_VDSO && ip >= mm->vmas[i]->start && ip < mm->vmas[i]->end)
			return true;
	return false;
}
