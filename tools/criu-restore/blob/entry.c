/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The restorer blob: runs the operations of a restorer program (lib/common/blob/restorer-abi.h) in the task that is
 * being restored, after its C code has handed over. Its own area is the only mapping that it may touch.
 *
 * All signals are blocked. Nothing returns from here: a thread ends parked in a futex wait, where the tracer gives it
 * its registers.
 */
#include <asm/unistd.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <stdint.h>

#include "bare/sys.h"
#include "blob/restorer-abi.h"

#define CR_PR_TIMER_CREATE_RESTORE_IDS 77 /* Linux 6.15 */

__attribute__((section(".blob.entry"), noreturn, used)) void blob_entry(struct rst_arg *arg);
__attribute__((noreturn, used)) void thread_entry(struct rst_arg *arg, const struct rst_op *start);

static void wake(uint32_t *word)
{
	bare_sys(__NR_futex, word, FUTEX_WAKE, 0x7fffffff);
}

static void wait_for(uint32_t *word, uint32_t value)
{
	uint32_t now;

	while ((now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) < value)
		bare_sys(__NR_futex, word, FUTEX_WAIT, now, 0);
}

__attribute__((noreturn)) static void fail(struct rst_arg *arg, const struct rst_op *op, long ret)
{
	struct rst_sync *sync = (struct rst_sync *)arg->sync;
	uint32_t zero = 0;
	int i;

	if (__atomic_compare_exchange_n(&sync->failed, &zero, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		struct rst_blob_fail *f = &sync->fail;

		f->nr = op->nr;
		f->pid = arg->pid;
		f->tid = (int32_t)bare_sys(__NR_gettid);
		f->ret = ret;
		f->label = op->label;
		for (i = 0; i < 3; i++)
			f->a[i] = op->a[i];
		__atomic_store_n(&f->set, 1, __ATOMIC_RELEASE);
	}
	wake(&sync->count);
	for (;;)
		bare_sys(__NR_exit_group, 1);
}

static long start_thread(struct rst_arg *arg, const struct rst_op *op)
{
	int tid = (int)op->a[0];
	struct clone_args ca = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
		.stack = arg->data + op->a[1] - RST_STACK,
		.stack_size = RST_STACK,
		.set_tid = (uintptr_t)&tid,
		.set_tid_size = 1,
	};
	register struct rst_arg *r12 __asm__("r12") = arg;
	register const struct rst_op *r13 __asm__("r13") = op;
	long ret;

	/* The new thread has our registers but another stack, so nothing of this frame may be used there. */
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r12, %%rdi\n\t"
			 "mov %%r13, %%rsi\n\t"
			 "call thread_entry\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(ret)
			 : "0"((long)__NR_clone3), "D"(&ca), "S"(sizeof(ca)), "r"(r12), "r"(r13)
			 : "rcx", "r11", "memory");
	return ret;
}

/* A POSIX timer with the id it had. Before Linux 6.15 ids can only be counted up to. */
static long make_timer(struct rst_arg *arg, const struct rst_op *op)
{
	int id = (int)op->a[2], want = id;
	long ret;

	ret = bare_sys(__NR_prctl, CR_PR_TIMER_CREATE_RESTORE_IDS, 1);
	if (ret == 0) {
		ret = bare_sys(__NR_timer_create, op->a[0], arg->data + op->a[1], &id);
		bare_sys(__NR_prctl, CR_PR_TIMER_CREATE_RESTORE_IDS, 0);
		return ret ? ret : id == want ? 0 : -17; /* EEXIST */
	}
	for (;;) {
		ret = bare_sys(__NR_timer_create, op->a[0], arg->data + op->a[1], &id);
		if (ret || id == want)
			return ret;
		bare_sys(__NR_timer_delete, id);
		if (id > want)
			return -17;
	}
}

static long do_sys(struct rst_arg *arg, const struct rst_op *op)
{
	uint64_t a[6];
	int i;

	for (i = 0; i < 6; i++)
		a[i] = op->a[i] + (op->reloc >> i & 1 ? arg->data : 0);
	return bare_sys(op->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void do_op(struct rst_arg *arg, const struct rst_op *op)
{
	struct rst_sync *sync = (struct rst_sync *)arg->sync;
	long ret = 0;

	switch ((enum rst_opcode)op->op) {
	case RST_OP_SYS:
		ret = do_sys(arg, op);
		if (op->flags & RST_F_IGNORE)
			return;
		if (op->flags & RST_F_EXACT && ret != op->want && !bare_failed(ret))
			ret = -22;
		break;
	case RST_OP_THREAD:
		ret = start_thread(arg, op);
		break;
	case RST_OP_TIMER:
		ret = make_timer(arg, op);
		break;
	case RST_OP_REPORT:
		if (__atomic_add_fetch(&sync->count, 1, __ATOMIC_ACQ_REL) ==
		    __atomic_load_n(&sync->target, __ATOMIC_ACQUIRE))
			wake(&sync->count);
		break;
	case RST_OP_WAIT:
		wait_for(&sync->stage, (uint32_t)op->a[0]);
		break;
	case RST_OP_ARRIVE:
		if (__atomic_add_fetch(&arg->arrived, 1, __ATOMIC_ACQ_REL) == op->a[0])
			wake(&arg->arrived);
		break;
	case RST_OP_JOIN:
		wait_for(&arg->arrived, (uint32_t)op->a[0]);
		break;
	case RST_OP_POINTER:
		*(uint64_t *)(arg->data + op->a[0]) = arg->data + op->a[1];
		break;
	case RST_OP_PARK:
		for (;;)
			wait_for(&arg->park, 1);
	default:
		ret = -38;
	}
	if (bare_failed(ret))
		fail(arg, op, ret);
}

__attribute__((noreturn)) static void run(struct rst_arg *arg, uint64_t first, uint64_t nr)
{
	const struct rst_op *op = (const struct rst_op *)arg->ops + first;

	for (; nr; nr--)
		do_op(arg, op++);
	for (;;)
		bare_sys(__NR_exit_group, 2);
}

void thread_entry(struct rst_arg *arg, const struct rst_op *start)
{
	run(arg, start->a[2], start->a[3]);
}

void blob_entry(struct rst_arg *arg)
{
	if (arg->magic != RST_ABI_MAGIC || arg->version != RST_ABI_VERSION)
		for (;;)
			bare_sys(__NR_exit_group, 3);
	run(arg, arg->first, arg->nr);
}
