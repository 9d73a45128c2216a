/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dump half of the file engine on a child of our own, that nobody has stopped. LIBS: kind-dump kind-image */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "ghost-file.pb-c.h"
#include "kind/file/dump-file.h"
#include "kind/file/dump.h"
#include "pipe-data.pb-c.h"
#include "sk-packet.pb-c.h"
#include "tap.h"

/* criu-collect's table is not linked here. */
const struct fd_dump_ops *const dump_fd_order[] = {
	&memfd_dump_ops, &tty_dump_ops,	 &dev_dump_ops,	    &fifo_dump_ops,  &reg_dump_ops,	 &pipe_dump_ops,
	&unix_dump_ops,	 &inet_dump_ops, &eventfd_dump_ops, &epoll_dump_ops, &signalfd_dump_ops, &timerfd_dump_ops,
	&other_dump_ops, NULL,
};

static char dir[] = "/tmp/criu-unit.XXXXXX";

struct run {
	struct dump d;
	struct dump_task task;
	struct dump_thread thread;
	struct cr_opts opts;
	struct hold hold;
	struct arena arena;
	struct stage_facts facts;
	struct cr_report refusals;
	struct cr_err err;
	pid_t child;
	FileEntry **files;
	FdinfoEntry **fds;
	ssize_t nr_files, nr_fds;
	double ms; /* of the dump */
};

/* A child that has descriptors 0 to 2 on /dev/null and what @make opens; it sleeps when @make is through. */
static void start(struct run *r, void (*make)(void))
{
	int ready[2];
	char c;

	memset(r, 0, sizeof(*r));
	if (pipe2(ready, O_CLOEXEC) < 0)
		exit(99);
	r->child = fork();
	if (!r->child) {
		int null = open("/dev/null", O_RDWR), told = dup(ready[1]);

		for (int i = 0; i < 3; i++)
			dup2(null, i);
		dup2(told, 1000);
		close_range(3, 999, 0);
		close_range(1001, ~0u, 0);
		if (chdir(dir) < 0)
			_exit(1);
		make();
		if (write(1000, "x", 1) != 1)
			_exit(1);
		close(1000);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (r->child < 0 || read(ready[0], &c, 1) != 1)
		exit(99);
	/* Until it has closed the pipe. */
	if (read(ready[0], &c, 1) != 0)
		exit(99);
	close(ready[0]);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static int dump_child(struct run *r)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "%s/img", dir);
	mkdir(path, 0700);
	/* criu-freeze makes it. */
	snprintf(path, sizeof(path), "%s/img/.stage", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/img", dir);
	r->thread.tid = r->child;
	r->task = (struct dump_task){
		.pid = r->child, .threads = &r->thread, .nr_threads = 1, .files_id = 1, .ns_id = { [DNS_NET] = 2 }
	};
	r->task.proc = open_proc_pid(r->child);
	r->task.pidfd = syscall(SYS_pidfd_open, r->child, 0);
	r->hold.fd = -1;
	r->d = (struct dump){ .img = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			      .opts = &r->opts,
			      .hold = &r->hold,
			      .arena = &r->arena,
			      .facts = &r->facts,
			      .refusals = &r->refusals,
			      .tasks = &r->task,
			      .nr_tasks = 1 };
	stage_begin(&r->facts, "test");
	r->ms = now_ms();
	ret = files_dump.run(&r->d, &r->err);
	if (!ret)
		ret = files_end_dump.run(&r->d, &r->err);
	dump_files_free(&r->d);
	r->ms = now_ms() - r->ms;
	if (ret)
		printf("# %s: %s\n", r->err.object, r->err.reason);
	for (size_t i = 0; i < r->refusals.n; i++)
		printf("# refused: %s: %s\n", r->refusals.v[i].object, r->refusals.v[i].reason);
	if (!ret) {
		r->nr_files = img_read_all(r->d.img, IMG_FILES, 0, &r->arena, (void ***)&r->files, &r->err);
		r->nr_fds = img_read_all(r->d.img, IMG_FDINFO, 1, &r->arena, (void ***)&r->fds, &r->err);
	}
	return ret;
}

static void end(struct run *r)
{
	char cmd[128];

	kill(r->child, SIGKILL);
	waitpid(r->child, NULL, 0);
	fd_close(r->task.proc);
	fd_close(r->task.pidfd);
	fd_close(r->d.img);
	cr_report_free(&r->refusals);
	arena_free(&r->arena);
	snprintf(cmd, sizeof(cmd), "rm -rf %s/*", dir);
	if (system(cmd))
		printf("# rm failed\n");
}

static const FdinfoEntry *row(const struct run *r, unsigned fd)
{
	static const FdinfoEntry none = { .id = ~0u };

	for (ssize_t i = 0; i < r->nr_fds; i++)
		if (r->fds[i]->fd == fd)
			return r->fds[i];
	return &none;
}

static const FileEntry *file(const struct run *r, unsigned fd)
{
	static const FileEntry none;
	const FdinfoEntry *f = row(r, fd);

	for (ssize_t i = 0; i < r->nr_files; i++)
		if (r->files[i]->id == f->id && r->files[i]->type == f->type)
			return r->files[i];
	return &none;
}

/* ---- kinds that have their state in fdinfo or a name ---- */

static void put(int want, int fd)
{
	if (fd < 0) {
		perror("open");
		_exit(1);
	}
	if (fd != want) {
		dup2(fd, want);
		close(fd);
	}
}

static void make_plain(void)
{
	struct itimerspec its = { { 3, 500 }, { 5000, 0 } };
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0xfeedface00000001ull };
	sigset_t set;
	int fd;

	fd = open("data", O_RDWR | O_CREAT, 0640);
	if (write(fd, "0123456789", 10) != 10)
		_exit(1);
	lseek(fd, 4, SEEK_SET);
	put(10, fd);
	dup3(10, 11, O_CLOEXEC);
	put(12, open("data", O_RDWR));
	lseek(12, 4, SEEK_SET);
	put(13, open(".", O_RDONLY | O_DIRECTORY));
	put(14, open("data", O_PATH));
	put(15, open("/dev/zero", O_RDONLY));
	put(20, eventfd(42, EFD_SEMAPHORE | EFD_NONBLOCK));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	put(21, signalfd(-1, &set, 0));
	put(22, timerfd_create(CLOCK_MONOTONIC, 0));
	timerfd_settime(22, 0, &its, NULL);
	put(23, epoll_create1(0));
	epoll_ctl(23, EPOLL_CTL_ADD, 20, &ev);
	ev.data.u64 = 2;
	put(24, eventfd(0, 0));
	epoll_ctl(23, EPOLL_CTL_ADD, 24, &ev);
	dup2(24, 25); /* the target goes on under another number */
	close(24);
	put(26, memfd_create("a b", MFD_ALLOW_SEALING));
	if (ftruncate(26, 8192) < 0 || fcntl(26, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		_exit(1);
	fcntl(20, F_SETOWN, getpid());
	fcntl(20, F_SETSIG, SIGUSR2);
}

static void test_plain(void)
{
	struct run r;

	start(&r, make_plain);
	ok(dump_child(&r) == 0 && r.refusals.n == 0, "plain kinds are dumped");
	ok(r.nr_fds == 15, "every descriptor has a row (%zd)", r.nr_fds);
	ok(row(&r, 10)->id == row(&r, 11)->id && row(&r, 10)->id != row(&r, 12)->id,
	   "dup is one description, open is another");
	ok(row(&r, 11)->flags == 1 && row(&r, 10)->flags == 0, "close-on-exec");
	ok(file(&r, 10)->reg && file(&r, 10)->reg->pos == 4 && file(&r, 10)->reg->size == 10, "position and size");
	ok(file(&r, 10)->reg && !strncmp(file(&r, 10)->reg->name, dir, strlen(dir)), "name");
	ok(row(&r, 0)->id == row(&r, 1)->id && row(&r, 1)->id == row(&r, 2)->id, "one /dev/null");
	ok(file(&r, 13)->reg && file(&r, 13)->reg->flags == (O_DIRECTORY | 0100000), "directory");
	ok(file(&r, 14)->reg && (file(&r, 14)->reg->flags & O_PATH), "O_PATH");
	ok(file(&r, 15)->reg && S_ISCHR(file(&r, 15)->reg->mode) && !file(&r, 15)->reg->has_size, "device node");
	ok(file(&r, 20)->efd && file(&r, 20)->efd->counter == 42 &&
		   file(&r, 20)->efd->flags == (O_RDWR | O_NONBLOCK | EFD_SEMAPHORE),
	   "eventfd");
	ok(file(&r, 20)->efd && file(&r, 20)->efd->fown->pid == (uint32_t)r.child &&
		   file(&r, 20)->efd->fown->signum == SIGUSR2,
	   "owner of the signals");
	ok(file(&r, 21)->sgfd && file(&r, 21)->sgfd->sigmask == 1ull << (SIGUSR1 - 1), "signalfd");
	ok(file(&r, 22)->tfd && file(&r, 22)->tfd->isec == 3 && file(&r, 22)->tfd->insec == 500 &&
		   file(&r, 22)->tfd->vsec == 4999,
	   "timerfd");
	ok(file(&r, 23)->epfd && file(&r, 23)->epfd->n_tfd == 2, "epoll");
	if (file(&r, 23)->epfd && file(&r, 23)->epfd->n_tfd == 2) {
		const EventpollTfdEntry *a = file(&r, 23)->epfd->tfd[0], *b = file(&r, 23)->epfd->tfd[1];

		ok((a->tfd == 20 && b->tfd == 25) || (a->tfd == 25 && b->tfd == 20), "targets, one under a new number");
	}
	ok(file(&r, 26)->memfd && file(&r, 26)->memfd->inode_id == 1, "memfd");
	end(&r);
}

/* ---- pipes and FIFOs ---- */

static void make_pipes(void)
{
	int p[2];

	if (pipe(p) < 0)
		_exit(1);
	put(20, p[0]);
	put(21, p[1]);
	for (int i = 0; i < 100; i++)
		if (write(21, "ab", 2) != 2)
			_exit(1);
	if (pipe(p) < 0) /* reader gone */
		_exit(1);
	close(p[0]);
	put(22, p[1]);
	if (pipe(p) < 0) /* writer gone, data left */
		_exit(1);
	if (write(p[1], "end", 3) != 3)
		_exit(1);
	close(p[1]);
	put(23, p[0]);
	mkfifo("fifo", 0600);
	put(24, open("fifo", O_RDWR | O_NONBLOCK));
	if (write(24, "fifo", 4) != 4)
		_exit(1);
}

static bool has_data(struct run *r, enum img_type type, uint32_t id, const char *want, size_t len)
{
	PipeDataEntry *e;
	struct img_reader rd;
	char buf[65536];
	bool found = false;

	if (img_open(r->d.img, type, 0, &rd, &r->err) != 1)
		return false;
	while (!found && img_get(&rd, &r->arena, &e, &r->err) == 1) {
		if (e->bytes > sizeof(buf) || img_get_bytes(&rd, buf, e->bytes, &r->err) < 0)
			break;
		found = e->pipe_id == id && e->bytes == len && !memcmp(buf, want, len < 4 ? len : 4);
	}
	img_close(&rd);
	return found;
}

static void test_pipes(void)
{
	struct run r;

	start(&r, make_pipes);
	ok(dump_child(&r) == 0 && r.refusals.n == 0, "pipes are dumped");
	ok(file(&r, 20)->pipe && file(&r, 21)->pipe && file(&r, 20)->pipe->pipe_id == file(&r, 21)->pipe->pipe_id,
	   "both ends");
	ok(file(&r, 20)->pipe && has_data(&r, IMG_PIPES_DATA, file(&r, 20)->pipe->pipe_id, "abab", 200), "data");
	ok(file(&r, 22)->pipe && has_data(&r, IMG_PIPES_DATA, file(&r, 22)->pipe->pipe_id, "", 0), "without a reader");
	ok(file(&r, 23)->pipe && has_data(&r, IMG_PIPES_DATA, file(&r, 23)->pipe->pipe_id, "end", 3),
	   "without a writer");
	ok(file(&r, 24)->fifo && has_data(&r, IMG_FIFO_DATA, file(&r, 24)->fifo->pipe_id, "fifo", 4), "FIFO");
	end(&r);
}

static int outside[2];

static void make_outside(void)
{
	/* start() has closed all; the child of a child would be needed: open it through the parent. */
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getppid(), outside[1]);
	put(20, open(path, O_WRONLY));
}

static void test_outside(void)
{
	struct run r;

	if (pipe2(outside, O_CLOEXEC) < 0)
		exit(99);
	start(&r, make_outside);
	ok(dump_child(&r) == 0 && r.refusals.n == 1 && r.refusals.v[0].code == CR_E_PIPE_END_OUTSIDE,
	   "reader outside: refused");
	end(&r);
	close(outside[0]);
	close(outside[1]);
}

/* ---- sockets ---- */

static void make_sockets(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "listen.sock" };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int sv[2], fd, one = 1;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		_exit(1);
	put(20, sv[0]);
	put(21, sv[1]);
	if (write(20, "stream", 6) != 6 || write(20, " data", 5) != 5)
		_exit(1);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) < 0)
		_exit(1);
	put(22, sv[0]);
	put(23, sv[1]);
	shutdown(22, SHUT_WR);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(fd, (void *)&un, sizeof(un)) < 0 || listen(fd, 7) < 0)
		_exit(1);
	put(24, fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (void *)&in, sizeof(in)) < 0 || listen(fd, 9) < 0)
		_exit(1);
	put(25, fd);
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	shutdown(fd, SHUT_RD);
	put(26, fd);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		_exit(1);
	if (write(sv[1], "last", 4) != 4)
		_exit(1);
	close(sv[1]);
	put(27, sv[0]);
}

static bool has_packet(struct run *r, uint32_t id, const char *want)
{
	SkPacketEntry *p;
	struct img_reader rd;
	char buf[65536];
	bool found = false;

	if (img_open(r->d.img, IMG_SK_QUEUES, 0, &rd, &r->err) != 1)
		return false;
	while (!found && img_get(&rd, &r->arena, &p, &r->err) == 1) {
		if (p->length > sizeof(buf) || img_get_bytes(&rd, buf, p->length, &r->err) < 0)
			break;
		found = p->id_for == id && p->length == strlen(want) && !memcmp(buf, want, p->length);
	}
	img_close(&rd);
	return found;
}

static void test_sockets(void)
{
	struct run r;

	start(&r, make_sockets);
	ok(dump_child(&r) == 0 && r.refusals.n == 0, "sockets are dumped");
	ok(file(&r, 20)->usk && file(&r, 21)->usk && file(&r, 20)->usk->peer == file(&r, 21)->usk->ino, "pair");
	ok(has_packet(&r, row(&r, 21)->id, "stream data"), "stream queue");
	ok(file(&r, 22)->usk && file(&r, 22)->usk->shutdown == SK_SHUTDOWN__WRITE &&
		   file(&r, 23)->usk->shutdown == SK_SHUTDOWN__READ,
	   "half-closed pair");
	ok(file(&r, 24)->usk && file(&r, 24)->usk->state == TCP_LISTEN && file(&r, 24)->usk->backlog == 7 &&
		   file(&r, 24)->usk->name_dir && !strncmp(file(&r, 24)->usk->name_dir, dir, strlen(dir)),
	   "listener with a relative name");
	ok(file(&r, 25)->isk && file(&r, 25)->isk->state == TCP_LISTEN && file(&r, 25)->isk->backlog == 9 &&
		   file(&r, 25)->isk->src_port && file(&r, 25)->isk->tcp_opts->nodelay &&
		   file(&r, 25)->isk->opts->reuseaddr,
	   "listening TCP");
	ok(file(&r, 26)->isk && file(&r, 26)->isk->family == AF_INET6 && file(&r, 26)->isk->n_src_addr == 4 &&
		   file(&r, 26)->isk->shutdown == SK_SHUTDOWN__READ,
	   "UDP over IPv6, shut down");
	ok(file(&r, 27)->usk && !file(&r, 27)->usk->peer && has_packet(&r, row(&r, 27)->id, "last"),
	   "peer closed, data left");
	end(&r);
}

/* ---- deleted files ---- */

static void make_deleted(void)
{
	char *page = calloc(1, 4096);
	int fd = open("small", O_RDWR | O_CREAT, 0600);

	if (write(fd, "small", 5) != 5)
		_exit(1);
	unlink("small");
	put(20, fd);
	fd = open("big", O_WRONLY | O_CREAT, 0604);
	memset(page, 'x', 4096);
	if (pwrite(fd, page, 4096, 5 * 4096) != 4096 || ftruncate(fd, 10 * 4096) < 0)
		_exit(1);
	unlink("big");
	put(21, fd);
	fd = open("linked", O_RDWR | O_CREAT, 0600);
	if (link("linked", "other") < 0)
		_exit(1);
	unlink("linked");
	put(22, fd);
	fd = open("huge", O_RDWR | O_CREAT, 0600);
	for (int i = 0; i < 300; i++)
		if (write(fd, page, 4096) != 4096)
			_exit(1);
	unlink("huge");
	put(23, fd);
	put(24, open("locked", O_RDWR | O_CREAT, 0600));
	flock(24, LOCK_EX);
	put(25, inotify_init());
}

static void test_deleted(void)
{
	GhostFileEntry *head;
	GhostChunkEntry *chunk;
	struct img_reader rd;
	struct run r;

	start(&r, make_deleted);
	ok(dump_child(&r) == 0, "deleted files");
	ok(r.refusals.n == 4, "other links, too large, locked, inotify: refused (%zu)", r.refusals.n);
	ok(file(&r, 20)->reg && !strstr(file(&r, 20)->reg->name, "deleted"), "name without what the kernel adds");
	ok(img_open(r.d.img, IMG_GHOST_FILE, 1, &rd, &r.err) == 1 && img_get(&rd, &r.arena, &head, &r.err) == 1 &&
		   !head->chunks,
	   "small ghost");
	img_close(&rd);
	ok(img_open(r.d.img, IMG_GHOST_FILE, 2, &rd, &r.err) == 1 && img_get(&rd, &r.arena, &head, &r.err) == 1 &&
		   head->chunks && head->size == 40960 &&
		   img_get_as(&rd, &ghost_chunk_entry__descriptor, &r.arena, &chunk, &r.err) == 1 &&
		   chunk->off == 5 * 4096 && chunk->len == 4096,
	   "ghost with holes");
	img_close(&rd);
	end(&r);
}

/* ---- many ---- */

enum { MANY = 10000 };

static void make_many(void)
{
	struct rlimit rl;
	char name[16];

	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		if (open(name, O_RDWR | O_CREAT, 0600) < 0)
			_exit(1);
	}
}

static void test_many(void)
{
	struct run r;

	start(&r, make_many);
	ok(dump_child(&r) == 0 && r.nr_fds == MANY + 3, "%d descriptors", MANY);
	printf("# %.1f ms\n", r.ms);
	end(&r);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 99;
	test_plain();
	test_pipes();
	test_outside();
	test_sockets();
	test_deleted();
	test_many();
	rmdir(dir);
	return tap_done();
}
