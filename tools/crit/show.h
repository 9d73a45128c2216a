/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CRIT_SHOW_H
#define CRIT_SHOW_H

#include <stdbool.h>

/* How: for people; sizes instead of payloads; large numbers as text, for readers that have doubles only. */
enum { DECODE_PRETTY = 1, DECODE_NOPL = 2, DECODE_QUOTE_LARGE = 4 };
/* An image as JSON. @how: bits of these. @in, @out: NULL is stdin and stdout. Return: exit code */
int decode_file(const char *in, const char *out, unsigned int how);
/* An overview of a checkpoint. Return: exit code */
int show_dir(const char *path, bool json);

#endif
