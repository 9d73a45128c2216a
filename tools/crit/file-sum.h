/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CRIT_FILE_SUM_H
#define CRIT_FILE_SUM_H

#include <stdint.h>

/* Size and CRC-32C of a file, as rows of the manifest's files[] have them. Return: 0 or -errno */
int file_sum(int dir, const char *name, uint64_t *ret_size, uint32_t *ret_sum);

#endif
