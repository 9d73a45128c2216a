// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file engine of the restore without a restore. LIBS: kind-restore kind-image
 *
 * Images are made here, two tables that share descriptions, and restored in two children; each checks what it got.
 * `files-test IMAGES FILES_ID...` restores tables of an image directory instead and shows /proc/self/fd of each.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fdinfo.pb-c.h"
#include "kind/restore.h"
#include "pipe-data.pb-c.h"
#include "sk-packet.pb-c.h"
#include "tap.h"

#include "kind/file/restore-file.h"

#include "tools/criu-restore/order-fd.c" /* NOLINT(bugprone-suspicious-include) */

/* ---- what criu-restore has ---- */

int rst_wait(struct rst *r, uint32_t *word, uint32_t value)
{
	int i;

	for (i = 0; i < 20000 && !__atomic_load_n(&r->shared->failed, __ATOMIC_ACQUIRE); i++) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) >= value)
			return 0;
		usleep(500);
	}
	return -ECANCELED;
}

void rst_wake(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static struct shared {
	struct rst_shared rst;
	uint32_t done, late;
} * shared;

static struct arena arena;
static struct rst rst;
static struct cr_opts opts;

static void begin(int img)
{
	rst = (struct rst){ .img = img,
			    .opts = &opts,
			    .arena = &arena,
			    .shared = &shared->rst,
			    .main_pid = getpid(),
			    .main_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0),
			    .img_version = 2 };
	shared->done = shared->late = 0;
	shared->rst.failed = 0;
}

static bool report(const struct cr_err *e)
{
	char text[1024];

	printf("# %s\n", cr_err_text(e, text, sizeof(text)));
	fflush(stdout);
	return false;
}

/* A child restores @table; then @look, whose answer is the exit status. Its stdout goes to @keep. */
static pid_t restore_in_child(uint32_t table, uint32_t nr, int (*look)(uint32_t table, FILE *out))
{
	struct cr_err e = { 0 };
	int out, *keep[1] = { &out };
	pid_t pid;
	FILE *f;
	int ret;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	out = fcntl(1, F_DUPFD, 3);
	ret = files_restore(&rst, table, keep, 1, &e);
	f = fdopen(fcntl(out, F_DUPFD, 900), "w");
	close(out);
	if (!ret) {
		__atomic_add_fetch(&shared->done, 1, __ATOMIC_ACQ_REL);
		ret = rst_wait(&rst, &shared->done, nr);
	}
	if (!ret)
		ret = files_restore_late(&rst, table, &e);
	if (ret < 0) {
		char text[1024];

		fprintf(f, "# table %u: %d %s\n", table, ret, cr_err_text(&e, text, sizeof(text)));
		fflush(f);
		shared->rst.failed = 1;
		_exit(99);
	}
	__atomic_add_fetch(&shared->late, 1, __ATOMIC_ACQ_REL);
	rst_wait(&rst, &shared->late, nr);
	ret = look(table, f);
	fflush(f);
	_exit(ret);
}

static int status_of(pid_t pid)
{
	int status = -1;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int show(uint32_t table, FILE *out)
{
	char path[64], link[256];
	struct dirent *de;
	DIR *d;
	ssize_t n;

	d = opendir("/proc/self/fd");
	while (d && (de = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%.20s", de->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n > 0 && atoi(de->d_name) < 900)
			fprintf(out, "# %u: %s -> %.*s flags %x\n", table, de->d_name, (int)n, link,
				fcntl(atoi(de->d_name), F_GETFL));
	}
	return 0;
}

static int driver(int argc, char **argv)
{
	struct files_plan *plan;
	struct cr_err e = { 0 };
	uint32_t ids[64];
	pid_t pids[64];
	int i, n = argc - 2, bad = 0;

	begin(open(argv[1], O_DIRECTORY | O_CLOEXEC));
	for (i = 0; i < n && i < 64; i++)
		ids[i] = strtoul(argv[i + 2], NULL, 0);
	if (files_plan_load(&rst, ids, n, &plan, &e) < 0)
		return report(&e) + 1;
	for (i = 0; i < n; i++)
		pids[i] = restore_in_child(ids[i], n, show);
	for (i = 0; i < n; i++)
		bad |= status_of(pids[i]);
	return bad;
}

/* ---- images of our own ---- */

static char dir[] = "/tmp/files-test.XXXXXX";
static FownEntry fown = FOWN_ENTRY__INIT;
static SkOptsEntry skopts = SK_OPTS_ENTRY__INIT;
static struct img_writer files, tables[3];

static void put(struct img_writer *w, const void *message)
{
	struct cr_err e = { 0 };

	if (img_put(w, message, &e) < 0)
		report(&e);
}

static void put_fd(int table, uint32_t id, int type, uint32_t fd, bool cloexec)
{
	FdinfoEntry fi = FDINFO_ENTRY__INIT;

	fi.id = id;
	fi.type = type;
	fi.fd = fd;
	fi.flags = cloexec;
	put(&tables[table], &fi);
}

static char *in_dir(const char *name)
{
	size_t size = strlen(dir) + strlen(name) + 2;
	char *path = arena_alloc(&arena, size);

	snprintf(path, size, "%s/%s", dir, name);
	return path;
}

static void put_reg(uint32_t id, char *path, uint32_t flags, uint64_t pos, uint64_t size)
{
	FileEntry fe = FILE_ENTRY__INIT;
	RegFileEntry reg = REG_FILE_ENTRY__INIT;

	fe.id = reg.id = id;
	fe.type = FD_TYPES__REG;
	fe.reg = &reg;
	reg.name = path;
	reg.flags = flags;
	reg.pos = pos;
	reg.fown = &fown;
	reg.has_size = reg.has_mode = true;
	reg.size = size;
	reg.mode = S_IFREG | 0600;
	put(&files, &fe);
}

static void put_pipe(uint32_t id, uint32_t pipe_id, uint32_t flags)
{
	FileEntry fe = FILE_ENTRY__INIT;
	PipeEntry p = PIPE_ENTRY__INIT;

	fe.id = p.id = id;
	fe.type = FD_TYPES__PIPE;
	fe.pipe = &p;
	p.pipe_id = pipe_id;
	p.flags = flags;
	p.fown = &fown;
	put(&files, &fe);
}

static void put_unix(uint32_t id, uint32_t ino, uint32_t peer, int type)
{
	FileEntry fe = FILE_ENTRY__INIT;
	UnixSkEntry u = UNIX_SK_ENTRY__INIT;

	fe.id = u.id = id;
	fe.type = FD_TYPES__UNIXSK;
	fe.usk = &u;
	u.ino = ino;
	u.peer = peer;
	u.type = type;
	u.state = 1;
	u.flags = O_RDWR;
	u.fown = &fown;
	u.opts = &skopts;
	put(&files, &fe);
}

static void put_epoll(uint32_t id, uint32_t tfd, uint64_t data)
{
	FileEntry fe = FILE_ENTRY__INIT;
	EventpollFileEntry ep = EVENTPOLL_FILE_ENTRY__INIT;
	EventpollTfdEntry t = EVENTPOLL_TFD_ENTRY__INIT, *tv[1] = { &t };

	fe.id = ep.id = id;
	fe.type = FD_TYPES__EVENTPOLL;
	fe.epfd = &ep;
	ep.fown = &fown;
	ep.n_tfd = 1;
	ep.tfd = tv;
	t.tfd = tfd;
	t.events = EPOLLIN | EPOLLERR | EPOLLHUP;
	t.data = data;
	put(&files, &fe);
}

static void pipe_data(int img, uint32_t pipe_id, const char *text)
{
	PipeDataEntry pd = PIPE_DATA_ENTRY__INIT;
	struct img_writer w;

	img_create(img, IMG_PIPES_DATA, 0, &w, NULL);
	pd.pipe_id = pipe_id;
	pd.bytes = strlen(text);
	pd.has_size = true;
	pd.size = 8192;
	put(&w, &pd);
	img_put_bytes(&w, text, pd.bytes, NULL);
	img_finish(&w, NULL);
}

static void queue(int img, uint32_t id_for, const char *text, uint32_t right)
{
	SkPacketEntry pk = SK_PACKET_ENTRY__INIT;
	ScmEntry scm = SCM_ENTRY__INIT, *sv[1] = { &scm };
	struct img_writer w;

	img_create(img, IMG_SK_QUEUES, 0, &w, NULL);
	pk.id_for = id_for;
	pk.length = strlen(text);
	pk.n_scm = 1;
	pk.scm = sv;
	scm.type = SCM_RIGHTS;
	scm.n_rights = 1;
	scm.rights = &right;
	put(&w, &pk);
	img_put_bytes(&w, text, pk.length, NULL);
	img_finish(&w, NULL);
}

enum { MANY = 2000 };

/*
 * Table 1: 0 file@7 (shared, dup at 5), 4 write end, 10 one end of the pair, 11 epoll on 10.
 * Table 2: 0 the file, 1 read end, 3 another file, 8 the other end; the read end has data; pipe 20 is in the queue
 * of 8.
 */
static void make_images(int img)
{
	struct sockaddr_un unused = { 0 };
	int sk = socket(AF_UNIX, SOCK_STREAM, 0), i;
	socklen_t len = sizeof(int);

	(void)unused;
	getsockopt(sk, SOL_SOCKET, SO_SNDBUF, &skopts.so_sndbuf, &len);
	getsockopt(sk, SOL_SOCKET, SO_RCVBUF, &skopts.so_rcvbuf, &len);
	close(sk);
	img_create(img, IMG_FILES, 0, &files, NULL);
	for (i = 1; i < 3; i++)
		img_create(img, IMG_FDINFO, i, &tables[i], NULL);
	put_reg(1, in_dir("data"), O_RDWR, 7, 10);
	put_reg(2, in_dir("data"), O_WRONLY | O_APPEND, 10, 10);
	put_pipe(3, 77, O_WRONLY);
	put_pipe(4, 77, O_RDONLY | O_NONBLOCK);
	put_unix(5, 100, 101, SOCK_STREAM);
	put_unix(6, 101, 100, SOCK_STREAM);
	put_epoll(7, 10, 4711);
	put_pipe(20, 78, O_WRONLY);
	put_pipe(21, 78, O_RDONLY);
	put_fd(1, 1, FD_TYPES__REG, 0, false);
	put_fd(1, 1, FD_TYPES__REG, 5, true);
	put_fd(1, 3, FD_TYPES__PIPE, 4, false);
	put_fd(1, 5, FD_TYPES__UNIXSK, 10, true);
	put_fd(1, 7, FD_TYPES__EVENTPOLL, 11, false);
	put_fd(1, 21, FD_TYPES__PIPE, 12, false);
	put_fd(2, 1, FD_TYPES__REG, 0, true);
	put_fd(2, 4, FD_TYPES__PIPE, 1, false);
	put_fd(2, 2, FD_TYPES__REG, 3, false);
	put_fd(2, 6, FD_TYPES__UNIXSK, 8, false);
	for (i = 0; i < MANY; i++)
		put_fd(2, 2, FD_TYPES__REG, 1000 + i, true);
	img_finish(&files, NULL);
	for (i = 1; i < 3; i++)
		img_finish(&tables[i], NULL);
	pipe_data(img, 77, "in the pipe");
	queue(img, 6, "Q", 20);
}

static int open_fds(void)
{
	int n = 0;
	struct dirent *de;
	DIR *d = opendir("/proc/self/fd");

	while (d && (de = readdir(d)))
		n += de->d_name[0] != '.' && atoi(de->d_name) != dirfd(d) && atoi(de->d_name) != 900;
	closedir(d);
	return n;
}

#define check(n, cond)                                                                       \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(out, "# table %u: " #cond ": %s\n", table, strerror(errno)); \
			return n;                                                            \
		}                                                                            \
	} while (0)

static int look_1(FILE *out)
{
	struct epoll_event ev;
	uint32_t table = 1;
	char c;
	int i;

	check(1, lseek(0, 0, SEEK_CUR) == 7 && lseek(5, 0, SEEK_CUR) == 7);
	check(2, fcntl(0, F_GETFD) == 0 && fcntl(5, F_GETFD) == FD_CLOEXEC && fcntl(10, F_GETFD) == FD_CLOEXEC);
	check(3, (fcntl(4, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_WRONLY);
	check(4, epoll_wait(11, &ev, 1, 0) == 0);
	check(5, write(10, "x", 1) == 1);
	for (i = 0; i < 1000 && epoll_wait(11, &ev, 1, 10) == 0; i++)
		;
	check(6, ev.data.u64 == 4711 && read(10, &c, 1) == 1 && c == 'y');
	check(7, read(12, &c, 1) == 1 && c == 'z'); /* through the descriptor that was in the queue */
	check(8, open_fds() == 6 + 2);		    /* and the two of the test's own: img, main_pidfd */
	check(9, lseek(0, 0, SEEK_CUR) == 8);
	return 0;
}

static int look_2(FILE *out)
{
	char ctl[CMSG_SPACE(sizeof(int))], buf[32] = "", c;
	struct iovec iov = { &c, 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	uint32_t table = 2;
	int fd = -1;

	check(1, read(1, buf, sizeof(buf)) == 11 && !memcmp(buf, "in the pipe", 11));
	check(2, fcntl(1, F_GETPIPE_SZ) == 8192 && fcntl(1, F_GETFL) & O_NONBLOCK);
	check(3, (fcntl(3, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND));
	check(4, recvmsg(8, &mh, 0) == 1 && c == 'Q' && CMSG_FIRSTHDR(&mh));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(fd));
	/* Table 1 has looked at offset and epoll before it writes. */
	check(5, read(8, &c, 1) == 1 && c == 'x');
	check(6, lseek(0, 1, SEEK_CUR) == 8 && write(8, "y", 1) == 1); /* both seen by table 1 */
	check(7, write(fd, "z", 1) == 1 && close(fd) == 0);
	check(8, open_fds() == 4 + MANY + 2 && fcntl(1000 + MANY - 1, F_GETFD) == FD_CLOEXEC);
	return 0;
}

static int look(uint32_t table, FILE *out)
{
	return table == 1 ? look_1(out) : look_2(out);
}

static void test_restore(int img)
{
	static const uint32_t ids[] = { 1, 2 };
	struct files_plan *plan;
	struct cr_err e = { 0 };
	pid_t a, b;
	int sa, sb;

	begin(img);
	if (!ok(files_plan_load(&rst, ids, 2, &plan, &e) == 0, "plan"))
		report(&e);
	a = restore_in_child(1, 2, look);
	b = restore_in_child(2, 2, look);
	sa = status_of(a);
	sb = status_of(b);
	ok(sa == 0, "table 1: own and shared descriptions, numbers, epoll (%d)", sa);
	ok(sb == 0, "table 2: fetched descriptions, data in pipe and queue (%d)", sb);
}

static void test_changed(int img, const char *what, enum cr_code want)
{
	static const uint32_t ids[] = { 1, 2 };
	struct files_plan *plan;
	struct cr_err e = { 0 };
	char text[1024];
	int fd;

	begin(img);
	files_plan_load(&rst, ids, 2, &plan, &e);
	fd = files_open_id(&rst, 1, O_RDONLY, &e);
	cr_err_text(&e, text, sizeof(text));
	ok(fd < 0 && e.code == want, "%s: %s", what, text);
}

static void test_bad_reference(int img)
{
	static const uint32_t ids[] = { 1, 2 };
	struct files_plan *plan;
	struct cr_err e = { 0 };
	char text[1024];
	int ret;

	img_create(img, IMG_FDINFO, 2, &tables[2], NULL);
	put_fd(2, 99, FD_TYPES__PIPE, 3, false);
	img_finish(&tables[2], NULL);
	begin(img);
	ret = files_plan_load(&rst, ids, 2, &plan, &e);
	cr_err_text(&e, text, sizeof(text));
	ok(ret < 0 && e.code == CR_E_IMG_REF, "%s", text);
}

static void test_journal(void)
{
	char *made = in_dir("made"), *other = in_dir("other"), *sub = in_dir("sub");
	struct cr_err e = { 0 };
	struct stat st, st2, st3;

	/* What a restore that was killed has left; `other` is not the file any more that it made. */
	close(open(made, O_CREAT | O_WRONLY, 0600));
	close(open(other, O_CREAT | O_WRONLY, 0600));
	mkdir(sub, 0700);
	stat(made, &st);
	stat(other, &st2);
	stat(sub, &st3);
	files_journal_add(made, st.st_dev, st.st_ino, false, &e);
	files_journal_add(other, st2.st_dev, st2.st_ino + 1, false, &e);
	files_journal_add(sub, st3.st_dev, st3.st_ino, true, &e);
	ok(files_journal_undo(&e) == 2, "names of a killed restore are removed");
	ok(access(made, F_OK) && access(sub, F_OK) && !access(other, F_OK), "and no others");
	ok(files_journal_undo(&e) == 0, "nothing is left to undo");
}

int main(int argc, char **argv)
{
	char command[128];
	int img, fd;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (argc > 2)
		return driver(argc, argv);
	if (!mkdtemp(dir) || mkdir(in_dir("img"), 0700) < 0)
		return 1;
	fd = open(in_dir("data"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (write(fd, "0123456789", 10) != 10)
		return 1;
	img = open(in_dir("img"), O_DIRECTORY | O_CLOEXEC);
	if (chdir(dir) < 0)
		return 1;
	make_images(img);
	test_restore(img);
	fchmod(fd, 0640);
	test_changed(img, "permissions", CR_E_FILE_MODE);
	fchmod(fd, 0600);
	if (write(fd, "more", 4) != 4)
		return 1;
	test_changed(img, "size of a mapped file", CR_E_FILE_CHANGED);
	unlink(in_dir("data"));
	test_changed(img, "gone", CR_E_FILE_MISSING);
	test_bad_reference(img);
	test_journal();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) || tap_done();
}
