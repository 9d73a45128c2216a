/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capability sets: 64-bit masks here, lists of 32-bit words (low word first) in the image. */
#ifndef CR_KIND_CRED_H
#define CR_KIND_CRED_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct CredsEntry;
struct proc_status;

/* The five sets into @c; lists in @a. Return: 0 or -ENOMEM. */
int cred_caps_to_image(const struct proc_status *s, struct arena *a, struct CredsEntry *c, struct cr_err *e);
/* One set back. @n: words in the list; missing ones are 0. Return: 0; -EINVAL: a list of more than two words. */
int cred_caps_from_image(const uint32_t *words, size_t n, uint64_t *ret);

#endif
