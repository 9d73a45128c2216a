/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/crc32c.h"

#include <string.h>
#ifdef __x86_64__
#include <sys/platform/x86.h>
#endif

#define POLYNOMIAL 0x82f63b78u /* bit-reversed */

static uint32_t plain(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t fast(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
	}
	while (len--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
	return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
#ifdef __x86_64__
	/* Not __builtin_cpu_supports(): its constructor asks the processor again at each start, 50 us in a virtual machine. */
	if (CPU_FEATURE_ACTIVE(SSE4_2))
		return ~fast(~crc, data, len);
#endif
	return ~plain(~crc, data, len);
}
