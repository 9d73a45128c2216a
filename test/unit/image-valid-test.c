/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/common/image: what img_get() lets through. Runs in the source tree, for ../shared/fixtures. */
#include "image/image.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "mm.pb-c.h"
#include "pagemap.pb-c.h"
#include "seccomp.pb-c.h"
#include "tap.h"

static bool valid(const void *m)
{
	char why[160] = "";
	bool good = img_valid(m, why);

	if (!good)
		printf("# %s\n", why);
	return good;
}

static void validate_memory(void)
{
	VmaEntry v = VMA_ENTRY__INIT, u = VMA_ENTRY__INIT, *vmas[] = { &v, &u };
	MmEntry mm = MM_ENTRY__INIT;
	PagemapEntry p = PAGEMAP_ENTRY__INIT;

	v.start = u.start = 0x1000;
	v.end = 0x3000;
	u.end = 0x2000;
	mm.n_vmas = 2;
	mm.vmas = vmas;
	ok(!valid(&mm), "mappings that overlap");
	u.status = 1 << 16;
	ok(valid(&mm), "a guard entry inside of a mapping");
	v.end = 0x1000;
	ok(!valid(&mm), "an empty mapping");
	v.end = 0x3001;
	ok(!valid(&mm), "one that is not aligned");
	p.vaddr = 0x1000;
	ok(!valid(&p), "a pagemap entry without pages");
	p.compat_nr_pages = 3;
	ok(valid(&p) && img_pagemap_pages(&p) == 3 && img_pagemap_flags(&p) == IMG_PE_PRESENT, "the old form: present");
	p.has_in_parent = p.in_parent = true;
	ok(img_pagemap_flags(&p) == IMG_PE_PARENT, "the old form: in the parent");
	p.has_nr_pages = p.has_flags = true;
	p.nr_pages = 3;
	p.flags = IMG_PE_LAZY;
	p.has_in_parent = false;
	ok(valid(&p) && img_pagemap_pages(&p) == 3 && img_pagemap_flags(&p) == IMG_PE_LAZY, "the new form");
	p.nr_pages = 4;
	ok(!valid(&p), "two counts that differ");
	p.compat_nr_pages = 0;
	p.nr_pages = UINT64_MAX / 4096;
	ok(!valid(&p), "pages beyond the address space");
}

static void validate_tasks(void)
{
	CoreEntry core = CORE_ENTRY__INIT;
	TaskCoreEntry tc = TASK_CORE_ENTRY__INIT;
	SiginfoEntry si = SIGINFO_ENTRY__INIT;
	FdinfoEntry fd = FDINFO_ENTRY__INIT;
	FileEntry f = FILE_ENTRY__INIT;
	RegFileEntry reg = REG_FILE_ENTRY__INIT;
	FownEntry fown = FOWN_ENTRY__INIT;
	SeccompFilter filter = SECCOMP_FILTER__INIT, *filters[] = { &filter };
	SeccompEntry sc = SECCOMP_ENTRY__INIT;

	core.mtype = CORE_ENTRY__MARCH__X86_64;
	core.tc = &tc;
	tc.comm = (char *)"name";
	tc.task_state = 2;
	ok(valid(&core), "a zombie");
	tc.task_state = 1;
	ok(!valid(&core), "a live task without registers");
	tc.task_state = 2;
	tc.comm = (char *)"0123456789abcdef";
	ok(!valid(&core), "a name of 16 bytes");
	core.mtype = 99;
	ok(!valid(&core), "a machine that nobody knows");
	si.siginfo = (ProtobufCBinaryData){ 127, NULL };
	ok(!valid(&si), "a siginfo of 127 bytes");
	fd.type = FD_TYPES__REG;
	fd.flags = 2;
	ok(!valid(&fd), "fd flags other than CLOEXEC");
	f.type = FD_TYPES__REG;
	f.id = reg.id = 4;
	f.reg = &reg;
	reg.fown = &fown;
	reg.name = (char *)"/x";
	ok(valid(&f), "a regular file");
	reg.name = (char *)"x";
	ok(!valid(&f), "without an absolute name");
	reg.name = (char *)"/x";
	reg.id = 5;
	ok(!valid(&f), "with two ids");
	f.type = FD_TYPES__PIPE;
	ok(!valid(&f), "that says it is a pipe");
	filter.filter = (ProtobufCBinaryData){ 16, NULL };
	sc.n_seccomp_filters = 1;
	sc.seccomp_filters = filters;
	ok(valid(&sc), "a seccomp filter of two instructions");
	filter.has_prev = true;
	ok(!valid(&sc), "that follows itself");
}

/* What CRIU wrote must pass. */
static void fixtures(const char *at)
{
	int images = 0, refused = 0;
	DIR *d = opendir(at);
	struct dirent *entry;
	struct arena a = { 0 };
	struct img_reader r;
	struct cr_err e;
	unsigned long id;
	enum img_type t;
	void *got;

	while (d && (entry = readdir(d))) {
		int ret;

		if (!img_parse_name(entry->d_name, &t, &id) || !img_table[t].magic || img_table[t].payload != IMG_NOPL)
			continue;
		images++;
		ret = img_open(dirfd(d), t, id, &r, &e);
		while (ret > 0)
			ret = img_get(&r, &a, &got, &e);
		refused += ret < 0;
		if (ret < 0)
			printf("# %s: %s\n", entry->d_name, e.reason);
		img_close(&r);
	}
	ok(images && !refused, "%s: %d images are valid", at, images);
	arena_free(&a);
	if (d)
		closedir(d);
}

int main(void)
{
	static const char *const cases[] = { "counter", "files",   "namespaces", "signals-timers",
					     "sockets", "threads", "tree" };
	char at[256];

	validate_memory();
	validate_tasks();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(at, sizeof(at), "../shared/fixtures/criu-4.2/%s/img", cases[i]);
		if (access(at, F_OK))
			tap_skip("../shared is not there");
		else
			fixtures(at);
	}
	return tap_done();
}
