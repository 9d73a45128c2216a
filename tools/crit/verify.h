/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of crit verify: what is known of a directory, and where findings go. */
#ifndef CRIT_VERIFY_H
#define CRIT_VERIFY_H

#include <stdio.h>

#include "base/arena.h"
#include "checkpoint.h"
#include "crit.h"
#include "idmap.h"

struct finding {
	const char *dir, *file, *problem;
	long entry; /* -1: the file as a whole */
	bool warning;
	bool weak;    /* dropped where another error says it */
	size_t order; /* of discovery */
};

/* All findings of a run, of all directories. */
struct findings {
	struct arena arena;
	struct finding *v;
	size_t n, cap, errors;
	bool nomem;
};

/* One image with its entries. */
struct vimage {
	enum img_type type;
	unsigned long id;
	const char *name;
	uint64_t size;
	void **entry; /* unpacked messages; NULL: it could not be. Of pagemaps the head alone. */
	size_t n;
	bool old; /* version 1: the type's magic alone stands at the start */
};

struct verify {
	int dir;
	const char *path;
	const struct verify *child; /* whose parent this is */
	struct verify *parent;	    /* NULL: none */
	bool parent_loop;	    /* it would be one of the children */
	struct findings *found;
	struct arena arena, scratch;
	struct vimage *images; /* by type and id */
	size_t n_images;
	uint64_t page;
	bool predump;
	struct idmap alive;    /* pid -> files_id + 1 of the tasks that are no zombies */
	struct idmap files;    /* id -> bits of the types that have it */
	struct idmap tables;   /* files_id and fd -> 1 */
	struct idmap segments; /* shmids that mappings have -> 1 */
};

/* @file: a name in the directory. @entry: -1 for the whole file. */
void v_error(struct verify *v, const char *file, long entry, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void v_warn(struct verify *v, const char *file, long entry, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* An error that is told only if no other one is about the same entry. */
void v_weak(struct verify *v, const char *file, long entry, const char *text);
/* v_error() unless @ok. Return: @ok */
#define v_expect(v, ok, ...) ((ok) ? true : (v_error((v), __VA_ARGS__), false))
/* Like idmap_put(), with memory that ran out noted. Return: true if the key was there. */
bool v_seen(struct verify *v, struct idmap *m, uint64_t key);

const struct vimage *v_image(const struct verify *v, enum img_type type, unsigned long id);
/* The images of a type, in the order of their ids. Return: how many */
size_t v_images(const struct verify *v, enum img_type type, const struct vimage **ret);
/* The first entry, NULL if there is none. */
const void *v_one(const struct verify *v, enum img_type type, unsigned long id);

/* Over all entries that could be unpacked of all images of a type: while ((m = v_next(&w))). */
struct walk {
	const struct vimage *image, *end;
	long entry; /* of the message that v_next() gave */
	size_t next;
};
struct walk v_walk(const struct verify *v, enum img_type type);
const void *v_next(struct walk *w);

/* The whole of one directory, then of its parents. Return: 0 or -errno with @e (it cannot be looked at). */
int verify_dir(struct verify *v, struct cr_err *e);

/* verify-load.c: read all images: framing, wire form, each message by itself. */
int verify_load(struct verify *v, struct cr_err *e);
/* Check one image by itself and keep its entries. @fd: at its start */
void verify_image_fd(struct verify *v, struct vimage *image, int fd);
/* verify.c: a directory from outside. Return: 0 or -errno with @e; what was found is in @all */
int verify_path(const char *path, struct findings *all, struct cr_err *e);
/* Sort; drop the weak ones next to stronger ones, and what is told twice. Before anything is printed. */
void verify_settle(struct findings *all);
/* Print findings as text, errors only if @quiet. */
void verify_print(struct findings *all, bool quiet, FILE *to);
void findings_free(struct findings *all);
/* verify-wire.c: required fields, enumerations, unknown fields, unusual encodings. Return: whether it can be unpacked. */
bool verify_wire(struct verify *v, const char *file, long entry, const ProtobufCMessageDescriptor *d,
		 const uint8_t *data, size_t len);
/* The checks across images. */
void verify_tree(struct verify *v);
void verify_sessions(struct verify *v);
void verify_files(struct verify *v);
void verify_file_refs(struct verify *v);
void verify_things(struct verify *v);
void verify_memory(struct verify *v);
void verify_namespaces(struct verify *v);
void verify_raw(struct verify *v);
void verify_manifest(struct verify *v);

/* A file id that something names. @types: bits of 1 << FD_TYPES, 0: any */
void verify_ref(struct verify *v, const char *file, long entry, uint32_t id, uint32_t types, const char *what);

#endif
