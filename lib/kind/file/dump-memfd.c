/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Memory files: memfd_create(2) and the shared anonymous memory of mmap(2), which is a file called /dev/zero without a
 * name that anyone could open. All are inodes of a tmpfs that is mounted nowhere. Each inode has one row in memfd.img;
 * descriptors and mappings refer to it. Its contents are written by criu-pages as pagemap-shmem-SHMID.img; where it
 * finds them stands in .stage/shmem.
 */
#include "kind/file/dump-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/magic.h>

#include "base/fd.h"
#include "image/stage.h"

#include "memfd.pb-c.h"

struct memfd_inode {
	struct memfd_inode *next;
	dev_t dev;
	ino_t ino;
	struct stage_shmem where;
	MemfdInodeEntry row;
};

/* Names by their links, and what the image calls them. */
static const struct {
	const char *link, *name; /* name NULL: what follows */
} memory_files[] = {
	{ "/memfd:", NULL },
	{ "/dev/zero", "/dev/zero" },
};

bool dump_memfd_name(const struct fd_look *l, char *ret, size_t size)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(l->link), mark_len = sizeof(mark) - 1;

	/* The node /dev/zero itself is a device; a file of that name somewhere has a link. */
	if (!S_ISREG(l->st.st_mode) || l->st.st_nlink > 0 || len < mark_len ||
	    strcmp(l->link + len - mark_len, mark) != 0)
		return false;
	for (size_t i = 0; i < sizeof(memory_files) / sizeof(*memory_files); i++) {
		size_t head = strlen(memory_files[i].link);

		if (strncmp(l->link, memory_files[i].link, head) != 0 ||
		    (memory_files[i].name && len - mark_len != head))
			continue;
		if (memory_files[i].name)
			snprintf(ret, size, "%s", memory_files[i].name);
		else
			snprintf(ret, size, "%.*s", (int)(len - mark_len - head), l->link + head);
		return true;
	}
	return false;
}

static uint32_t huge_flag(const struct stat *st)
{
	/* st_blksize of hugetlbfs is the page's size; MAP_HUGE_* has its logarithm. */
	return MAP_HUGETLB | ((uint32_t)__builtin_ctzl(st->st_blksize) << MAP_HUGE_SHIFT);
}

static int fill_row(struct dump *d, const struct fd_look *l, MemfdInodeEntry *row, struct cr_err *e)
{
	_cleanup_close_ int own = -1;
	char name[256], path[32];
	int fd = l->lfd, seals;

	memfd_inode_entry__init(row);
	if (!dump_memfd_name(l, name, sizeof(name)))
		return dump_refuse(l, e, CR_E_FD_KIND, "this is no memory file");
	if (l->fd < 0) { /* O_PATH: F_GET_SEALS needs a real one */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", l->lfd);
		fd = own = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return dump_failed(l, errno, "opening the memory file", e);
	}
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return dump_failed(l, errno, "fcntl(F_GET_SEALS)", e);
	row->name = arena_strdup(d->arena, name);
	if (!row->name)
		return cr_err_nomem(e);
	row->uid = l->st.st_uid;
	row->gid = l->st.st_gid;
	row->size = l->st.st_size;
	row->shmid = l->st.st_ino;
	row->seals = seals;
	row->has_mode = true;
	row->mode = l->st.st_mode;
	if (dump_fs_type(d, l) == HUGETLBFS_MAGIC) {
		row->has_hugetlb_flag = true;
		row->hugetlb_flag = huge_flag(&l->st);
	}
	return 0;
}

/* shmid is an image's name and 32 bits wide; inode numbers of two tmpfs can be the same in these. */
static uint32_t free_shmid(const struct file_ids *f, uint32_t want)
{
	for (const struct memfd_inode *m = f->memfds; m; m = m->next)
		if (m->row.shmid == want || want == 0)
			return free_shmid(f, want + 1);
	return want;
}

/* A mapping of the file: exe is a link that criu-pages has no word for. Return: 0 or -ENOENT, -errno. */
static int find_mapping(const struct fd_look *l, struct stage_shmem *where)
{
	_cleanup_free_ char *maps = NULL;
	ssize_t len = read_file_at(l->task->proc, "maps", 256 << 20, &maps);
	const char *p = maps;

	if (len < 0)
		return len;
	for (; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		unsigned long start, end, ino;
		unsigned maj, min;

		if (sscanf(p, "%lx-%lx %*s %*s %x:%x %lu", &start, &end, &maj, &min, &ino) != 5 ||
		    ino != l->st.st_ino || makedev(maj, min) != l->st.st_dev)
			continue;
		where->start = start;
		where->end = end;
		return 0;
	}
	return -ENOENT;
}

int dump_memfd_inode(struct dump *d, const struct fd_look *l, uint32_t *ret_id, struct cr_err *e)
{
	struct file_ids *f = d->files;
	struct memfd_inode *m;
	int ret;

	for (m = f->memfds; m; m = m->next)
		if (m->ino == l->st.st_ino && m->dev == l->st.st_dev) {
			*ret_id = m->row.inode_id;
			return 0;
		}
	m = arena_alloc(d->arena, sizeof(*m));
	if (!m)
		return cr_err_nomem(e);
	ret = fill_row(d, l, &m->row, e);
	if (ret < 0)
		return ret;
	m->dev = l->st.st_dev;
	m->ino = l->st.st_ino;
	m->row.shmid = free_shmid(f, m->row.shmid);
	m->row.inode_id = *ret_id = ++f->nr_memfds;
	m->where = (struct stage_shmem){ .size = m->row.size, .shmid = m->row.shmid, .pid = l->task->pid, .fd = l->fd };
	if (l->fd < 0 && sscanf(l->path, "map_files/%lx-%lx", &m->where.start, &m->where.end) != 2 &&
	    find_mapping(l, &m->where) < 0)
		return dump_refuse(l, e, CR_E_UNSUPPORTED, "a memory file that is neither a descriptor nor a mapping");
	*f->memfds_end = m;
	f->memfds_end = &m->next;
	return 0;
}

int memfds_finish(struct dump *d, struct cr_err *e)
{
	_cleanup_free_ struct stage_shmem *rows = NULL;
	struct file_ids *f = d->files;
	struct img_writer *w;
	size_t n = 0;
	int ret;

	if (!f->memfds)
		return 0;
	rows = calloc(f->nr_memfds, sizeof(*rows));
	if (!rows)
		return cr_err_nomem(e);
	ret = dump_image(d, IMG_MEMFD_INODE, &w, e);
	for (const struct memfd_inode *m = f->memfds; m && !ret; m = m->next) {
		rows[n++] = m->where;
		ret = img_put(w, &m->row, e);
	}
	return ret < 0 ? ret : stage_write_file(d->img, STAGE_SHMEM, rows, n * sizeof(*rows), e);
}
