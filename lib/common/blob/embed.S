/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes of a blob in a tool's read-only data: BLOB is its name (a symbol prefix), BLOB_FILE its file. */
#define CAT_(a, b) a##b
#define CAT(a, b)  CAT_(a, b)

	.section .rodata
	.balign 16
	.globl CAT(BLOB, _start), CAT(BLOB, _end)
	.hidden CAT(BLOB, _start), CAT(BLOB, _end)
CAT(BLOB, _start):
	.incbin BLOB_FILE
CAT(BLOB, _end):
	.section .note.GNU-stack, "", @progbits
