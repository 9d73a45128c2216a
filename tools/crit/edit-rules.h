/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of crit edit DIR: the rules that change values wherever they stand. Free of edit.h: edit-manifest.c needs jansson,
 * whose names are those of json-in.h.
 */
#ifndef CRIT_EDIT_RULES_H
#define CRIT_EDIT_RULES_H

#include "base/arena.h"
#include "crit.h"

struct json;
struct dir_edit;

enum rule_kind { RULE_ADDRESS, RULE_PATH, RULE_PID };

struct address {
	uint32_t words[4];
	int n;	  /* 1: IPv4, 4: IPv6 */
	int port; /* -1: any */
};

struct rule {
	enum rule_kind kind;
	const char *old, *now; /* paths */
	size_t old_len;
	struct address old_addr, now_addr;
	uint32_t old_pid, now_pid;
	const char *option; /* as it was given */
	unsigned long hits;
};

/* @path: of the directory, whose root task may be meant. @ret: in @a. Return: 0 or -errno with @e */
int rules_parse(const struct dir_edit *edits, size_t n, const char *path, struct arena *a, struct rule **ret,
		struct cr_err *e);
/* Can it be done here? The new pid must be free, the old one there ... */
int rules_check(const struct rule *rules, size_t n, const char *path, struct cr_err *e);
/* Do images of this type hold anything that a rule is about? */
bool rules_touch(const struct rule *rules, size_t n, enum img_type type);
/* The new id of an image that is named by a pid. */
unsigned long rules_id(const struct rule *rules, size_t n, enum img_type type, unsigned long id);
/* Change an entry, wherever in it something stands. */
int rules_apply(struct rule *rules, size_t n, const ProtobufCMessageDescriptor *d, struct json *entry, struct arena *a,
		struct cr_err *e);
/* Has each rule changed something? Return: 0, or -EINVAL with @e */
int rules_hit(const struct rule *rules, size_t n, struct cr_err *e);
/* Is it a JSON file of ours that is changed too? */
bool rules_document(const char *name);
int rules_rewrite(struct rule *rules, size_t n, int from, int to, const char *name, bool *ret_changed,
		  struct cr_err *e);
/* The manifest, last: needs, tree, and the list of files as they are in @to. */
int rules_manifest(struct rule *rules, size_t n, int from, int to, struct cr_err *e);

/* Where the manifest beside the image at @path lists it: its new size and checksum. */
int edit_manifest(const char *path, struct cr_err *e);

#endif
