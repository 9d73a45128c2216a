/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * make bench: dump and restore of five workloads by the `criu` that a user calls, from exec to exit, beside limit
 * programs that do the same copying with bare system calls, as medians and as ratios of one run.
 *
 * The machine gives free memory back to its host after a moment, and touching it again is five times as slow: so memory
 * is warmed before every measurement, and one round of each workload is not counted.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 64, MEMORY_MIB = 1024 };

struct series {
	double ms[ROUNDS_MAX];
	int n;
	long peak_kib; /* of the largest process of a run */
};

static const char *bin;	     /* build/bin */
static const char *tool_dir; /* build/bench */
static char tmp[] = "/dev/shm/criu-bench.XXXXXX";
static char null_path[] = "/dev/null";

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static int cmp(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

static double median(struct series *s)
{
	qsort(s->ms, (size_t)s->n, sizeof(s->ms[0]), cmp);
	return s->n ? s->ms[s->n / 2] : 0;
}

/* In a child: what we hold ourselves would count as the peak of the programs that we start. */
static void warm(size_t mib)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t i = 0; p != MAP_FAILED && i < mib << 20; i += 4096)
			p[i] = 1;
		_exit(p == MAP_FAILED);
	}
	waitpid(pid, NULL, 0);
}

/* Run to the end. Return: exit status; @ret_ms: wall time; @peak_kib: raised to the largest process' memory. */
static int run(char *const argv[], double *ret_ms, long *peak_kib)
{
	posix_spawn_file_actions_t fa;
	extern char **environ;
	struct rusage ru;
	double start;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, null_path, O_RDONLY, 0);
	start = now_ms();
	if (posix_spawn(&pid, argv[0], &fa, NULL, argv, environ))
		errx(1, "cannot start %s", argv[0]);
	if (wait4(pid, &status, 0, &ru) != pid)
		err(1, "wait4");
	*ret_ms = now_ms() - start;
	*peak_kib = ru.ru_maxrss > *peak_kib ? ru.ru_maxrss : *peak_kib;
	posix_spawn_file_actions_destroy(&fa);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static pid_t start_victim(char *const argv[])
{
	int p[2];
	char line[16];
	pid_t pid;

	if (pipe(p))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		setsid();
		dup2(open(null_path, O_RDONLY), STDIN_FILENO);
		dup2(p[1], STDOUT_FILENO);
		close(p[0]);
		close(p[1]);
		dup2(open(null_path, O_RDWR), STDERR_FILENO);
		close_range(3, ~0u, 0);
		execv(argv[0], argv);
		_exit(127);
	}
	close(p[1]);
	if (read(p[0], line, sizeof(line)) <= 0)
		errx(1, "%s %s did not get ready", argv[0], argv[1]);
	close(p[0]);
	return pid;
}

static void reap_all(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* End what was restored: the tasks are descendants of ours (subreaper), the group is that of the root. */
static void end_tree(pid_t root)
{
	kill(-root, SIGKILL);
	kill(root, SIGKILL);
	reap_all();
}

static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *de;

	while (d && (de = readdir(d)))
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			unlinkat(dirfd(d), de->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

/* One dump and restore, timed from exec to exit of the wrapper. */
static void one_round(char *const victim[], bool count, struct series *dump, struct series *rst)
{
	char img[128], criu[512], pid_text[16];
	double ms;
	pid_t pid;
	int rc;

	snprintf(img, sizeof(img), "%s/img", tmp);
	snprintf(criu, sizeof(criu), "%s/criu", bin);
	mkdir(img, 0700);
	pid = start_victim(victim);
	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	warm(3 * MEMORY_MIB);
	char *const dump_argv[] = { criu, "dump", "-t", pid_text, "-D", img, "--no-sync", NULL };
	rc = run(dump_argv, &ms, &dump->peak_kib);
	if (rc)
		errx(1, "criu dump of %s: exit %d", victim[1], rc);
	if (count)
		dump->ms[dump->n++] = ms;
	reap_all();
	warm(2 * MEMORY_MIB);
	char *const rst_argv[] = { criu, "restore", "-d", "-D", img, NULL };
	rc = run(rst_argv, &ms, &rst->peak_kib);
	if (rc)
		errx(1, "criu restore of %s: exit %d", victim[1], rc);
	if (count)
		rst->ms[rst->n++] = ms;
	end_tree(pid);
	remove_dir(img);
}

static double limit(char *const argv[], int rounds)
{
	struct series s = { .n = 0 };

	for (int i = 0; i <= rounds; i++) {
		char line[64] = "";
		FILE *f;
		char cmd[512];

		warm(3 * MEMORY_MIB);
		snprintf(cmd, sizeof(cmd), "%s %s %s %s", argv[0], argv[1], argv[2], argv[3] ? argv[3] : "");
		f = popen(cmd, "r");
		if (!f || !fgets(line, sizeof(line), f))
			errx(1, "no answer from %s", cmd);
		pclose(f);
		if (i)
			s.ms[s.n++] = atof(line) / 1e3;
	}
	return median(&s);
}

struct workload {
	const char *name;
	char *arg[4];
	double criu_dump_ms, criu_restore_ms; /* CRIU 4.2 on such a machine, 0: not measured */
};

static void report(const struct workload *w, struct series *d, struct series *r, double out, double in)
{
	double dump = median(d), rst = median(r);

	printf("%-8s dump %8.1f ms %3ld MiB  restore %8.1f ms %3ld MiB", w->name, dump, d->peak_kib >> 10, rst,
	       r->peak_kib >> 10);
	if (out > 0)
		printf("  dump/limit %.2f  restore/limit %.2f", dump / out, rst / in);
	if (w->criu_dump_ms > 0)
		printf("  dump/CRIU's %.0f ms: %.2f", w->criu_dump_ms, dump / w->criu_dump_ms);
	if (w->criu_restore_ms > 0)
		printf("  restore/CRIU's %.0f ms: %.2f", w->criu_restore_ms, rst / w->criu_restore_ms);
	putchar('\n');
	fflush(stdout);
}

static void limits(int rounds, double *out, double *in)
{
	char prog[512], mib[16], file[128];

	snprintf(prog, sizeof(prog), "%s/bench-limit", tool_dir);
	snprintf(mib, sizeof(mib), "%d", MEMORY_MIB);
	snprintf(file, sizeof(file), "%s/limit", tmp);
	char *const out_argv[] = { prog, "out", mib, file, NULL };
	char *const in_argv[] = { prog, "in", mib, file, NULL };
	char *const spawn_argv[] = { prog, "spawn", "100", NULL };

	*out = limit(out_argv, rounds);
	*in = limit(in_argv, rounds);
	unlink(file);
	printf("limits   %d MiB out %.1f ms, in %.1f ms; fork and exec of 100 processes %.1f ms\n", MEMORY_MIB, *out,
	       *in, limit(spawn_argv, rounds));
}

int main(int argc, char **argv)
{
	int rounds = argc > 3 ? atoi(argv[3]) : 5;
	char victim[512], mib[16];
	double out, in;

	if (argc < 3 || rounds < 1 || rounds >= ROUNDS_MAX)
		errx(100, "usage: bench BIN-DIR BENCH-DIR [ROUNDS [WORKLOAD]]");
	bin = argv[1];
	tool_dir = argv[2];
	snprintf(victim, sizeof(victim), "%s/bench-victim", tool_dir);
	snprintf(mib, sizeof(mib), "%d", MEMORY_MIB);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!mkdtemp(tmp))
		err(1, "%s", tmp);
	struct workload list[] = {
		{ "sleep", { "sleep" }, 13, 7 },
		{ "memory", { "memory", mib }, 0, 0 },
		{ "tasks", { "tasks", "100" }, 295, 0 },
		{ "threads", { "threads", "200" }, 103, 0 },
		{ "files", { "files", "10000", tmp }, 416, 0 },
	};

	limits(rounds, &out, &in);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct workload *w = &list[i];
		char *const v[] = { victim, w->arg[0], w->arg[1], w->arg[2], NULL };
		struct series dump = { .n = 0 }, rst = { .n = 0 };
		bool mem = !strcmp(w->name, "memory");

		if (argc > 4 && strcmp(argv[4], w->name))
			continue;
		for (int r = 0; r <= rounds; r++)
			one_round(v, r > 0, &dump, &rst);
		report(w, &dump, &rst, mem ? out : 0, in);
	}
	remove_dir(tmp);
	return 0;
}
