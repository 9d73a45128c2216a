/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * yajl's events become the tree of one entry, which is handed on when its closing brace comes. yajl is used because
 * jansson refuses integers above 2^63-1 and holds whole documents.
 *
 * Long strings (payloads) do not go through yajl: it starts a token again with every chunk, which made 300 MB take
 * hours, and holds it three times. So the text is scanned for them first: yajl is given the first 64 KiB and a quote.
 */
#include "json-in.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>

enum {
	BUF_SIZE = 64 << 10,
	NEST_MAX = 256,
	ARENA_KEEP = 1 << 20, /* entries are small: their memory is given back together */
	TOKEN_MAX = 64 << 10,
};

/* What a long string has behind its first part. */
struct rest {
	struct rest *next;
	struct json *of;
	char *data;
	size_t len, cap;
};

/* Where the text is, as far as strings go. */
struct scan {
	bool string, diverted;
	unsigned int escaped; /* so many characters belong to an escape: 1 after the backslash, 4 after \u */
	size_t token;	      /* length so far */
};

struct parse {
	const struct json_image *image;
	struct cr_err *e;
	const char *name;
	yajl_handle yajl;
	struct arena arena;
	struct json *open[NEST_MAX], *last[NEST_MAX]; /* containers of the entry being built, and their newest child */
	int depth;				      /* of those */
	const char *key;			      /* of the next member */
	enum { START, TOP, MAGIC, ENTRIES_KEY, ENTRIES, DONE } state;
	bool has_magic, has_entries;
	struct json *string; /* the newest */
	struct rest *rests;  /* of this entry */
	struct scan scan;
	const uint8_t *chunk;
	size_t counted;		   /* bytes of the chunk whose newlines are in line */
	uint64_t base, line_start; /* offsets in the file: of the chunk, of the line */
	unsigned long line;
	int ret;
};

static unsigned long line_now(struct parse *p)
{
	size_t at = yajl_get_bytes_consumed(p->yajl);

	for (; p->counted < at; p->counted++)
		if (p->chunk[p->counted] == '\n') {
			p->line++;
			p->line_start = p->base + p->counted + 1;
		}
	return p->line;
}

/* Stop parsing. Return: 0, as yajl wants it. */
static int stop(struct parse *p, int ret)
{
	p->ret = ret;
	return 0;
}

static int bad_form(struct parse *p, const char *why)
{
	cr_err_set(p->e, CR_E_JSON, 0, p->name, "line %lu: %s", line_now(p), why);
	return stop(p, -EINVAL);
}

static void free_rests(struct parse *p)
{
	for (struct rest *r = p->rests, *next; r; r = next) {
		next = r->next;
		free(r->data);
		free(r);
	}
	p->rests = NULL;
}

static int entry_done(struct parse *p, struct json *entry)
{
	int ret;

	for (struct rest *r = p->rests; r; r = r->next) {
		r->of->rest = r->data;
		r->of->rest_len = r->len;
	}
	ret = p->image->entry(p->image->ctx, entry, p->e);
	free_rests(p);
	if (p->arena.total >= ARENA_KEEP)
		arena_free(&p->arena);
	return ret < 0 ? stop(p, ret) : 1;
}

static int magic(struct parse *p, const struct json *v)
{
	int ret;

	if (v->kind != JSON_STRING)
		return bad_form(p, "\"magic\" is not a string");
	p->has_magic = true;
	p->state = TOP;
	ret = p->image->magic(p->image->ctx, v->text, p->e);
	return ret < 0 ? stop(p, ret) : 1;
}

/* A value is there; a list or object is only begun. */
static int value(struct parse *p, enum json_kind kind, bool truth, const void *text, size_t len)
{
	struct json *v = arena_alloc(&p->arena, sizeof(*v) + len + 1);
	char *copy;

	if (!v)
		return stop(p, cr_err_nomem(p->e));
	copy = (char *)(v + 1);
	if (len)
		memcpy(copy, text, len);
	*v = (struct json){
		.kind = kind, .truth = truth, .line = line_now(p), .key = p->key, .text = copy, .len = len
	};
	p->key = NULL;
	if (p->state == MAGIC)
		return magic(p, v);
	if (p->state != ENTRIES || (!p->depth && kind != JSON_OBJECT))
		return bad_form(p, "an image is {\"magic\": name, \"entries\": [objects]}");
	if (p->depth) {
		struct json *parent = p->open[p->depth - 1], *before = p->last[p->depth - 1];

		*(before ? &before->next : &parent->child) = v;
		p->last[p->depth - 1] = v;
	}
	if (kind == JSON_STRING)
		p->string = v;
	if (kind != JSON_LIST && kind != JSON_OBJECT)
		return 1;
	if (p->depth == NEST_MAX)
		return bad_form(p, "nested too deeply");
	p->open[p->depth] = v;
	p->last[p->depth++] = NULL;
	return 1;
}

static int on_null(void *ctx)
{
	return value(ctx, JSON_NULL, false, NULL, 0);
}

static int on_boolean(void *ctx, int truth)
{
	return value(ctx, JSON_BOOL, truth, NULL, 0);
}

static int on_number(void *ctx, const char *text, size_t len)
{
	return value(ctx, JSON_NUMBER, false, text, len);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	return value(ctx, JSON_STRING, false, text, len);
}

static int on_start_map(void *ctx)
{
	struct parse *p = ctx;

	if (p->state != START)
		return value(p, JSON_OBJECT, false, NULL, 0);
	p->state = TOP;
	return 1;
}

static int on_start_array(void *ctx)
{
	struct parse *p = ctx;

	if (p->state != ENTRIES_KEY)
		return value(p, JSON_LIST, false, NULL, 0);
	p->state = ENTRIES;
	return 1;
}

static int top_key(struct parse *p, const unsigned char *key, size_t len)
{
	if (len == 5 && !memcmp(key, "magic", 5) && !p->has_magic) {
		p->state = MAGIC;
		return 1;
	}
	if (len == 7 && !memcmp(key, "entries", 7) && !p->has_entries) {
		/* The entries cannot be understood without; and a stream is not read twice. */
		if (!p->has_magic)
			return bad_form(p, "\"entries\" stands before \"magic\"");
		p->has_entries = true;
		p->state = ENTRIES_KEY;
		return 1;
	}
	return bad_form(p, "a key that is neither \"magic\" nor \"entries\", or one of them twice");
}

static int on_map_key(void *ctx, const unsigned char *key, size_t len)
{
	struct parse *p = ctx;
	char *copy;

	if (p->state == TOP)
		return top_key(p, key, len);
	copy = arena_alloc(&p->arena, len + 1);
	if (!copy)
		return stop(p, cr_err_nomem(p->e));
	memcpy(copy, key, len);
	p->key = copy;
	return 1;
}

static int on_end(void *ctx)
{
	struct parse *p = ctx;

	if (p->depth > 1) {
		p->depth--;
		return 1;
	}
	if (p->depth == 1) {
		p->depth = 0;
		return entry_done(p, p->open[0]);
	}
	/* the end of "entries", or of all */
	if (p->state == ENTRIES) {
		p->state = TOP;
		return 1;
	}
	if (!p->has_entries)
		return bad_form(p, "\"magic\" or \"entries\" is missing");
	p->state = DONE;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_map_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

/* What yajl does not like about the text itself, with line and column. */
static int syntax_error(struct parse *p)
{
	unsigned char *text = yajl_get_error(p->yajl, 0, NULL, 0);
	unsigned long line = line_now(p);
	uint64_t at = p->base + yajl_get_bytes_consumed(p->yajl);

	text[strcspn((char *)text, "\n")] = '\0';
	cr_err_set(p->e, CR_E_JSON, 0, p->name, "line %lu, near column %" PRIu64 ": %s", line,
		   at - p->line_start + (at == p->line_start), text);
	yajl_free_error(p->yajl, text);
	return -EINVAL;
}

/* @end: there is no more; yajl then reads a space of its own, so @data is one */
static int feed(struct parse *p, const uint8_t *data, size_t len, bool end)
{
	yajl_status status;

	p->chunk = data;
	p->counted = 0;
	status = end ? yajl_complete_parse(p->yajl) : yajl_parse(p->yajl, data, len);
	if (status == yajl_status_client_canceled)
		return p->ret;
	if (status != yajl_status_ok)
		return syntax_error(p);
	if (!end)
		line_now(p);
	p->base += len;
	return 0;
}

/* The string is getting long: let yajl have what there is of it. */
static int divert(struct parse *p)
{
	struct rest *r;
	int ret;

	p->string = NULL;
	ret = feed(p, (const uint8_t *)"\"", 1, false);
	p->base--; /* that quote is not in the file */
	if (ret < 0)
		return ret;
	if (!p->string) {
		bad_form(p, "a key of more than 64 KiB");
		return p->ret;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return cr_err_nomem(p->e);
	r->of = p->string;
	r->next = p->rests;
	p->rests = r;
	p->scan.diverted = true;
	return 0;
}

static int keep(struct parse *p, const uint8_t *data, size_t len)
{
	struct rest *r = p->rests;

	if (len > r->cap - r->len) {
		size_t want = r->cap + r->cap / 2 + len + BUF_SIZE;
		char *more = realloc(r->data, want);

		if (!more)
			return cr_err_nomem(p->e);
		r->data = more;
		r->cap = want;
	}
	memcpy(r->data + r->len, data, len);
	r->len += len;
	p->base += len;
	return 0;
}

/* Follow one character. Return: whether it ends a string */
static bool step(struct scan *s, uint8_t c)
{
	if (!s->string) {
		s->string = c == '"';
		s->token = 0;
		return false;
	}
	s->token++;
	if (s->escaped) {
		s->escaped = s->escaped == 1 && c == 'u' ? 5 : s->escaped;
		s->escaped--;
		return false;
	}
	if (c == '\\')
		s->escaped = 1;
	s->string = c != '"';
	return !s->string;
}

/* A place where base64 may be cut: not in an escape, not in a character of several bytes. */
static bool cuttable(const struct scan *s, uint8_t c)
{
	return s->string && s->token >= TOKEN_MAX && !s->escaped && ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Plain characters in a long string: nearly all there are. */
static size_t plain_run(const struct scan *s, const uint8_t *data, size_t i, size_t len)
{
	if (s->diverted && !s->escaped)
		while (i < len && data[i] >= 0x20 && data[i] != '"' && data[i] != '\\')
			i++;
	return i;
}

static int scan_chunk(struct parse *p, const uint8_t *data, size_t len)
{
	size_t from = 0;
	int ret = 0;

	for (size_t i = 0; !ret && (i = plain_run(&p->scan, data, i, len)) < len; i++) {
		bool ends = step(&p->scan, data[i]);

		if (p->scan.diverted && data[i] < 0x20) {
			bad_form(p, "a control character in a string");
			return p->ret;
		}
		if (p->scan.diverted && ends) {
			ret = keep(p, data + from, i - from);
			p->base++; /* the quote, which yajl has had */
			p->scan.diverted = false;
			from = i + 1;
		} else if (!p->scan.diverted && cuttable(&p->scan, data[i])) {
			ret = feed(p, data + from, i + 1 - from, false);
			if (!ret)
				ret = divert(p);
			from = i + 1;
		}
	}
	if (ret || from == len)
		return ret;
	return p->scan.diverted ? keep(p, data + from, len - from) : feed(p, data + from, len - from, false);
}

static int parse_all(struct parse *p, int fd)
{
	uint8_t *buf = malloc(BUF_SIZE);
	int ret = buf ? 0 : cr_err_nomem(p->e);
	ssize_t n = 0;

	while (!ret) {
		n = read(fd, buf, BUF_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = cr_err_set(p->e, CR_E_SYSTEM, errno, p->name, "cannot be read");
		else
			ret = n ? scan_chunk(p, buf, n) : feed(p, (const uint8_t *)" ", 0, true);
		if (n <= 0)
			break;
	}
	free(buf);
	return ret;
}

int json_read_image(int fd, const char *name, const struct json_image *image, struct cr_err *e)
{
	struct parse p = { .image = image, .e = e, .name = name, .line = 1 };
	int ret;

	p.yajl = yajl_alloc(&callbacks, NULL, &p);
	if (!p.yajl)
		return cr_err_nomem(e);
	ret = parse_all(&p, fd);
	if (!ret && p.state != DONE) {
		cr_err_set(e, CR_E_JSON, 0, name, "line %lu: ends too early", p.line);
		ret = -EINVAL;
	}
	yajl_free(p.yajl);
	free_rests(&p);
	arena_free(&p.arena);
	return ret;
}

const char *json_kind_name(enum json_kind kind)
{
	static const char names[][12] = { "null", "true/false", "a number", "a string", "a list", "an object" };

	return names[kind];
}
