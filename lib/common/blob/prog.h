/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builder of a restorer program (restorer-abi.h). Running out of memory sticks: check prog.nomem once, at the end. */
#ifndef CR_BLOB_PROG_H
#define CR_BLOB_PROG_H

#include <stdbool.h>
#include <stddef.h>

#include "blob/restorer-abi.h"

struct rst_prog {
	struct rst_op *ops;
	uint32_t nr, cap;
	uint32_t first; /* the leader's operations begin here: those of threads stand before */
	uint8_t *data;
	uint32_t data_len, data_cap;
	bool nomem;
};

/*
 * Append an operation.
 * @label: what it is about, for the error message; must live in the program's constants
 * Return: the operation, valid until the next call; a scratch one when memory ran out.
 */
struct rst_op *prog_op(struct rst_prog *p, enum rst_opcode op, const char *label, const uint64_t a[6]);
/* Append a system call. @reloc: which arguments are offsets of prog_data(). */
struct rst_op *prog_call(struct rst_prog *p, const char *label, unsigned flags, unsigned reloc, uint32_t nr,
			 const uint64_t a[6]);
/* Put bytes beside the program, 16-byte aligned. Return: their offset, for relocated arguments. */
uint64_t prog_data(struct rst_prog *p, const void *data, size_t len);
void prog_free(struct rst_prog *p);

#define PROG_ARGS(...)				((const uint64_t[6]){ __VA_ARGS__ })
#define prog_sys(p, label, nr, ...)		prog_call(p, label, 0, 0, nr, PROG_ARGS(__VA_ARGS__))
#define prog_try(p, label, nr, ...)		prog_call(p, label, RST_F_IGNORE, 0, nr, PROG_ARGS(__VA_ARGS__))
#define prog_sys_data(p, label, reloc, nr, ...) prog_call(p, label, 0, reloc, nr, PROG_ARGS(__VA_ARGS__))

#endif
