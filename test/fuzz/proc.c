/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parsers of lib/common/proc. The first byte says which; the rest is the text of the file. */
#include "fuzz.h"

#include "proc/cgroup.h"
#include "proc/fdinfo.h"
#include "proc/limits.h"
#include "proc/maps.h"
#include "proc/mountinfo.h"
#include "proc/stat.h"
#include "proc/status.h"
#include "proc/timens.h"
#include "proc/timers.h"

static void try_fdinfo(const char *text)
{
	struct fdinfo_epoll epoll;
	struct fdinfo_timerfd timer;
	const char *pos = text;
	struct fdinfo head;
	uint64_t v;
	bool b;

	if (!fdinfo_parse(text, &head)) {
		FUZZ_ASSERT(head.extra >= text && head.extra <= text + strlen(text));
		FUZZ_ASSERT(!head.lock || head.locked);
	}
	fdinfo_eventfd(text, &v, &b);
	fdinfo_signalfd(text, &v);
	fdinfo_timerfd(text, &timer);
	while (fdinfo_epoll_next(&pos, &epoll) > 0)
		;
}

static void try_maps(const char *text, size_t len)
{
	static struct proc_maps m;
	struct proc_vma vma;

	proc_maps_init(&m, fuzz_file(text, len));
	while (proc_maps_next(&m, &vma) > 0)
		FUZZ_ASSERT(vma.start <= vma.end && strlen(vma.path) <= vma.path_len);
}

static void try_status(const char *text, size_t len)
{
	struct proc_status s;
	uint32_t groups[8];

	if (!proc_status_parse(text, len, &s)) {
		FUZZ_ASSERT(s.nr_nspid <= PROC_NSPID_MAX);
		FUZZ_ASSERT(!s.groups_len || (s.groups >= text && s.groups + s.groups_len <= text + len));
		proc_status_groups(&s, groups, 8);
	}
}

static void try_mountinfo(char *text)
{
	struct proc_mount m;

	while (proc_mountinfo_next(&text, &m) > 0)
		proc_list_has(m.super, "rw");
}

static void try_cgroup(char *text)
{
	struct proc_cgroup c;

	while (proc_cgroup_next(&text, &c) > 0)
		FUZZ_ASSERT(strlen(c.controllers) < 1 << 20 && strlen(c.path) < 1 << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint8_t which = fuzz_u8(&in);
	struct rlimit64 limits[PROC_LIMITS];
	struct proc_timer *timers = NULL;
	struct proc_timens timens;
	struct proc_stat stat;
	struct proc_vma vma;
	size_t len;
	char *text = fuzz_text(&in, &len), *bare = malloc(len ? len : 1);

	/* Those that take a length get no NUL. */
	memcpy(bare, text, len);
	switch (which % 10) {
	case 0:
		proc_stat_parse(bare, len, &stat);
		break;
	case 1:
		try_status(bare, len);
		break;
	case 2:
		try_maps(bare, len);
		break;
	case 3:
		proc_maps_line(bare, len, &vma);
		break;
	case 4:
		try_fdinfo(text);
		break;
	case 5:
		try_mountinfo(text);
		break;
	case 6:
		try_cgroup(text);
		break;
	case 7:
		proc_limits_parse(bare, len, limits);
		break;
	case 8:
		proc_timens_parse(bare, len, &timens);
		break;
	case 9:
		proc_timers_parse(bare, len, &timers);
		free(timers);
		break;
	}
	free(bare);
	free(text);
	return 0;
}
