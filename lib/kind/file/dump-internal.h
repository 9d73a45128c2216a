/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the dump half of the file engine. */
#ifndef CR_KIND_FILE_DUMP_INTERNAL_H
#define CR_KIND_FILE_DUMP_INTERNAL_H

#include "kind/file/dump-file.h"

enum { DUMP_LINK = 8192, DUMP_KINDS_MAX = 32, DUMP_IMAGES_MAX = 12 };

/* A description that has an id: a node of the tree of those that could be the same (see dump-share.c). */
struct share_node {
	uint64_t key;
	uint32_t left, right; /* index + 1 */
	int32_t pid, fd;
	uint32_t id; /* 0: refused */
	uint32_t type;
};

struct share {
	struct share_node *nodes;
	uint32_t nr, cap;
	uint32_t *roots; /* hash table: index + 1 */
	uint32_t nr_roots, size;
};

/*
 * The description behind @fd of @pid, or a new node for it.
 * @key: equal for descriptions that could be the same
 * @ret_new: whether it is new; the caller sets id and type then
 * Return: node, valid until the next call; NULL with @err -ENOMEM or what kcmp(2) said.
 */
struct share_node *share_find(struct share *s, uint64_t key, pid_t pid, int fd, bool *ret_new, int *err);
void share_free(struct share *s);

/* What could be the same description: see dump-share.c. */
uint64_t share_key(const struct fd_look *l);
/* Is there any description with this key? For threads that run side by side while nothing is added. */
bool share_has(const struct share *s, uint64_t key);

/* ---- looking at descriptors: dump-look.c ---- */

/* What was found out ahead, with more threads than one; see fd_look.ahead. */
struct fd_ahead {
	bool name_good; /* the link leads to the inode */
	bool owner_known;
	int sig, owner_type;
	pid_t owner;
};

struct look_slot {
	struct fd_look look;
	struct fd_ahead ahead;
	const char *lock; /* in look.fdinfo: the first lock: line, or NULL */
	bool more;	  /* link and ahead are filled */
	int err;	  /* errno of what failed, with its name */
	const char *call;
};

struct look_table {
	const struct dump_task *task;
	int dir; /* fdinfo */
	int *fds;
	size_t n, next;
};

struct looker;
/* List the numbers of a task's table. Return: 0 or -errno. */
int look_begin(const struct dump_task *t, struct look_table *ret);
void look_end(struct look_table *t);
/*
 * Look at the next descriptors. The caller closes the lfd of each.
 * @ret: valid until the next call
 * Return: how many; 0: that was all; -ENOMEM
 */
ssize_t look_next(struct file_ids *f, struct look_table *t, struct look_slot **ret);
/* The rest, where look_next() thought that it would not be needed. */
int look_more(struct file_ids *f, struct look_slot *s, struct cr_err *e);
void look_free(struct looker *l);
/* Does @name lead to the inode of @st? */
bool look_leads_to(const char *name, const struct stat *st);

struct path_file; /* a file without a descriptor: dump-path.c */
struct memfd_inode;
struct ghost;
struct seen_dev; /* kinds of file systems by st_dev */

struct open_image {
	enum img_type type;
	struct img_writer w;
};

struct file_ids {
	uint32_t next_id;
	struct share share;
	struct arena scratch;
	struct looker *looker;
	char *link; /* DUMP_LINK */
	struct open_image images[DUMP_IMAGES_MAX];
	unsigned nr_images;
	void *kind_state[DUMP_KINDS_MAX]; /* by position in dump_fd_order */
	struct path_file **paths;	  /* hash table */
	size_t nr_paths, size_paths;
	uint64_t *needs; /* hash set of inodes */
	size_t nr_needs, size_needs;
	struct seen_dev *devs;
	struct need_dev *need_devs; /* dump-needs.c */
	struct memfd_inode *memfds, **memfds_end;
	uint32_t nr_memfds;
	struct ghost *ghosts;
	uint32_t nr_ghosts;
	uint64_t netns_cookie; /* of our own network namespace; 0: not known yet */
};

/* The engine's state, made at the first use. NULL: no memory. */
struct file_ids *file_ids_get(struct dump *d);

/* A file that a restore needs: a row of the manifest, once for each name. */
struct file_need {
	const char *path;
	dev_t dev;
	mode_t mode;
	int64_t size;			/* -1: it may change */
	const struct RegFileEntry *reg; /* its build id; NULL: not known */
	const uint32_t *sum;		/* CRC-32C of its contents; NULL: not asked for */
};
void file_need(struct dump *d, const struct file_need *n);
/* When all are known: the mounts that they are on. */
void needs_finish(struct dump *d);

/* dump-path.c: write the entries of files without descriptors; dump-memfd.c: memfd.img. */
int paths_finish(struct dump *d, struct cr_err *e);
int memfds_finish(struct dump *d, struct cr_err *e);

/*
 * A file that has no name any more: its contents into ghost-file-N.img, once, and a row of remap-fpath.img for @id.
 * @limit: refuse more bytes than this; 0: any size
 */
int dump_ghost(struct dump *d, const struct fd_look *l, uint32_t id, uint64_t limit, struct cr_err *e);

/* A 64-bit mixing function (splitmix64's finalizer): keys are inode numbers, which lie side by side. */
static inline uint64_t mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

#endif
