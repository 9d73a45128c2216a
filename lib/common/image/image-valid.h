/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of lib/common/image: the checks of one message each, by group. */
#ifndef CR_IMAGE_VALID_H
#define CR_IMAGE_VALID_H

#include "image/image.h"

enum { VALID_WHY = 160 };

struct validator {
	const ProtobufCMessageDescriptor *message;
	bool (*check)(const void *message, char why[VALID_WHY]);
};

/* Ended by a row without message. */
extern const struct validator img_valid_task[], img_valid_mem[], img_valid_file[], img_valid_ns[];

/* Return: false, so that a check can return it. */
bool img_invalid(char why[VALID_WHY], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
