/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Image files in CRIU's v1.1 format: head, then entries of a 32-bit size and a protobuf message, some with a
 * payload behind them. What types there are stands in proto/images.def; the tables here are made from it.
 *
 * Images are input from outside: every length is checked against IMG_ENTRY_MAX and against what is left of the file
 * before memory is taken, every message is unpacked into the caller's arena and its required fields are there.
 */
#ifndef CR_IMAGE_IMAGE_H
#define CR_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/err.h"

enum img_type {
#define IMAGE(NAME, ...) IMG_##NAME,
#include "images.def"
#undef IMAGE
	IMG_TYPES
};

enum { IMG_ENTRY_MAX = 64 << 20, IMG_NAME_MAX = 64 };

#define IMG_MAGIC_COMMON  0x54564319u
#define IMG_MAGIC_SERVICE 0x55105940u

/* What stands before the first entry. */
enum img_head { IMG_HEAD_COMMON, IMG_HEAD_SERVICE, IMG_HEAD_INVENTORY, IMG_HEAD_RAW };

/* Where the bytes behind an entry come from. */
enum img_payload {
	IMG_NOPL,
	IMG_PL_FIELD, /* as many bytes as a field of the entry says */
	IMG_PL_TCP,   /* inq_len + outq_len */
	IMG_PL_SHM,   /* size, padded to 4, unless in_pagemaps */
	IMG_PL_SEM,   /* nsems u16, padded to 8 */
	IMG_PL_MSG,   /* qnum messages, each padded to 8 */
	IMG_PL_GHOST, /* whole rest, or chunks */
	IMG_PL_BPF,   /* keys_bytes + values_bytes */
};

struct img_info {
	const char *name;   /* "PSTREE": the magic's name, as crit prints it */
	const char *format; /* "core-%u.img" */
	uint32_t magic;	    /* 0: raw */
	enum img_head head;
	const ProtobufCMessageDescriptor *first; /* of the first entry; NULL: raw */
	const ProtobufCMessageDescriptor *rest;	 /* of the others; NULL: one entry only */
	enum img_payload payload;
	const char *payload_field;
	const char *writer; /* the stage that writes it, NULL: only read */
};

extern const struct img_info img_table[IMG_TYPES];

/* The file name of an image. @id is ignored by types without one. */
const char *img_name(enum img_type type, unsigned long id, char buf[IMG_NAME_MAX]);
/* The reverse. Return: whether @name is exactly what img_name() makes. */
bool img_parse_name(const char *name, enum img_type *ret_type, unsigned long *ret_id);
/* The first type with this second magic, or with this printed name; IMG_TYPES: none. Raw types have neither. */
enum img_type img_by_magic(uint32_t magic);
enum img_type img_by_printed_name(const char *name);
/* The message of entry number @entry; NULL: there is no such entry. */
const ProtobufCMessageDescriptor *img_descriptor(enum img_type type, unsigned long entry);

/* ---- writing: into the file itself, mode 0600; only the inventory appears under its name at img_finish() ---- */
struct img_writer {
	int dir, fd;
	enum img_type type;
	unsigned long id;
	size_t fill;
	uint64_t bytes; /* written so far, buffered included */
	uint8_t *buf;
};

int img_create(int dir, enum img_type type, unsigned long id, struct img_writer *w, struct cr_err *e);
/* The same with an open file that has no name yet (O_TMPFILE), which is owned then; it stays the caller's on failure. No head is written. */
int img_create_from(int dir, enum img_type type, unsigned long id, int fd, struct img_writer *w, struct cr_err *e);
int img_put(struct img_writer *w, const void *message,
	    struct cr_err *e); /* a ProtobufCMessage with its descriptor set */
int img_put_bytes(struct img_writer *w, const void *data, size_t len, struct cr_err *e);
int img_finish(struct img_writer *w, struct cr_err *e);
void img_abandon(struct img_writer *w); /* also after img_finish(): does nothing then */
/* create + put + finish. */
int img_write_one(int dir, enum img_type type, unsigned long id, const void *message, struct cr_err *e);

/* ---- reading ---- */
struct img_reader {
	int fd;
	enum img_type type;
	bool borrowed; /* fd is the caller's */
	bool lenient;  /* do not validate entries: to look at broken images. Set it after img_open(). */
	char name[IMG_NAME_MAX];
	off_t pos, size;     /* size -1: a pipe */
	unsigned long entry; /* number of the next entry, from 0 */
	size_t start, end;   /* what of buf is read ahead */
	uint8_t *buf;
	uint8_t *large; /* the last entry, when buf was too small */
};

/* A file of the directory, for reading; only a regular file. Return: descriptor; -errno with @e (-ENOENT: CR_E_IMG_MISSING). */
int img_open_file(int dir, const char *name, struct cr_err *e);
/* Size and CRC-32C of an open file, as files[] of the manifest has them. Return: 0 or -errno. */
int img_sum(int fd, uint64_t *ret_size, uint32_t *ret_sum);

/*
 * Open an image and check its head.
 * Return: 1 opened; 0 there is no such file (the format's "empty image"); -errno with @e (CR_E_IMG_MAGIC, ...).
 */
int img_open(int dir, enum img_type type, unsigned long id, struct img_reader *r, struct cr_err *e);
/* The same for an open file whose type is known. The descriptor stays the caller's. */
int img_open_fd(int fd, const char *name, enum img_type type, struct img_reader *r, struct cr_err *e);
/* The same where the type is to be found: by the magic, and by @name where types share one. */
int img_open_any(int fd, const char *name, struct img_reader *r, struct cr_err *e);
/*
 * The next entry, checked (see img_validator). @ret: in @a.
 * Return: 1 got one; 0 end of the file; -errno with @e.
 */
int img_get(struct img_reader *r, struct arena *a, void *ret, struct cr_err *e);
/* The same for an entry of another message than the registry has there (ipc_msg behind an ipc_msg_entry). */
int img_get_as(struct img_reader *r, const ProtobufCMessageDescriptor *d, struct arena *a, void *ret, struct cr_err *e);
/*
 * The next entry as it stands in the file, not unpacked.
 * @ret: valid until the next call on @r
 */
int img_get_packed(struct img_reader *r, const uint8_t **ret, size_t *ret_len, struct cr_err *e);
int img_get_bytes(struct img_reader *r, void *buf, size_t len, struct cr_err *e);
/* Up to @len bytes. Return: how many, fewer only at the end of the file; -errno. */
ssize_t img_read(struct img_reader *r, void *buf, size_t len, struct cr_err *e);
int img_skip(struct img_reader *r, uint64_t len, struct cr_err *e);
void img_close(struct img_reader *r);
/* The only entry of an image. Missing or empty: CR_E_IMG_MISSING. */
int img_read_one(int dir, enum img_type type, unsigned long id, struct arena *a, void *ret, struct cr_err *e);
/* All entries. @ret: array of pointers in @a, NULL-terminated. Return: count or -errno. */
ssize_t img_read_all(int dir, enum img_type type, unsigned long id, struct arena *a, void ***ret, struct cr_err *e);
/* A CR_E_IMG_CORRUPT for the entry read last: "core-12.img: entry 0: ...". Return: -EINVAL. */
int img_bad(const struct img_reader *r, struct cr_err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Is the message sane by itself: enumerations known, lists as long as the kernel's tables, addresses in order, strings
 * bounded? References to other images are for the caller to follow. img_get() does this for every entry.
 * @why: at least 160 bytes; which field and what about it
 */
bool img_valid(const ProtobufCMessage *message, char why[160]);

/* pagemap_entry.flags: in the parent's images; may come by userfaultfd; in pages-N.img. */
enum { IMG_PE_PARENT = 1, IMG_PE_LAZY = 2, IMG_PE_PRESENT = 4 };

/*
 * Names in inventory.plugins_entry: CRIU 4.1 and newer refuse images that need a plugin which they do not have. The second
 * marks images of a dry run (--check-only), which nobody must take for a checkpoint.
 */
#define IMG_PLUGIN_OWN	      "criu-pipeline"
#define IMG_PLUGIN_CHECK_ONLY "criu-pipeline-check-only"

/* Pagemaps of CRIU up to 4.1 count in field 2 and know no flags; see pagemap.proto. */
struct PagemapEntry;
uint64_t img_pagemap_pages(const struct PagemapEntry *entry);
uint32_t img_pagemap_flags(const struct PagemapEntry *entry);

/* A message, in @a. NULL: these bytes are none, or it takes more than 1 GiB. wire_depth_ok() must have passed it. */
ProtobufCMessage *img_unpack(const ProtobufCMessageDescriptor *d, struct arena *a, const uint8_t *data, size_t len);

#endif
