/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the CPU's name as the instruction tells it (Intel SDM, CPUID leaves 0x80000002 to 4). No victim: for cpuinfo.bats. */
#include <cpuid.h>
#include <stdio.h>

int main(void)
{
	unsigned int name[13] = { 0 };

	for (unsigned int i = 0; i < 3; i++)
		if (!__get_cpuid(0x80000002 + i, name + 4 * i, name + 4 * i + 1, name + 4 * i + 2, name + 4 * i + 3))
			return 1;
	return puts((const char *)name) < 0;
}
