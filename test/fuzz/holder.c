/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The holder's protocol (doc/holder-protocol.md). First byte even: requests reach the holder, whose tree is made up:
 * what ptrace would do or tell comes from the input too. Odd: answers of a holder reach the client.
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "hold/batch.h"
#include "hold/client.h"
#include "holder.h"
#include "trace/trace.h"

enum { PROCS = 3, THREADS = 6, FIRST_TID = 100 };

/* ---- what the kernel would do ---- */

static struct fuzz_in world;

int __wrap_remote_load(struct remote_thread *t);
int __wrap_remote_look(struct remote_proc *p, uint64_t stack);
void __wrap_remote_map(struct remote_batch *b, size_t n);
void __wrap_remote_run(struct remote_batch *b, size_t n);
void __wrap_remote_unmap(struct remote_batch *b, size_t n);
ssize_t __wrap_trace_get_xstate(pid_t tid, void *buf, size_t size);
ssize_t __wrap_trace_peek_siginfo(pid_t tid, bool shared, uint64_t offset, siginfo_t *ret, unsigned max);
ssize_t __wrap_trace_seccomp_filter(pid_t tid, unsigned index, struct sock_filter *insns, size_t max);
int __wrap_trace_seccomp_flags(pid_t tid, unsigned index, uint64_t *ret);
int __wrap_trace_detach(pid_t tid, int sig);
int __wrap_trace_set_regs(pid_t tid, const struct user_regs_struct *regs);
int __wrap_kill(pid_t pid, int sig);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);

static int fate(void)
{
	static const int errors[] = { 0, 0, 0, 0, 0, 0, -ESRCH, -EOPNOTSUPP, -ETIMEDOUT, -EFAULT };

	return errors[fuzz_u8(&world) % (sizeof(errors) / sizeof(errors[0]))];
}

int __wrap_remote_load(struct remote_thread *t)
{
	int err = fate();

	if (!t->loaded && !err) {
		fuzz_take(&world, &t->home, 16);
		t->loaded = true;
	}
	return err;
}

int __wrap_remote_look(struct remote_proc *p, uint64_t stack)
{
	p->looked = true;
	return fate();
}

void __wrap_remote_map(struct remote_batch *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		FUZZ_ASSERT(!b[i].p->map);
		b[i].err = fate();
		if (!b[i].err) {
			b[i].p->map = 0x10000;
			b[i].p->map_len = 0x10000;
		}
	}
}

void __wrap_remote_run(struct remote_batch *b, size_t n)
{
	FUZZ_ASSERT(n <= HOLD_BATCHES_MAX);
	for (size_t i = 0; i < n; i++) {
		FUZZ_ASSERT(b[i].n <= REMOTE_CALLS_MAX && b[i].p->map);
		b[i].err = fate();
		for (unsigned k = 0; k < b[i].n; k++)
			b[i].calls[k].ret = b[i].calls[k].nr;
	}
}

void __wrap_remote_unmap(struct remote_batch *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		b[i].p->map = 0;
}

ssize_t __wrap_trace_get_xstate(pid_t tid, void *buf, size_t size)
{
	size_t n = fuzz_u16(&world) & ~7u; /* a register set is counted in words of 8 bytes */

	if (fate())
		return -ESRCH;
	n = n < size ? n : size;
	memset(buf, 'x', n);
	return (ssize_t)n;
}

ssize_t __wrap_trace_peek_siginfo(pid_t tid, bool shared, uint64_t offset, siginfo_t *ret, unsigned max)
{
	unsigned n = fuzz_u16(&world);

	if (fate())
		return -ESRCH;
	n = n < max ? n : max;
	for (unsigned i = 0; i < n; i++) {
		memset(&ret[i], 0, sizeof(*ret));
		ret[i].si_signo = fuzz_u8(&world) % 65;
	}
	return n;
}

ssize_t __wrap_trace_seccomp_filter(pid_t tid, unsigned index, struct sock_filter *insns, size_t max)
{
	size_t n = fuzz_u16(&world) % 4097;

	if (fate())
		return -EINVAL;
	if (insns && n > max)
		return -EMSGSIZE;
	if (insns)
		memset(insns, 'f', n * sizeof(*insns));
	return (ssize_t)n;
}

int __wrap_trace_seccomp_flags(pid_t tid, unsigned index, uint64_t *ret)
{
	*ret = fuzz_u8(&world);
	return fate();
}

int __wrap_trace_detach(pid_t tid, int sig)
{
	return fate();
}

int __wrap_trace_set_regs(pid_t tid, const struct user_regs_struct *regs)
{
	return fate();
}

int __wrap_kill(pid_t pid, int sig)
{
	FUZZ_ASSERT(pid >= FIRST_TID && pid < FIRST_TID + THREADS);
	errno = ESRCH;
	return -1;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
	errno = ECHILD;
	return -1;
}

/* ---- the holder's side ---- */

static void make_tree(struct holder *h)
{
	memset(h->proc, 0, PROCS * sizeof(*h->proc));
	memset(h->thread, 0, THREADS * sizeof(*h->thread));
	h->nr_procs = h->nr_order = PROCS;
	h->nr_threads = h->nr_listed = THREADS;
	for (uint32_t i = 0; i < THREADS; i++) {
		h->thread[i] = (struct hthread){ .proc = i / 2,
						 .next = i & 1 ? NO_INDEX : i + 1,
						 .state = TH_HELD + i % 3,
						 .r.tid = FIRST_TID + (int)i };
		h->list[i] = i;
		h->by_tid[FIRST_TID + i] = i + 1;
	}
	for (uint32_t i = 0; i < PROCS; i++) {
		h->proc[i] = (struct hproc){ .parent = i ? 0 : NO_INDEX,
					     .child = i ? NO_INDEX : 1,
					     .sibling = i == 1 ? 2 : NO_INDEX,
					     .leader = 2 * i,
					     .last = 2 * i + 1,
					     .nr_threads = 2,
					     .pid = FIRST_TID + 2 * (int)i,
					     .ppid = i ? FIRST_TID : 1,
					     .r.pid = FIRST_TID + 2 * (int)i };
		h->order[i] = i;
	}
}

static struct holder *make_holder(uint8_t flags)
{
	static struct holder *h;

	if (!h)
		h = holder_alloc();
	if (!h)
		abort();
	h->a = (struct holder_args){ .root = FIRST_TID, .hold_time = 300 };
	h->epoch = 1;
	h->first_ns = h->held_ns = 1;
	h->held = !(flags & 2);
	h->sealed = flags & 4;
	h->over = h->keep = false;
	h->stages_done = h->stages_failed = h->stages_here = 0;
	h->listener = h->lease_fd = h->signal_fd = h->socket_dir = -1;
	for (unsigned i = 0; i < HOLDER_CLIENTS; i++)
		h->client[i] = (struct hclient){ .fd = -1 };
	for (unsigned i = 0; i < HOLDER_PARKED; i++)
		h->parked[i].fd = -1;
	make_tree(h);
	return h;
}

/* What the client gets must be whole. */
static void read_answers(int fd)
{
	static uint8_t buf[HOLD_PACKET_MAX];
	struct hold_ans ans;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC)) > 0) {
		FUZZ_ASSERT(n >= (ssize_t)sizeof(ans) && n <= HOLD_PACKET_MAX);
		memcpy(&ans, buf, sizeof(ans));
		FUZZ_ASSERT(ans.len == n - sizeof(ans) && ans.err >= 0);
	}
}

static int pass_fd(uint8_t kind)
{
	switch (kind % 4) {
	case 0:
		return eventfd(0, EFD_CLOEXEC);
	case 1:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	default:
		return -1;
	}
}

/* Requests: client, descriptor, length (16 bits), bytes. The first 256 bytes are what the kernel says. */
static void try_server(struct fuzz_in *in, uint8_t flags)
{
	enum { CLIENTS = 3, REQUESTS = 32 };
	struct holder *h = make_holder(flags);
	int pair[CLIENTS][2], size = 4 * HOLD_PACKET_MAX;

	world = (struct fuzz_in){ in->p, in->left < 256 ? in->left : 256 };
	in->p += world.left;
	in->left -= world.left;
	for (int i = 0; i < CLIENTS; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair[i]))
			abort();
		setsockopt(pair[i][0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		h->client[i].fd = pair[i][0];
	}
	for (int k = 0; k < REQUESTS && in->left && !h->over; k++) {
		unsigned c = fuzz_u8(in) % CLIENTS;
		int fd = pass_fd(fuzz_u8(in));
		size_t len = fuzz_u16(in);
		void *bytes;

		len = len < in->left ? len : in->left;
		if (posix_memalign(&bytes, 8, len ? len : 1)) /* as the holder's own buffer */
			abort();
		fuzz_take(in, bytes, len);
		verb_dispatch(h, c, bytes, len, fd);
		verb_wake_waiters(h);
		free(bytes);
		read_answers(pair[c][1]);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		verb_unpark(h, i);
		close(pair[i][0]);
		close(pair[i][1]);
	}
	for (unsigned i = 0; i < HOLDER_PARKED; i++)
		FUZZ_ASSERT(h->parked[i].fd < 0);
	if (h->lease_fd >= 0)
		close(h->lease_fd);
}

/* ---- the client's side ---- */

/* Packets: flags, length (16 bits), bytes. Bit 0: a head of an answer is put before them, bit 1: an error. */
static void queue_answers(struct fuzz_in *in, int fd)
{
	static uint8_t buf[HOLD_PACKET_MAX];

	for (int k = 0; k < 8 && in->left > 2; k++) {
		uint8_t flags = fuzz_u8(in);
		size_t len = fuzz_u16(in), head = flags & 1 ? sizeof(struct hold_ans) : 0;
		struct hold_ans ans = { .err = flags & 2 ? ESRCH : 0 };

		len = len < in->left ? len : in->left;
		len = len < sizeof(buf) - head ? len : sizeof(buf) - head;
		ans.len = (uint32_t)len;
		memcpy(buf, &ans, head);
		fuzz_take(in, buf + head, len);
		if (send(fd, buf, head + len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	}
	shutdown(fd, SHUT_WR);
}

static void ask_calls(struct hold *h, uint8_t n)
{
	struct hold_call calls[400] = { 0 };
	struct hold_job jobs[3] = { { 1, calls, n % 100, 0 }, { 2, calls + 100, n, 0 }, { 3, calls, 0, 0 } };
	struct cr_err e = { 0 };
	int64_t ret;

	if (n & 1)
		hold_calls(h, 1, calls, n, &e);
	else
		hold_calls_many(h, jobs, n % 4 < 3 ? n % 4 : 3, &e);
	hold_call(h, 1, &ret, &e, 39, 0, 0, 0, 0, 0, 0);
}

static void ask_batch(struct hold *h, uint8_t n)
{
	struct hold_batch *b = calloc(1, sizeof(*b));
	struct hold_scratch scratch = { 0x1000, 65536 };
	struct cr_err e = { 0 };
	uint64_t addr;

	if (!b)
		abort();
	hold_batch_begin(b, h, 1, 1, &scratch);
	for (uint8_t i = 0; i < n % 16; i++) {
		hold_batch_room(b, n, &addr);
		hold_batch_add(b, 39, addr, 0, 0, 0);
	}
	hold_batch_run(b, &e);
	free(b);
}

static void ask(struct hold *h, uint8_t what, uint8_t n)
{
	static struct hold_regs regs[20];
	const pid_t tids[20] = { 1, 2, 3 };
	struct hold_scratch scratch[4];
	struct hold_status status;
	struct hold_task *tasks = NULL;
	struct sock_filter *filter = NULL;
	siginfo_t *queue = NULL;
	struct cr_err e = { 0 };
	uint32_t flags;

	switch (what % 10) {
	case 0:
		hold_list(h, &tasks, &e);
		break;
	case 1:
		hold_regs(h, 1, regs, &e);
		break;
	case 2:
		hold_regs_many(h, tids, n % 20, regs, &e);
		break;
	case 3:
		hold_sigqueue(h, 1, n & 1, &queue, &e);
		break;
	case 4:
		hold_seccomp(h, 1, n, &filter, &flags, &e);
		break;
	case 5:
		hold_status(h, &status, &e);
		break;
	case 6:
		hold_scratch(h, 1, scratch, &e);
		break;
	case 7:
		hold_ours(h, 1, scratch, 4, &e);
		break;
	case 8:
		ask_calls(h, n);
		break;
	case 9:
		ask_batch(h, n);
		break;
	}
	free(tasks);
	free(filter);
	free(queue);
}

static void try_client(struct fuzz_in *in)
{
	uint8_t what = fuzz_u8(in), n = fuzz_u8(in);
	struct hold h = { .stage = HOLD_ST_COLLECT, .banner.nr_tasks = fuzz_u16(in) };
	int pair[2], size = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		abort();
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	h.fd = pair[0];
	queue_answers(in, pair[1]);
	ask(&h, what, n);
	close(pair[0]);
	close(pair[1]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_quiet("fuzz");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint8_t flags = fuzz_u8(&in);

	if (flags & 1)
		try_client(&in);
	else
		try_server(&in, flags);
	return 0;
}
