/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kinds of descriptors use of the file engine at restore. Kinds do not know each other; they meet here.
 *
 * check() hooks run in the main process: they join descriptions that must be made together and say what must be at
 * hand later. open() and late() run in the owner, one task for each description.
 */
#ifndef CR_KIND_FILE_RESTORE_FILE_H
#define CR_KIND_FILE_RESTORE_FILE_H

#include "kind/restore.h"

struct RegFileEntry;
struct FownEntry;
struct SkOptsEntry;

enum { FILES_WHAT = 192 };

/* ---- check() ---- */

/* Descriptions of one type with an equal @key form a group: they get one owner, whose open() of the first makes all. */
int files_join(struct rst *r, const struct FileEntry *fe, uint64_t key, struct cr_err *e);
/* The owner of @fe also needs @other (to send it, say) in its late(). */
int files_carry(struct rst *r, const struct FileEntry *fe, const struct FileEntry *other, struct cr_err *e);
/* A place for what a kind (@type) reads once from its own images. */
void **files_kind_data(const struct rst *r, int type);

/* ---- open() ---- */

/* The next one of the group; a ring, so @fe itself comes last. */
const struct FileEntry *files_group_next(const struct rst *r, const struct FileEntry *fe);
/* Another member of the group is made: takes over @fd. Not for the description that open() returns. */
int files_publish(struct rst *r, const struct FileEntry *fe, int fd, struct cr_err *e);
/* Move a descriptor to a number that no descriptor of this table wants, where files_publish() cannot hit it. */
int files_lift(struct rst *r, int *fd, struct cr_err *e);

/* ---- open() and late() ---- */

/* The number of a description in this task, -1 while (or where) it has none. */
int files_here(const struct rst *r, const struct FileEntry *fe);
/* What stands at number @fd of this task's table; NULL: nothing does. */
const struct FileEntry *files_at(const struct rst *r, int fd);
/* A copy of descriptor @fd of the main process (kept open there since prepare()). Return: fd or -errno with @e. */
int files_from_main(struct rst *r, int fd, struct cr_err *e);
/* A fresh description of what @fd is open on, by /proc/self/fd. Return: fd or -errno. */
int files_reopen(int fd, int flags);

/*
 * The file that a reg_file_entry names: opened, compared with what the image knows of it; deleted files by what
 * prepare() made of them.
 * @flags: as in the image, or other ones; what would create or cut a file is taken out
 * Return: fd or -errno with @e (CR_E_FILE_MISSING, CR_E_FILE_CHANGED).
 */
int files_open_path(struct rst *r, const struct RegFileEntry *reg, int flags, struct cr_err *e);

/*
 * Would files_open_path(), or files_open_id() of a REG entry, do that? Opens nothing but programs and libraries, to read
 * their build ids.
 */
int files_check_path(struct rst *r, const struct RegFileEntry *reg, int flags, struct cr_err *e);
int files_check_id(struct rst *r, uint32_t id, int flags, struct cr_err *e);

/* F_SETFL, unless the flags stand as @flags has them already. O_ASYNC is for the engine's late part. */
int files_set_flags(int fd, uint32_t flags);
/* SO_* options. Sizes of buffers and what binding depends on first: before bind(). */
int files_set_sockopts(int fd, const struct SkOptsEntry *o, const char *object, struct cr_err *e);
/* One setsockopt(int). Return: 0 or -errno. */
int files_sockopt(int fd, int level, int name, int value);

/* "eventfd, file id 7": for struct cr_err. Return: @buf. */
const char *files_what(const struct rst *r, const struct FileEntry *fe, char buf[FILES_WHAT]);
/* A system call on @fe failed. Return: -err. */
int files_failed(const struct rst *r, const struct FileEntry *fe, int err, const char *call, struct cr_err *e);
/* errno as a description of "no such type here". Return: -EINVAL. */
int files_refuse(const struct rst *r, const struct FileEntry *fe, enum cr_code code, struct cr_err *e, const char *fmt,
		 ...) __attribute__((format(printf, 5, 6)));

/*
 * Another socket has an address that one of the images needs: who has that open?
 * @ino: its inode number; 0: it was not found
 * @what: the address. Return: -EADDRINUSE with @e.
 */
int files_address_taken(uint32_t ino, const char *what, struct cr_err *e);

/* Payloads behind the entries of pipes-data.img and the like: where they stand in the image. */
struct files_blob {
	uint32_t key;	/* pipe_id, id_for */
	uint32_t bytes; /* of the payload */
	uint32_t size;	/* capacity of the pipe; 0: not told */
	uint64_t off;
};
/* @type: IMG_PIPES_DATA or IMG_FIFO_DATA. @ret: sorted by key, in r->arena. Return: count or -errno. */
ssize_t files_pipe_data(struct rst *r, enum img_type type, struct files_blob **ret, struct cr_err *e);
const struct files_blob *files_find_blob(const struct files_blob *v, size_t n, uint32_t key);
/* Read @bytes at @off of an image. @ret: malloc'ed. */
int files_read_blob(struct rst *r, enum img_type type, const struct files_blob *b, void **ret, struct cr_err *e);
/* Set a pipe's capacity and write its data back. @fd: a writable end. */
int files_fill_pipe(struct rst *r, const struct FileEntry *fe, int fd, enum img_type type, const struct files_blob *b,
		    struct cr_err *e);

/* The same with a pipe that is thrown away: --check-only. */
int files_try_pipe(struct rst *r, const struct FileEntry *fe, enum img_type type, const struct files_blob *b,
		   struct cr_err *e);

/*
 * Names that exist for a moment (a deleted file that gets its old name back until it is open) are written down in the
 * work directory (the current one) before they are made.
 * @ino: 0: not known yet
 */
int files_journal_add(const char *path, uint64_t dev, uint64_t ino, bool dir, struct cr_err *e);
/* A name that nobody but us can have made (random). */
int files_journal_add_temp(const char *path, struct cr_err *e);
/* Before any is added: -EPERM: there is one that no restore here has made. */
int files_journal_usable(struct cr_err *e);
void files_journal_done(void);
/* Remove what the journal of a killed restore names: `criu-restore --undo`, and before every restore. Return: number of
 * names removed, or -errno. */
int files_journal_undo(struct cr_err *e);

#endif
