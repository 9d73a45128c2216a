/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CRIT_VERIFY_FILE_H
#define CRIT_VERIFY_FILE_H

#include "fdinfo.pb-c.h"

#define FILE_BIT(TYPE) (1u << FD_TYPES__##TYPE)

/* The kind's own message, if the file is of that type. */
const void *file_part(const FileEntry *f, uint32_t type);

#endif
