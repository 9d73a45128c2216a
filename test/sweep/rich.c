/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree of the sweeps: four tasks with threads, and of most kinds of kernel objects one or two. It never ends by itself: every
 * task looks at its own state again and again, and writes into the file "ticks" (mapped shared) how often it did, so that who
 * watches sees from outside whether all of it runs and is as it was. What it does leaves its state as it is: it can be
 * dumped at any instant, and restored many times from one image.
 *
 * struct ticks (8-byte words): [0] failures, [1] the line of the first, [2] the number of counters, [3...] the counters.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "victim.h"

enum {
	KIDS = 3,
	THREADS = 3,
	PAGE = 4096,
	COUNTERS = (KIDS + 1) * (THREADS + 1),
	MEM = 256 * PAGE,
	ROUND_US = 3000,
	LONG = 1000000
};

struct ticks {
	_Atomic uint64_t failures, line, n, counter[COUNTERS];
};

struct shared { /* anonymous, shared by all */
	unsigned char fill[8 * PAGE];
};

static struct ticks *ticks;
static struct shared *shared;
static unsigned char *memory, *file_map;
static int reg_fd, ghost_fd, pipe_fd[2], pair[2], dgram[2], event_fd, timer_fd, signal_fd, epoll_fd, fifo_fd, listen_fd,
	mem_fd, udp_fd, dir_fd, path_fd, append_fd, devnull_fd;
static pid_t parent_pid;
static timer_t posix_timer;
static volatile sig_atomic_t posix_ticks, usr1;

#define always(cond)                                    \
	do {                                            \
		if (!(cond))                            \
			broken(__LINE__, #cond, errno); \
	} while (0)

static void broken(int line, const char *what, int err)
{
	if (!atomic_fetch_add(&ticks->failures, 1)) {
		atomic_store(&ticks->line, (uint64_t)line);
		victim_say("FAIL line %d: %s (%s)", line, what, strerror(err));
	}
}

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		usr1 = 1;
	else
		posix_ticks++;
}

/* ---- making the state ---- */

static void make_files(void)
{
	unsigned char buf[3 * PAGE];
	int fd;

	victim_fill(buf, sizeof(buf), 1);
	need((reg_fd = open("regular", O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
	need(write(reg_fd, buf, sizeof(buf)) == sizeof(buf) && lseek(reg_fd, 1234, SEEK_SET) == 1234);
	need((append_fd = open("append", O_WRONLY | O_CREAT | O_APPEND, 0600)) >= 0);
	need((ghost_fd = open("ghost", O_RDWR | O_CREAT | O_TRUNC, 0640)) >= 0);
	need(write(ghost_fd, buf, 5000) == 5000 && !unlink("ghost"));
	need((fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
	need(write(fd, buf, sizeof(buf)) == sizeof(buf));
	need((file_map = mmap(NULL, sizeof(buf), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)) != MAP_FAILED);
	file_map[5000] ^= 0xff;
	close(fd);
	unlink("fifo");
	need(!mkfifo("fifo", 0600) && (fifo_fd = open("fifo", O_RDWR | O_NONBLOCK)) >= 0 &&
	     write(fifo_fd, "fifo data", 9) == 9);
	need((dir_fd = open(".", O_RDONLY | O_DIRECTORY)) >= 0);
	need((path_fd = open("regular", O_PATH)) >= 0);
	need((devnull_fd = open("/dev/null", O_RDWR)) >= 0);
}

static void make_sockets(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && write(pair[0], "stream queue", 12) == 12);
	need(!socketpair(AF_UNIX, SOCK_DGRAM, 0, dgram) && write(dgram[0], "one", 3) == 3 &&
	     write(dgram[0], "three", 5) == 5);
	unlink("listening");
	strcpy(un.sun_path, "listening");
	need((listen_fd = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	need(!bind(listen_fd, (struct sockaddr *)&un, sizeof(un)) && !listen(listen_fd, 5));
	need((udp_fd = socket(AF_INET, SOCK_DGRAM, 0)) >= 0 && !bind(udp_fd, (struct sockaddr *)&in, sizeof(in)));
}

static void make_events(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0x1234 };
	struct itimerspec it = { { LONG, 0 }, { LONG, 0 } };
	sigset_t set;

	need((event_fd = eventfd(7, EFD_NONBLOCK)) >= 0);
	need((timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) >= 0 &&
	     !timerfd_settime(timer_fd, 0, &it, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	need(!sigprocmask(SIG_BLOCK, &set, NULL));
	need((signal_fd = signalfd(-1, &set, SFD_NONBLOCK)) >= 0);
	need(!sigqueue(getpid(), SIGRTMIN + 2, (union sigval){ .sival_int = 77 }));
	need((epoll_fd = epoll_create1(0)) >= 0 && !epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &ev));
	need(!pipe(pipe_fd) && write(pipe_fd[1], "pipe data", 9) == 9);
	need((mem_fd = memfd_create("sweep", MFD_ALLOW_SEALING)) >= 0 && write(mem_fd, "memfd", 5) == 5);
}

static void make_memory(void)
{
	need((shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) !=
	     MAP_FAILED);
	victim_fill(shared->fill, sizeof(shared->fill), 2);
	need((memory = mmap(NULL, MEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED);
	victim_fill(memory, MEM / 2, 3);
	need(!mprotect(memory + MEM - PAGE, PAGE, PROT_NONE));
	need(!madvise(memory + MEM - 4 * PAGE, PAGE, MADV_DONTFORK));
}

/* Nothing may have the value that a restored task has by itself. */
static void set_process(unsigned n)
{
	struct rlimit lim = { 700 + n, 900 + n };
	int fd;

	need((fd = open("/proc/self/oom_score_adj", O_WRONLY)) >= 0 && write(fd, "123", 3) == 3 && !close(fd));
	need((fd = open("/proc/self/coredump_filter", O_WRONLY)) >= 0 && write(fd, "0x21", 4) == 4 && !close(fd));
	need(!setrlimit(RLIMIT_NOFILE, &lim));
	need(!prctl(PR_SET_CHILD_SUBREAPER, n & 1, 0, 0, 0) && !prctl(PR_SET_THP_DISABLE, n == 2, 0, 0, 0));
	umask(027 - n);
}

static void set_thread(unsigned n)
{
	cpu_set_t set;
	char text[32];

	need(!prctl(PR_SET_TIMERSLACK, 60000 + n));
	(void)!setpriority(PRIO_PROCESS, 0, (int)(3 + n % 16)); /* below that of the test only root could go */
	CPU_ZERO(&set);
	CPU_SET(n & 1, &set);
	if (n & 1)
		(void)!sched_setaffinity(0, sizeof(set), &set); /* where there is one processor it fails */
	need(!syscall(SYS_ioprio_set, 1, 0, 2 << 13 | (3 + (n & 3))));
	snprintf(text, sizeof(text), "sweep-%u", n);
	need(!prctl(PR_SET_NAME, text));
	if (n % 4 == 1)
		need(!sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 }));
}

static void make_timer(void)
{
	struct sigevent sev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1 };
	struct itimerspec it = { { 0, 20000000 }, { 0, 20000000 } };
	struct itimerval real = { { LONG, 0 }, { LONG, 0 } };

	need(!timer_create(CLOCK_MONOTONIC, &sev, &posix_timer) && !timer_settime(posix_timer, 0, &it, NULL));
	need(!setitimer(ITIMER_REAL, &real, NULL));
}

/* ---- looking at it ---- */

static void look_files(void)
{
	unsigned char buf[3 * PAGE];
	struct stat st;

	victim_fill(buf, sizeof(buf), 1);
	buf[5000] ^= 0xff;
	always(!memcmp(file_map, buf, sizeof(buf)));
	always(lseek(reg_fd, 0, SEEK_CUR) == 1234);
	always(pread(reg_fd, buf, 100, 0) == 100 && victim_same(buf, 100, 1));
	always(!fstat(ghost_fd, &st) && st.st_size == 5000 && (st.st_mode & 07777) == 0640);
	always(pread(ghost_fd, buf, 5000, 0) == 5000 && victim_same(buf, 5000, 1));
	always(fcntl(append_fd, F_GETFL) & O_APPEND);
	always(!fstat(dir_fd, &st) && S_ISDIR(st.st_mode));
	always(fcntl(path_fd, F_GETFL) & O_PATH);
	always(!write(devnull_fd, "", 0));
}

static void look_sockets(void)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	char buf[64];
	int n = 0;

	always(recv(pair[1], buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT) == 12 && !memcmp(buf, "stream queue", 12));
	always(recv(dgram[1], buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT) == 3 && !memcmp(buf, "one", 3));
	len = sizeof(n);
	always(!getsockopt(listen_fd, SOL_SOCKET, SO_ACCEPTCONN, &n, &len) && n == 1);
	len = sizeof(in);
	always(!getsockname(udp_fd, (struct sockaddr *)&in, &len) && in.sin_port);
}

static void look_events(void)
{
	struct pollfd p[] = {
		{ pipe_fd[0], POLLIN, 0 }, { fifo_fd, POLLIN, 0 }, { signal_fd, POLLIN, 0 }, { event_fd, POLLIN, 0 }
	};
	struct epoll_event ev = { 0 };
	struct itimerspec it;
	struct itimerval real;
	char buf[8];
	sigset_t set;

	always(poll(p, 4, 0) == (getpid() == parent_pid ? 4 : 3));
	always(epoll_wait(epoll_fd, &ev, 1, 0) == 1 && ev.data.u64 == 0x1234);
	always(!timerfd_gettime(timer_fd, &it) && it.it_value.tv_sec > LONG / 2 && it.it_interval.tv_sec == LONG);
	always(pread(mem_fd, buf, 5, 0) == 5 && !memcmp(buf, "memfd", 5));
	always(!sigpending(&set) && sigismember(&set, SIGRTMIN + 2) == (getpid() == parent_pid));
	if (getpid() == parent_pid)
		always(!getitimer(ITIMER_REAL, &real) && real.it_interval.tv_sec == LONG &&
		       real.it_value.tv_sec > LONG / 2);
}

static void look_memory(void)
{
	always(victim_same(shared->fill, sizeof(shared->fill), 2));
	always(victim_same(memory, MEM / 2, 3));
	for (size_t i = MEM / 2; i < MEM - 4 * PAGE; i += PAGE)
		always(!memory[i]);
}

/* ---- its tasks ---- */

struct place {
	unsigned counter;
};

static void *thread(void *arg)
{
	const struct place *me = arg;
	unsigned char canary[2 * PAGE];
	double v = 1.0 + me->counter, w = v;

	victim_fill(canary, sizeof(canary), 100 + me->counter);
	set_thread(me->counter);
	for (;;) {
		struct timespec ts = { 0, ROUND_US * 1000 };

		/* Floating point and vector state over a sleep. */
		w = w * 1.5 / 1.5;
		always(w == v);
		always(victim_same(canary, sizeof(canary), 100 + me->counter));
		ticks->counter[me->counter]++;
		nanosleep(&ts, NULL);
	}
	return NULL;
}

static void run(unsigned kid)
{
	static struct place place[THREADS];
	pthread_t t;

	for (unsigned i = 0; i < THREADS; i++) {
		place[i].counter = kid * (THREADS + 1) + 1 + i;
		need(!pthread_create(&t, NULL, thread, &place[i]));
	}
	if (!kid)
		make_timer();
	set_thread(kid * (THREADS + 1));
	for (;;) {
		struct timespec ts = { 0, ROUND_US * 1000 };
		sig_atomic_t before = posix_ticks;

		look_files();
		look_sockets();
		look_events();
		look_memory();
		ticks->counter[kid * (THREADS + 1)]++;
		for (unsigned i = 0; i < (kid ? 1 : 100) && posix_ticks == before; i++)
			nanosleep(&ts, NULL);
		if (!kid)
			always(posix_ticks != before);
		else
			always(getppid() == parent_pid);
	}
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int fd = open("ticks", O_RDWR | O_CREAT | O_TRUNC, 0600);

	need(fd >= 0 && !ftruncate(fd, PAGE));
	need((ticks = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) != MAP_FAILED);
	close(fd);
	ticks->n = COUNTERS;
	parent_pid = getpid();
	need(!sigaction(SIGRTMIN + 1, &sa, NULL) && !sigaction(SIGUSR1, &sa, NULL));
	make_files();
	make_sockets();
	make_events();
	make_memory();
	for (unsigned i = 1; i <= KIDS; i++) {
		pid_t pid = fork();

		need(pid >= 0);
		if (pid)
			continue;
		if (i == 2) /* a process group of its own */
			need(!setpgid(0, 0));
		set_process(i);
		if (i == 3)
			need(!setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534) &&
			     !prctl(PR_SET_DUMPABLE, 1));
		run(i);
	}
	set_process(0);
	victim_ready();
	run(0);
}
