/* SPDX-License-Identifier: GPL-2.0-or-later */
/* many-files N: N descriptors: files with different offsets, some of one file, some shared by dup, some pipes. */
#include <sys/resource.h>

#include "victim.h"

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 10000, first = 10, files = 1000, bad = 0, tmp;
	struct rlimit lim;
	char name[32];

	need(!getrlimit(RLIMIT_NOFILE, &lim));
	lim.rlim_cur = n + 100;
	need(!setrlimit(RLIMIT_NOFILE, &lim));
	for (int i = 0; i < n; i++) {
		int fd = first + i;

		if (i % 10 == 9) {
			need(dup2(fd - 1, fd) == fd);
			continue;
		}
		snprintf(name, sizeof(name), "f%d", i % files);
		tmp = open(name, O_RDWR | O_CREAT | (i % 2 ? O_APPEND : 0), 0600);
		need(tmp >= 0);
		need(ftruncate(tmp, 2 * n) == 0 || i % 2);
		need(lseek(tmp, i, SEEK_SET) == i);
		if (tmp != fd) {
			need(dup3(tmp, fd, i % 3 ? 0 : O_CLOEXEC) == fd);
			close(tmp);
		}
	}
	victim_ready();
	victim_wait();
	for (int i = 0; i < n; i++) {
		int fd = first + i, want = i % 10 == 9 ? i - 1 : i, from = i % 10 == 9 ? i - 1 : i;

		bad += lseek(fd, 0, SEEK_CUR) != want;
		bad += !!(fcntl(fd, F_GETFL) & O_APPEND) != (from % 2 == 1);
		bad += i % 10 != 9 && fcntl(fd, F_GETFD) != (i % 3 || fd == -1 ? 0 : FD_CLOEXEC);
	}
	check("descriptors", bad == 0);
	bad = 0;
	for (int i = 9; i < n; i += 10) {
		lseek(first + i, 5, SEEK_SET);
		bad += lseek(first + i - 1, 0, SEEK_CUR) != 5;
	}
	check("dups-share", bad == 0);
	return victim_done();
}
