/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A thread that is to make calls for us gets registers of ours by one SETREGSET, which is atomic: at any instant it has
 * its own registers, or ours, and then rsp points at a frame as the kernel makes them for signal handlers, and every
 * path of the code ends in rt_sigreturn(2) with that frame: when we die, the thread makes what calls are left, and
 * returns to where it was with all registers, vector state and signal mask. While we live its registers are put back by
 * ptrace, which keeps restarts of sleeping calls exact.
 *
 * Order matters: the frame is in memory before the registers change; the signal mask is changed (all blocked, so that
 * no handler runs on our stack) only after the registers, since the frame brings back the mask too, and is put back
 * before them.
 *
 * Two ways:
 *	vector	code of ours in our area makes a whole row of calls and then sends its thread a signal that is ignored
 *		and not caught: one resume and one stop for the row. A thread without tracer just ignores the signal.
 *		(SIGTRAP, by single step or int3, would kill it: test/kernel/ptrace.)
 *	single	a `syscall ... ret` of the vdso, between two stops of PTRACE_SYSCALL each, which are no signals. For the
 *		first call (that maps our area), for the last (that unmaps it), for threads with seccomp (suspended
 *		by PTRACE_O_SUSPEND_SECCOMP; with our death in the middle a filter acts: doc/reliability.md), and where
 * all harmless signals are caught (Go).
 *
 * A wake-up of a thread on an idle processor costs 20-50 us in a virtual machine, so batches of many threads run side
 * by side: all are started, then each is waited for. Every batch is a small state machine, step() takes one stop.
 *
 * The frame of the first call lies at the low end of [stack], where no thread's stack pointer is near, later ones in
 * slots of our area. Where no restorer is found, a stub of ours stands at the program's entry, which no program jumps to
 * twice, until the area is mapped. The area lies in the room that the kernel leaves for the stack, away from other
 * mappings, so that it does not merge with a neighbour.
 */
#include "trace/remote.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "trace/code.h"
#include "restart.h"
#include "trace/frame.h"
#include "trace/look.h"
#include "trace/trace.h"

enum {
	PAGE = 4096,
	STUB_AT = 512,	    /* in the page of code */
	STACK_ROOM = 16384, /* between our frame and any stack pointer */
	RED_ZONE = 256,
	STACK_FRESH = 160 << 10, /* no larger than execve(2) made it */
	CALLS_AT = 16384,	 /* in a slot, behind the frame */
	MAP_STEP = 32,		 /* address spaces at a time */
	UNMAP_TRIES = 3,
	MAP_BELOW = 100 << 20, /* the area, below the end of the stack */
	ASK_MS = 100,	       /* how often to ask whether calls are to be broken off */
};

_Static_assert(REMOTE_CALLS_MAX * sizeof(struct remote_call) <= REMOTE_SLOT_SIZE - CALLS_AT, "calls fit in a slot");
_Static_assert((int)FRAME_MAX <= (int)CALLS_AT && REMOTE_SLOTS <= 32, "a frame fits in a slot");

enum { DONE, VECTOR, ENTRY, EXIT, STOPPING };
enum { FRAME_NONE, FRAME_IN_STACK, FRAME_SLOT_0 }; /* struct remote_thread, frame */

size_t remote_map_size(void)
{
	return PAGE + (size_t)REMOTE_SLOTS * REMOTE_SLOT_SIZE + (size_t)REMOTE_CLIENTS * REMOTE_CLIENT_SIZE;
}

static uint64_t slot_addr(const struct remote_proc *p, int slot)
{
	return p->map + PAGE + (uint64_t)slot * REMOTE_SLOT_SIZE;
}

uint64_t remote_client_area(const struct remote_proc *p, unsigned client)
{
	return slot_addr(p, REMOTE_SLOTS) + (uint64_t)(client % REMOTE_CLIENTS) * REMOTE_CLIENT_SIZE;
}

/* The kernel aborts a restartable sequence when it resumes a thread; with our registers it only forgets it. */
static void leave_rseq(struct remote_thread *t)
{
	uint64_t cs[4], gpr[GPR_COUNT];
	struct trace_rseq rseq;

	if (trace_get_rseq(t->tid, &rseq) || !rseq.pointer ||
	    mem_read(t->tid, rseq.pointer + 8, &t->rseq_cs, sizeof(t->rseq_cs)) || !t->rseq_cs ||
	    mem_read(t->tid, t->rseq_cs, cs, sizeof(cs)))
		return;
	memcpy(gpr, &t->home, sizeof(gpr));
	if (restart_rseq(gpr, cs))
		memcpy(&t->home, gpr, sizeof(gpr));
}

/* Put back the number of a sleep that was interrupted before. The kernel does not look at it: it restarts what it
 * remembers. */
static void find_lost_nr(struct remote_thread *t)
{
	uint8_t code[RESTART_CODE];
	uint64_t nr;

	if ((int64_t)t->home.rax != -K_ERESTART_RESTARTBLOCK || t->home.orig_rax != RESTART_SYSCALL_NR ||
	    mem_read(t->tid, t->home.rip - 2 - RESTART_CODE, code, sizeof(code)))
		return;
	nr = restart_lost_nr(code);
	if (nr)
		t->home.orig_rax = nr;
}

/* Where the frame is to which a thread returns that works for a holder; 0: it does not. */
static uint64_t find_frame(const struct remote_thread *t)
{
	uint64_t sp = t->home.rsp;
	uint8_t head[FRAME_HEAD];

	/* The stack pointer is behind its first word, or at it, which may be the first of a mapping. */
	if (!(sp % FRAME_ALIGN))
		return !mem_read(t->tid, sp, head, sizeof(head)) && frame_is_ours(head) ? sp : 0;
	return sp % FRAME_ALIGN == 8 && !mem_read(t->tid, sp - 8, head, sizeof(head)) && frame_is_ours(head) ? sp - 8
													     : 0;
}

/*
 * The holder that this thread worked for was killed, and it has not come home yet (it waits for a processor, or it is
 * stopped): do what the frame will do.
 */
static int take_home(struct remote_thread *t, uint64_t at)
{
	static uint8_t frame[FRAME_MAX], whole[FRAME_MAX] __attribute__((aligned(64)));
	struct user_regs_struct home = t->home;
	ssize_t have = trace_get_xstate(t->tid, whole, sizeof(whole)), n;
	const uint8_t *xstate;
	uint64_t mask;
	int err;

	if (have < 0 || frame_size((size_t)have) > sizeof(frame))
		return have < 0 ? (int)have : -EINVAL;
	err = mem_read(t->tid, at, frame, frame_size((size_t)have));
	if (err) /* without AMX it may be shorter */
		err = mem_read(t->tid, at, frame, frame_size(frame_xstate_len(whole, (size_t)have)));
	if (err)
		return err;
	n = frame_parse(frame, frame_size((size_t)have), &home, &mask, &xstate);
	if (n < 0 || n > have)
		return n < 0 ? (int)n : -EINVAL;
	memset(whole, 0, (size_t)have);
	memcpy(whole, xstate, (size_t)n);
	err = trace_set_xstate(t->tid, whole, (size_t)have);
	if (!err)
		err = trace_set_sigmask(t->tid, mask);
	if (!err)
		err = trace_set_regs(t->tid, &home);
	if (err)
		return err;
	t->home = home;
	t->sigmask = mask;
	return 0;
}

int remote_load(struct remote_thread *t)
{
	uint64_t frame;
	int err;

	if (t->loaded)
		return 0;
	err = trace_get_regs(t->tid, &t->home);
	if (!err)
		err = trace_get_sigmask(t->tid, &t->sigmask);
	if (err)
		return err;
	frame = find_frame(t);
	if (frame)
		err = take_home(t, frame);
	if (err)
		return err;
	t->rseq_cs = 0;
	leave_rseq(t);
	find_lost_nr(t);
	t->loaded = true;
	return 0;
}

/* ---- the next stop, within a time ---- */

static const int ending[] = { SIGINT, SIGTERM, SIGHUP };

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/*
 * SIGCHLD is blocked in the tracer; every stop sends one.
 * @b: who may break the wait off, by a signal that asks us to end or by its question; NULL: nobody
 * Return: 0; -ESRCH; -ETIMEDOUT; -EINTR: broken off
 */
static int wait_stop(pid_t tid, int64_t deadline, const struct remote_batch *b, struct trace_event *ev)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; b && b->breakable && i < sizeof(ending) / sizeof(ending[0]); i++)
		sigaddset(&set, ending[i]);
	for (;;) {
		int err = trace_wait(tid, true, ev);
		int64_t left = deadline - now_ms(), slice = b && b->over && left > ASK_MS ? ASK_MS : left;
		struct timespec ts = { slice / 1000, slice % 1000 * 1000000 };
		int sig;

		if (err)
			return err == -ECHILD ? -ESRCH : err;
		if (ev->kind == TRACE_DEAD)
			return -ESRCH;
		if (ev->kind != TRACE_RUNNING)
			return 0;
		if (left <= 0)
			return -ETIMEDOUT;
		sig = sigtimedwait(&set, NULL, &ts);
		if (sig < 0 && b && b->over && b->over(b->over_arg))
			return -EINTR;
		if (sig > 0 && sig != SIGCHLD) {
			raise(sig); /* still blocked: the caller ends by it later */
			return -EINTR;
		}
	}
}

/* ---- one thread's way through its calls ---- */

static int write_frame(struct remote_batch *b, uint64_t restorer)
{
	static uint8_t xstate[FRAME_MAX - FRAME_XSTATE - 8], frame[FRAME_MAX];
	ssize_t n = trace_get_xstate(b->t->tid, xstate, sizeof(xstate));
	size_t len;

	if (n < 0)
		return (int)n;
	len = frame_xstate_len(xstate, n);
	frame_build(frame, b->frame, restorer, &b->t->home, b->t->sigmask, xstate, len);
	return mem_write(b->p->pid, b->frame, frame, frame_size(len));
}

/* Give the thread our registers and block its signals but @open. */
static int send_away(struct remote_batch *b, struct user_regs_struct *r, int open)
{
	int err;

	r->orig_rax = -1; /* what it was in is not restarted now */
	err = trace_set_regs(b->t->tid, r);
	if (err)
		return err;
	b->t->away = true;
	return trace_set_sigmask(b->t->tid, open ? ~(1ull << (open - 1)) : ~0ull);
}

static int bring_home(struct remote_thread *t)
{
	int err = trace_set_sigmask(t->tid, t->sigmask);

	if (!err)
		err = trace_set_regs(t->tid, &t->home);
	if (!err)
		t->away = false;
	return err;
}

/* A frame that stays in [stack] must not be taken for one that is in use, should the program come to stand just there. */
static void forget_frame(const struct remote_batch *b)
{
	static const uint8_t nothing[FRAME_HEAD];

	mem_write(b->p->pid, b->frame, nothing, sizeof(nothing));
}

/* Where its frame was may be used for others again. */
static void free_frame(struct remote_proc *p, struct remote_thread *t)
{
	if (t->frame == FRAME_IN_STACK)
		p->stack_busy = false;
	else if (t->frame != FRAME_NONE)
		p->slots &= ~(1u << (t->frame - FRAME_SLOT_0));
	t->frame = FRAME_NONE;
}

int remote_home(struct remote_proc *p, struct remote_thread *t)
{
	struct trace_event ev;
	int err = 0;

	while (!err && t->away) {
		err = trace_wait(t->tid, true, &ev);
		if (err || ev.kind == TRACE_DEAD)
			return err ? err : -ESRCH;
		if (ev.kind == TRACE_RUNNING)
			return -ETIMEDOUT;
		/* The interrupt is still pending. */
		err = ev.kind == TRACE_STOP || ev.kind == TRACE_GROUP ? bring_home(t) : trace_cont(t->tid, 0);
	}
	if (!err)
		free_frame(p, t);
	return err;
}

static void finish(struct remote_batch *b, int err)
{
	bool was_away = b->t->away;
	int ret = was_away ? bring_home(b->t) : 0;

	if (was_away && !ret && b->slot < 0)
		forget_frame(b);
	b->err = err ? err : ret;
	/* The frame of one that does not come home now is needed when it does. */
	b->t->frame = b->slot < 0 ? FRAME_IN_STACK : (uint8_t)(FRAME_SLOT_0 + b->slot);
	if (b->t->away)
		b->p->stack_busy |= b->slot < 0;
	else
		free_frame(b->p, b->t);
	b->state = DONE;
}

static void start_vector(struct remote_batch *b)
{
	uint64_t calls = b->frame + CALLS_AT;
	struct user_regs_struct r = b->t->home;
	int err = write_frame(b, 0);

	if (!err)
		err = mem_write(b->p->pid, calls, b->calls, b->n * sizeof(*b->calls));
	r.rip = b->p->map;
	r.rsp = b->frame + 8;
	r.rbx = calls;
	r.r12 = calls + b->n * sizeof(*b->calls);
	r.r14 = b->p->signal;
	if (!err)
		err = send_away(b, &r, b->p->signal);
	if (!err)
		err = trace_cont(b->t->tid, 0);
	if (err)
		finish(b, err);
	else
		b->state = VECTOR;
}

/* The next call, from a stop. Return: 0, -errno; 1: there is none. */
static int single_next(struct remote_batch *b)
{
	struct user_regs_struct r = b->t->home;
	const struct remote_call *c;
	int err;

	while (b->at < b->n && b->calls[b->at].nr < 0)
		b->at++;
	if (b->at == b->n)
		return 1;
	c = &b->calls[b->at];
	r.rip = b->insn;
	r.rsp = b->frame;
	r.rax = c->nr;
	r.rdi = c->arg[0];
	r.rsi = c->arg[1];
	r.rdx = c->arg[2];
	r.r10 = c->arg[3];
	r.r8 = c->arg[4];
	r.r9 = c->arg[5];
	err = send_away(b, &r, 0);
	if (!err)
		err = trace_cont_syscall(b->t->tid);
	if (!err)
		b->state = ENTRY;
	return err;
}

/* To where interrupted calls are restarted from, with the interrupt asked for before the thread leaves its stop. */
static int single_end(struct remote_batch *b)
{
	int err = trace_interrupt(b->t->tid);

	if (!err)
		err = trace_cont(b->t->tid, 0);
	if (!err)
		b->state = STOPPING;
	return err;
}

static void start_single(struct remote_batch *b, uint64_t restorer)
{
	int err = write_frame(b, restorer);

	b->at = 0;
	if (!err)
		err = single_next(b);
	if (err)
		finish(b, err > 0 ? 0 : err);
}

static int resume(const struct remote_batch *b)
{
	return b->state == ENTRY || b->state == EXIT ? trace_cont_syscall(b->t->tid) : trace_cont(b->t->tid, 0);
}

static bool is_stop_signal(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP || sig == SIGSYS;
}

static int step_vector(struct remote_batch *b)
{
	struct user_regs_struct r;
	int err = trace_get_regs(b->t->tid, &r);

	if (err)
		return err;
	/* The same signal from elsewhere, on the way: ignored by the task, so by us. */
	if (r.rip != b->p->map + (code_vector_done - code_vector))
		return resume(b);
	err = mem_read(b->p->pid, b->frame + CALLS_AT, b->calls, b->n * sizeof(*b->calls));
	finish(b, err);
	return 0;
}

static int step_call(struct remote_batch *b)
{
	struct user_regs_struct r;
	int err;

	if (b->state == ENTRY) {
		b->state = EXIT;
		return trace_cont_syscall(b->t->tid);
	}
	err = trace_get_regs(b->t->tid, &r);
	if (err)
		return err;
	b->calls[b->at++].ret = (int64_t)r.rax;
	err = single_next(b);
	return err > 0 ? single_end(b) : err;
}

/* A thread does not come back: break its call off. */
static void give_up(struct remote_batch *b, int why, int64_t *deadline)
{
	struct trace_event ev;
	int err = trace_interrupt(b->t->tid);

	*deadline = now_ms() + 1000;
	while (!err) {
		err = wait_stop(b->t->tid, *deadline, NULL, &ev);
		if (err || ev.kind == TRACE_STOP || ev.kind == TRACE_GROUP)
			break;
		err = trace_cont(b->t->tid, 0);
	}
	finish(b, why);
}

/* Wait for one stop of the thread and go on from there. */
static void step(struct remote_batch *b, int64_t *deadline)
{
	struct trace_event ev;
	int err = wait_stop(b->t->tid, *deadline, b, &ev);

	if (err == -ETIMEDOUT || err == -EINTR) {
		give_up(b, err, deadline);
		return;
	}
	if (!err && (ev.kind == TRACE_STOP || ev.kind == TRACE_GROUP) && b->state == STOPPING) {
		finish(b, 0);
		return;
	}
	if (!err && ev.kind == TRACE_SYSCALL && (b->state == ENTRY || b->state == EXIT)) {
		err = step_call(b);
	} else if (!err && ev.kind == TRACE_SIGNAL && b->state == VECTOR && ev.sig == b->p->signal) {
		/* If we die, a thread that has its own mask again, which may block it, would find it pending. */
		trace_drop_signal(b->t->tid);
		err = step_vector(b);
	} else if (!err && ev.kind == TRACE_SIGNAL && is_fault(ev.sig)) {
		trace_drop_signal(b->t->tid); /* the task has done nothing wrong */
		err = -EFAULT;
	} else if (!err) {
		if (ev.kind == TRACE_SIGNAL && is_stop_signal(ev.sig))
			b->t->restop = true;
		err = resume(b);
	}
	if (err)
		finish(b, err);
}

/* One stop of each that runs, until none does. */
static void run_all(struct remote_batch *b, size_t n)
{
	int64_t deadline = now_ms() + (n && b->wait_ms ? b->wait_ms : REMOTE_WAIT_MS);
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++)
			if (b[i].state != DONE) {
				step(&b[i], &deadline);
				more |= b[i].state != DONE;
			}
	}
}

static int take_slot(struct remote_proc *p)
{
	for (int i = 0; i < REMOTE_SLOTS; i++)
		if (!(p->slots & 1u << i)) {
			p->slots |= 1u << i;
			return i;
		}
	return -1;
}

static void start(struct remote_batch *b)
{
	b->frame = slot_addr(b->p, b->slot);
	if (!b->t->single && b->p->signal) {
		start_vector(b);
		return;
	}
	b->insn = b->p->map + STUB_AT;
	start_single(b, b->insn + (code_stub_restorer - code_stub));
}

void remote_run(struct remote_batch *b, size_t n)
{
	enum { WAITING = 0xff };
	bool waiting = true;

	for (size_t i = 0; i < n; i++) {
		b[i].err = b[i].n > REMOTE_CALLS_MAX || !b[i].p->map ? -EINVAL : remote_load(b[i].t);
		if (!b[i].err)
			b[i].err = remote_home(b[i].p, b[i].t);
		b[i].state = b[i].err ? DONE : WAITING;
		b[i].slot = -1;
	}
	while (waiting) {
		bool started = false;

		waiting = false;
		for (size_t i = 0; i < n; i++) {
			if (b[i].state != WAITING)
				continue;
			b[i].slot = (int8_t)take_slot(b[i].p);
			if (b[i].slot >= 0) {
				start(&b[i]);
				started = true;
			} else {
				waiting = true;
			}
		}
		if (waiting && !started) { /* all slots are taken by threads that do not come home */
			for (size_t i = 0; i < n; i++)
				if (b[i].state == WAITING)
					b[i].state = DONE, b[i].err = -ETIMEDOUT;
			return;
		}
		/* run_all() knows nothing of those that wait for a slot. */
		for (size_t i = 0; i < n; i++)
			if (b[i].state == WAITING)
				b[i].state = DONE, b[i].err = 1;
		run_all(b, n);
		for (size_t i = 0; i < n; i++)
			if (b[i].err == 1)
				b[i].state = WAITING, b[i].err = 0;
	}
}

/* ---- our area: the first call and the last ---- */

static int poke(struct remote_proc *p)
{
	size_t len = code_stub_end - code_stub;
	int err;

	if (p->poked || (p->insn && p->restorer))
		return 0;
	if (!p->entry)
		return -EOPNOTSUPP;
	err = mem_read(p->pid, p->entry, p->old, len);
	if (!err)
		err = mem_write_code(p->pid, p->entry, code_stub, len);
	p->poked = !err;
	return err;
}

static int unpoke(struct remote_proc *p)
{
	if (!p->poked)
		return 0;
	p->poked = false;
	return mem_write_code(p->pid, p->entry, p->old, code_stub_end - code_stub);
}

/*
 * Where the frame of a first or last call lies: at the low end of [stack], far below every stack pointer. Where there is no
 * room (deep recursion), or the stack has grown and nobody stands in it (a coroutine that was switched away may have its
 * data there), the stack is made to grow: a write through /proc/PID/mem does that as an access of the task would.
 */
static uint64_t frame_in_stack(struct remote_proc *p)
{
	uint64_t top = p->low_sp ? p->low_sp : p->stack_end, at = (p->stack + FRAME_ALIGN - 1) & -(uint64_t)FRAME_ALIGN;
	bool grown = p->stack_end - p->stack > STACK_FRESH, zero[8] = { 0 };

	if (!p->stack)
		return 0;
	if (top - p->stack >= FRAME_MAX + STACK_ROOM && (p->low_sp || !grown))
		return at;
	if (!p->low_sp)
		top = p->stack;
	at = (top - RED_ZONE - FRAME_MAX) & -(uint64_t)FRAME_ALIGN;
	if (at >= p->stack)
		return at;
	if (mem_write_code(p->pid, at, zero, sizeof(zero)))
		return 0;
	p->stack = at & -(uint64_t)PAGE;
	return at;
}

static void start_outside(struct remote_batch *b)
{
	struct remote_proc *p = b->p;
	int err = p->stack_busy ? -ETIMEDOUT : remote_load(b->t);

	b->slot = -1;
	b->frame = frame_in_stack(p);
	if (!err && !b->frame)
		err = -EOPNOTSUPP;
	if (!err)
		err = poke(p);
	if (err) {
		b->err = err;
		b->state = DONE;
		return;
	}
	b->insn = p->insn ? p->insn : p->entry;
	start_single(b, p->restorer ? p->restorer : p->entry + (code_stub_restorer - code_stub));
}

static bool failed(int64_t ret)
{
	return (uint64_t)ret > -4096ul;
}

static int write_code(struct remote_proc *p)
{
	uint8_t page[STUB_AT + 64] = { 0 };

	memset(page, 0xcc, sizeof(page));
	memcpy(page, code_vector, code_vector_end - code_vector);
	memcpy(page + STUB_AT, code_stub, code_stub_end - code_stub);
	return mem_write_code(p->pid, p->map, page, sizeof(page));
}

static struct remote_call map_call(uint64_t addr, size_t len, int prot, int flags)
{
	return (struct remote_call){ .nr = SYS_mmap,
				     .arg = { addr, len, (uint64_t)prot,
					      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, (uint64_t)-1, 0 } };
}

static void one_outside(struct remote_batch *m, struct remote_call *c)
{
	m->calls = c;
	m->n = 1;
	start_outside(m);
	run_all(m, 1);
	unpoke(m->p);
	if (!m->err && failed(c->ret))
		m->err = (int)c->ret;
}

/*
 * A task may refuse memory that is writable and executable at once (PR_SET_MDWE, as systemd's
 * MemoryDenyWriteExecute= sets it). The page of code need not be writable: it is written by force.
 */
static void map_in_parts(struct remote_batch *m, struct remote_call *c, uint64_t hint)
{
	int err;

	*c = map_call(hint, remote_map_size(), PROT_READ | PROT_WRITE, 0);
	m->err = 0;
	one_outside(m, c);
	if (m->err)
		return;
	m->p->map = (uint64_t)c->ret;
	m->p->map_len = remote_map_size();
	*c = map_call(m->p->map, PAGE, PROT_READ | PROT_EXEC, MAP_FIXED);
	one_outside(m, c);
	if (!m->err)
		return;
	/* Executable memory is refused altogether. */
	err = m->err;
	*c = (struct remote_call){ .nr = SYS_munmap, .arg = { m->p->map, m->p->map_len } };
	m->err = 0;
	one_outside(m, c);
	m->p->map = m->p->map_len = 0;
	m->err = err;
}

uint64_t remote_map_hint(const struct remote_proc *p)
{
	uint64_t hint = p->stack_end > MAP_BELOW ? (p->stack_end - MAP_BELOW) & ~(uint64_t)(PAGE - 1) : 0;

	return hint && hint + 2 * remote_map_size() > p->stack ? 0 : hint;
}

/* What a killed holder could not take out. */
static void unmap_left(struct remote_batch *m)
{
	struct remote_call c = { .nr = SYS_munmap, .arg = { m->p->left, remote_map_size() } };

	m->p->left = 0;
	one_outside(m, &c);
	m->err = 0; /* if it could not be unmapped, it stays: no harm */
}

void remote_map(struct remote_batch *b, size_t n)
{
	struct remote_call calls[MAP_STEP];

	for (size_t at = 0; at < n; at += MAP_STEP) {
		size_t step_n = n - at < MAP_STEP ? n - at : MAP_STEP;

		for (size_t i = 0; i < step_n; i++) {
			struct remote_batch *m = &b[at + i];

			if (m->p->left && m->p->left_idle)
				unmap_left(m);
			calls[i] = map_call(remote_map_hint(m->p), remote_map_size(),
					    PROT_READ | PROT_WRITE | PROT_EXEC, 0);
			m->calls = &calls[i];
			m->n = 1;
			start_outside(m);
		}
		run_all(b + at, step_n);
		for (size_t i = 0; i < step_n; i++) {
			struct remote_batch *m = &b[at + i];

			unpoke(m->p);
			if (!m->err && calls[i].ret == -EACCES) {
				map_in_parts(m, &calls[i], remote_map_hint(m->p));
			} else if (!m->err && failed(calls[i].ret)) {
				m->err = (int)calls[i].ret;
			} else if (!m->err) {
				m->p->map = (uint64_t)calls[i].ret;
				m->p->map_len = remote_map_size();
			}
			if (!m->err)
				m->err = write_code(m->p);
		}
	}
}

/* Done, or no use. */
static bool unmap_over(const struct remote_batch *m)
{
	return !m->p->map || m->err == -ESRCH || m->err == -ETIMEDOUT;
}

static void unmap_step(struct remote_batch *b, size_t n)
{
	struct remote_call calls[MAP_STEP];

	for (size_t i = 0; i < n; i++) {
		struct remote_batch *m = &b[i];

		calls[i] = (struct remote_call){ .nr = SYS_munmap, .arg = { m->p->map, m->p->map_len } };
		m->calls = &calls[i];
		m->n = unmap_over(m) ? 0 : 1;
		if (m->n)
			start_outside(m);
	}
	run_all(b, n);
	for (size_t i = 0; i < n; i++) {
		struct remote_batch *m = &b[i];

		if (!m->n)
			continue;
		if (!m->err && failed(calls[i].ret))
			m->err = (int)calls[i].ret;
		if (!m->err)
			m->p->map = m->p->map_len = 0;
		unpoke(m->p);
	}
}

/* Nobody comes after us who could do it: what fails is tried again. */
void remote_unmap(struct remote_batch *b, size_t n)
{
	for (int tries = 0; tries < UNMAP_TRIES; tries++)
		for (size_t at = 0; at < n; at += MAP_STEP)
			unmap_step(b + at, n - at < MAP_STEP ? n - at : MAP_STEP);
}
