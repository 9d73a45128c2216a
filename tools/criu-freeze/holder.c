/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * ptrace stops belong to one process and cannot be handed over, so criu-freeze forks before it seizes anything: the
 * child is the holder. It makes its socket first (stages that started ahead connect and wait), seizes the tree when the
 * stages of
 * --expect wait, tells criu-freeze over a socket pair how that went, and then serves requests, one at a time.
 *
 * The tree is let go (thawed) and the holder ends when
 *	- a client asks for it, or has it killed after the seal;
 *	- the process of --lease has died; criu-freeze has died before the tree was held; SIGTERM, SIGINT or SIGHUP
 * came;
 *	- nobody is connected, there is no lease, and no request came for --hold-time seconds.
 * If the holder is killed, the kernel detaches the tasks, and they run on unharmed (trace/remote.c).
 *
 * All memory is there before the first task is seized. SIGCHLD is blocked and waited for; other signals are read from a
 * descriptor. Descriptors that were inherited are closed, so that no caller waits for the end of a pipe that the holder
 * keeps.
 */
#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "freeze.h"

enum { CAP_MAX = 1 << 20, AHEAD_SECONDS = 10, POLL_OWN = 4, POLL_MAX = POLL_OWN + HOLDER_CLIENTS };

uint64_t holder_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* ---- memory ---- */

static uint32_t read_limit(const char *path, uint32_t otherwise)
{
	char text[32];

	if (read_buf_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return otherwise;
	return (uint32_t)strtoul(text, NULL, 10);
}

struct holder *holder_alloc(void)
{
	uint32_t pid_max = read_limit("/proc/sys/kernel/pid_max", 32768), cap = pid_max < CAP_MAX ? pid_max : CAP_MAX;
	size_t size = sizeof(struct holder) + 64, tables;
	struct holder *h;
	uint8_t *p;

	tables = cap * (sizeof(struct hproc) + sizeof(struct hthread) + 2 * sizeof(uint32_t)) +
		 (pid_max + 1) * sizeof(uint32_t);
	/* Pages that are not used cost nothing. */
	p = mmap(NULL, size + tables, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	h = (struct holder *)p;
	h->size = size + tables;
	p += (sizeof(struct holder) + 63) & ~(size_t)63;
	h->cap = cap;
	h->tid_max = pid_max;
	h->proc = (struct hproc *)p;
	h->thread = (struct hthread *)(h->proc + cap);
	h->order = (uint32_t *)(h->thread + cap);
	h->list = h->order + cap;
	h->by_tid = h->list + cap;
	return h;
}

struct holder *holder_alone(pid_t pid, int timeout)
{
	struct holder *h = holder_alloc();

	if (!h)
		return NULL;
	h->a = (struct holder_args){ .root = pid, .img = -1, .pair = -1, .timeout = timeout, .alone = true };
	h->listener = h->lease_fd = h->signal_fd = h->socket_dir = -1;
	h->front_done = true;
	for (unsigned i = 0; i < HOLDER_PARKED; i++)
		h->parked[i].fd = -1;
	return h;
}

/* ---- the socket ---- */

/* In @dir, as the current directory: the length of the path does not matter. Renamed when it listens. */
static int listen_in(int dir, const char *name)
{
	_cleanup_close_ int fd = -1, probe = -1;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char tmp[HOLD_NAME_MAX + 4];

	if (fchdir(dir))
		return -errno;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", name);
	probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return -errno;
	if (!connect(probe, (struct sockaddr *)&sa, sizeof(sa)))
		return -EBUSY;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", tmp);
	unlink(tmp);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return -errno;
	if (fchmodat(AT_FDCWD, tmp, 0600, 0) || listen(fd, HOLDER_CLIENTS) || rename(tmp, name)) {
		int err = errno;

		unlink(tmp);
		return -err;
	}
	return TAKE_FD(fd);
}

static int make_socket(struct holder *h, struct cr_err *e)
{
	_cleanup_close_ int work = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	hold_socket_name(h->a.img, false, h->socket_name);
	fd = listen_in(h->a.img, h->socket_name);
	h->socket_dir = h->a.img;
	if (fd < 0 && fd != -EBUSY && work >= 0 && !hold_socket_name(h->a.img, true, h->socket_name)) {
		/* A file system without sockets. Clients look in the work directory too. */
		fd = listen_in(work, h->socket_name);
		h->socket_dir = TAKE_FD(work);
	}
	if (fd == -EBUSY)
		return cr_err_set(e, CR_E_DIR_BUSY, 0, "images directory", "a holder is using it");
	if (fd < 0)
		return cr_err_write(e, -fd, "images directory", "cannot make the holder's socket in it");
	h->listener = fd;
	return 0;
}

static bool peer_allowed(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) && (cred.uid == geteuid() || !cred.uid);
}

static void accept_client(struct holder *h)
{
	_cleanup_close_ int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC);
	int size = 4 * HOLD_PACKET_MAX;

	if (fd < 0 || !peer_allowed(fd))
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (unsigned i = 0; i < HOLDER_CLIENTS; i++)
		if (h->client[i].fd < 0) {
			h->client[i] = (struct hclient){ .fd = TAKE_FD(fd) };
			return;
		}
}

/* A stage that leaves without a word has failed. */
static void drop_client(struct holder *h, unsigned c)
{
	struct hclient *cl = &h->client[c];

	if (cl->stage && !cl->done && !(h->stages_done & 1u << cl->stage))
		verb_stage_failed(h, cl->stage);
	verb_unpark(h, c);
	cl->fd = fd_close(cl->fd);
	cl->waiting = false;
}

static void serve(struct holder *h, unsigned c)
{
	static uint8_t in[HOLD_PACKET_MAX] __attribute__((aligned(8)));
	union {
		char space[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { in, sizeof(in) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.space, .msg_controllen = sizeof(ctl.space)
	};
	ssize_t n = recvmsg(h->client[c].fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = -1;

	/* It is still there the next time. */
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM || errno == ENOBUFS))
		return;
	if (n <= 0) {
		drop_client(h, c);
		return;
	}
	for (struct cmsghdr *m = CMSG_FIRSTHDR(&msg); m; m = CMSG_NXTHDR(&msg, m)) {
		size_t fds = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < fds; i++) {
			int got;

			memcpy(&got, CMSG_DATA(m) + i * sizeof(int), sizeof(int));
			if (fd < 0)
				fd = got;
			else
				close(got);
		}
	}
	verb_dispatch(h, c, in, msg.msg_flags & MSG_TRUNC ? 0 : (size_t)n, fd);
	if (!h->client[c].refused)
		h->idle_since = holder_now();
}

/* ---- the loop ---- */

static bool poll_lost(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return fd >= 0 && poll(&p, 1, 0) > 0 && p.revents;
}

bool holder_abandoned(struct holder *h)
{
	return poll_lost(h->lease_fd) || (!h->front_done && poll_lost(h->a.pair)) || poll_lost(h->signal_fd);
}

/* Milliseconds until the dead-man's switch; -1: never. */
static int time_left(const struct holder *h)
{
	uint64_t end = h->idle_since + h->a.hold_time * 1000000000ull, now = holder_now();

	if (!h->held || !h->a.hold_time || h->keep || h->lease_fd >= 0)
		return -1;
	for (unsigned i = 0; i < HOLDER_CLIENTS; i++)
		if (h->client[i].fd >= 0)
			return -1;
	return now >= end ? 0 : (int)((end - now) / 1000000 + 1);
}

/* What criu-freeze says when it has written its images, or that it is gone. Return: true: give up. */
static bool front_event(struct holder *h)
{
	int32_t result;

	h->front_done = true;
	if (recv(h->a.pair, &result, sizeof(result), MSG_DONTWAIT) != sizeof(result))
		return true;
	h->a.pair = fd_close(h->a.pair);
	if (result)
		return true;
	h->stages_done |= 1u << HOLD_ST_FREEZE;
	return false;
}

/*
 * Serve what there is to serve.
 * @timeout: ms, -1: until something comes
 * Return: 1 go on; 0 nothing came in time; -1 let the tree go.
 */
static int one_round(struct holder *h, int timeout)
{
	struct pollfd p[POLL_MAX] = { { h->listener, POLLIN, 0 },
				      { h->lease_fd, POLLIN, 0 },
				      { h->front_done ? -1 : h->a.pair, POLLIN, 0 },
				      { h->signal_fd, POLLIN, 0 } };
	unsigned client[POLL_MAX], nr = POLL_OWN;
	int n;

	/* Not the free places, too: poll(2) takes no more entries than RLIMIT_NOFILE, however few descriptors are in them. */
	for (unsigned i = 0; i < HOLDER_CLIENTS; i++)
		if (h->client[i].fd >= 0) {
			client[nr] = i;
			p[nr++] = (struct pollfd){ h->client[i].fd, POLLIN, 0 };
		}
	n = poll(p, nr, timeout);
	if (n < 0 && errno == EINVAL) /* the limit was lowered under us: better let go than be deaf */
		return -1;
	if (n < 0 && errno != EINTR && timeout)
		poll(NULL, 0, 10); /* no memory just now */
	if (n <= 0)
		return n && timeout ? 1 : 0;
	if (p[1].revents || p[3].revents || (p[2].revents && front_event(h)))
		return -1;
	for (unsigned i = POLL_OWN; i < nr && !h->over; i++)
		if (p[i].revents)
			serve(h, client[i]);
	if (p[0].revents)
		accept_client(h);
	verb_wake_waiters(h);
	return 1;
}

static bool all_here(const struct holder *h)
{
	uint32_t waiting = 0;

	for (unsigned i = 0; i < HOLDER_CLIENTS; i++)
		if (h->client[i].fd >= 0 && h->client[i].waiting)
			waiting |= 1u << h->client[i].stage;
	return (waiting & h->a.expect) == h->a.expect;
}

/* One of --expect that has ended before it came; 0: none. */
static uint32_t missing(const struct holder *h, const char *const *names)
{
	uint32_t here = 0;

	for (unsigned i = 0; i < HOLDER_CLIENTS; i++)
		if (h->client[i].fd >= 0)
			here |= 1u << h->client[i].stage;
	for (uint32_t left = h->a.lease ? h->a.expect & ~here : 0; left; left &= left - 1)
		if (!ahead_lives(h->a.lease, names[__builtin_ctz(left)]))
			return left & -left;
	return 0;
}

/* Until the stages of --expect wait for the tree. */
static int wait_ahead(struct holder *h, struct cr_err *e)
{
	static const char *const names[] = { "", "criu-freeze", "criu-collect", "criu-parasite", "criu-pages", "seal" };
	int seconds = h->a.timeout > AHEAD_SECONDS ? h->a.timeout : AHEAD_SECONDS;
	uint64_t end = holder_now() + seconds * 1000000000ull;

	while (!all_here(h)) {
		uint32_t failed = h->stages_failed & h->a.expect;
		int ret;

		if (failed)
			return cr_err_set(e, CR_E_STAGE_DIED, 0, names[__builtin_ctz(failed)],
					  "it ended before it began");
		ret = one_round(h, 100);
		if (ret < 0)
			return cr_err_set(e, CR_E_HOLDER_VOID, 0, "tree",
					  "the program that asked for the dump has ended");
		failed = ret ? 0 : missing(h, names);
		if (failed) {
			cr_err_set(e, CR_E_STAGE_DIED, 0, names[__builtin_ctz(failed)], "it ended before it came");
			cr_err_remedy(e, "see what it said above or on the terminal, and make the dump again");
			return -ECHILD;
		}
		if (holder_now() > end)
			return cr_err_set(e, CR_E_HOLDER, ETIMEDOUT, "stages",
					  "not all programs of --expect have come within %d s", seconds);
	}
	return 0;
}

/* ---- start ---- */

static void close_others(const struct holder_args *a)
{
	int keep[2] = { a->img < a->pair ? a->img : a->pair, a->img < a->pair ? a->pair : a->img };
	unsigned from = 3;

	for (int i = 0; i < 2; i++) {
		if (keep[i] > (int)from)
			syscall(SYS_close_range, from, keep[i] - 1, 0);
		if (keep[i] >= (int)from)
			from = keep[i] + 1;
	}
	syscall(SYS_close_range, from, ~0u, 0);
}

/* Standard streams: a caller may wait for the end of a pipe. A log file stays. */
static void quiet(void)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct stat st;

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (fstat(STDERR_FILENO, &st) || !S_ISREG(st.st_mode))
		dup2(null, STDERR_FILENO);
}

static int prepare(struct holder *h, const struct holder_args *args, struct cr_err *e)
{
	sigset_t all;

	h->a = *args;
	h->dump = args->lease;
	h->listener = h->lease_fd = h->signal_fd = h->socket_dir = -1;
	for (unsigned i = 0; i < HOLDER_CLIENTS; i++)
		h->client[i].fd = -1;
	for (unsigned i = 0; i < HOLDER_PARKED; i++)
		h->parked[i].fd = -1;
	setsid(); /* a terminal's ^C ends the caller, and the lease with it, not the holder */
	prctl(PR_SET_NAME, HOLDER_COMM);
	close_others(args);
	quiet();
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	sigemptyset(&all);
	sigaddset(&all, SIGTERM);
	sigaddset(&all, SIGINT);
	sigaddset(&all, SIGHUP);
	h->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (h->signal_fd < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, "holder", "it cannot wait for signals (signalfd)");
	if (getrandom(&h->epoch, sizeof(h->epoch), GRND_NONBLOCK) != sizeof(h->epoch))
		h->epoch = holder_now();
	if (args->lease) {
		h->lease_fd = (int)syscall(SYS_pidfd_open, args->lease, 0);
		if (h->lease_fd < 0)
			return cr_err_set(e, CR_E_NO_TASK, errno, "--lease", "there is no process %d", args->lease);
	}
	return make_socket(h, e);
}

/* Return: whether criu-freeze has been told. If not, it hears of our end. */
static bool report(struct holder *h, int err)
{
	int32_t result = -err;
	ssize_t n;

	do
		n = send(h->a.pair, &result, sizeof(result), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == sizeof(result);
}

static void remove_socket(const struct holder *h)
{
	/* Once more, if it failed: nobody comes after us who would look for it. */
	if (h->listener >= 0 && unlinkat(h->socket_dir, h->socket_name, 0) && errno != ENOENT)
		unlinkat(h->socket_dir, h->socket_name, 0);
}

static __attribute__((noreturn)) void leave(struct holder *h)
{
	remove_socket(h);
	/* The tree runs: what the stages have is for nothing. */
	if (!h->sealed)
		dir_release(h->a.img);
	_exit(0);
}

void holder_run(struct holder *h, const struct holder_args *args)
{
	struct release r;
	int err = prepare(h, args, &h->err);

	if (!err)
		err = wait_ahead(h, &h->err);
	if (!err)
		err = tree_stop(h, &h->err);
	h->held = !err;
	if (err) {
		verb_wake_waiters(h);
		/* Gone before criu-freeze says so: nothing may be left behind then. */
		remove_socket(h);
		report(h, err);
		_exit(1);
	}
	h->idle_since = holder_now();
	verb_wake_waiters(h);
	h->over = !report(h, 0);
	while (!h->over) {
		int left = time_left(h), ret = one_round(h, left);

		if (ret < 0 || (!ret && !time_left(h)))
			break;
	}
	if (h->held)
		release_thaw(h, false, &r);
	leave(h);
}
