/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the manifest's files[]. */
#ifndef CRIT_FILE_SUM_H
#define CRIT_FILE_SUM_H

#include <jansson.h>
#include <stdint.h>

/* Size and CRC-32C of a file. Return: 0 or -errno */
int file_sum(int dir, const char *name, uint64_t *ret_size, uint32_t *ret_sum);
/* Size, and the checksum if the row has one, as they are now. Return: 0 or -errno */
int file_row_update(int dir, const char *name, json_t *row);

#endif
