/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in the messages of images pids, addresses and paths stand. A pid is also in the names of images. What tasks have
 * noted in their own memory is theirs: it stays as it was.
 */
#include "edit-rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "checkpoint.h"
#include "edit.h"
#include "fdinfo.pb-c.h"
#include "file-lock.pb-c.h"
#include "mnt.pb-c.h"
#include "pstree.pb-c.h"
#include "remap-file-path.pb-c.h"
#include "stats.pb-c.h"
#include "text.h"
#include "timer.pb-c.h"

enum { PID_MOST = 1 << 22 };

static const struct place {
	const ProtobufCMessageDescriptor *message;
	const char *field;
	enum rule_kind kind;
} places[] = {
	{ &pstree_entry__descriptor, "pid", RULE_PID },
	{ &pstree_entry__descriptor, "ppid", RULE_PID },
	{ &pstree_entry__descriptor, "pgid", RULE_PID },
	{ &pstree_entry__descriptor, "sid", RULE_PID },
	{ &pstree_entry__descriptor, "threads", RULE_PID },
	{ &fown_entry__descriptor, "pid", RULE_PID },
	{ &file_lock_entry__descriptor, "pid", RULE_PID },
	{ &pidfd_entry__descriptor, "nspid", RULE_PID },
	{ &posix_timer_entry__descriptor, "notify_thread_id", RULE_PID },
	{ &tty_info_entry__descriptor, "sid", RULE_PID },
	{ &tty_info_entry__descriptor, "pgrp", RULE_PID },
	{ &inet_sk_entry__descriptor, "src_addr", RULE_ADDRESS },
	{ &inet_sk_entry__descriptor, "dst_addr", RULE_ADDRESS },
	{ &reg_file_entry__descriptor, "name", RULE_PID }, /* in /proc */
	{ &reg_file_entry__descriptor, "name", RULE_PATH },
	{ &unix_sk_entry__descriptor, "name", RULE_PATH },
	{ &unix_sk_entry__descriptor, "name_dir", RULE_PATH },
	{ &fanotify_mount_mark_entry__descriptor, "path", RULE_PATH },
	{ &irmap_cache_entry__descriptor, "path", RULE_PATH },
	{ &mnt_entry__descriptor, "mountpoint", RULE_PATH },
};

/* Which images are read for a kind of rule. */
static const struct {
	enum img_type type;
	unsigned int kinds; /* bits */
} touched[] = {
	{ IMG_PSTREE, 1 << RULE_PID },
	{ IMG_FILES, 1 << RULE_PID | 1 << RULE_ADDRESS | 1 << RULE_PATH },
	{ IMG_FILE_LOCKS, 1 << RULE_PID },
	{ IMG_CORE, 1 << RULE_PID },
	{ IMG_TTY_INFO, 1 << RULE_PID },
	{ IMG_POSIX_TIMERS, 1 << RULE_PID },
	{ IMG_REG_FILES, 1 << RULE_PID | 1 << RULE_PATH },
	{ IMG_INETSK, 1 << RULE_PID | 1 << RULE_ADDRESS },
	{ IMG_UNIXSK, 1 << RULE_PID | 1 << RULE_PATH },
	{ IMG_PIPES, 1 << RULE_PID },
	{ IMG_TTY_FILES, 1 << RULE_PID },
	{ IMG_MNTS, 1 << RULE_PATH },
	{ IMG_IRMAP_CACHE, 1 << RULE_PATH },
	{ IMG_REMAP_FPATH, 1 << RULE_PID },
};

static const enum img_type by_pid[] = {
	IMG_CORE,   IMG_IDS,	 IMG_MM,	   IMG_FS,     IMG_PAGEMAP,  IMG_CREDS,	   IMG_VMAS,
	IMG_SIGACT, IMG_ITIMERS, IMG_POSIX_TIMERS, IMG_RLIMIT, IMG_SIGNAL_S, IMG_SIGNAL_P,
};

bool rules_touch(const struct rule *rules, size_t n, enum img_type type)
{
	for (size_t k = 0; k < sizeof(touched) / sizeof(touched[0]); k++)
		for (size_t i = 0; i < n; i++)
			if (touched[k].type == type && touched[k].kinds & 1u << rules[i].kind)
				return true;
	return false;
}

unsigned long rules_id(const struct rule *rules, size_t n, enum img_type type, unsigned long id)
{
	for (size_t k = 0; k < sizeof(by_pid) / sizeof(by_pid[0]); k++)
		for (size_t i = 0; by_pid[k] == type && i < n; i++)
			if (rules[i].kind == RULE_PID && rules[i].old_pid == id)
				return rules[i].now_pid;
	return id;
}

/* ---- reading the command line ---- */

/* "10.0.0.1", "10.0.0.1:80", "fe80::1", "[fe80::1]:80" */
static bool parse_address(const char *text, size_t len, struct address *ret)
{
	char buf[80], *colon, *host = buf;
	struct integer port;

	if (len >= sizeof(buf))
		return false;
	memcpy(buf, text, len);
	buf[len] = '\0';
	*ret = (struct address){ .port = -1 };
	colon = strrchr(buf, ':');
	if (*buf == '[') {
		char *close = strchr(buf, ']');

		if (!close || (close[1] && close[1] != ':'))
			return false;
		colon = close[1] ? close + 1 : NULL;
		*close = '\0';
		host++;
	} else if (colon && strchr(buf, ':') != colon) {
		colon = NULL; /* IPv6 without a port */
	}
	if (colon) {
		if (!integer_parse(colon + 1, strlen(colon + 1), &port) || port.negative || port.value > 65535)
			return false;
		*colon = '\0';
		ret->port = (int)port.value;
	}
	ret->n = inet_pton(AF_INET, host, ret->words) == 1 ? 1 : 4;
	return ret->n == 1 || inet_pton(AF_INET6, host, ret->words) == 1;
}

static bool parse_addresses(const char *text, const char *equals, struct rule *r)
{
	return parse_address(text, equals - text, &r->old_addr) &&
	       parse_address(equals + 1, strlen(equals + 1), &r->now_addr) && r->old_addr.n == r->now_addr.n &&
	       (r->old_addr.port < 0) == (r->now_addr.port < 0);
}

/* The first '=' that no backslash stands before: a path can have one. NULL: none */
static const char *separator(const char *text)
{
	const char *at = strchr(text, '=');

	while (at && at > text && at[-1] == '\\')
		at = strchr(at + 1, '=');
	return at;
}

/* An absolute path in bytes, without a '/' at its end. NULL: it is none, or the root, which is no path to rename. */
static const char *parse_path(const char *text, size_t len, bool escaped, struct arena *a)
{
	char *path = arena_alloc(a, len + 1);
	size_t fill = 0;

	for (size_t k = 0; path && k < len; k++)
		if (!escaped || text[k] != '\\' || k + 1 == len || text[k + 1] != '=')
			path[fill++] = text[k];
	if (!path)
		return NULL;
	fill = bytes_typed(path, fill, (uint8_t *)path);
	while (fill > 1 && path[fill - 1] == '/')
		fill--;
	path[fill] = '\0';
	return *path == '/' && fill > 1 && fill < PATH_MAX ? path : NULL;
}

static bool parse_paths(const char *text, struct arena *a, struct rule *r)
{
	const char *equals = separator(text);

	r->old = equals ? parse_path(text, equals - text, true, a) : NULL;
	r->now = equals ? parse_path(equals + 1, strlen(equals + 1), false, a) : NULL;
	r->old_len = r->old ? strlen(r->old) : 0;
	return r->old && r->now;
}

static bool parse_pid(const char *text, size_t len, uint32_t *ret)
{
	struct integer n;

	if (!integer_parse(text, len, &n) || n.negative || !n.value || n.value > PID_MOST)
		return false;
	*ret = (uint32_t)n.value;
	return true;
}

static int root_pid(const char *path, uint32_t *ret, struct cr_err *e)
{
	struct checkpoint c;
	int err = checkpoint_open(&c, path, e);

	if (err < 0)
		return err;
	*ret = c.tasks[0]->pid;
	checkpoint_close(&c);
	return 0;
}

static bool parse_rule(const struct dir_edit *d, struct arena *a, struct rule *r)
{
	const char *equals = strchr(d->value, '=');

	if (!strcmp(d->kind, "set-root-pid")) {
		r->kind = RULE_PID;
		return parse_pid(d->value, strlen(d->value), &r->now_pid);
	}
	if (!strcmp(d->kind, "rename-path")) {
		r->kind = RULE_PATH;
		return parse_paths(d->value, a, r);
	}
	if (!equals)
		return false;
	if (!strcmp(d->kind, "set-pid")) {
		r->kind = RULE_PID;
		return parse_pid(d->value, equals - d->value, &r->old_pid) &&
		       parse_pid(equals + 1, strlen(equals + 1), &r->now_pid);
	}
	r->kind = RULE_ADDRESS;
	return parse_addresses(d->value, equals, r);
}

/* What an option takes. */
static const char *form_of(const char *kind)
{
	static const char *const forms[][2] = {
		{ "set-root-pid", "needs a pid: a number from 1 to 4194304" },
		{ "set-pid", "needs OLD=NEW, both pids: numbers from 1 to 4194304" },
		{ "remap-address",
		  "needs OLD=NEW, both addresses of IPv4 or both of IPv6, and :PORT at both or at none" },
		{ "rename-path", "needs OLD=NEW, both absolute paths other than / (a = in OLD is written \\=)" },
	};
	size_t k = 0;

	while (k < 3 && strcmp(forms[k][0], kind))
		k++;
	return forms[k][1];
}

int rules_parse(const struct dir_edit *edits, size_t n, const char *path, struct arena *a, struct rule **ret,
		struct cr_err *e)
{
	char object[160];

	*ret = arena_calloc(a, n, sizeof(**ret));
	if (!*ret)
		return cr_err_nomem(e);
	for (size_t k = 0; k < n; k++) {
		struct rule *r = &(*ret)[k];
		int err = 0;

		snprintf(object, sizeof(object), "--%s %s", edits[k].kind, edits[k].value);
		if (!parse_rule(&edits[k], a, r))
			return cr_err_set(e, CR_E_USAGE, 0, object, "%s", form_of(edits[k].kind));
		r->option = arena_strdup(a, object);
		if (!r->option)
			return cr_err_nomem(e);
		if (!strcmp(edits[k].kind, "set-root-pid"))
			err = root_pid(path, &r->old_pid, e);
		if (err < 0)
			return err;
	}
	return 0;
}

/* ---- may it be done? ---- */

/* Is it the id of a task, thread, group or session? */
static bool pid_used(const struct checkpoint *c, uint32_t pid, bool task_only)
{
	for (size_t k = 0; k < c->n_tasks; k++) {
		const PstreeEntry *t = c->tasks[k];

		if (t->pid == pid || (!task_only && (t->pgid == pid || t->sid == pid)))
			return true;
		for (size_t i = 0; i < t->n_threads; i++)
			if (t->threads[i] == pid)
				return true;
	}
	return false;
}

static int check_pid(const struct checkpoint *c, const struct rule *r, struct cr_err *e)
{
	char object[32];

	snprintf(object, sizeof(object), "pid %u", r->old_pid);
	if (!pid_used(c, r->old_pid, true))
		return cr_err_set(e, CR_E_NO_TASK, 0, object, "is no task or thread of this checkpoint");
	if (r->old_pid != r->now_pid && pid_used(c, r->now_pid, false))
		return cr_err_set(e, CR_E_PID_TAKEN, 0, object, "%u is already a task, thread, group or session",
				  r->now_pid);
	if (faccessat(c->dir, "parent", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	cr_err_set(e, CR_E_UNSUPPORTED, 0, object, "pages in parent directories are found by the pid");
	cr_err_remedy(e, "make a checkpoint without a parent");
	return -EINVAL;
}

int rules_check(const struct rule *rules, size_t n, const char *path, struct cr_err *e)
{
	struct checkpoint c;
	int ret;

	ret = checkpoint_open(&c, path, e);
	if (ret < 0)
		return ret;
	for (size_t k = 0; !ret && k < n; k++)
		if (rules[k].kind == RULE_PID)
			ret = check_pid(&c, &rules[k], e);
	checkpoint_close(&c);
	return ret;
}

int rules_hit(const struct rule *rules, size_t n, struct cr_err *e)
{
	for (size_t k = 0; k < n; k++) {
		if (rules[k].hits)
			continue;
		return cr_err_set(e, CR_E_NO_MATCH, 0, rules[k].option, "nothing in the checkpoint has it");
	}
	return 0;
}

/* ---- changing entries ---- */

static int put_number(struct json *v, uint64_t n, struct arena *a, struct cr_err *e)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	v->kind = JSON_NUMBER;
	v->len = strlen(text);
	v->text = arena_strdup(a, text);
	return v->text ? 0 : cr_err_nomem(e);
}

static bool number_of(const struct json *v, uint64_t *ret)
{
	struct integer n;

	if (!v || v->kind != JSON_NUMBER || !integer_parse(v->text, v->len, &n) || n.negative)
		return false;
	*ret = n.value;
	return true;
}

static int set_pid(struct rule *r, struct json *v, struct arena *a, struct cr_err *e)
{
	uint64_t pid;

	if (v->kind == JSON_LIST) {
		for (struct json *c = v->child; c; c = c->next) {
			int ret = set_pid(r, c, a, e);

			if (ret < 0)
				return ret;
		}
		return 0;
	}
	if (!number_of(v, &pid) || pid != r->old_pid)
		return 0;
	r->hits++;
	return put_number(v, r->now_pid, a, e);
}

/* The text @v of another name. */
static int put_name(struct json *v, const uint8_t *name, size_t len, bool quoted, struct arena *a, struct cr_err *e)
{
	const struct json *now = quoted ? NULL : tree_bytes(a, name, len);
	char *text = quoted ? arena_alloc(a, 4 * len + 4) : NULL;

	if (!now && !text)
		return cr_err_nomem(e);
	v->len = now ? now->len : quoted_encode(name, len, text);
	v->text = now ? now->text : text;
	return 0;
}

/* @quoted: quoted-printable, else as strings are spelled; compared are the bytes. */
static int set_path(struct rule *r, struct json *v, bool quoted, struct arena *a, struct cr_err *e)
{
	size_t now_len = strlen(r->now), dot;
	uint8_t *name, *now;
	long len;

	if (v->kind != JSON_STRING || v->rest)
		return 0;
	name = arena_alloc(a, v->len + 1);
	now = arena_alloc(a, v->len + now_len + 1);
	if (!name || !now)
		return cr_err_nomem(e);
	len = quoted ? quoted_decode(v->text, v->len, name) : (long)bytes_unescape(v->text, v->len, name);
	dot = len > 0 && name[0] == '.' ? 1 : 0; /* "./a": of old mounts */
	name += dot;
	len -= (long)dot;
	if (len < (long)r->old_len || memcmp(name, r->old, r->old_len))
		return 0;
	/* The names of sockets end with NULs. */
	if (len > (long)r->old_len && name[r->old_len] != '/' && name[r->old_len] != '\0')
		return 0;
	memset(now, '.', dot);
	memcpy(now + dot, r->now, now_len);
	memcpy(now + dot + now_len, name + r->old_len, len - r->old_len);
	r->hits++;
	return put_name(v, now, dot + now_len + len - r->old_len, quoted, a, e);
}

/* The number that stands at *@at behind @word, as a whole part of a path. *@at goes behind it. */
static bool path_number(const char **at, const char *word, uint32_t *ret)
{
	size_t len = strlen(word), digits = strncmp(*at, word, len) ? 0 : strspn(*at + len, "0123456789");
	char behind = digits ? (*at)[len + digits] : 'x';
	struct integer n;

	if ((behind && behind != '/') || !integer_parse(*at + len, digits, &n) || n.value > PID_MOST)
		return false;
	*ret = (uint32_t)n.value;
	*at += len + digits;
	return true;
}

/* /proc/PID, /proc/PID/task/TID and what is below */
static int set_proc_path(struct rule *r, struct json *v, struct arena *a, struct cr_err *e)
{
	const char *at = v->text;
	uint32_t pid, tid = 0;
	bool thread, hit;
	size_t size = v->len + 32;
	char *now;

	if (v->rest || strlen(at) != v->len || !path_number(&at, "/proc/", &pid))
		return 0;
	thread = path_number(&at, "/task/", &tid);
	hit = pid == r->old_pid || (thread && tid == r->old_pid);
	now = hit ? arena_alloc(a, size) : NULL;
	if (!now)
		return hit ? cr_err_nomem(e) : 0;
	pid = pid == r->old_pid ? r->now_pid : pid;
	tid = tid == r->old_pid ? r->now_pid : tid;
	if (thread)
		v->len = snprintf(now, size, "/proc/%u/task/%u%s", pid, tid, at);
	else
		v->len = snprintf(now, size, "/proc/%u%s", pid, at);
	v->text = now;
	r->hits++;
	return 0;
}

/* Its words, IPv4 inside of IPv6 as IPv4. Return: how many */
static int address_words(const struct json *list, uint32_t words[4], struct json *nodes[4])
{
	int n = 0;

	for (struct json *c = list->child; c && n < 4; c = c->next, n++) {
		uint64_t v;

		if (!number_of(c, &v))
			return 0;
		words[n] = (uint32_t)v;
		nodes[n] = c;
	}
	if (n != 4 || words[0] || words[1] || words[2] != htonl(0xffff))
		return n;
	words[0] = words[3];
	nodes[0] = nodes[3];
	return 1;
}

static int set_address(struct rule *r, struct json *socket, struct json *list, const char *port, struct arena *a,
		       struct cr_err *e)
{
	struct json *nodes[4], *at = tree_member(socket, port);
	uint32_t words[4];
	int n = address_words(list, words, nodes), ret = 0;
	uint64_t have = 0;

	if (n != r->old_addr.n || memcmp(words, r->old_addr.words, n * sizeof(*words)))
		return 0;
	if (r->old_addr.port >= 0 && (!number_of(at, &have) || have != (uint64_t)r->old_addr.port))
		return 0;
	r->hits++;
	for (int k = 0; !ret && k < n; k++)
		ret = put_number(nodes[k], r->now_addr.words[k], a, e);
	if (!ret && at && r->now_addr.port >= 0)
		ret = put_number(at, r->now_addr.port, a, e);
	return ret;
}

static int change_field(struct rule *r, const ProtobufCMessageDescriptor *d, struct json *object, struct json *v,
			struct arena *a, struct cr_err *e)
{
	for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
		if (places[k].message != d || places[k].kind != r->kind || strcmp(places[k].field, v->key))
			continue;
		if (r->kind == RULE_PID)
			return v->kind == JSON_STRING ? set_proc_path(r, v, a, e) : set_pid(r, v, a, e);
		if (r->kind == RULE_PATH)
			return set_path(r, v, d == &unix_sk_entry__descriptor && !strcmp(v->key, "name"), a, e);
		return set_address(r, object, v, *v->key == 's' ? "src_port" : "dst_port", a, e);
	}
	return 0;
}

/* /proc of a task that is gone: the only field whose meaning depends on another one. */
static int change_remap(struct rule *r, struct json *object, struct arena *a, struct cr_err *e)
{
	struct json *type = tree_member(object, "remap_type"), *id = tree_member(object, "remap_id");

	if (r->kind != RULE_PID || !type || !id || type->kind != JSON_STRING || strcmp(type->text, "PROCFS"))
		return 0;
	return set_pid(r, id, a, e);
}

static int change_message(struct rule *r, const ProtobufCMessageDescriptor *d, struct json *object, struct arena *a,
			  struct cr_err *e)
{
	int ret = d == &remap_file_path_entry__descriptor ? change_remap(r, object, a, e) : 0;

	for (struct json *m = object->kind == JSON_OBJECT ? object->child : NULL; m && !ret; m = m->next) {
		const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field_by_name(d, m->key);

		if (!fd)
			continue;
		if (fd->type != PROTOBUF_C_TYPE_MESSAGE)
			ret = change_field(r, d, object, m, a, e);
		else if (m->kind == JSON_OBJECT)
			ret = change_message(r, fd->descriptor, m, a, e);
		else
			for (struct json *c = m->child; c && !ret; c = c->next)
				ret = change_message(r, fd->descriptor, c, a, e);
	}
	return ret;
}

/* In the order of the command line. */
int rules_apply(struct rule *rules, size_t n, const ProtobufCMessageDescriptor *d, struct json *entry, struct arena *a,
		struct cr_err *e)
{
	int ret = 0;

	for (size_t k = 0; !ret && k < n; k++)
		ret = change_message(&rules[k], d, entry, a, e);
	return ret;
}
