/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One function per verb of the protocol (doc/holder-protocol.md): the shape of the request is checked first (EPROTO),
 * then it is done; every request is answered. No request, however wrong, ends the holder: its tree would run.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/fd.h"
#include "holder.h"
#include "trace/look.h"
#include "trace/trace.h"

enum { OUT_MAX = HOLD_PACKET_MAX - sizeof(struct hold_ans), SIGNALS_MAX = OUT_MAX / 128 };

_Static_assert(sizeof(struct remote_call) == sizeof(struct hold_call), "the same layout");
_Static_assert((int)REMOTE_CALLS_MAX == (int)HOLD_CALLS_MAX, "the same limit");

/* A request being served. */
struct ask {
	struct holder *h;
	unsigned c;
	struct hold_req req;
	const uint8_t *payload;
	size_t len;
	int fd; /* passed along, or -1; closed afterwards unless taken */
	uint8_t *out;
	size_t out_len;
	const char *text; /* with an error */
	char buf[248];
};

static int say(struct ask *a, int err, const char *text)
{
	a->text = text;
	return err;
}

static int proto(struct ask *a, const char *text)
{
	return say(a, EPROTO, text);
}

static void send_answer(int fd, int err, const char *text, const void *out, size_t len)
{
	struct hold_ans ans = { .err = err, .len = err ? 0 : (uint32_t)len };
	struct iovec iov[2] = { { &ans, sizeof(ans) }, { (void *)out, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = err || !len ? 1 : 2 };
	int tries = 3;

	if (err)
		snprintf(ans.text, sizeof(ans.text), "%s", text ? text : strerror(err));
	/* A client that does not read its answers loses them; the holder does not wait for it. */
	while (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EINTR || (errno != EAGAIN && errno != EPIPE && --tries))
			continue;
		if (errno != EAGAIN) /* it would wait for an answer that never comes: its connection ends instead */
			shutdown(fd, SHUT_RDWR);
		break;
	}
}

static int need_held(struct ask *a)
{
	return a->h->held ? 0 : say(a, ENOTCONN, "the tree is not held");
}

static struct hthread *find_thread(struct ask *a, int *err)
{
	struct hthread *t = tree_find(a->h, a->req.tid);

	*err = need_held(a);
	if (*err)
		return NULL;
	if (!t || t->state == TH_GONE || t->state == TH_PENDING)
		*err = say(a, ESRCH, "it is no task of the tree");
	else if (t->state == TH_ZOMBIE)
		*err = say(a, ESRCH, "it is a zombie");
	return *err ? NULL : t;
}

static void banner(const struct holder *h, struct hold_banner *b)
{
	*b = (struct hold_banner){
		.version = HOLD_VERSION,
		.holder = getpid(),
		.root = h->a.root,
		.nr_tasks = h->nr_listed,
		.epoch = h->epoch,
		.started_ns = h->held ? h->first_ns : 0,
	};
}

/* ---- connection, stages ---- */

static int do_hello(struct ask *a)
{
	if (a->len || a->req.arg[0] >= HOLD_STAGES)
		return proto(a, "hello: arg[0] is no stage");
	a->h->client[a->c].refused = true;
	if (a->req.arg[1] && a->req.arg[1] != (uint64_t)a->h->dump)
		return say(a, EBUSY, "it holds the tree of another dump");
	if (a->req.arg[0] && a->h->sealed)
		return say(a, EALREADY, "the images are sealed, and no stage may change them");
	a->h->client[a->c].refused = false;
	a->h->client[a->c].stage = (uint8_t)a->req.arg[0];
	banner(a->h, (struct hold_banner *)a->out);
	a->out_len = sizeof(struct hold_banner);
	return 0;
}

/* Can this waiter go on? 1 yes, 0 not yet, negative: -errno, never. */
static int may_go(const struct holder *h, const struct hclient *c)
{
	if (c->wait_for && h->stages_failed & 1u << c->wait_for)
		return -ESTALE;
	if (!h->held)
		return 0;
	return !c->wait_for || h->stages_done & 1u << c->wait_for;
}

void verb_wake_waiters(struct holder *h)
{
	for (unsigned i = 0; i < HOLDER_CLIENTS; i++) {
		struct hclient *c = &h->client[i];
		struct hold_banner b;
		int go;

		if (c->fd < 0 || !c->waiting)
			continue;
		go = may_go(h, c);
		if (!go)
			continue;
		c->waiting = false;
		banner(h, &b);
		send_answer(c->fd, go < 0 ? -go : 0, "the stage before has failed", &b, sizeof(b));
	}
}

static int do_wait(struct ask *a)
{
	struct hclient *c = &a->h->client[a->c];

	if (a->len || a->req.arg[0] >= HOLD_STAGES)
		return proto(a, "wait: arg[0] is no stage");
	c->wait_for = (uint8_t)a->req.arg[0];
	c->waiting = true;
	a->h->stages_here |= 1u << c->stage;
	verb_wake_waiters(a->h);
	return -1; /* answered, or later */
}

/* What was to be handed over in the middle of a stage is handed over at its end, too, or never. */
static uint32_t stage_bits(unsigned stage)
{
	return 1u << stage | (stage == HOLD_ST_COLLECT ? 1u << HOLD_ST_THREADS | 1u << HOLD_ST_MM : 0);
}

void verb_stage_failed(struct holder *h, unsigned stage)
{
	h->stages_failed |= stage_bits(stage);
	h->stages_done &= ~stage_bits(stage);
}

static int do_done(struct ask *a)
{
	struct holder *h = a->h;
	uint64_t stage = a->req.arg[0];

	if (a->len || !stage || stage >= HOLD_STAGES)
		return proto(a, "done: arg[0] is no stage");
	if (a->req.arg[1]) {
		verb_stage_failed(h, (unsigned)stage);
	} else {
		h->stages_done |= stage_bits((unsigned)stage);
		h->stages_failed &= ~stage_bits((unsigned)stage);
	}
	h->client[a->c].done |= stage == h->client[a->c].stage;
	return 0; /* waiters are looked at after every request */
}

static int do_status(struct ask *a)
{
	struct holder *h = a->h;
	struct hold_status *s = (struct hold_status *)a->out;
	uint64_t idle = (holder_now() - h->idle_since) / 1000000000;

	if (a->len)
		return proto(a, "status: takes nothing");
	*s = (struct hold_status){
		.held = h->held,
		.sealed = h->sealed,
		.stages_done = h->stages_done,
		.stages_failed = h->stages_failed,
		.lease_pid = h->a.lease > 0 ? (uint32_t)h->a.lease : 0,
		.seconds_left = ~0u,
	};
	banner(h, &s->banner);
	for (unsigned i = 0; i < HOLDER_CLIENTS; i++)
		s->clients += h->client[i].fd >= 0;
	s->clients--; /* who asks */
	if (h->a.hold_time && !h->keep && h->lease_fd < 0)
		s->seconds_left = idle < (uint64_t)h->a.hold_time ? h->a.hold_time - (uint32_t)idle : 0;
	a->out_len = sizeof(*s);
	return 0;
}

/* A status file costs ten times as much, and it is one for each thread. */
static bool no_filter(struct hthread *t)
{
	if (!t->listed && t->state != TH_ZOMBIE && t->state != TH_GONE) {
		t->no_filter = trace_seccomp_filter(t->r.tid, 0, NULL, 0) == -EINVAL;
		t->listed = true;
	}
	return t->no_filter;
}

static int do_list(struct ask *a)
{
	const struct holder *h = a->h;
	struct hold_task *out = (struct hold_task *)a->out;
	uint64_t max = a->req.arg[1];
	size_t n = 0;
	int err = need_held(a);

	if (err)
		return err;
	if (a->len)
		return proto(a, "list: takes nothing");
	if (!max || max > OUT_MAX / sizeof(*out))
		max = OUT_MAX / sizeof(*out);
	for (uint64_t i = a->req.arg[0]; i < h->nr_listed && n < max; i++, n++) {
		struct hthread *t = &h->thread[h->list[i]];
		const struct hproc *p = &h->proc[t->proc];

		out[n] = (struct hold_task){ .tid = t->r.tid,
					     .pid = p->pid,
					     .ppid = p->ppid,
					     .state = t->state - TH_HELD,
					     .stop_sig = t->stop_sig,
					     .flags = no_filter(t) ? HOLD_F_NO_FILTER : 0 };
	}
	a->out_len = n * sizeof(*out);
	return 0;
}

/* ---- reading threads ---- */

static int explain(struct ask *a, int err)
{
	switch (err) {
	case 0:
		return 0;
	case -ESRCH:
		return say(a, ESRCH, "it died");
	case -EOPNOTSUPP:
		return say(
			a, EOPNOTSUPP,
			"no place for calls is found in it: its [stack] has no room, or it has no code to return by");
	case -ETIMEDOUT:
		return say(a, ETIMEDOUT, "a system call in it did not end");
	case -EINTR:
		return say(a, EINTR, "a system call in it was broken off: whoever asked for the tree has ended");
	default:
		return say(a, -err, "system calls in it failed");
	}
}

static int one_regs(struct ask *a, struct hthread *t, uint8_t *out, size_t room, size_t *ret_len)
{
	struct hold_regs *r = (struct hold_regs *)out;
	size_t head = offsetof(struct hold_regs, xsave);
	struct trace_rseq rseq = { 0 };
	ssize_t n;
	int err;

	if (room < sizeof(*r))
		return say(a, EMSGSIZE, "no room");
	err = remote_load(&t->r);
	if (err)
		return say(a, -err, "cannot read its registers");
	err = remote_home(&a->h->proc[t->proc].r, &t->r);
	if (err)
		return explain(a, err);
	memset(r, 0, head);
	memcpy(r->gpr, &t->r.home, sizeof(r->gpr));
	r->sigmask = t->r.sigmask;
	r->rseq_cs = t->r.rseq_cs;
	if (!trace_get_rseq(t->r.tid, &rseq)) {
		r->rseq.pointer = rseq.pointer;
		r->rseq.size = rseq.size;
		r->rseq.signature = rseq.signature;
		r->rseq.flags = rseq.flags;
	}
	n = trace_get_xstate(t->r.tid, r->xsave, sizeof(r->xsave));
	if (n < 0)
		return say(a, (int)-n, "cannot read its vector registers");
	r->xsave_len = (uint32_t)n;
	*ret_len = head + n;
	return 0;
}

static int do_regs(struct ask *a)
{
	int err;
	struct hthread *t = find_thread(a, &err);

	if (err)
		return err;
	if (a->len)
		return proto(a, "regs: takes nothing");
	return one_regs(a, t, a->out, OUT_MAX, &a->out_len);
}

static int do_regs_many(struct ask *a)
{
	size_t n = a->len / sizeof(int32_t);

	if (!n || n > HOLD_REGS_MANY_MAX || a->len % sizeof(int32_t))
		return proto(a, "regs: wrong number of tids");
	for (size_t i = 0; i < n && OUT_MAX - a->out_len >= sizeof(struct hold_regs); i++) {
		struct hthread *t;
		size_t len;
		int err;

		memcpy(&a->req.tid, a->payload + i * sizeof(int32_t), sizeof(int32_t));
		t = find_thread(a, &err);
		if (!err)
			err = one_regs(a, t, a->out + a->out_len, OUT_MAX - a->out_len, &len);
		if (err)
			return err;
		a->out_len += len;
	}
	return 0;
}

static int do_sigqueue(struct ask *a)
{
	int err;
	struct hthread *t = find_thread(a, &err);
	uint64_t max = a->req.arg[2];
	ssize_t n;

	if (err)
		return err;
	if (a->len || a->req.arg[0] > 1 || a->req.arg[1] > UINT32_MAX)
		return proto(a, "sigqueue: wrong arguments");
	if (!max || max > SIGNALS_MAX)
		max = SIGNALS_MAX;
	n = trace_peek_siginfo(t->r.tid, a->req.arg[0], a->req.arg[1], (siginfo_t *)a->out, (unsigned)max);
	if (n < 0)
		return say(a, (int)-n, "cannot read its signal queue");
	a->out_len = n * sizeof(siginfo_t);
	return 0;
}

static int do_seccomp(struct ask *a)
{
	int err;
	struct hthread *t = find_thread(a, &err);
	struct hold_filter *f = (struct hold_filter *)a->out;
	uint64_t flags = 0;
	ssize_t n;

	if (err)
		return err;
	if (a->len || a->req.arg[0] > UINT32_MAX)
		return proto(a, "seccomp: wrong arguments");
	n = trace_seccomp_filter(t->r.tid, (unsigned)a->req.arg[0], (struct sock_filter *)(f + 1),
				 (OUT_MAX - sizeof(*f)) / sizeof(struct sock_filter));
	if (n < 0)
		return say(a, (int)-n, n == -ENOENT ? "there is no such filter" : "cannot read its filters");
	trace_seccomp_flags(t->r.tid, (unsigned)a->req.arg[0], &flags);
	*f = (struct hold_filter){ .nr_insns = (uint32_t)n, .flags = (uint32_t)flags };
	a->out_len = sizeof(*f) + n * sizeof(struct sock_filter);
	return 0;
}

/* ---- calls ---- */

/* Where in the stack no frame of ours may lie: all threads of the process are asked. */
static uint64_t lowest_sp(struct holder *h, const struct hproc *p)
{
	uint64_t low = 0;

	for (uint32_t k = p->leader; k != NO_INDEX; k = h->thread[k].next) {
		uint64_t sp = h->thread[k].r.home.rsp;

		if (h->thread[k].r.loaded && sp >= p->r.stack && sp < p->r.stack_end && (!low || sp < low))
			low = sp;
	}
	return low;
}

/* Whether the thread may run code of ours in one go: not with seccomp, since a filter acts when we die in between. */
static void check_thread(struct hthread *t, const struct hproc *p)
{
	if (t->checked)
		return;
	t->checked = true;
	t->r.single = (p->r.seccomp && t->r.tid == p->pid) || trace_seccomp_filter(t->r.tid, 0, NULL, 0) >= 0;
}

int threads_home(struct holder *h, const struct hproc *p)
{
	int err = 0;

	for (uint32_t k = p->leader; k != NO_INDEX && !err; k = h->thread[k].next)
		if (h->thread[k].state == TH_HELD || h->thread[k].state == TH_STOPPED)
			err = remote_load(&h->thread[k].r);
	return err;
}

/* Whoever asked for the tree has ended, or we are to end: what a task waits for in a call of ours is not worth the time. */
static bool calls_over(void *h)
{
	return holder_abandoned(h);
}

/* Our area in each process that is named by @b. */
static void map_all(struct holder *h, struct remote_batch *b, size_t n)
{
	struct remote_batch m[HOLD_BATCHES_MAX];
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		struct hproc *p = tree_find_proc(h, b[i].p->pid);
		bool again = false;

		b[i].err = remote_look(b[i].p, p->start_stack);
		for (size_t j = 0; j < k; j++)
			again |= m[j].p == b[i].p;
		if (b[i].err || b[i].p->map || again)
			continue;
		b[i].p->left_idle = b[i].p->left && !threads_home(h, p);
		b[i].p->low_sp = lowest_sp(h, p);
		m[k++] =
			(struct remote_batch){ .p = b[i].p, .t = b[i].t, .over = b[i].over, .over_arg = b[i].over_arg };
	}
	remote_map(m, k);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < k; j++)
			if (m[j].p == b[i].p && m[j].err)
				b[i].err = m[j].err;
}

int thread_prepare(struct holder *h, struct hthread *t, struct remote_batch *b)
{
	struct hproc *p = &h->proc[t->proc];

	check_thread(t, p);
	*b = (struct remote_batch){ .p = &p->r, .t = &t->r };
	map_all(h, b, 1);
	return b->err;
}

static int do_scratch(struct ask *a)
{
	int err;
	struct hthread *t = find_thread(a, &err);
	struct hold_scratch *s = (struct hold_scratch *)a->out;
	struct remote_batch b;

	if (err)
		return err;
	if (a->len)
		return proto(a, "scratch: takes nothing");
	err = thread_prepare(a->h, t, &b);
	if (err)
		return explain(a, err);
	/* Stages that run side by side have an area each. */
	s->addr = remote_client_area(b.p, a->h->client[a->c].stage);
	s->len = REMOTE_CLIENT_SIZE;
	a->out_len = sizeof(*s);
	return 0;
}

static int do_ours(struct ask *a)
{
	int err;
	struct hthread *t = find_thread(a, &err);
	struct hold_scratch *s = (struct hold_scratch *)a->out;

	if (err)
		return err;
	if (a->len)
		return proto(a, "ours: takes nothing");
	*s = (struct hold_scratch){ a->h->proc[t->proc].r.map, a->h->proc[t->proc].r.map_len };
	a->out_len = s->addr ? sizeof(*s) : 0;
	return 0;
}

static int do_calls(struct ask *a)
{
	int err;
	struct hthread *t = find_thread(a, &err);
	struct remote_batch b;

	if (err)
		return err;
	if (!a->len || a->len % sizeof(struct hold_call) || a->len / sizeof(struct hold_call) > HOLD_CALLS_MAX)
		return proto(a, "calls: wrong length");
	memcpy(a->out, a->payload, a->len);
	err = thread_prepare(a->h, t, &b);
	if (!err) {
		b.calls = (struct remote_call *)a->out;
		b.n = (unsigned)(a->len / sizeof(struct hold_call));
		b.wait_ms = a->req.arg[0] < REMOTE_WAIT_MS ? (unsigned)a->req.arg[0] : 0;
		b.over = calls_over;
		b.over_arg = a->h;
		remote_run(&b, 1);
		err = b.err;
	}
	a->out_len = a->len;
	return explain(a, err);
}

/* Check the shape of all parts. @b, @part: those whose thread can run. Return: their number, or -EPROTO. */
static int parse_parts(struct ask *a, struct remote_batch *b, struct hold_part **part)
{
	size_t n = 0, at = 0;
	int k = 0;

	while (at < a->len) {
		struct hold_part *p = (struct hold_part *)(a->out + at);
		struct hthread *t;
		int err;

		if (n++ == HOLD_BATCHES_MAX || a->len - at < sizeof(*p) || p->n > HOLD_CALLS_MAX ||
		    (a->len - at - sizeof(*p)) / sizeof(struct hold_call) < p->n)
			return -EPROTO;
		at += sizeof(*p) + p->n * sizeof(struct hold_call);
		a->req.tid = p->tid;
		t = find_thread(a, &err);
		p->err = err;
		if (!t)
			continue;
		for (int i = 0; i < k; i++)
			if (b[i].t == &t->r)
				return -EPROTO;
		check_thread(t, &a->h->proc[t->proc]);
		part[k] = p;
		b[k++] = (struct remote_batch){
			.p = &a->h->proc[t->proc].r,
			.t = &t->r,
			.calls = (struct remote_call *)(p + 1),
			.n = p->n,
			.over = calls_over,
			.over_arg = a->h,
		};
	}
	return k;
}

static int do_calls_many(struct ask *a)
{
	struct hold_part *part[HOLD_BATCHES_MAX];
	struct remote_batch b[HOLD_BATCHES_MAX];
	int n, ready = 0;

	memcpy(a->out, a->payload, a->len);
	n = parse_parts(a, b, part);
	if (n < 0)
		return proto(a, "calls: wrong length, too many, or a thread twice");
	map_all(a->h, b, n);
	for (int i = 0; i < n; i++) {
		if (b[i].err) {
			part[i]->err = -b[i].err;
			continue;
		}
		part[ready] = part[i];
		b[ready++] = b[i];
	}
	remote_run(b, ready);
	for (int i = 0; i < ready; i++)
		part[i]->err = -b[i].err;
	a->out_len = a->len;
	return 0;
}

/* ---- parked sockets ---- */

static void unpark(struct hparked *p)
{
	if (p->kind == HOLD_PARK_TCP_REPAIR)
		setsockopt(p->fd, IPPROTO_TCP, TCP_REPAIR, &p->value, sizeof(p->value));
	else
		setsockopt(p->fd, SOL_SOCKET, SO_PEEK_OFF, &p->value, sizeof(p->value));
	p->fd = fd_close(p->fd);
}

void verb_unpark(struct holder *h, unsigned client)
{
	for (unsigned i = 0; i < HOLDER_PARKED; i++)
		if (h->parked[i].fd >= 0 && h->parked[i].client == client)
			unpark(&h->parked[i]);
}

static int do_park(struct ask *a)
{
	if (a->len || a->fd < 0 || (a->req.arg[0] != HOLD_PARK_TCP_REPAIR && a->req.arg[0] != HOLD_PARK_PEEK_OFF))
		return proto(a, "park: wrong kind, or no socket");
	for (unsigned i = 0; i < HOLDER_PARKED; i++)
		if (a->h->parked[i].fd < 0) {
			a->h->parked[i] = (struct hparked){ .fd = TAKE_FD(a->fd),
							    .kind = (int32_t)a->req.arg[0],
							    .value = (int32_t)a->req.arg[1],
							    .client = a->c };
			return 0;
		}
	return say(a, ENOSPC, "too many sockets are parked");
}

/* ---- lease and end ---- */

static int do_lease(struct ask *a)
{
	if (a->len || a->fd < 0)
		return proto(a, "lease: no descriptor");
	fd_close(a->h->lease_fd);
	a->h->lease_fd = TAKE_FD(a->fd);
	a->h->a.lease = -1; /* whose it is is not known */
	return 0;
}

static int do_stop(struct ask *a)
{
	if (a->len)
		return proto(a, "stop: takes nothing");
	a->h->keep = true;
	a->h->lease_fd = fd_close(a->h->lease_fd);
	a->h->a.lease = 0;
	return 0;
}

static int do_sealed(struct ask *a)
{
	int err = need_held(a);

	if (!err)
		a->h->sealed = true;
	return err;
}

static void ended(struct ask *a, const struct release *r)
{
	struct hold_end *end = (struct hold_end *)a->out;

	*end = (struct hold_end){ .frozen_ns = r->frozen_ns, .unreaped = r->unreaped, .reaper = r->reaper };
	a->out_len = sizeof(*end);
	a->h->over = true;
}

static int do_kill(struct ask *a)
{
	struct release r;
	int err = need_held(a);

	if (err)
		return err;
	if (!a->h->sealed)
		return say(a, EPERM, "the image is not sealed: the tree would be lost");
	release_kill(a->h, &r);
	ended(a, &r);
	return 0;
}

static int do_thaw(struct ask *a)
{
	struct release r;
	int err = need_held(a);

	if (err)
		return err;
	if (a->len || a->req.arg[0] > 1)
		return proto(a, "thaw: wrong arguments");
	release_thaw(a->h, a->req.arg[0], &r);
	ended(a, &r);
	return 0;
}

void verb_dispatch(struct holder *h, unsigned c, const uint8_t *in, size_t len, int fd)
{
	static int (*const verbs[])(struct ask *) = {
		[HOLD_HELLO] = do_hello,	 [HOLD_WAIT] = do_wait,	    [HOLD_DONE] = do_done,
		[HOLD_LIST] = do_list,		 [HOLD_REGS] = do_regs,	    [HOLD_SIGQUEUE] = do_sigqueue,
		[HOLD_SCRATCH] = do_scratch,	 [HOLD_CALLS] = do_calls,   [HOLD_SECCOMP] = do_seccomp,
		[HOLD_PARK] = do_park,		 [HOLD_STATUS] = do_status, [HOLD_SEALED] = do_sealed,
		[HOLD_KILL] = do_kill,		 [HOLD_THAW] = do_thaw,	    [HOLD_STOP] = do_stop,
		[HOLD_LEASE] = do_lease,	 [HOLD_OURS] = do_ours,	    [HOLD_CALLS_MANY] = do_calls_many,
		[HOLD_REGS_MANY] = do_regs_many,
	};
	static uint8_t out[OUT_MAX] __attribute__((aligned(64)));
	struct ask a = { .h = h, .c = c, .payload = in + sizeof(a.req), .fd = fd, .out = out };
	int err;

	if (len < sizeof(a.req)) {
		err = proto(&a, "a request is shorter than its head");
	} else if (len - sizeof(a.req) > OUT_MAX) {
		err = proto(&a, "a request is too long");
	} else {
		memcpy(&a.req, in, sizeof(a.req));
		a.len = len - sizeof(a.req);
		if (a.req.verb < sizeof(verbs) / sizeof(verbs[0]) && verbs[a.req.verb])
			err = verbs[a.req.verb](&a);
		else
			err = proto(&a, "there is no such verb");
	}
	fd_close(a.fd);
	if (err >= 0)
		send_answer(h->client[c].fd, err, a.text, a.out, a.out_len);
}
