/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The limits: the same copying with bare system calls, as a whole program from exec to exit is not measured here but
 * the work alone, printed in microseconds.
 *
 *	bench-limit out MIB FILE   fallocate FILE, then pwrite random anonymous memory into it, 1 MiB at a time
 *	bench-limit in MIB FILE    pread FILE into fresh memory in huge pages
 *	bench-limit spawn N        fork and exec N times /proc/self/exe (which exits at once)
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static char *map(size_t len)
{
	char *p = mmap(NULL, len + 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return (char *)(((uintptr_t)p + 2 * MIB - 1) & ~(uintptr_t)(2 * MIB - 1));
}

static double copy_out(size_t len, const char *path)
{
	char *p = map(len);
	double start;
	int fd;

	for (size_t i = 0; i < len; i += 4096)
		memset(p + i, (int)(i >> 12), 4096);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		err(1, "%s", path);
	start = now_us();
	if (fallocate(fd, 0, 0, (off_t)len))
		err(1, "fallocate");
	for (size_t i = 0; i < len; i += MIB)
		if (pwrite(fd, p + i, MIB, (off_t)i) != MIB)
			err(1, "pwrite");
	return now_us() - start;
}

static double copy_in(size_t len, const char *path)
{
	int fd = open(path, O_RDONLY);
	double start;
	char *p;

	if (fd < 0)
		err(1, "%s", path);
	start = now_us();
	p = map(len);
	madvise(p, len, MADV_HUGEPAGE);
	for (size_t i = 0; i < len; i += MIB)
		if (pread(fd, p + i, MIB, (off_t)i) != MIB)
			err(1, "pread");
	return now_us() - start;
}

static double spawn(int n)
{
	double start = now_us();

	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/proc/self/exe", "bench-limit", (char *)NULL);
			_exit(127);
		}
	}
	while (wait(NULL) > 0)
		;
	return now_us() - start;
}

int main(int argc, char **argv)
{
	size_t len = argc > 2 ? (size_t)atol(argv[2]) * MIB : 0;
	double us;

	if (argc == 1)
		return 0;
	if (!strcmp(argv[1], "out") && argc == 4)
		us = copy_out(len, argv[3]);
	else if (!strcmp(argv[1], "in") && argc == 4)
		us = copy_in(len, argv[3]);
	else if (!strcmp(argv[1], "spawn") && argc == 3)
		us = spawn(atoi(argv[2]));
	else
		errx(100, "usage: bench-limit out MIB FILE | in MIB FILE | spawn N");
	printf("%.0f\n", us);
	return 0;
}
