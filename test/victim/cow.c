/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copy-on-write (D2): 32 MiB that two children share with their parent, of which each has written one page. After the
 * restore the contents are right, and the memory of the three together is still about that of one.
 */
#include "victim.h"

enum { MIB = 32, PAGE = 4096 };

/* Kilobytes of a key of /proc/PID/smaps_rollup. */
static long rollup(pid_t pid, const char *key)
{
	char path[64], line[256];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			kb = atol(line + strlen(key));
	if (f)
		fclose(f);
	return kb;
}

int main(void)
{
	size_t len = (size_t)MIB << 20;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long before, after;
	pid_t pid[2];
	int status;

	volatile bool *measured = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED && measured != MAP_FAILED);
	victim_fill(p, len, 1);
	for (int i = 0; i < 2; i++) {
		need((pid[i] = fork()) >= 0);
		if (!pid[i]) {
			victim_fill(p + (i + 1) * 10 * PAGE, PAGE, 50 + (unsigned)i);
			need(!munmap(p + len / 2, PAGE));
			while (!*measured)
				usleep(10000);
			_exit(victim_same(p + (i + 1) * 10 * PAGE, PAGE, 50 + (unsigned)i) &&
					      victim_same(p, 10 * PAGE, 1)
				      ? 42
				      : 43);
		}
	}
	usleep(200000);
	victim_fill(p + 40 * PAGE, PAGE, 60);
	before = rollup(getpid(), "Pss:") + rollup(pid[0], "Pss:") + rollup(pid[1], "Pss:");
	victim_ready();
	while (!victim_go())
		usleep(10000);
	after = rollup(getpid(), "Pss:") + rollup(pid[0], "Pss:") + rollup(pid[1], "Pss:");
	*measured = true;
	check("contents of the parent", victim_same(p + 40 * PAGE, PAGE, 60) && victim_same(p, 40 * PAGE, 1));
	for (int i = 0; i < 2; i++)
		check("contents of a child", waitpid(pid[i], &status, 0) == pid[i] && status == 42 << 8);
	victim_say("# %ld KiB before, %ld KiB after", before, after);
	check("memory is shared", after < before + before / 4);
	return victim_done();
}
