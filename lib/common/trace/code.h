/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machine code that runs in a task for the holder, and machine code of the task that the holder uses. */
#ifndef CR_TRACE_CODE_H
#define CR_TRACE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A row of calls (struct remote_call) from rbx up to r12, then signal r14d to itself, then rt_sigreturn. */
extern const uint8_t code_vector[], code_vector_done[], code_vector_end[];
/* `syscall; ret`, and behind it what the frame returns to. */
extern const uint8_t code_stub[], code_stub_restorer[], code_stub_end[];

/* Offset of a `syscall` from which the next `ret` is reached without harm; 0: none. */
size_t code_find_syscall(const uint8_t *text, size_t len);
/* Offset of a `mov $15, %eax|%rax; syscall`; @len: none. */
size_t code_find_restorer(const uint8_t *text, size_t len);

#endif
