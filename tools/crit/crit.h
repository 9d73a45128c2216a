/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs of crit, and what they share: files or pipes for input and output. */
#ifndef CRIT_H
#define CRIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "image/image.h"

/* A verb gets its own name as argv[0]. Return: an exit code (enum cr_exit); it has printed what went wrong. */
int crit_core(int argc, char *argv[]);
int crit_decode(int argc, char *argv[]);
int crit_diff(int argc, char *argv[]);
int crit_edit(int argc, char *argv[]);
int crit_encode(int argc, char *argv[]);
int crit_info(int argc, char *argv[]);
int crit_report(int argc, char *argv[]);
int crit_show(int argc, char *argv[]);
int crit_verify(int argc, char *argv[]);
int crit_x(int argc, char *argv[]);

/* Print a failure. Return: its exit code. */
int crit_fail(const struct cr_err *e);
/* Point to --help. Return: CR_USAGE. */
int crit_usage(const char *verb, const char *what);

/* Buffered output. The first error stays; later output is dropped. */
struct obuf {
	int fd, err;
	size_t fill;
	uint8_t buf[64 << 10];
};
void ob_put(struct obuf *o, const void *data, size_t len);
void ob_text(struct obuf *o, const char *s);
/* Return: 0, or the -errno of the first error. */
int ob_flush(struct obuf *o);

/* An output file: appears under its name when all is written, so that a failure leaves the old one. */
struct output {
	char *path; /* NULL: stdout, or what is no regular file */
	char tmp[4096];
	struct obuf *ob;
};
/* @path: NULL or "-": stdout. A link stays: the file that it leads to is replaced. */
int output_open(struct output *out, const char *path, struct cr_err *e);
int output_finish(struct output *out, struct cr_err *e);
/* What is written so far, to be read by its descriptor ob->fd. Return: 0 or -errno with @e */
int output_flush(struct output *out, struct cr_err *e);
void output_abandon(struct output *out);

/* @path: NULL or "-": stdin. Return: fd or -errno. */
int input_open(const char *path, struct cr_err *e);
/* The directory of a checkpoint. Return: fd or -errno with @e */
int dir_open(const char *path, struct cr_err *e);
/* Is the open file the one at @path (NULL and "-": no)? */
bool same_file(int fd, const char *path);
const char *input_name(const char *path);

#endif
