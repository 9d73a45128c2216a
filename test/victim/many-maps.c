/* SPDX-License-Identifier: GPL-2.0-or-later */
/* many-maps N: at least N mappings: single pages of alternating protection, each with contents of its own. */
#include "victim.h"

#define PAGE 4096

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 20000, bad = 0;
	unsigned char *p = mmap(NULL, (size_t)n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED);
	for (int i = 0; i < n; i++) {
		if (i % 4 != 3)
			victim_fill(p + (size_t)i * PAGE, PAGE, i);
		if (i % 2)
			need(!mprotect(p + (size_t)i * PAGE, PAGE, i % 4 == 1 ? PROT_READ : PROT_NONE));
	}
	victim_ready();
	victim_wait();
	for (int i = 0; i < n; i++) {
		if (i % 2)
			need(!mprotect(p + (size_t)i * PAGE, PAGE, PROT_READ | PROT_WRITE));
		if (i % 4 != 3)
			bad += !victim_same(p + (size_t)i * PAGE, PAGE, i);
		else
			bad += p[(size_t)i * PAGE] != 0;
	}
	check("contents", bad == 0);
	return victim_done();
}
