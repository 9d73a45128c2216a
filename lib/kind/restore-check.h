/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a restore with --check-only has found. The hooks are those of a real restore and say the same words; where a real
 * one stops at the first failure, this one takes note of it and goes on.
 */
#ifndef CR_KIND_RESTORE_CHECK_H
#define CR_KIND_RESTORE_CHECK_H

#include "kind/restore.h"

struct rst_finding {
	struct cr_err err;
	const char *area; /* "files", "pids" ... */
	bool warning;	  /* a restore would go on */
};

/* One kind of thing that is tested. */
struct rst_area {
	const char *name;
	size_t tested, refused, warned;
};

enum { RST_AREAS = 24 };

struct rst_check {
	struct rst_finding *v;
	size_t n, cap;
	struct rst_area areas[RST_AREAS];
	size_t nr_areas;
	struct rst_area *now; /* what is being tested */
};

/* @n objects of an area are tested from now on. @area: lives as long as the program. Nothing without --check-only. */
void rst_area(struct rst *r, const char *area, size_t n);
/*
 * A failure that a real restore would stop at. With --check-only it is noted (once, however often it comes), and @e is
 * empty again, unless the image is bad or memory ran out: then nothing behind it can be trusted.
 * Return: @err; 0 when it was noted
 */
int rst_found(struct rst *r, int err, struct cr_err *e);
/* The failure that ended the check. Return: 0 or -ENOMEM. */
int rst_final(struct rst *r, const struct cr_err *e);
/* Something that a restore would not stop at; only with --check-only. */
void rst_doubt(struct rst *r, const struct cr_err *e);

#endif
