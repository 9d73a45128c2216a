/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-freeze exec -t TID SYSCALL ARG...
 *
 * Theory of operation: where a holder of the images directory keeps the task, it is asked to have the call made.
 * Otherwise this process stops the one process of the task with the means of the holder (tree.c, remote.c), has the
 * call made, takes all memory of ours out again, and lets the process go. Its children run on meanwhile. All threads
 * stand, since the frame that heals the thread when we die lies below the stack pointers of all.
 *
 * A call that does not end within --timeout is broken off by an interrupt, which the thread does not notice: its
 * registers are put back before a signal could be delivered. ^C does the same at once. If we are killed in the middle
 * of a call that sleeps, the thread makes it to its end and then goes back to where it was.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "exec.h"
#include "freeze.h"
#include "hold/client.h"
#include "proc/status.h"
#include "trace/look.h"
#include "trace/trace.h"

enum { TIMEOUT = 10, RAX = 10 };

static int timeout_of(const struct cr_opts *o)
{
	return o->timeout >= 0 ? o->timeout : TIMEOUT;
}

static void fill(const struct exec_call *c, int64_t *nr, uint64_t arg[6])
{
	*nr = c->nr;
	for (unsigned i = 0; i < EXEC_ARGS; i++)
		arg[i] = c->arg[i].value;
}

static int call_failed(int err, const char *object, const char *name, int seconds, struct cr_err *e)
{
	switch (err) {
	case 0:
		return 0;
	case -EINTR:
		cr_err_set(e, CR_E_CALL_TIMEOUT, 0, object, "%s was broken off", name ? name : "the call");
		return err;
	case -ETIMEDOUT:
		cr_err_set(e, CR_E_CALL_TIMEOUT, 0, object, "%s did not end within %d s and was broken off",
			   name ? name : "the call", seconds);
		return err;
	case -ESRCH:
		return cr_err_set(e, CR_E_TASK_GONE, 0, object, "it died in the call");
	case -EFAULT:
		return cr_err_set(e, CR_E_INJECTION, -err, object, "it faulted in the call");
	case -EOPNOTSUPP:
		return cr_err_set(
			e, CR_E_INJECTION, -err, object,
			"no place for calls is found in it: its [stack] has no room, or it has no code to return by");
	default:
		return cr_err_set(e, CR_E_INJECTION, -err, object, "the call could not be made in it");
	}
}

/* ---- a task that a holder keeps ---- */

static int copy(pid_t pid, bool into, uint64_t addr, struct exec_call *c, const char *object, struct cr_err *e)
{
	int err = !c->used ? 0 : into ? mem_write(pid, addr, c->mem, c->used) : mem_read(pid, addr, c->mem, c->used);

	return err ? cr_err_set(e, CR_E_SYSTEM, -err, object, "cannot copy the arguments") : 0;
}

static int held_call(struct hold *h, pid_t tid, int seconds, struct exec_call *c, int64_t *ret, const char *object,
		     struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_CALLS, .tid = tid, .arg = { (uint64_t)seconds * 1000 } };
	static const uint8_t zero[4096];
	struct hold_scratch s;
	struct hold_call call;
	int err = hold_scratch(h, tid, &s, e);
	ssize_t n;

	if (err)
		return err;
	exec_place(c, s.addr);
	fill(c, &call.nr, call.arg);
	err = copy(tid, true, s.addr, c, object, e);
	if (err)
		return err;
	n = hold_request(h, &req, &call, sizeof(call), -1, &call, sizeof(call), e);
	if (n == -ETIMEDOUT)
		err = call_failed(-ETIMEDOUT, object, c->name, seconds && seconds < TIMEOUT ? seconds : TIMEOUT, e);
	else if (n != sizeof(call))
		err = n < 0 ? (int)n : cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "its answer has a wrong length");
	else
		err = copy(tid, false, s.addr, c, object, e);
	/* The area stays until the release: what was in it does not. */
	for (size_t at = 0; at < c->used; at += sizeof(zero))
		mem_write(tid, s.addr + at, zero, c->used - at < sizeof(zero) ? c->used - at : sizeof(zero));
	*ret = call.ret;
	return err;
}

/* Return: 1: it is not held by this holder */
static int held(struct hold *h, const struct cr_opts *o, struct exec_call *c, int64_t *ret, const char *object,
		struct cr_err *e)
{
	struct hold_task *list = NULL;
	static struct hold_regs regs;
	ssize_t n = hold_list(h, &list, e);
	int err = 1;

	for (ssize_t i = 0; i < n; i++)
		if (list[i].tid == o->tree)
			err = 0;
	free(list);
	if (n < 0 || err)
		return n < 0 ? (int)n : err;
	err = hold_regs(h, o->tree, &regs, e);
	if (!err)
		err = exec_allowed(c, regs.gpr[RAX], object, e);
	return err ? err : held_call(h, o->tree, timeout_of(o), c, ret, object, e);
}

/* ---- a task that runs ---- */

static int find_process(pid_t tid, pid_t *ret, char *object, size_t size, struct cr_err *e)
{
	_cleanup_close_ int proc = open_proc_pid(tid);
	static char buf[65536];
	struct proc_status st;

	snprintf(object, size, "task %d", tid);
	if (proc < 0 || proc_status_read(proc, "status", buf, sizeof(buf), &st)) {
		cr_err_set(e, CR_E_NO_TASK, 0, object, "there is no such process or thread");
		return -ESRCH;
	}
	if (st.tgid == tid)
		snprintf(object, size, "task %d (%.15s)", tid, st.name);
	else
		snprintf(object, size, "thread %d of task %d (%.15s)", tid, st.tgid, st.name);
	if (st.kthread)
		return cr_err_set(e, CR_E_KERNEL_THREAD, 0, object, "it is a kernel thread");
	if (st.state == 'Z' || st.state == 'X')
		return cr_err_set(e, CR_E_NO_TASK, 0, object, "it has exited and waits for its parent");
	if (st.tgid == getpid())
		return cr_err_set(e, CR_E_SELF_IN_TREE, 0, object, "it is this command itself");
	*ret = st.tgid;
	return 0;
}

static int stopped_call(struct holder *h, const struct cr_opts *o, struct exec_call *c, int64_t *ret,
			const char *object, struct cr_err *e)
{
	struct hthread *t = tree_find(h, o->tree);
	struct remote_call call = { 0 };
	struct remote_batch b = { 0 };
	int seconds = timeout_of(o), err;
	uint64_t addr;

	if (!t || t->state == TH_GONE || t->state == TH_ZOMBIE)
		return cr_err_set(e, CR_E_TASK_GONE, 0, object, "it has ended");
	err = exec_allowed(c, t->r.home.rax, object, e);
	if (err)
		return err;
	err = thread_prepare(h, t, &b);
	if (err)
		return call_failed(err, object, NULL, seconds, e);
	if (t->r.single && !h->suspend_seccomp)
		return cr_err_set(e, CR_E_PRIVILEGE, 0, object, "it has a seccomp filter, which cannot be suspended");
	addr = remote_client_area(b.p, HOLD_ST_NONE);
	exec_place(c, addr);
	fill(c, &call.nr, call.arg);
	err = copy(b.p->pid, true, addr, c, object, e);
	if (err)
		return err;
	b.calls = &call;
	b.n = 1;
	b.wait_ms = seconds && seconds < INT32_MAX / 1000 ? (unsigned)seconds * 1000 : INT32_MAX;
	b.breakable = true;
	remote_run(&b, 1);
	err = call_failed(b.err, object, c->name, seconds, e);
	*ret = call.ret;
	return err ? err : copy(b.p->pid, false, addr, c, object, e);
}

static int running(const struct cr_opts *o, struct exec_call *c, int64_t *ret, char *object, size_t size,
		   struct cr_err *e)
{
	struct release end;
	sigset_t set, old;
	struct holder *h;
	pid_t pid = 0;
	int err = find_process(o->tree, &pid, object, size, e);

	if (err)
		return err;
	h = holder_alone(pid, timeout_of(o));
	if (!h)
		return cr_err_nomem(e);
	/* Signals to us wait until the task has its registers again. */
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	err = tree_stop(h, e);
	if (!err) {
		err = stopped_call(h, o, c, ret, object, e);
		release_thaw(h, false, &end);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return err;
}

int freeze_exec(const struct cr_opts *o, int img, int *ret_code, struct cr_err *e)
{
	struct hold h = { .fd = -1 };
	struct exec_call c = { 0 };
	struct cr_err none = { 0 };
	char object[96];
	int64_t ret = 0;
	int err;

	if (o->tree <= 0)
		return cr_err_set(e, CR_E_USAGE, 0, "exec", "-t PID is missing");
	snprintf(object, sizeof(object), "task %d", o->tree);
	err = exec_parse(o->words + 1, o->nr_words - 1, &c, e);
	if (!err) {
		err = hold_connect(img, hold_who(o, HOLD_ST_NONE), &h, &none) ? 1 : held(&h, o, &c, &ret, object, e);
		hold_close(&h);
	}
	if (err == 1)
		err = running(o, &c, &ret, object, sizeof(object), e);
	if (!err) {
		err = exec_print(&c, o->tree, ret, o->json, e);
		if (err) /* what it returned must not be lost */
			cr_err_set(e, CR_E_SYSTEM, -err, "standard output",
				   "the call was made and returned %lld, but this could not be written",
				   (long long)ret);
	}
	free(c.mem);
	if (!err && ret < 0 && ret >= -4095)
		*ret_code = CR_REFUSED;
	return err;
}
