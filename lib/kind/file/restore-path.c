// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening a named file again, and saying what has become of it since the dump.
 *
 * What is refused: a file that is gone, of another type, with other permissions (--skip-file-rwx-check), with another
 * build id (--file-validation), or of another size. Files that were open for writing may have grown since, by the tree
 * itself after a dump with --leave-running; for them only a size below the position is refused (contracts: 6).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "fdinfo.pb-c.h"
#include "kind/file/image-buildid.h"
#include "kind/file/restore-internal.h"
#include "regfile.pb-c.h"
#include "remap-file-path.pb-c.h"

static const char *type_text(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFCHR:
		return "a character device";
	case S_IFBLK:
		return "a block device";
	case S_IFIFO:
		return "a FIFO";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFSOCK:
		return "a socket";
	default:
		return "of no known type";
	}
}

static int check_mode(const struct rst *r, const RegFileEntry *reg, const struct stat *st, struct cr_err *e)
{
	if (!reg->has_mode)
		return 0;
	if ((reg->mode & S_IFMT) != (st->st_mode & S_IFMT))
		return cr_err_set(e, CR_E_FILE_CHANGED, 0, reg->name, "was %s at the dump, is now %s",
				  type_text(reg->mode), type_text(st->st_mode));
	if (S_ISLNK(st->st_mode) || (reg->mode & 0777) == (st->st_mode & 0777) ||
	    (r->opts && r->opts->skip_file_rwx_check))
		return 0;
	cr_err_set(e, CR_E_FILE_MODE, 0, reg->name, "permissions are %04o, expected %04o", st->st_mode & 0777,
		   reg->mode & 0777);
	cr_err_remedy(e, "set the old permissions (chmod %04o), or pass --skip-file-rwx-check", reg->mode & 0777);
	return -EINVAL;
}

static int check_size(const RegFileEntry *reg, const struct stat *st, uint64_t pos, bool fixed, struct cr_err *e)
{
	uint64_t size = st->st_size;

	if (!S_ISREG(st->st_mode))
		return 0;
	if (fixed && reg->has_size && reg->size != size)
		return cr_err_set(e, CR_E_FILE_CHANGED, 0, reg->name, "size is %llu bytes, expected %llu",
				  (unsigned long long)size, (unsigned long long)reg->size);
	if (!fixed && size < pos && (!reg->has_size || reg->size >= pos))
		return cr_err_set(e, CR_E_FILE_CHANGED, 0, reg->name,
				  "size is %llu bytes, which is below the position %llu of the descriptor",
				  (unsigned long long)size, (unsigned long long)pos);
	return 0;
}

static void hex(const uint32_t *id, int words, char *buf, size_t size)
{
	const uint8_t *p = (const uint8_t *)id;
	int i;

	buf[0] = 0;
	for (i = 0; i < words * 4 && (size_t)i * 2 + 2 < size; i++)
		snprintf(buf + i * 2, 3, "%02x", p[i]);
}

static int check_build_id(const struct rst *r, const RegFileEntry *reg, int fd, const struct stat *st, struct cr_err *e)
{
	_cleanup_close_ int ours = -1;
	uint32_t id[BUILDID_WORDS] = { 0 };
	char was[129], is[129];
	int n;

	if (!reg->n_build_id || !S_ISREG(st->st_mode) || reg->n_build_id > BUILDID_WORDS)
		return 0;
	if (r->opts && r->opts->file_validation && !strcmp(r->opts->file_validation, "filesize"))
		return 0;
	n = elf_build_id(fd, id);
	if (n == -EBADF) { /* not open for reading */
		ours = files_reopen(fd, O_RDONLY);
		n = ours < 0 ? ours : elf_build_id(ours, id);
	}
	if (n < 0)
		return cr_err_set(e, CR_E_SYSTEM, -n, reg->name, "the build id cannot be read");
	if ((size_t)n == reg->n_build_id && !memcmp(id, reg->build_id, n * sizeof(*id)))
		return 0;
	hex(reg->build_id, reg->n_build_id, was, sizeof(was));
	hex(id, n, is, sizeof(is));
	return cr_err_set(e, CR_E_FILE_CHANGED, 0, reg->name, "build id is %s, expected %s", n ? is : "missing", was);
}

static int open_error(const RegFileEntry *reg, int err, struct cr_err *e)
{
	struct stat st;

	switch (err) {
	case ENOENT:
	case ENOTDIR:
		if (lstat(reg->name, &st) < 0)
			return cr_err_set(e, CR_E_FILE_MISSING, err, reg->name, "is not there");
		/* fallthrough */
	case EISDIR:
		return cr_err_set(e, CR_E_FILE_CHANGED, err, reg->name, "is no longer %s",
				  reg->has_mode ? type_text(reg->mode) : "what it was");
	case ELOOP:
		return cr_err_set(e, CR_E_FILE_CHANGED, err, reg->name, "is now a symbolic link");
	case ENXIO:
	case ENODEV:
		return cr_err_set(e, CR_E_FILE_CHANGED, err, reg->name,
				  "cannot be opened: there is no such device, or it is a socket");
	default:
		return cr_err_set(e, CR_E_SYSTEM, err, reg->name, "cannot be opened");
	}
}

/* A deleted file: a new description of what the main process keeps open. */
static int open_kept(struct rst *r, const RegFileEntry *reg, const struct file_remap *m, int flags, struct cr_err *e)
{
	_cleanup_close_ int kept = -1;
	int fd;

	kept = files_from_main(r, m->fd, e);
	if (kept < 0)
		return kept;
	fd = files_reopen(kept, flags);
	return fd < 0 ? open_error(reg, -fd, e) : fd;
}

static int open_name(const RegFileEntry *reg, int flags, struct cr_err *e)
{
	int fd;

	if (reg->has_mode && S_ISLNK(reg->mode))
		flags |= O_NOFOLLOW | O_PATH;
	fd = open(reg->name, flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? open_error(reg, errno, e) : fd;
}

static int verify(struct rst *r, const RegFileEntry *reg, int fd, int flags, bool ghost, bool fixed, struct cr_err *e)
{
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, reg->name, "cannot be looked at");
	ret = check_mode(r, reg, &st, e);
	if (ret < 0 || ghost || flags & O_PATH)
		return ret;
	ret = check_size(reg, &st, reg->pos, fixed, e);
	return ret < 0 ? ret : check_build_id(r, reg, fd, &st, e);
}

int files_open_path(struct rst *r, const struct RegFileEntry *reg, int flags, struct cr_err *e)
{
	const struct file_remap *m = files_remap_of(r, reg->id);
	/* A mapping, or a description that cannot write: nobody of the tree may have changed it. */
	bool fixed = flags >= 0 || (reg->flags & O_ACCMODE) == O_RDONLY, kept = m && m->fd >= 0;
	int fd, ret;

	if (flags < 0)
		flags = reg->flags & ~O_ASYNC;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		flags &= ~O_TMPFILE;
	flags &= ~(O_CREAT | O_EXCL | O_TRUNC);
	fd = kept ? open_kept(r, reg, m, flags, e) : open_name(reg, flags, e);
	if (fd < 0)
		return fd;
	ret = verify(r, reg, fd, flags, kept && m->type == REMAP_TYPE__GHOST, fixed, e);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

/* By a descriptor that opens nothing: a device or a FIFO may do something when it is opened. */
int files_check_path(struct rst *r, const struct RegFileEntry *reg, int flags, struct cr_err *e)
{
	const struct file_remap *m = files_remap_of(r, reg->id);
	bool fixed = flags >= 0 || (reg->flags & O_ACCMODE) == O_RDONLY;
	_cleanup_close_ int fd = -1;
	char self[32];
	int mode, ret;

	if (m)
		return files_remap_check(r, reg, m, e);
	if (flags < 0)
		flags = (int)reg->flags;
	fd = open_name(reg, O_PATH | (flags & O_DIRECTORY), e);
	if (fd < 0)
		return fd;
	ret = verify(r, reg, fd, flags, false, fixed, e);
	if (ret < 0 || flags & O_PATH)
		return ret;
	mode = (flags & O_ACCMODE) == O_RDONLY ? R_OK : (flags & O_ACCMODE) == O_WRONLY ? W_OK : R_OK | W_OK;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return faccessat(AT_FDCWD, self, mode, AT_EACCESS) < 0 ? open_error(reg, errno, e) : 0;
}

int files_check_id(struct rst *r, uint32_t id, int flags, struct cr_err *e)
{
	const struct FileEntry *fe = files_by_id(r, id, FD_TYPES__REG);

	return fe ? files_check_path(r, fe->reg, flags, e) : 0;
}
