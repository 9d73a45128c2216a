/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probed: a function for a uprobe (fact offset: where it stands in the file) that is called all the time; at the end
 * both its result and its code are checked.
 */
#include "victim.h"

static volatile unsigned calls;

__attribute__((noinline, noclone)) static unsigned probed(unsigned n)
{
	calls++;
	return n * 3 + calls;
}

/* Where in its file a piece of code stands. */
static unsigned long file_offset(const void *code)
{
	unsigned long at = (unsigned long)code, start, end, offset;
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && at >= start && at < end) {
			fclose(f);
			return at - start + offset;
		}
	need(false);
	return 0;
}

int main(void)
{
	unsigned n = 0, wrong = 0;

	victim_fact("offset", "0x%lx", file_offset((const void *)probed));
	victim_ready();
	while (!victim_go()) {
		unsigned before = calls;

		n++;
		wrong += probed(n) != n * 3 + before + 1;
		usleep(1000);
	}
	check("the probed function works", !wrong && n > 1);
	return victim_done();
}
