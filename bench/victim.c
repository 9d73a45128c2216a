/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The workloads of `make bench`: bench-victim sleep | memory MIB | tasks N | threads N | files N DIR.
 * Prints "ready" when its state is there, then sleeps for ever.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* xorshift: pages that no compression or comparison makes cheap. */
static void fill_random(uint64_t *p, size_t words)
{
	uint64_t x = 88172645463325252ull;

	for (size_t i = 0; i < words; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x;
	}
}

static void memory(size_t mib)
{
	size_t len = mib << 20;
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap of %zu MiB", mib);
	fill_random(p, len / sizeof(uint64_t));
}

static void tasks(int n)
{
	for (int i = 1; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid)
			for (;;)
				pause();
	}
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void threads(int n)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	for (int i = 1; i < n; i++)
		if (pthread_create(&t, &attr, wait_for_ever, NULL))
			errx(1, "pthread_create");
}

static void files(int n, const char *dir)
{
	struct rlimit rl;
	char path[256];

	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/file.%d", dir, i);
		if (open(path, O_RDWR | O_CREAT, 0600) < 0)
			err(1, "%s", path);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "sleep";
	int n = argc > 2 ? atoi(argv[2]) : 1;

	if (!strcmp(what, "memory"))
		memory((size_t)n);
	else if (!strcmp(what, "tasks"))
		tasks(n);
	else if (!strcmp(what, "threads"))
		threads(n);
	else if (!strcmp(what, "files") && argc > 3)
		files(n, argv[3]);
	/* The pipe to bench is no part of the workload: stdout becomes what stderr is, /dev/null. */
	if (write(STDOUT_FILENO, "ready\n", 6) != 6 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return 1;
	for (;;)
		pause();
}
