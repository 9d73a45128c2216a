/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The build id of an ELF file, as reg_file_entry.build_id holds it. */
#ifndef CR_KIND_FILE_IMAGE_BUILDID_H
#define CR_KIND_FILE_IMAGE_BUILDID_H

#include <stddef.h>
#include <stdint.h>

enum { BUILDID_WORDS = 16 };

/*
 * @fd: readable. @ret: words in host order, the last one filled up with zero bytes.
 * Return: number of words; 0: no ELF file, or one without a build id; -errno.
 */
int elf_build_id(int fd, uint32_t ret[BUILDID_WORDS]);

#endif
