/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seal: from here on the directory is a checkpoint. */
#ifndef CRIU_FREEZE_SEAL_H
#define CRIU_FREEZE_SEAL_H

#include <stdbool.h>
#include <jansson.h>

#include "base/err.h"

/*
 * Check that every stage is done, make all images durable, write inventory.img and the sealed manifest, remove .stage.
 * @m: the manifest as it stands, without needs[]
 * @sync: fsync images, manifest and directory; without it the manifest says "synced": false
 * @checksum_pages: checksums of pages-* too
 * Return: 0; -EINVAL with @e (CR_E_NOT_SEALED names the stage that is missing or failed; CR_E_IMG_MISSING, CR_E_IMG_TRUNCATED: an
 *	image is not as a stage wrote it), or -errno.
 */
int seal_images(int img, json_t *m, bool sync, bool checksum_pages, struct cr_err *e);

/* Is everything still there that was sealed, with its size? @m: the sealed manifest. -EINVAL with @e: no. */
int seal_whole(int img, json_t *m, struct cr_err *e);

/* Has the stage noted that it is done? */
bool seal_stage_done(json_t *m, const char *name);

#endif
