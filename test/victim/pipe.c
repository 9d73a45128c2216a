/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pipes (E11): data, capacity, flags, ends that are closed, ends in other tasks, several descriptions of one end. With
 * the argument "fifo" the same with names (E12).
 */
#include "victim.h"

enum { CAPACITY = 256 << 10, BYTES = 200000 };

static char buf[CAPACITY];

static int again(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags);
}

static bool is(int fd, const char *text)
{
	char got[64];
	ssize_t n = read(fd, got, sizeof(got));

	return n == (ssize_t)strlen(text) && !memcmp(got, text, n);
}

static int make(bool named, const char *name, int p[2])
{
	if (!named)
		return pipe(p);
	if (mkfifo(name, 0600) < 0)
		return -1;
	p[0] = open(name, O_RDONLY | O_NONBLOCK);
	p[1] = open(name, O_WRONLY);
	return p[0] < 0 || p[1] < 0 || fcntl(p[0], F_SETFL, 0) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	bool named = argc > 1 && !strcmp(argv[1], "fifo");
	int large[2], up[2], down[2], ended[2], broken[2], second, both, status;
	pid_t child;

	signal(SIGPIPE, SIG_IGN);
	need(make(named, "large", large) == 0 && fcntl(large[1], F_SETPIPE_SZ, CAPACITY) == CAPACITY);
	victim_fill(buf, BYTES, 7);
	need(write(large[1], buf, BYTES) == BYTES && fcntl(large[0], F_SETFL, O_NONBLOCK) == 0);
	need((second = again(large[0], O_RDONLY)) >= 0 && (both = again(large[1], O_RDWR | O_NONBLOCK)) >= 0);
	need(make(named, "up", up) == 0 && make(named, "down", down) == 0);
	need(make(named, "ended", ended) == 0 && write(ended[1], "last words", 10) == 10 && close(ended[1]) == 0);
	need(make(named, "broken", broken) == 0 && close(broken[0]) == 0);
	need((child = fork()) >= 0);
	if (!child) {
		close(up[0]);
		close(down[1]);
		need(write(up[1], "from child", 10) == 10);
		victim_say("fact child %d", getpid());
		_exit(is(down[0], "to child") && write(up[1], "done", 4) == 4 ? 0
									      : 1); /* blocks in read() over the dump */
	}
	close(up[1]);
	close(down[0]);
	usleep(100000);
	victim_fact("large", "%d", large[0]);
	victim_fact("up", "%d", up[0]);
	victim_ready();
	victim_wait();

	check("capacity", fcntl(large[0], F_GETPIPE_SZ) == CAPACITY);
	check("flags", (fcntl(large[0], F_GETFL) & O_NONBLOCK) && !(fcntl(second, F_GETFL) & O_NONBLOCK) &&
			       (fcntl(both, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK));
	memset(buf, 0, sizeof(buf));
	check("data", read(second, buf, sizeof(buf)) == BYTES && victim_same(buf, BYTES, 7));
	check("empty now", read(large[0], buf, 1) == -1 && errno == EAGAIN);
	check("all descriptions are one pipe", write(both, "ab", 2) == 2 && read(large[0], buf, 1) == 1 &&
						       buf[0] == 'a' && read(second, buf, 1) == 1 && buf[0] == 'b');
	check("a writer is gone", is(ended[0], "last words") && read(ended[0], buf, 1) == 0);
	check("a reader is gone", write(broken[1], "x", 1) == -1 && errno == EPIPE);
	check("from the child", is(up[0], "from child"));
	check("to the child", write(down[1], "to child", 8) == 8 && is(up[0], "done"));
	check("end of the child", waitpid(child, &status, 0) == child && status == 0 && read(up[0], buf, 1) == 0);
	return victim_done();
}
