/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Two descriptors are the same description (dup, fork, SCM_RIGHTS) when kcmp(KCMP_FILE) says 0; otherwise it gives an
 * order of the two that holds for the whole boot (kcmp(2): pointers, scrambled by a cookie). So descriptions form
 * search trees, and a lookup takes log n calls of about 1 us each. That is too much for 10,000 descriptors against each
 * other: only what could be equal is put into one tree, by device, inode and open flags. The file position is left out:
 * someone outside of the tree who shares the description may move it while we look. Anonymous inodes all share one
 * inode number; the scrambled order keeps their tree flat.
 */
#include "kind/file/dump-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/kcmp.h>

/* Return: 0 same, 1 less, 2 greater, -errno. */
static int compare(const struct share_node *n, pid_t pid, int fd)
{
	long ret;

	if (n->pid == pid && n->fd == fd)
		return 0;
	ret = syscall(SYS_kcmp, pid, n->pid, KCMP_FILE, fd, n->fd);
	return ret < 0 ? -errno : ret;
}

/* Twice the room for roots. Return: 0 or -ENOMEM. */
static int grow_roots(struct share *s)
{
	uint32_t size = s->size ? s->size * 2 : 256;
	uint32_t *roots = calloc(size, sizeof(*roots));

	if (!roots)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->size; i++) {
		uint32_t at;

		if (!s->roots[i])
			continue;
		at = s->nodes[s->roots[i] - 1].key & (size - 1);
		while (roots[at])
			at = (at + 1) & (size - 1);
		roots[at] = s->roots[i];
	}
	free(s->roots);
	s->roots = roots;
	s->size = size;
	return 0;
}

/* Index + 1 of a new node; 0: no memory. */
static uint32_t new_node(struct share *s, uint64_t key, pid_t pid, int fd)
{
	if (s->nr == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 64;
		struct share_node *nodes = realloc(s->nodes, cap * sizeof(*nodes));

		if (!nodes)
			return 0;
		s->nodes = nodes;
		s->cap = cap;
	}
	s->nodes[s->nr++] = (struct share_node){ .key = key, .pid = pid, .fd = fd };
	return s->nr;
}

/* Where the root of @key's tree stands, or may be put. */
static uint32_t *root_of(struct share *s, uint64_t key)
{
	uint32_t at = key & (s->size - 1);

	while (s->roots[at] && s->nodes[s->roots[at] - 1].key != key)
		at = (at + 1) & (s->size - 1);
	return &s->roots[at];
}

uint64_t share_key(const struct fd_look *l)
{
	uint64_t key = mix64(l->st.st_ino);

	key = mix64(key ^ (uint64_t)l->st.st_dev);
	return mix64(key ^ l->flags);
}

bool share_has(const struct share *s, uint64_t key)
{
	return s->size && *root_of((struct share *)s, key);
}

struct share_node *share_find(struct share *s, uint64_t key, pid_t pid, int fd, bool *ret_new, int *err)
{
	uint32_t *root, at, parent = 0, fresh;
	int order = 0;

	if (s->nr_roots * 2 >= s->size && grow_roots(s) < 0) {
		*err = -ENOMEM;
		return NULL;
	}
	root = root_of(s, key);
	for (at = *root; at; at = order == 1 ? s->nodes[at - 1].left : s->nodes[at - 1].right) {
		order = compare(&s->nodes[at - 1], pid, fd);
		if (order < 0) {
			*err = order;
			return NULL;
		}
		if (!order) {
			*ret_new = false;
			return &s->nodes[at - 1];
		}
		parent = at;
	}
	fresh = new_node(s, key, pid, fd);
	if (!fresh) {
		*err = -ENOMEM;
		return NULL;
	}
	if (!parent) {
		*root = fresh;
		s->nr_roots++;
	} else if (order == 1) {
		s->nodes[parent - 1].left = fresh;
	} else {
		s->nodes[parent - 1].right = fresh;
	}
	*ret_new = true;
	return &s->nodes[fresh - 1];
}

void share_free(struct share *s)
{
	free(s->nodes);
	free(s->roots);
	*s = (struct share){ 0 };
}
