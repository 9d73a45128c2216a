/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CRC-32C (Castagnoli), as in iSCSI and ext4: fast where the CPU has SSE 4.2. */
#ifndef CR_BASE_CRC32C_H
#define CR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* @crc: 0 to begin, or the result for the bytes before. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
