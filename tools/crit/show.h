/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CRIT_SHOW_H
#define CRIT_SHOW_H

#include <stdbool.h>

/* An image as JSON. @in, @out: NULL is stdin and stdout. Return: exit code */
int decode_file(const char *in, const char *out, bool pretty, bool nopl);
/* An overview of a checkpoint. Return: exit code */
int show_dir(const char *path, bool json);

#endif
