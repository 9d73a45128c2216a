/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: large dense runs of pages.
 *
 * A run is cut into pieces; two threads take one after the other. In each, one byte per 2 MiB is touched, MADV_COLLAPSE
 * makes huge pages of them (it leaves no flag behind, unlike MADV_HUGEPAGE; a failure means small pages, no more), and
 * the image is read into them while they are in the cache. One MADV_COLLAPSE drains the page lists of all CPUs, so
 * pieces are not too small.
 *
 * The second thread is a bare clone: it shares everything with the first, libc's thread-local storage included, so it
 * makes bare system calls only. Its pid is chosen so that it is nobody's who is still to be made.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bare/sys.h"
#include "kind/mm/restore-internal.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PIECE	   (8ull << 20)
#define TWO_FROM   (32ull << 20) /* below, starting a thread does not pay */
#define STACK_SIZE (16ull << 10)

struct bulk {
	int fd;
	bool huge;
	uint64_t at, len;
	off_t off;
	uint64_t next; /* offset of the next piece; atomic */
	int err;       /* the first error; atomic */
	uint32_t tid;  /* of the second thread; 0: it has ended (cleared by the kernel) */
};

static int read_piece(struct bulk *b, uint64_t o, uint64_t len)
{
	char *at = (char *)b->at + o;
	long got;

	if (b->huge) {
		for (uint64_t p = 0; p < len; p += MM_HUGE)
			*(volatile char *)(at + p) = 0;
		bare_sys(__NR_madvise, at, len, MADV_COLLAPSE);
	}
	while (len) {
		got = bare_sys(__NR_pread64, b->fd, at, len, b->off + (off_t)o);
		if (got == -EINTR)
			continue;
		if (got <= 0)
			return got ? (int)got : -ENODATA;
		at += got;
		o += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return 0;
}

static void work(struct bulk *b)
{
	uint64_t o;
	int err;

	while (!__atomic_load_n(&b->err, __ATOMIC_ACQUIRE)) {
		o = __atomic_fetch_add(&b->next, PIECE, __ATOMIC_ACQ_REL);
		if (o >= b->len)
			return;
		err = read_piece(b, o, b->len - o < PIECE ? b->len - o : PIECE);
		if (err)
			__atomic_store_n(&b->err, err, __ATOMIC_RELEASE);
	}
}

/* Return: whether there is a second thread. On its @stack. */
static bool start_second(struct rst *r, struct bulk *b, char *stack)
{
	pid_t tid;
	struct clone_args ca = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
			 CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
		.parent_tid = (uintptr_t)&b->tid,
		.child_tid = (uintptr_t)&b->tid,
		.stack = (uintptr_t)stack,
		.stack_size = STACK_SIZE,
		.set_tid = (uintptr_t)&tid,
		.set_tid_size = 1,
	};
	long ret;

	do {
		tid = r->spare_pid(r);
		/* The new thread begins with our registers on its own stack: it may use rbx only. */
		__asm__ volatile("syscall\n\t"
				 "test %%rax, %%rax\n\t"
				 "jnz 1f\n\t"
				 "xor %%ebp, %%ebp\n\t"
				 "mov %[b], %%rdi\n\t"
				 "call *%[work]\n\t"
				 "mov %[exit], %%eax\n\t"
				 "xor %%edi, %%edi\n\t"
				 "syscall\n"
				 "1:"
				 : "=a"(ret)
				 : "0"((long)SYS_clone3), "D"(&ca),
				   "S"(sizeof(ca)), [b] "r"(b), [work] "r"(work), [exit] "i"(SYS_exit)
				 : "rcx", "r11", "memory");
	} while (ret == -EEXIST && tid > 1);
	return ret > 0;
}

int mm_read_bulk(struct rst *r, int fd, uint64_t at, uint64_t len, off_t off, bool huge)
{
	struct bulk b = { .fd = fd, .huge = huge, .at = at, .len = len, .off = off };
	char *stack = MAP_FAILED;
	uint32_t tid;

	if (len >= TWO_FROM && r->spare_pid)
		stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack != MAP_FAILED && !start_second(r, &b, stack))
		b.tid = 0;
	work(&b);
	while ((tid = __atomic_load_n(&b.tid, __ATOMIC_ACQUIRE)) != 0)
		syscall(SYS_futex, &b.tid, FUTEX_WAIT, tid, NULL, NULL, 0);
	if (stack != MAP_FAILED)
		munmap(stack, STACK_SIZE);
	return b.err;
}
