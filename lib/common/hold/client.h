/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a stage reaches the stopped tree: the client of the holder. */
#ifndef CR_HOLD_CLIENT_H
#define CR_HOLD_CLIENT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>

#include "base/err.h"
#include "base/opts.h"
#include "hold/protocol.h"

struct hold {
	int fd;
	enum hold_stage stage;
	bool told; /* that the holder is stopped */
	struct hold_banner banner;
};

/*
 * Who asks.
 * @starter: start-ahead: wait until the socket is there (as long as this process lives), until the tree is held and until
 *	what is needed of the stage before is there. 0: a holder must be there and hold the tree.
 * @lease: the dump is that of this process: a holder of another one's is not meant. 0: any holder.
 */
struct hold_who {
	enum hold_stage stage;
	pid_t starter, lease;
};
/* By --wait (the starter: the process of --lease, by default the parent) and --lease. */
struct hold_who hold_who(const struct cr_opts *o, enum hold_stage stage);

/*
 * Connect.
 * @img: images directory
 * Return: 0 or -errno with @e: CR_E_NOT_HELD (-ENOENT: there is none, -ECONNREFUSED: it has died), CR_E_HOLDER_VOID,
 *	CR_E_DIR_BUSY: of another dump, CR_E_DIR_HAS_CHECKPOINT: for a stage, after the seal.
 */
int hold_connect(int img, struct hold_who who, struct hold *ret, struct cr_err *e);
/* Tell how the stage ended and close. @result: 0 or -errno. */
int hold_finish(struct hold *h, int result, struct cr_err *e);
/* Until @what is done or handed over. Return: 0 or -errno with @e (CR_E_HOLDER_VOID: it failed). */
int hold_wait(struct hold *h, enum hold_stage what, struct cr_err *e);
/* Tell that something is handed over before the stage's end (HOLD_ST_THREADS, HOLD_ST_MM): who waits for it goes on. */
int hold_hand_over(struct hold *h, enum hold_stage what, struct cr_err *e);
/* The connection ends when the holder has removed its socket. Closes it. */
void hold_await_end(struct hold *h);
void hold_close(struct hold *h);

/* All threads, zombies included, leaders before their threads, parents before children. @ret: malloc'ed. Return: count
 * or -errno. */
ssize_t hold_list(struct hold *h, struct hold_task **ret, struct cr_err *e);
int hold_regs(struct hold *h, pid_t tid, struct hold_regs *ret, struct cr_err *e);
/* Pending signals. @ret: malloc'ed, 128 bytes each. Return: count or -errno. */
ssize_t hold_sigqueue(struct hold *h, pid_t tid, bool shared, siginfo_t **ret, struct cr_err *e);
/* Memory in the task for arguments and results, read and written with process_vm_readv/writev. */
int hold_scratch(struct hold *h, pid_t pid, struct hold_scratch *ret, struct cr_err *e);
/* System calls in a thread, in order; results in calls[i].ret (-errno of the call). Return: 0, or -errno: the calls
 * were not made. */
int hold_calls(struct hold *h, pid_t tid, struct hold_call *calls, size_t n, struct cr_err *e);
/* The same in several threads side by side, which is much faster than one after the other. Any number: cut into
 * packets. */
struct hold_job {
	pid_t tid; /* each thread at most once */
	struct hold_call *calls;
	size_t n;
	int err; /* 0, or -errno: its calls were not made */
};
/* Return: 0, also when some jobs failed; -errno: nothing can be said. */
int hold_calls_many(struct hold *h, struct hold_job *jobs, size_t n, struct cr_err *e);
/* hold_regs() of several threads with few round trips. @ret: @n of them. Return: 0 or -errno for the first that failed.
 */
int hold_regs_many(struct hold *h, const pid_t *tids, size_t n, struct hold_regs *ret, struct cr_err *e);
/* Areas of the task that are the holder's (scratch, code): not to be dumped. @ret: room for @max. Return: count or
 * -errno. */
ssize_t hold_ours(struct hold *h, pid_t pid, struct hold_scratch *ret, size_t max, struct cr_err *e);
/* One call. @ret: the result of the call. */
int hold_call(struct hold *h, pid_t tid, int64_t *ret, struct cr_err *e, int64_t nr, uint64_t a0, uint64_t a1,
	      uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
/* A seccomp filter. @ret: malloc'ed. Return: instructions, -ENOENT behind the last, -errno. */
ssize_t hold_seccomp(struct hold *h, pid_t tid, unsigned index, struct sock_filter **ret, uint32_t *flags,
		     struct cr_err *e);
int hold_status(struct hold *h, struct hold_status *ret, struct cr_err *e);
/* Any verb: for criu-freeze. @send_fd: -1 or a descriptor to pass. Return: bytes in @ans_buf, or -errno with @e. */
ssize_t hold_request(struct hold *h, const struct hold_req *req, const void *payload, size_t len, int send_fd,
		     void *ans_buf, size_t ans_size, struct cr_err *e);

#endif
