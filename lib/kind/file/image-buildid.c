// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The build id is the note NT_GNU_BUILD_ID of owner "GNU" in one of the PT_NOTE segments (elf(5)). The file is
 * anybody's: every size is bounded before it is believed.
 */
#include "kind/file/image-buildid.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/fd.h"

enum { MAX_PHDRS = 128, MAX_NOTES = 8192 };

static size_t align4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static int find_note(const uint8_t *p, size_t size, uint32_t ret[BUILDID_WORDS])
{
	while (size >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr h;
		size_t name, desc;

		memcpy(&h, p, sizeof(h));
		p += sizeof(h);
		size -= sizeof(h);
		name = align4(h.n_namesz);
		desc = align4(h.n_descsz);
		if (name < h.n_namesz || desc < h.n_descsz || name > size || desc > size - name)
			return 0;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && !memcmp(p, "GNU", 4) && h.n_descsz &&
		    desc <= BUILDID_WORDS * sizeof(uint32_t)) {
			memset(ret, 0, BUILDID_WORDS * sizeof(uint32_t));
			memcpy(ret, p + name, h.n_descsz);
			return desc / sizeof(uint32_t);
		}
		p += name + desc;
		size -= name + desc;
	}
	return 0;
}

static int segment_note(int fd, uint64_t off, uint64_t size, uint32_t ret[BUILDID_WORDS])
{
	uint8_t notes[MAX_NOTES];
	int err;

	if (off > INT64_MAX - MAX_NOTES)
		return 0;
	if (size > sizeof(notes))
		size = sizeof(notes);
	err = pread_full(fd, notes, size, off);
	if (err < 0)
		return err == -ENODATA ? 0 : err;
	return find_note(notes, size, ret);
}

static int scan64(int fd, const Elf64_Ehdr *eh, uint32_t ret[BUILDID_WORDS])
{
	Elf64_Phdr ph;
	int i, n;

	for (i = 0; i < eh->e_phnum && i < MAX_PHDRS; i++) {
		n = pread_full(fd, &ph, sizeof(ph), eh->e_phoff + (uint64_t)i * sizeof(ph));
		if (n < 0)
			return n == -ENODATA ? 0 : n;
		if (ph.p_type != PT_NOTE)
			continue;
		n = segment_note(fd, ph.p_offset, ph.p_filesz, ret);
		if (n)
			return n;
	}
	return 0;
}

static int scan32(int fd, const Elf32_Ehdr *eh, uint32_t ret[BUILDID_WORDS])
{
	Elf32_Phdr ph;
	int i, n;

	for (i = 0; i < eh->e_phnum && i < MAX_PHDRS; i++) {
		n = pread_full(fd, &ph, sizeof(ph), eh->e_phoff + (uint64_t)i * sizeof(ph));
		if (n < 0)
			return n == -ENODATA ? 0 : n;
		if (ph.p_type != PT_NOTE)
			continue;
		n = segment_note(fd, ph.p_offset, ph.p_filesz, ret);
		if (n)
			return n;
	}
	return 0;
}

int elf_build_id(int fd, uint32_t ret[BUILDID_WORDS])
{
	union {
		Elf64_Ehdr e64;
		Elf32_Ehdr e32;
	} eh;
	int n;

	n = pread_full(fd, &eh, sizeof(eh), 0);
	if (n < 0)
		return n == -ENODATA ? 0 : n;
	if (memcmp(eh.e64.e_ident, ELFMAG, SELFMAG) || eh.e64.e_ident[EI_DATA] != ELFDATA2LSB)
		return 0;
	if (eh.e64.e_ident[EI_CLASS] == ELFCLASS64 && eh.e64.e_phentsize == sizeof(Elf64_Phdr))
		return eh.e64.e_phoff > INT64_MAX / 2 ? 0 : scan64(fd, &eh.e64, ret);
	if (eh.e64.e_ident[EI_CLASS] == ELFCLASS32 && eh.e32.e_phentsize == sizeof(Elf32_Phdr))
		return scan32(fd, &eh.e32, ret);
	return 0;
}
