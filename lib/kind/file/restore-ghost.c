// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: files without a name (remap-fpath.img)
 *
 * GHOST: a file that was deleted while open. Its contents are in ghost-file-HEX.img. The main process makes it again
 * once, before any task exists, and keeps an O_PATH descriptor; tasks open it through /proc/self/fd of a copy. It is
 * made without a name (O_TMPFILE), filled, given its old name if that is free, opened by it, and unlinked: so that
 * /proc/PID/fd shows the old name with " (deleted)", as before the dump. Where the name is taken it stays nameless. The
 * moment with a name is journalled.
 *
 * LINKED: a deleted name of a file with other names; the dump made link_remap.N for it. It is opened by that name, and
 * the name is removed when all tasks have their descriptors.
 *
 * PROCFS (the /proc directory of a dead task) is refused by name.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "fdinfo.pb-c.h"
#include "ghost-file.pb-c.h"
#include "kind/file/restore-internal.h"
#include "kind/restore-check.h"
#include "regfile.pb-c.h"
#include "remap-file-path.pb-c.h"

#define OLD_GHOST (1u << 31) /* remap_id of images before remap_type */

/* ---- plan ---- */

static int by_orig(const void *a, const void *b)
{
	const struct file_remap *x = a, *y = b;

	return x->orig_id < y->orig_id ? -1 : x->orig_id > y->orig_id;
}

static int load_remap(struct rst *r, const RemapFilePathEntry *rm, struct file_remap *m, struct cr_err *e)
{
	m->orig_id = rm->orig_id;
	m->remap_id = rm->remap_id;
	m->fd = -1;
	m->type = rm->remap_type;
	if (!rm->has_remap_type) {
		m->type = rm->remap_id & OLD_GHOST ? REMAP_TYPE__GHOST : REMAP_TYPE__LINKED;
		m->remap_id &= ~OLD_GHOST;
	}
	if (m->type == REMAP_TYPE__PROCFS)
		return cr_err_set(e, CR_E_UNSUPPORTED, 0, "remap-fpath.img",
				  "file %u is in /proc of the dead task %u, which is not supported yet", m->orig_id,
				  m->remap_id);
	if (m->type == REMAP_TYPE__LINKED && !files_by_id(r, m->remap_id, FD_TYPES__REG))
		return cr_err_set(e, CR_E_IMG_REF, 0, "remap-fpath.img", "names file %u, which files.img does not hold",
				  m->remap_id);
	return 0;
}

int files_remap_load(struct rst *r, struct cr_err *e)
{
	struct files_plan *p = r->files;
	ssize_t n, i;
	void **v;
	int ret;

	n = img_read_all(r->img, IMG_REMAP_FPATH, 0, r->arena, &v, e);
	if (n <= 0)
		return n;
	p->remaps = arena_calloc(r->arena, n, sizeof(*p->remaps));
	if (!p->remaps)
		return cr_err_nomem(e);
	for (i = 0; i < n; i++) {
		ret = rst_found(r, load_remap(r, v[i], &p->remaps[i], e), e);
		if (ret < 0)
			return ret;
	}
	p->nr_remaps = n;
	qsort(p->remaps, n, sizeof(*p->remaps), by_orig);
	return 0;
}

const struct file_remap *files_remap_of(const struct rst *r, uint32_t reg_id)
{
	struct file_remap key = { .orig_id = reg_id };

	if (!r->files->nr_remaps)
		return NULL;
	return bsearch(&key, r->files->remaps, r->files->nr_remaps, sizeof(key), by_orig);
}

/* ---- contents ---- */

static int copy_bytes(struct img_reader *rd, int fd, uint64_t off, uint64_t len, struct cr_err *e)
{
	_cleanup_free_ char *buf = malloc(1 << 18);
	int ret;

	if (!buf)
		return cr_err_nomem(e);
	while (len) {
		size_t n = len < 1 << 18 ? len : 1 << 18;

		ret = img_get_bytes(rd, buf, n, e);
		if (ret < 0)
			return ret;
		ret = pwrite_full(fd, buf, n, off);
		if (ret < 0)
			return cr_err_set(e, CR_E_SYSTEM, -ret, rd->name, "the deleted file cannot be written again");
		off += n;
		len -= n;
	}
	return 0;
}

static int copy_chunks(struct img_reader *rd, int fd, struct arena *a, struct cr_err *e)
{
	GhostChunkEntry *c;
	int ret;

	while ((ret = img_get(rd, a, &c, e)) > 0) {
		if (c->off > INT64_MAX || c->len > INT64_MAX - c->off)
			return img_bad(rd, e, "chunk of %llu bytes at %llu", (unsigned long long)c->len,
				       (unsigned long long)c->off);
		ret = copy_bytes(rd, fd, c->off, c->len, e);
		if (ret < 0)
			return ret;
	}
	return ret;
}

static int fill_ghost(struct img_reader *rd, const GhostFileEntry *g, int fd, struct arena *a, struct cr_err *e)
{
	struct timespec ts[2];
	int ret;

	if (g->has_chunks && g->chunks) {
		ret = copy_chunks(rd, fd, a, e);
		if (!ret && g->has_size && ftruncate(fd, g->size) < 0)
			ret = cr_err_set(e, CR_E_SYSTEM, errno, rd->name, "the deleted file cannot get its size");
	} else {
		ret = copy_bytes(rd, fd, 0, rd->size > rd->pos ? rd->size - rd->pos : 0, e);
	}
	if (ret < 0 || !g->atim || !g->mtim)
		return ret;
	ts[0] = (struct timespec){ .tv_sec = g->atim->tv_sec, .tv_nsec = g->atim->tv_usec % 1000000 * 1000 };
	ts[1] = (struct timespec){ .tv_sec = g->mtim->tv_sec, .tv_nsec = g->mtim->tv_usec % 1000000 * 1000 };
	futimens(fd, ts);
	return 0;
}

/* ---- names ---- */

struct ghost_name {
	char dir[PATH_MAX - 63]; /* of the old name: room for the new one behind it */
	char temp[PATH_MAX];
	const char *path;
};

static int split_name(const RegFileEntry *reg, uint32_t id, struct ghost_name *n, struct cr_err *e)
{
	const char *slash = strrchr(reg->name, '/');
	size_t len = slash ? (size_t)(slash - reg->name) : 0;
	unsigned long long unique;

	if (reg->name[0] != '/' || strlen(reg->name) >= sizeof(n->dir))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, "files.img", "file %u has no absolute name", reg->id);
	memcpy(n->dir, reg->name, len);
	n->dir[len] = 0;
	if (!len)
		strcpy(n->dir, "/");
	n->path = reg->name;
	/* In the same directory, since it may become a link of that name. Others may write there: nobody can guess it. */
	if (getrandom(&unique, sizeof(unique), GRND_NONBLOCK) != sizeof(unique))
		return cr_err_set(e, CR_E_SYSTEM, errno, reg->name, "no random name can be made for it (getrandom)");
	snprintf(n->temp, sizeof(n->temp), "%s/.cr.%x.%016llx.ghost", n->dir, id, unique);
	return 0;
}

static int no_ghost(const struct ghost_name *n, int err, struct cr_err *e)
{
	if (err == ENOENT || err == ENOTDIR)
		return cr_err_set(e, CR_E_FILE_MISSING, err, n->dir,
				  "the directory of the deleted file %s is not there", n->path);
	return cr_err_set(e, CR_E_SYSTEM, err, n->path, "this deleted file cannot be made again");
}

static int set_ids(int fd, const GhostFileEntry *g)
{
	if (fchownat(fd, "", g->uid, g->gid, AT_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

/*
 * Give the open file its old name for the moment of one open(), so that /proc shows it.
 * @ret_left: the name is there and cannot be removed
 * Return: an O_PATH descriptor by that name, or -EEXIST when the name is taken.
 */
static int reopen_by_name(int fd, const struct ghost_name *n, bool *ret_left, struct cr_err *e)
{
	struct stat st, st2;
	char self[32];
	int ret, kept;

	*ret_left = false;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (access(n->path, F_OK) == 0)
		return -EEXIST;
	ret = files_journal_add(n->path, st.st_dev, st.st_ino, false, e);
	if (ret < 0)
		return ret;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, n->path, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	kept = open(n->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ret = kept < 0 || fstat(kept, &st2) < 0 ? -errno : kept;
	if (ret >= 0 && (st2.st_ino != st.st_ino || st2.st_dev != st.st_dev))
		ret = -EEXIST; /* another one has taken it */
	if (ret != -EEXIST && unlink(n->path) < 0 && errno != ENOENT) {
		ret = -errno;
		*ret_left = true;
	}
	if (ret < 0)
		fd_close(kept);
	return ret;
}

/* File systems without O_TMPFILE: a name of our own for the moment. */
static int named_temp(const struct ghost_name *n, mode_t mode, struct cr_err *e)
{
	int fd, ret = files_journal_add_temp(n->temp, e);

	if (ret < 0)
		return ret;
	fd = open(n->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0700);
	if (fd < 0)
		return no_ghost(n, errno, e);
	if (unlink(n->temp) < 0) {
		int err = errno;

		close(fd);
		return no_ghost(n, err, e);
	}
	return fd;
}

static int make_regular(struct img_reader *rd, const GhostFileEntry *g, const struct ghost_name *n, struct arena *a,
			struct cr_err *e)
{
	_cleanup_close_ int fd = -1;
	bool left;
	int ret;

	fd = open(n->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return no_ghost(n, errno, e);
	if (fd < 0)
		fd = named_temp(n, 0600, e);
	if (fd < 0)
		return fd;
	ret = set_ids(fd, g);
	if (!ret && fchmod(fd, g->mode & 07777) < 0)
		ret = -errno;
	if (ret < 0)
		return no_ghost(n, -ret, e);
	ret = fill_ghost(rd, g, fd, a, e);
	if (ret < 0)
		return ret;
	ret = reopen_by_name(fd, n, &left, e);
	if (ret >= 0)
		return ret;
	if (left)
		return no_ghost(n, -ret, e);
	/* Nameless, then: only what /proc shows differs. */
	if (ret != -EEXIST)
		log_warn("deleted file %s: /proc will not show its name, which cannot be given back: %s", n->path,
			 strerror(-ret));
	return TAKE_FD(fd);
}

static int make_node(const GhostFileEntry *g, const struct ghost_name *n, const char *path)
{
	if (S_ISDIR(g->mode))
		return mkdir(path, 0700);
	if (S_ISLNK(g->mode))
		return g->symlnk_target ? symlink(g->symlnk_target, path) : (errno = EINVAL, -1);
	return mknod(path, (g->mode & S_IFMT) | 0600, makedev(g->rdev >> 20, g->rdev & 0xfffff));
}

static int remove_node(const GhostFileEntry *g, const char *path)
{
	return S_ISDIR(g->mode) ? rmdir(path) : unlink(path);
}

/* Directories, FIFOs, devices, links: they cannot be made without a name. */
static int make_named(const GhostFileEntry *g, const struct ghost_name *n, struct cr_err *e)
{
	const char *path = n->temp;
	struct stat st;
	int fd, ret;

	/* By a name of our own first: what stands at the old one is not ours to remove before its inode number is known. */
	ret = files_journal_add_temp(path, e);
	if (ret < 0)
		return ret;
	if (make_node(g, n, path) < 0)
		return no_ghost(n, errno, e);
	if (lstat(path, &st) == 0 && !files_journal_add(n->path, st.st_dev, st.st_ino, S_ISDIR(g->mode), e) &&
	    renameat2(AT_FDCWD, path, AT_FDCWD, n->path, RENAME_NOREPLACE) == 0)
		path = n->path;
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ret = fd < 0 ? -errno : set_ids(fd, g);
	if (!ret && !S_ISLNK(g->mode) && chmod(path, g->mode & 07777) < 0)
		ret = -errno;
	if (remove_node(g, path) < 0 && !ret)
		ret = -errno;
	if (ret < 0) {
		fd_close(fd);
		return no_ghost(n, -ret, e);
	}
	return fd;
}

/* Return: a descriptor to keep, or -errno with @e. */
static int make_ghost(struct rst *r, const RegFileEntry *reg, uint32_t id, struct cr_err *e)
{
	struct arena a = { 0 };
	struct ghost_name *n;
	struct img_reader rd;
	GhostFileEntry *g;
	char name[IMG_NAME_MAX];
	int ret;

	n = arena_alloc(&a, sizeof(*n));
	ret = n ? split_name(reg, id, n, e) : cr_err_nomem(e);
	if (!ret)
		ret = img_open(r->img, IMG_GHOST_FILE, id, &rd, e);
	if (ret == 0)
		ret = cr_err_set(e, CR_E_IMG_MISSING, 0, img_name(IMG_GHOST_FILE, id, name),
				 "holds the deleted file %s", reg->name);
	if (ret < 0) {
		arena_free(&a);
		return ret;
	}
	ret = img_get(&rd, &a, &g, e);
	if (ret == 0)
		ret = img_bad(&rd, e, "is empty");
	if (ret > 0)
		ret = S_ISREG(g->mode) ? make_regular(&rd, g, n, &a, e) : make_named(g, n, e);
	img_close(&rd);
	arena_free(&a);
	return ret;
}

/* Does the file system have room for the contents, and does the directory take a name? */
static int check_dir(const struct ghost_name *n, uint64_t size, struct cr_err *e)
{
	struct statvfs fs;
	struct stat st;

	if (stat(n->dir, &st) < 0)
		return no_ghost(n, errno, e);
	if (!S_ISDIR(st.st_mode))
		return no_ghost(n, ENOTDIR, e);
	if (faccessat(AT_FDCWD, n->dir, W_OK | X_OK, AT_EACCESS) < 0)
		return no_ghost(n, errno, e);
	if (statvfs(n->dir, &fs) < 0 || size <= (uint64_t)fs.f_bavail * fs.f_frsize)
		return 0;
	cr_err_set(e, CR_E_DISK_FULL, ENOSPC, n->dir, "the deleted file %s takes %llu kB, %llu kB are free there",
		   n->path, (unsigned long long)size / 1024, (unsigned long long)fs.f_bavail * fs.f_frsize / 1024);
	cr_err_remedy(e, "free space on that file system");
	return -ENOSPC;
}

static int check_ghost(struct rst *r, const RegFileEntry *reg, uint32_t id, struct cr_err *e)
{
	struct arena a = { 0 };
	struct ghost_name *n = arena_alloc(&a, sizeof(*n));
	GhostFileEntry *g = NULL;
	int ret = n ? split_name(reg, id, n, e) : cr_err_nomem(e);

	if (!ret)
		ret = img_read_one(r->img, IMG_GHOST_FILE, id, &a, &g, e);
	if (!ret)
		ret = check_dir(n, g->has_size ? g->size : 0, e);
	if (!ret && faccessat(AT_FDCWD, ".", W_OK, AT_EACCESS) < 0) /* the journal */
		ret = cr_err_write(e, errno, "work directory", "cannot be written");
	if (!ret)
		ret = files_journal_usable(e);
	arena_free(&a);
	return ret;
}

int files_remap_check(struct rst *r, const struct RegFileEntry *reg, const struct file_remap *m, struct cr_err *e)
{
	const FileEntry *link;

	if (m->type == REMAP_TYPE__GHOST)
		return check_ghost(r, reg, m->remap_id, e);
	link = files_by_id(r, m->remap_id, FD_TYPES__REG);
	if (link && access(link->reg->name, F_OK) < 0)
		return cr_err_set(e, CR_E_FILE_MISSING, errno, link->reg->name, "is the only name of the deleted %s",
				  reg->name);
	return 0;
}

/* Deleted files are made once, however many descriptions there are of them. */
static int made_before(const struct files_plan *p, size_t i)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (p->remaps[k].type == REMAP_TYPE__GHOST && p->remaps[k].remap_id == p->remaps[i].remap_id)
			return p->remaps[k].fd;
	return -1;
}

static int prepare_one(struct rst *r, size_t i, struct cr_err *e)
{
	struct files_plan *p = r->files;
	struct file_remap *m = &p->remaps[i];
	const FileEntry *fe = files_by_id(r, m->orig_id, FD_TYPES__REG), *link;

	if (!fe)
		return 0; /* of a kind that is refused or not needed */
	if (m->type == REMAP_TYPE__GHOST) {
		m->fd = made_before(p, i);
		if (m->fd < 0)
			m->fd = make_ghost(r, fe->reg, m->remap_id, e);
		return m->fd < 0 ? m->fd : 0;
	}
	link = files_by_id(r, m->remap_id, FD_TYPES__REG);
	m->fd = open(link->reg->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (m->fd < 0)
		return cr_err_set(e, CR_E_FILE_MISSING, errno, link->reg->name, "is the only name of the deleted %s",
				  fe->reg->name);
	return 0;
}

int files_remap_prepare(struct rst *r, struct cr_err *e)
{
	struct files_plan *p = r->files;
	int ret;
	size_t i;

	/* What a restore left that was killed here. */
	ret = files_journal_undo(e);
	if (ret >= 0 && p->nr_remaps)
		ret = files_journal_usable(e);
	for (i = 0; i < p->nr_remaps && ret >= 0; i++)
		ret = prepare_one(r, i, e);
	if (ret < 0)
		files_journal_undo(NULL); /* a name that could not be removed at once */
	else if (p->nr_remaps)
		files_journal_done();
	return ret < 0 ? ret : 0;
}

int files_remap_last(struct rst *r, struct cr_err *e)
{
	struct files_plan *p = r->files;
	size_t i;

	for (i = 0; i < p->nr_remaps; i++) {
		const FileEntry *link = files_by_id(r, p->remaps[i].remap_id, FD_TYPES__REG);

		if (p->remaps[i].type != REMAP_TYPE__LINKED || !link)
			continue;
		if (unlink(link->reg->name) < 0 && errno != ENOENT)
			return cr_err_set(e, CR_E_SYSTEM, errno, link->reg->name,
					  "cannot be removed after the restore");
	}
	return 0;
}
