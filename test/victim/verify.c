/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that believe nothing: threads and a child that make system calls in a tight loop and check every result, what
 * was written, errno, the registers' and the mask's survival; no call may fail, none may be made twice or not at all.
 */
#include "victim.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

enum { WORKERS = 4, BUF = 3000 };

static volatile bool stop;
static struct worker {
	int n;
	uint64_t loops;
	const char *why;
	int err;
} worker[WORKERS];

#define must(cond)                              \
	do {                                    \
		if (!(cond)) {                  \
			if (!w->why) {          \
				w->why = #cond; \
				w->err = errno; \
			}                       \
			return;                 \
		}                               \
	} while (0)

/* A pipe: all bytes, in order, once. */
static void pipes(struct worker *w)
{
	unsigned char in[BUF], out[BUF];
	size_t len = 1 + w->loops % BUF, got = 0;
	static int fds[2];

	if (!fds[1])
		must(!pipe(fds));
	victim_fill(in, len, (uint32_t)w->loops);
	must(write(fds[1], in, len) == (ssize_t)len);
	while (got < len) {
		ssize_t n = read(fds[0], out + got, len - got);

		must(n > 0);
		got += (size_t)n;
	}
	must(!memcmp(in, out, len));
}

/* A file's offset tells of calls made twice. */
static void files(struct worker *w)
{
	unsigned char in[BUF], out[BUF];
	static int fd = -1;
	static off_t at;
	size_t len = 1 + w->loops % BUF;

	if (fd < 0)
		must((fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
	if (at > 1 << 20) {
		must(!ftruncate(fd, 0) && lseek(fd, 0, SEEK_SET) == 0);
		at = 0;
	}
	victim_fill(in, len, (uint32_t)w->loops);
	must(write(fd, in, len) == (ssize_t)len && lseek(fd, 0, SEEK_CUR) == at + (off_t)len);
	must(pread(fd, out, len, at) == (ssize_t)len && !memcmp(in, out, len));
	at += (off_t)len;
}

/* Counters: a call that is made twice counts twice. */
static void counters(struct worker *w)
{
	static int ev = -1;
	uint64_t one = 1, got;

	if (ev < 0)
		must((ev = eventfd(0, EFD_NONBLOCK)) >= 0);
	for (int i = 0; i < 7; i++)
		must(write(ev, &one, 8) == 8);
	must(read(ev, &got, 8) == 8 && got == 7);
	must(read(ev, &got, 8) == -1 && errno == EAGAIN);
	must(getpid() == syscall(SYS_getpid) && getppid() >= 0);
	must(close(-1) == -1 && errno == EBADF);
}

/* Memory, masks, sleeps. */
static void memory(struct worker *w)
{
	unsigned char *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct timespec nap = { 0, 200000 };
	sigset_t set, old, now;

	must(p != MAP_FAILED && !p[0] && !p[16383]);
	victim_fill(p, 16384, (uint32_t)w->loops);
	sigfillset(&set);
	must(!pthread_sigmask(SIG_BLOCK, &set, &old));
	must(!nanosleep(&nap, NULL));
	must(!pthread_sigmask(SIG_SETMASK, &old, &now) && sigismember(&now, SIGUSR1) && sigismember(&now, SIGHUP));
	must(!mprotect(p, 4096, PROT_READ) && victim_same(p, 16384, (uint32_t)w->loops) && !munmap(p, 16384));
	must(!pthread_sigmask(SIG_SETMASK, NULL, &now) && !sigismember(&now, SIGHUP));
}

static void *run(void *arg)
{
	static void (*const once[WORKERS])(struct worker *) = { pipes, files, counters, memory };
	struct worker *w = arg;

	for (; !stop; w->loops++) {
		once[w->n](w);
		if (w->loops % 64 == 63)
			usleep(500); /* the other threads of a small machine want to run too */
	}
	return NULL;
}

/* A child that makes calls, and one call that makes children: their statuses are what they said. */
static void children(unsigned *made, unsigned *bad)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit((int)(*made % 200));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != (int)(*made % 200) << 8)
		++*bad;
	++*made;
}

int main(void)
{
	pthread_t t[WORKERS];
	unsigned made = 0, bad = 0;
	pid_t child;
	int status;

	for (int i = 0; i < WORKERS; i++) {
		worker[i].n = i;
		need(!pthread_create(&t[i], NULL, run, &worker[i]));
	}
	need((child = fork()) >= 0);
	if (!child) {
		struct worker w = { .n = 3 };

		while (!victim_go()) {
			memory(&w);
			w.loops++;
		}
		_exit(w.why ? 1 : 0);
	}
	victim_ready();
	while (!victim_go()) {
		usleep(20000);
		if (made < 1000000)
			children(&made, &bad);
	}
	stop = true;
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(t[i], NULL);
		if (worker[i].why || !worker[i].loops) {
			victim_say("FAIL worker %d: %s (errno %d) after %lu rounds", i, worker[i].why, worker[i].err,
				   worker[i].loops);
			victim_failures++;
		}
	}
	check("children", !bad && made);
	check("a child that checks", waitpid(child, &status, 0) == child && !status);
	return victim_done();
}
