/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Open files, in the order of files[] of the checkpoint, so that others name them by index:
 *   [type, id, text], of a pipe also its number (both ends have it) and which end it is
 * and sockets: {"file": index, ...}.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fdinfo.pb-c.h"
#include "report.h"
#include "x.h"

enum { TEXT_BUDGET = 2 << 20, SOCKETS_MOST = 10000 };

static void put_file(struct report *r, const struct file *f, size_t *budget)
{
	const PipeEntry *pipe = f->entry;
	char text[4096];
	size_t len;

	checkpoint_file_text(r->c, f->type, f->id, text, sizeof(text));
	len = strlen(text);
	*budget -= len < *budget ? len : *budget;
	jo_begin(r->out, '[');
	jo_unsigned(r->out, f->type);
	jo_unsigned(r->out, f->id);
	report_text(r, text);
	if (f->entry && f->type == FD_TYPES__PIPE) {
		jo_unsigned(r->out, pipe->pipe_id);
		jo_unsigned(r->out, pipe->flags & O_ACCMODE);
	}
	jo_end(r->out, ']');
}

static void put_socket(struct report *r, size_t index, const struct socket_words *w)
{
	jo_begin(r->out, '{');
	jo_put_number(r->out, "file", index);
	jo_put_text(r->out, "family", w->family);
	jo_put_text(r->out, "type", w->type);
	jo_put_text(r->out, "proto", w->proto);
	jo_put_text(r->out, "state", w->state);
	jo_key(r->out, "src");
	report_text(r, w->src);
	jo_put_text(r->out, "dst", w->dst);
	jo_put_number(r->out, "ino", w->ino);
	jo_put_number(r->out, "peer", w->peer);
	jo_end(r->out, '}');
}

void report_files(struct report *r)
{
	size_t budget = TEXT_BUDGET, sockets = 0;

	jo_put_number(r->out, "nfiles", r->c->n_files);
	jo_key(r->out, "types");
	jo_begin(r->out, '[');
	for (int k = 0; k <= FD_TYPES__PIDFD; k++)
		jo_text(r->out, protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, k)->name);
	jo_end(r->out, ']');
	jo_key(r->out, "files");
	jo_begin(r->out, '[');
	for (size_t k = 0; k < r->c->n_files && budget && r->files; k++, r->files--)
		put_file(r, &r->c->files[k], &budget);
	jo_end(r->out, ']');
	jo_key(r->out, "sockets");
	jo_begin(r->out, '[');
	for (size_t k = 0; k < r->c->n_files; k++) {
		struct socket_words w;

		if (!socket_words(r->c, r->c->files[k].type, r->c->files[k].id, &w))
			continue;
		if (sockets++ < SOCKETS_MOST)
			put_socket(r, k, &w);
	}
	jo_end(r->out, ']');
	jo_put_number(r->out, "nsockets", sockets);
}
