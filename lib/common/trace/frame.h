/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame to which a thread with our registers returns when we die: what the kernel leaves on a stack for a signal
 * handler, and what rt_sigreturn(2) takes back all registers and the signal mask from.
 */
#ifndef CR_TRACE_FRAME_H
#define CR_TRACE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/* Registers, then the XSAVE area from FRAME_XSTATE on. */
enum { FRAME_XSTATE = 1024, FRAME_ALIGN = 64, FRAME_MAX = 16384, FRAME_HEAD = 40 };

/* Bytes of a frame for an XSAVE area of @xlen bytes. */
size_t frame_size(size_t xlen);
/*
 * Build the frame that stands at @addr (FRAME_ALIGN aligned) of the task.
 * @buf: frame_size() bytes
 * @restorer: what a `ret` with rsp = @addr jumps to: `mov $15, %rax; syscall`
 * @home: registers as at the stop; a call that was interrupted is repeated, since rt_sigreturn forgets its restart
 * @xstate: as trace_get_xstate() gave it
 * Code of ours that ends by rt_sigreturn itself has rsp = @addr + 8.
 */
void frame_build(uint8_t *buf, uint64_t addr, uint64_t restorer, const struct user_regs_struct *home, uint64_t sigmask,
		 const uint8_t *xstate, size_t xlen);
/* Do these FRAME_HEAD bytes look like the beginning of a frame that frame_build() made? The kernel makes none like it. */
bool frame_is_ours(const uint8_t *head);
/*
 * What a frame of frame_build() brings back.
 * @frame: from its beginning, @len bytes
 * @home: in: registers that no frame holds (segment bases); out: all
 * @xstate: out: into the frame
 * Return: bytes of @xstate; -EINVAL.
 */
ssize_t frame_parse(const uint8_t *frame, size_t len, struct user_regs_struct *home, uint64_t *sigmask,
		    const uint8_t **xstate);
/* Of @xlen bytes those that hold what every task may have (no AMX tiles: the kernel refuses frames larger than the
 * task's own). */
size_t frame_xstate_len(const uint8_t *xstate, size_t xlen);

#endif
