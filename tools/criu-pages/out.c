/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One pagemap and its pages file: entries grow as long as pages and flags go on; contents follow in the same order.
 *
 * In a dry run there is no pages file. The entries then have IMG_PE_LAZY alone, which means in CRIU's format as well that
 * the contents are not in the image.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pagemap.pb-c.h"
#include "pages.h"

static int put_head(struct pages_out *o, uint32_t id, struct cr_err *e)
{
	PagemapHead head = PAGEMAP_HEAD__INIT;

	head.pages_id = id;
	return img_put(&o->map, &head, e);
}

int out_begin(struct pages_out *o, struct pages_run *r, enum img_type type, unsigned long id, bool root,
	      struct cr_err *e)
{
	uint32_t pages_id = ++r->next_id;
	int err;

	memset(o, 0, sizeof(*o));
	o->run = r;
	o->map.fd = o->pages.fd = -1;
	err = img_create(r->img, type, id, &o->map, e);
	if (err)
		return err;
	if (root && r->ahead >= 0 && !r->check_only)
		o->ahead = !img_create_from(r->img, IMG_PAGES, pages_id, r->ahead, &o->pages, NULL);
	if (o->ahead)
		r->ahead = -1;
	else if (!r->check_only)
		err = img_create(r->img, IMG_PAGES, pages_id, &o->pages, e);
	if (!err)
		err = put_head(o, pages_id, e);
	if (err) {
		out_abandon(o);
		return err;
	}
	o->target.fd = o->pages.fd;
	o->target.name = img_name(IMG_PAGES, pages_id, o->name);
	return 0;
}

static int put_entry(struct pages_out *o, struct cr_err *e)
{
	PagemapEntry p = PAGEMAP_ENTRY__INIT;

	if (!o->nr)
		return 0;
	p.vaddr = o->vaddr;
	/* CRIU before 4.2 reads field 2 only, 4.2 field 5. */
	p.compat_nr_pages = o->nr <= UINT32_MAX ? (uint32_t)o->nr : 0;
	p.has_nr_pages = true;
	p.nr_pages = o->nr;
	p.has_flags = true;
	p.flags = o->flags;
	o->nr = 0;
	return img_put(&o->map, &p, e);
}

int out_pages(struct pages_out *o, const struct copy_source *src, enum copy_how how, uint64_t at, uint64_t vaddr,
	      uint64_t nr, uint32_t flags, struct cr_err *e)
{
	int err = 0;

	if (o->run->check_only)
		flags = IMG_PE_LAZY;
	if (o->nr && (o->vaddr + o->nr * PAGE_BYTES != vaddr || o->flags != flags)) {
		err = put_entry(o, e);
		if (err)
			return err;
	}
	if (!o->nr) {
		o->vaddr = vaddr;
		o->flags = flags;
	}
	o->nr += nr;
	o->run->bytes += nr * PAGE_BYTES;
	if (o->run->check_only)
		return 0;
	err = copy_add(o->run->copier, src, how, at, nr * PAGE_BYTES, &o->target, o->off, e);
	o->off += nr * PAGE_BYTES;
	return err;
}

int out_finish(struct pages_out *o, struct cr_err *e)
{
	char name[IMG_NAME_MAX];
	int err = put_entry(o, e);

	if (!err)
		err = copy_flush(o->run->copier, e);
	if (!err && o->ahead && ftruncate(o->pages.fd, (off_t)o->off))
		err = cr_err_write(e, errno, o->name, "cannot be cut to its size");
	if (!err && !o->run->check_only)
		err = img_finish(&o->pages, e);
	if (!err)
		err = img_finish(&o->map, e);
	if (err) {
		out_abandon(o);
		return err;
	}
	if (!o->run->check_only)
		stage_wrote(o->run->facts, o->name, o->off);
	stage_wrote(o->run->facts, img_name(o->map.type, o->map.id, name), o->map.bytes);
	return 0;
}

void out_abandon(struct pages_out *o)
{
	/* No thread may write to a descriptor that is about to be closed. */
	copy_flush(o->run->copier, NULL);
	img_abandon(&o->pages);
	img_abandon(&o->map);
}
