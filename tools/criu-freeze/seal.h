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
 * Return: 0; -EINVAL with @e (CR_E_NOT_SEALED names the stage that is missing or failed; CR_E_IMG_MISSING, CR_E_IMG_TRUNCATED: an
 *	image is not as a stage wrote it), or -errno.
 */
struct seal_how {
	bool sync;	     /* fsync images, manifest and directory; without it the manifest says "synced": false */
	bool checksum_pages; /* checksums of pages-* too */
	int (*stop)(struct cr_err *e); /* asked again and again: shall it stop? 0: no; -errno with @e */
};
int seal_images(int img, json_t *m, const struct seal_how *how, struct cr_err *e);

/* Is there a sealed checkpoint, and all that was sealed, with its size? -errno with @e: no. */
int seal_whole(int img, struct cr_err *e);

/* Does the manifest say that it is sealed? */
bool seal_is(json_t *m);
/* Has the stage noted that it is done? */
bool seal_stage_done(json_t *m, const char *name);

#endif
