/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * The task gets this kernel's vdso at the address where it had one: libc has looked up its functions and keeps pointers
 * into it, and a thread may even stand inside. So code and data of the dumped one must be equal to ours, byte by byte;
 * only the notes (build id, release) and the string table may differ, which no code depends on. Two builds of one
 * kernel source pass this.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

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

bool mm_same_vdso(uint8_t *a, uint8_t *b, size_t len)
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
