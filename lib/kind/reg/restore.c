// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: regular files, directories, device nodes, O_PATH descriptors
 *
 * Opened by name at the flags they had, without those that create or cut (files_open_path() compares the file with the
 * image), then moved to their position. A position behind the end of the file is legal (lseek(2)).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fdinfo.pb-c.h"
#include "kind/file/restore-file.h"
#include "regfile.pb-c.h"

static int check(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	if (fe->reg->name[0] != '/')
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "file %u has no absolute name", fe->id);
	if (fe->reg->has_ext && fe->reg->ext)
		return files_refuse(r, fe, CR_E_EXTERNAL_FILE, e,
				    "was handed in from outside (--external), which is not supported yet");
	if (fe->reg->pos > INT64_MAX)
		return files_refuse(r, fe, CR_E_IMG_CORRUPT, e, "position %llu", (unsigned long long)fe->reg->pos);
	return 0;
}

static int open_as(struct rst *r, const struct FileEntry *fe, int flags, struct cr_err *e)
{
	return files_open_path(r, fe->reg, flags, e);
}

static int open_reg(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	const RegFileEntry *reg = fe->reg;
	int fd;

	fd = files_open_path(r, reg, -1, e);
	if (fd < 0 || !reg->pos || reg->flags & O_PATH)
		return fd;
	if (lseek(fd, reg->pos, SEEK_SET) < 0 && errno != ESPIPE) {
		int err = errno;

		close(fd);
		return files_failed(r, fe, err, "lseek", e);
	}
	return fd;
}

static int precheck(struct rst *r, const struct FileEntry *fe, struct cr_err *e)
{
	return files_check_path(r, fe->reg, -1, e);
}

const struct fd_rst_ops reg_rst_ops = {
	.name = "file",
	.type = FD_TYPES__REG,
	.check = check,
	.open = open_reg,
	.open_as = open_as,
	.precheck = precheck,
};
