/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of criu-freeze that are not the holder. */
#ifndef CR_FREEZE_FREEZE_H
#define CR_FREEZE_FREEZE_H

#include <dirent.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/opts.h"
#include "holder.h"
#include "image/manifest.h"

/* ---- start.c ---- */
/* Stop the tree of -t and leave a holder. Return: 0; -errno with @e: the tree runs. */
int freeze_start(const struct cr_opts *o, int img, struct cr_err *e);

/* ---- checkdir.c: the images directory ---- */
/*
 * May a dump be made here? A holder that lives, a checkpoint without --force: refused.
 * @ret_old: there is a checkpoint, to be replaced
 */
int dir_check(const struct cr_opts *o, int img, bool *ret_old, int *ret_lock, struct cr_err *e);
/* Remove what an older dump left: inventory.img and the manifest first. */
int dir_clean(int img, struct cr_err *e);
/* The names in a directory beneath @dir ("." is itself), from the first: rewinddir() cannot say that it failed. NULL with errno. */
DIR *dir_list(int dir, const char *name);
/* Remove IMG/.stage and what is in it. */
void dir_remove_stage(int img);
/* Remove the socket of a holder that has died. */
void dir_remove_socket(int img);
/* Remove .stage when the holder has gone, unless another dump has begun in the directory. */
void dir_release(int img);

/* ---- served.c ---- */
/* Would writing images or logs wait for a task of the tree? -EBUSY: refused. */
int served_check(const struct cr_opts *o, int img, struct cr_err *e);

/* ---- facts.c ---- */
/* Facts of the host and the options that later steps ask for: the head of the manifest. */
json_t *facts_head(const struct cr_opts *o);
/* cpuinfo.img, if --cpu-cap asks for it. */
int facts_cpuinfo(const struct cr_opts *o, int img, struct stage_facts *f, struct cr_err *e);
/* The mark in criu-freeze's row by which a holder knows its manifest: the epoch of the hold. Return: @buf */
enum { FACTS_EPOCH = 17 };
const char *facts_epoch(uint64_t epoch, char buf[FACTS_EPOCH]);
/* Rows of manifest.tree. */
json_t *facts_tree(const struct holder *h);
/* pstree.img. */
int facts_pstree(const struct holder *h, int img, struct stage_facts *f, struct cr_err *e);

/* ---- heal.c: what a holder that was killed left in the tasks is taken out ---- */
void heal_task(pid_t pid, uint64_t starttime);
/* All tasks of a manifest, or of the one in @img. */
void heal_tree(json_t *manifest);
void heal_image(int img);
/*
 * The holder died when it was to end the tree. If it had begun, the rest is ended: the checkpoint is sealed.
 * @root: pidfd of the root task
 * Return: false: it had not begun, the tree runs.
 */
bool heal_kill(int img, int root);

/* ---- tracer.c: a holder that is known by its task alone ---- */
/* Is @pid held by the process @holder? */
bool tracer_holds(pid_t holder, pid_t pid);
/* Is its holder stopped, so that it answers nothing? */
bool tracer_is_stopped(pid_t pid);
/* Have the holder of @pid let its tree go. Return: 0 or -errno with @e. */
int tracer_thaw(pid_t pid, struct cr_err *e);

/* ---- end.c, ask.c: what is asked of a holder that is there ---- */
/* Make a checkpoint of what the stages wrote. The holder must have held the tree all the time. */
int freeze_seal(const struct cr_opts *o, int img, struct cr_err *e);
/* @ret_code: exit status other than 0 although nothing failed (a post-dump script's). */
int freeze_end(const struct cr_opts *o, int img, int *ret_code, struct cr_err *e);
/* The wrapper's last step could not begin: let the tree go, and note why. */
void freeze_end_failed(const struct cr_opts *o, int img, const struct cr_err *e);
/* From the start of the last step: the wrapper cannot hear ^C any more, since that step has replaced it. */
void end_catch_signals(void);
/* After a failure: one that came ends us, as who sent it expects. */
void end_by_signal(void);
int freeze_kill(const struct cr_opts *o, int img, struct cr_err *e);
/* Let the tree run. @img: -1: there is no images directory, only -t */
int freeze_thaw(const struct cr_opts *o, int img, bool stopped, struct cr_err *e);
int freeze_stop(const struct cr_opts *o, int img, struct cr_err *e);
int freeze_status(const struct cr_opts *o, int img, struct cr_err *e);
int freeze_cont(const struct cr_opts *o, int img, struct cr_err *e);
/* Make a system call in the task of -t. @ret_code: 1 when the call failed. */
int freeze_exec(const struct cr_opts *o, int img, int *ret_code, struct cr_err *e);
/* Run o->words with the tree held, then let it run. @ret_code: the command's. */
int freeze_command(const struct cr_opts *o, int img, int *ret_code, struct cr_err *e);

#endif
