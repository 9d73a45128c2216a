/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * manifest.json joins the stages (doc/manifest.md, proto/manifest.schema.json). It is read, changed and replaced by
 * rename under a lock, so stages may run side by side. It holds facts only; the log holds the narrative.
 */
#ifndef CR_IMAGE_MANIFEST_H
#define CR_IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>

#include "base/err.h"

#define MANIFEST_NAME "manifest.json"
#define STAGE_DIR     ".stage" /* what stages hand to each other; removed at the seal */

/* Facts that a stage collects while it works; handed to manifest_stage() once. */
struct stage_facts {
	const char *name; /* "criu-collect" */
	json_t *tree;	  /* array of tasks (criu-freeze); may be NULL */
	json_t *extra;	  /* object of the stage's own facts; may be NULL */
	struct cr_report warnings;
	uint64_t started_ns;	/* CLOCK_MONOTONIC */
	uint64_t bytes;		/* written to images */
	json_t *files;		/* array of names of the images written; may be NULL */
	json_t *sizes;		/* their bytes, in the same order */
	struct need_set *needs; /* what a restore needs from outside, one row per distinct object; may be NULL */
};

/* Note the start. */
void stage_begin(struct stage_facts *f, const char *name);
/* Remember an image that was written: its name and bytes. The seal wants to find it so. */
void stage_wrote(struct stage_facts *f, const char *image, uint64_t bytes);
/* Something is not carried, but the dump goes on: logged at once and put into the manifest. */
void stage_warn(struct stage_facts *f, const struct cr_err *e);
/* The same for a property of an object that is dumped (CR_E_NOT_CARRIED). */
void stage_not_carried(struct stage_facts *f, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Something that a restore needs from outside: takes over @row, an object with at least "kind". Equal rows are kept once. */
void stage_need(struct stage_facts *f, json_t *row);

/* Begin a manifest: criu-freeze only. @head: object with the facts of the host and the options; taken over. */
int manifest_begin(int img, json_t *head, struct cr_err *e);
/* Add a stage's row (state "done" or "failed") and its facts; releases what @f holds. @failures: NULL or why it failed (the first one becomes "error"). */
int manifest_stage(int img, struct stage_facts *f, const struct cr_report *failures, struct cr_err *e);
/* Read. @ret: owned by the caller (json_decref). -ENOENT when there is none. */
int manifest_read(int img, json_t **ret, struct cr_err *e);
/* The same without needs[], which may be large. */
int manifest_read_head(int img, json_t **ret, struct cr_err *e);
/*
 * The dump is complete: state "sealed" and the list of files, written last of all, synced unless --no-sync. The rows of the
 * stages lose their "sizes", which that list has now.
 * @files: array of {"name", "size", "crc32c"}; taken over
 * @extra: object merged into the head, or NULL; taken over
 */
int manifest_seal(int img, json_t *files, json_t *extra, bool sync, struct cr_err *e);
/* Has a stage noted a failure? */
bool manifest_failed(int img);
/* Is it of a dry run (--check-only)? @m: the document or its head */
bool manifest_check_only(const json_t *m);
/*
 * Change the head, without needs[], under the lock.
 * @change: 0: write it; 1: there is nothing to write; -errno with @e
 * @sync: after the seal: what a power loss leaves is the old document or the new one, never a part
 */
int manifest_change(int img, int (*change)(json_t *head, void *ctx, struct cr_err *e), void *ctx, bool sync,
		    struct cr_err *e);

/* {"code":..., "object":..., "reason":..., "remedy":..., "stage":...} */
json_t *manifest_error(const char *stage, const struct cr_err *e);
/* A JSON string of any bytes: what is no UTF-8 is written as U+DC80..U+DCFF is in Python's "surrogateescape" spirit: "\\xHH" with the backslash doubled in valid text (doc/manifest.md). */
json_t *json_bytes(const char *s, size_t len);
/* The reverse. @buf: NUL-terminated. Return: length, -EINVAL no such escape, -ENAMETOOLONG. */
ssize_t json_bytes_decode(const char *s, char *buf, size_t size);
/*
 * Print a document on standard output, and see whether that is written. Takes @doc over; NULL: there was no memory for it.
 * Return: 0 or -errno with @e.
 */
int json_print(json_t *doc, struct cr_err *e);

/*
 * Does the directory hold a checkpoint?
 * Return: 1 sealed (or CRIU's own, without manifest); 0 nothing there, with @e (CR_E_NO_CHECKPOINT); -errno with @e when
 *	a dump was begun but not sealed (CR_E_NOT_SEALED), or when the manifest is damaged.
 */
int manifest_check_sealed(int img, struct cr_err *e);

/*
 * The record of a restore, restore.json in the work directory (the images directory is never written by a restore). The
 * same facts as a stage's: what @f holds is released, its extra members stand at the top.
 * @work: descriptor of the work directory
 * @failures: NULL, or why it failed
 */
int restore_record_write(int work, struct stage_facts *f, const struct cr_report *failures, struct cr_err *e);
#define RESTORE_RECORD_NAME "restore.json"

#endif
