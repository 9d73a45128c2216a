/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kinds of descriptors use of the file engine at dump. Kinds do not know each other; they meet here.
 */
#ifndef CR_KIND_FILE_DUMP_FILE_H
#define CR_KIND_FILE_DUMP_FILE_H

#include "kind/dump.h"

struct FownEntry;
struct RegFileEntry;
struct SkOptsEntry;

enum { DUMP_OBJECT = 192 };

/* Take a system's answer as unexpected. Return: -err. */
int dump_failed(const struct fd_look *l, int err, const char *call, struct cr_err *e);
/* "task 12 (bash), fd 3 (pipe:[77])": for struct cr_err. Return: @buf. */
const char *dump_object(const struct fd_look *l, char buf[DUMP_OBJECT]);
/* Refuse the descriptor by name. Return: -EPERM, for dump() to return. */
int dump_refuse(const struct fd_look *l, struct cr_err *e, enum cr_code code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Not carried, but the dump goes on: into log and manifest. */
void dump_warn(struct dump *d, const struct fd_look *l, enum cr_code code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- ids and images ---- */

/* The next id, for an entry that has no descriptor of its own (the reg_file_entry of a FIFO). */
uint32_t dump_new_id(struct dump *d);
/* Append to files.img. For entries besides the one that dump() fills, and from finish(). */
int dump_put_file(struct dump *d, const struct FileEntry *fe, struct cr_err *e);
/* An image that a kind writes, opened at the first call, brought into place by the engine when all is done. */
int dump_image(struct dump *d, enum img_type type, struct img_writer **ret, struct cr_err *e);
/* State of a kind between its dump() and finish(), NULL at first. Memory: d->arena. */
void **dump_kind_state(struct dump *d, const struct fd_dump_ops *ops);

/* ---- parts of entries; memory: l->scratch ---- */

/* Who gets SIGIO. Return: 0 or -errno. */
int dump_fown(struct dump *d, const struct fd_look *l, struct FownEntry **ret, struct cr_err *e);
/* The path of a description, checked: the name leads to the file, or the file is deleted and its contents are carried.
 */
int dump_reg(struct dump *d, const struct fd_look *l, uint32_t id, struct RegFileEntry **ret, struct cr_err *e);
/* The same as an entry of files.img of its own, with a new id. */
int dump_reg_entry(struct dump *d, const struct fd_look *l, uint32_t *ret_id, struct cr_err *e);
/* SO_* of a socket. */
int dump_sockopts(struct dump *d, const struct fd_look *l, struct SkOptsEntry **ret, struct cr_err *e);
/* getsockopt(int). Return: 0 or -errno. */
int dump_getsockopt(int fd, int level, int name, int *ret);

/* f_type of the file system (statfs(2)), asked once a device; 0: on a block device. */
long dump_fs_type(struct dump *d, const struct fd_look *l);

/* ---- pipes and FIFOs ---- */

/*
 * What is in a pipe, by tee(2) from our copy of a read end, as an entry of @type (IMG_PIPES_DATA, IMG_FIFO_DATA).
 * @l: NULL-able lfd for reading: a description opened for writing only gives an entry without data
 */
int dump_pipe_data(struct dump *d, const struct fd_look *l, enum img_type type, uint32_t pipe_id, struct cr_err *e);

/* ---- memory files (memfd, anonymous shared memory) ---- */

/* Name of a memory file by its link ("/memfd:x (deleted)" ...): without what the kernel adds; false: it is none. */
bool dump_memfd_name(const struct fd_look *l, char *ret, size_t size);
/* The inode, noted once. @l->lfd: a real description, or O_PATH with a mapping's link. @ret_id: inode_id of memfd.img
 */
int dump_memfd_inode(struct dump *d, const struct fd_look *l, uint32_t *ret_id, struct cr_err *e);

/* A device number in the kernel's own form, as all images have it: major << 20 | minor. */
uint32_t dump_kdev(dev_t dev);

/* ---- the kinds, in the order in which tools/criu-collect/order-fd.c asks them ---- */
extern const struct fd_dump_ops memfd_dump_ops, tty_dump_ops, dev_dump_ops, fifo_dump_ops, reg_dump_ops, pipe_dump_ops,
	unix_dump_ops, inet_dump_ops, eventfd_dump_ops, epoll_dump_ops, signalfd_dump_ops, timerfd_dump_ops,
	other_dump_ops;

#endif
