/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many bytes stand behind an entry, for all types that have such bytes. */
#ifndef CRIT_PAYLOAD_H
#define CRIT_PAYLOAD_H

#include "crit.h"

#define PAYLOAD_REST UINT64_MAX /* up to the end of the file */

struct payload {
	uint64_t len;	   /* of what is printed */
	uint64_t inq;	   /* TCP: how much of it is the receive queue */
	uint64_t messages; /* SysV queue: ipc_msg entries, each with a payload of its own; len is 0 */
	unsigned int padding;
};

/*
 * @entry: number of the entry whose packed form is @data
 * Return: whether the entry has an "extra" (which can be empty)
 */
bool payload_of(enum img_type type, unsigned long entry, const uint8_t *data, size_t len, struct payload *ret);
/* Bytes that fill up to a multiple of @align. */
unsigned int payload_padding(uint64_t len, unsigned int align);
/* Go over @len bytes. @ret: how many that was (PAYLOAD_REST is up to the end) */
int payload_skip(struct img_reader *r, uint64_t len, uint64_t *ret, struct cr_err *e);
/* The next message of a SysV queue, without being counted as an entry. @ret_size: bytes of it, then padded to 8 */
int payload_get_msg(struct img_reader *r, const uint8_t **ret_data, size_t *ret_len, uint64_t *ret_size,
		    struct cr_err *e);
/* Go over all that is behind the entry read last. */
int payload_skip_all(struct img_reader *r, const uint8_t *data, size_t len, struct cr_err *e);

extern const ProtobufCMessageDescriptor *const payload_msg_descriptor;

#endif
