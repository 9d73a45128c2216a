/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parsers of maps, smaps, mountinfo, cgroup and timens_offsets: good text, odd text, text cut at every byte. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proc/cgroup.h"
#include "proc/maps.h"
#include "proc/mountinfo.h"
#include "proc/timens.h"
#include "tap.h"

static const char smaps[] = "00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/dbus daemon (deleted)\n"
			    "Size:                328 kB\n"
			    "Rss:                 12 kB\n"
			    "Swap:                 4 kB\n"
			    "SwapPss:              9 kB\n"
			    "VmFlags: rd ex mr mw me dw sd \n"
			    "7ffff7ffd000-7ffff7fff000 rw-s 00000000 00:00 0 \n"
			    "Rss:                 0 kB\n"
			    "VmFlags: rd wr sh mr mw me ms lo hg dd wf zz\n"
			    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
			    "VmFlags: ex \n";

static int text_fd(const char *text, size_t len)
{
	int fd = memfd_create("text", 0);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET))
		exit(111);
	return fd;
}

static void test_smaps(void)
{
	struct proc_maps *m = malloc(sizeof(*m));
	struct proc_vma v;
	int fd = text_fd(smaps, sizeof(smaps) - 1);

	proc_maps_init(m, fd);
	ok(proc_maps_next(m, &v) == 1 && v.start == 0x400000 && v.end == 0x452000 && v.pgoff == 0x1000, "addresses");
	ok(v.prot == (PROT_READ | PROT_EXEC) && !v.shared && v.dev_major == 8 && v.dev_minor == 2 && v.ino == 173521,
	   "file");
	ok(!strcmp(v.path, "/usr/bin/dbus daemon (deleted)"), "path with blanks");
	ok(v.has_flags && v.flags == PVM_MAYWRITE && v.rss == 12 << 10 && v.swap == 4 << 10, "details");
	ok(proc_maps_next(m, &v) == 1 && v.shared && v.path_len == 0 && !*v.path, "no path");
	ok(v.flags == (PVM_MAYWRITE | PVM_LOCKED | PVM_HUGEPAGE | PVM_DONTDUMP | PVM_WIPEONFORK),
	   "flags, unknown ones passed over");
	ok(proc_maps_next(m, &v) == 1 && v.end == 0xffffffffff601000 && v.prot == PROT_EXEC, "vsyscall");
	ok(proc_maps_next(m, &v) == 0 && proc_maps_next(m, &v) == 0, "end");
	close(fd);
	/* Whatever is cut off: an error or fewer mappings, never more and never a crash. */
	bool good = true;
	for (size_t n = 0; n < sizeof(smaps) - 1; n++) {
		int nr = 0, r;

		fd = text_fd(smaps, n);
		proc_maps_init(m, fd);
		while ((r = proc_maps_next(m, &v)) == 1)
			nr++;
		good = good && (r == 0 || r == -22) && nr <= 3;
		close(fd);
	}
	ok(good, "text cut anywhere");
	free(m);
}

static void test_large(void)
{
	struct proc_maps *m = malloc(sizeof(*m));
	struct proc_vma v;
	char *text = malloc(4 << 20);
	size_t n = 0;
	int fd, nr = 0;

	for (unsigned i = 1; i <= 5000; i++)
		n += (size_t)sprintf(text + n, "%x000-%x000 rw-p 00000000 00:00 0 \nRss:  %u kB\nVmFlags: rd %s \n", i,
				     i + 1, i, i % 2 ? "mg" : "nh");
	fd = text_fd(text, n);
	proc_maps_init(m, fd);
	while (proc_maps_next(m, &v) == 1) {
		nr++;
		if (v.start != (uint64_t)nr << 12 || v.rss != (uint64_t)nr << 10 ||
		    v.flags != (nr % 2 ? PVM_MERGEABLE : PVM_NOHUGEPAGE))
			break;
	}
	ok(nr == 5000, "5000 mappings through a small buffer");
	close(fd);
	free(text);
	free(m);
}

static void test_self(void)
{
	struct proc_maps *m = malloc(sizeof(*m)), *s = malloc(sizeof(*s));
	struct proc_vma a, b;
	int fa = open("/proc/self/maps", O_RDONLY), fb = open("/proc/self/smaps", O_RDONLY), r;
	bool same = true;

	proc_maps_init(m, fa);
	proc_maps_init(s, fb);
	while ((r = proc_maps_next(m, &a)) == 1)
		same = same && proc_maps_next(s, &b) == 1 && a.start == b.start && !strcmp(a.path, b.path) &&
		       b.has_flags;
	ok(same && r == 0 && proc_maps_next(s, &b) == 0, "maps and smaps of this process agree");
	close(fa);
	close(fb);
	free(m);
	free(s);
}

static void test_bad_lines(void)
{
	static const char *const bad[] = { "",
					   "x",
					   "400000 452000 r-xp 0 0:0 0",
					   "452000-400000 r-xp 0 0:0 0",
					   "1-2 r-xq 0 0:0 0",
					   "1-2 r-xp 0 0:0 ",
					   "1-2 r-xp 0 00 0",
					   "11111111111111111-2 r-xp 0 0:0 0",
					   "1-2 r-xp 0 0:0 99999999999999999999999" };
	struct proc_vma v;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(proc_maps_line(bad[i], strlen(bad[i]), &v) < 0, "refused: \"%s\"", bad[i]);
	ok(proc_maps_line("1-2 r-xp 0 0:0 0", 16, &v) == 0, "without a path");
}

static void test_mountinfo(void)
{
	char text[] = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
		      "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
		      "23 27 0:22 / /x rw - tmpfs  rw\n";
	char *p = text, junk[] = "36 35 98:0 /mnt1\n";
	struct proc_mount m;

	ok(proc_mountinfo_next(&p, &m) == 1 && m.id == 36 && m.parent == 35 && m.dev_major == 98, "numbers");
	ok(!strcmp(m.mountpoint, "/mnt 2") && !strcmp(m.tags, "master:1 shared:2") && !strcmp(m.fstype, "ext3"),
	   "words");
	ok(!strcmp(m.super, "rw,errors=continue") && proc_list_has(m.super, "rw") && !proc_list_has(m.super, "errors"),
	   "options");
	ok(proc_mountinfo_next(&p, &m) == 1 && !*m.tags && !strcmp(m.fstype, "proc"), "no tags");
	ok(proc_mountinfo_next(&p, &m) == 1 && !*m.source && !strcmp(m.super, "rw"), "empty source");
	ok(proc_mountinfo_next(&p, &m) == 0, "end");
	p = junk;
	ok(proc_mountinfo_next(&p, &m) < 0, "junk");
}

static void test_cgroup(void)
{
	char text[] = "12:cpu,cpuacct:/a:b\n1:name=systemd:/\n0::/user.slice\n";
	char *p = text, junk[] = "x::/\n", junk2[] = "1:cpu\n", junk3[] = "1:cpu:rel\n";
	struct proc_cgroup c;

	ok(proc_cgroup_next(&p, &c) == 1 && c.hierarchy == 12 && !strcmp(c.controllers, "cpu,cpuacct") &&
		   !strcmp(c.path, "/a:b"),
	   "a path with a colon");
	ok(proc_cgroup_next(&p, &c) == 1 && !strcmp(c.controllers, "name=systemd"), "named");
	ok(proc_cgroup_next(&p, &c) == 1 && !*c.controllers && !strcmp(c.path, "/user.slice"), "unified");
	ok(proc_cgroup_next(&p, &c) == 0, "end");
	p = junk;
	ok(proc_cgroup_next(&p, &c) < 0, "no number");
	p = junk2;
	ok(proc_cgroup_next(&p, &c) < 0, "no path");
	p = junk3;
	ok(proc_cgroup_next(&p, &c) < 0, "relative path");
}

static void test_timens(void)
{
	static const char good[] = "monotonic         -5 500000000\nboottime       864000         1\n";
	struct proc_timens t;

	ok(!proc_timens_parse(good, strlen(good), &t) && t.mono_sec == -5 && t.mono_nsec == 500000000 &&
		   t.boot_sec == 864000 && t.boot_nsec == 1,
	   "offsets");
	ok(proc_timens_parse("monotonic 1\n", 12, &t) < 0, "half a line");
	ok(proc_timens_parse("monotonic 1 1000000000\n", 23, &t) < 0, "too many nanoseconds");
}

int main(void)
{
	test_smaps();
	test_large();
	test_self();
	test_bad_lines();
	test_mountinfo();
	test_cgroup();
	test_timens();
	return tap_done();
}
