/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CR_TRACE_LOOK_H
#define CR_TRACE_LOOK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Read or write memory of a stopped task. Return: 0 or -errno (-EFAULT: not all of it). */
int mem_read(pid_t pid, uint64_t addr, void *buf, size_t len);
int mem_write(pid_t pid, uint64_t addr, const void *buf, size_t len);
/* Write also where the task itself may not (its code). */
int mem_write_code(pid_t pid, uint64_t addr, const void *buf, size_t len);

#endif
