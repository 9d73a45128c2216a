/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restartable sequences (rseq(2) of the kernel's documentation, linux/rseq.h). The registration is made in the blob,
 * when the memory is in place. The kernel clears rseq_cs whenever it sees the thread outside of that section, which it
 * is here: the main process pokes the dumped value back at the very end, with the registers.
 */
#include <sys/syscall.h>

#include "core.pb-c.h"
#include "kind/restore-task.h"

void rseq_emit(struct rst_prog *p, const ThreadCoreEntry *th)
{
	const RseqEntry *r = th->rseq_entry;

	if (r && r->rseq_abi_pointer)
		prog_sys(p, "restartable sequences (rseq)", SYS_rseq, r->rseq_abi_pointer, r->rseq_abi_size, 0,
			 r->signature);
}
