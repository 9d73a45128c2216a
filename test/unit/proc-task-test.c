/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parsers of /proc/PID/limits and timers; ranges of /proc/PID/pagemap. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "proc/limits.h"
#include "proc/pagemap.h"
#include "proc/timers.h"
#include "tap.h"
#include "zero-page.h"

static void test_limits(void)
{
	struct rlimit64 r[PROC_LIMITS], own;
	_cleanup_close_ int proc = open_proc_pid(getpid());
	bool same = true;

	ok(!proc_limits_read(proc, r), "our own limits");
	for (int i = 0; i < PROC_LIMITS; i++)
		same = same && !getrlimit64(i, &own) && own.rlim_cur == r[i].rlim_cur && own.rlim_max == r[i].rlim_max;
	ok(same, "as getrlimit() says");
	ok(proc_limits_parse("", 0, r) == -EINVAL && proc_limits_parse("Limit\nMax cpu time x\n", 21, r) == -EINVAL,
	   "other bytes are refused");
}

static void test_timers(void)
{
	static const char text[] = "ID: 0\nsignal: 39/0000000000001234\nnotify: signal/pid.24040\nClockID: 1\n"
				   "ID: 7\nsignal: 0/0000000000000000\nnotify: none/pid.24040\nClockID: 0\n"
				   "ID: 9\nsignal: 39/00007fff86e452a8\nnotify: signal/tid.24041\nClockID: -6\n";
	struct proc_timer *t;
	ssize_t n = proc_timers_parse(text, sizeof(text) - 1, &t);

	ok(n == 3, "three timers");
	ok(n == 3 && t[0].id == 0 && t[0].signal == 39 && t[0].value == 0x1234 && t[0].notify == 0 && t[0].clock == 1,
	   "the first");
	ok(n == 3 && t[1].id == 7 && t[1].notify == 1, "one that tells nobody");
	ok(n == 3 && t[2].notify == 4 && t[2].tid == 24041 && t[2].clock == -6 && t[2].value == 0x7fff86e452a8,
	   "one for a thread");
	free(t);
	ok(proc_timers_parse("", 0, &t) == 0 && !t, "none");
	for (size_t len = 1; len < sizeof(text) - 1; len++) {
		ssize_t got = proc_timers_parse(text, len, &t);

		free(t);
		if (got > 0 && text[len - 1] != '\n' && !strchr("0123456789", text[len - 1])) {
			ok(false, "cut at %zu gives %zd timers", len, got);
			return;
		}
	}
	ok(true, "cut texts are refused, or hold less");
}

static void test_pagemap(bool by_reading)
{
	static const size_t pages[] = { 0, 1, 3, 63 };
	const size_t page = 4096;
	char *p = mmap(NULL, 65 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(p + 64 * page, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	_cleanup_close_ int proc = open_proc_pid(getpid());
	struct proc_pagemap m;
	struct proc_range r = { 0 };
	uint64_t seen = 0, want = zero_page_shared() ? 0 : 1ull << 10;
	int n;

	madvise(p, 64 * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		p[pages[i] * page] = 1;
		want |= 1ull << pages[i];
	}
	*shared = 1;
	seen |= (uint64_t)(*(volatile char *)(p + 10 * page) & 2); /* the zero page, where there is one */
	mprotect(p + 63 * page, page, PROT_NONE);
	ok(!proc_pagemap_open(&m, proc), "open");
	m.by_reading = by_reading;
	proc_pagemap_seek(&m, (uintptr_t)p, (uintptr_t)p + 65 * page);
	while ((n = proc_pagemap_next(&m, &r)) > 0 || n == -EAGAIN)
		for (uint64_t at = n > 0 ? r.start : r.end; at < r.end; at += page)
			seen |= 1ull << ((at - (uintptr_t)p) / page % 64) | (at >= (uintptr_t)shared ? 1ull << 62 : 0);
	/* Read without CAP_SYS_ADMIN, the zero page cannot be told. */
	ok(n == 0 && (seen == want || (by_reading && seen == (want | 1ull << 10))), "pages %llx, expected %llx%s",
	   (unsigned long long)seen, (unsigned long long)want, by_reading ? " (by reading)" : "");
	ok(!m.zero_pfn || zero_page_shared(), "a frame is the zero page's only where there is one");
	proc_pagemap_close(&m);
	munmap(p, 65 * page);
}

int main(void)
{
	test_limits();
	test_timers();
	test_pagemap(false);
	test_pagemap(true);
	return tap_done();
}
