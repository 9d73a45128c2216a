/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: device nodes
 *
 * Those of the memory driver that hold no state (null, zero, full, random, urandom) are opened again by name, as
 * regular files are, and stand in the image as such. All others have state in a driver.
 */
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"

enum { MEM_MAJOR = 1 };

static bool match(const struct fd_look *l)
{
	return (S_ISCHR(l->st.st_mode) || S_ISBLK(l->st.st_mode)) && !(l->flags & O_PATH);
}

static bool stateless(const struct stat *st)
{
	/* Documentation/admin-guide/devices.txt: 3 null, 5 zero, 7 full, 8 random, 9 urandom */
	if (!S_ISCHR(st->st_mode) || major(st->st_rdev) != MEM_MAJOR)
		return false;
	switch (minor(st->st_rdev)) {
	case 3:
	case 5:
	case 7:
	case 8:
	case 9:
		return true;
	default:
		return false;
	}
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	if (!stateless(&l->st))
		return dump_refuse(l, e, CR_E_FD_KIND, "%s devices %u:%u cannot be carried",
				   S_ISBLK(l->st.st_mode) ? "block" : "character", major(l->st.st_rdev),
				   minor(l->st.st_rdev));
	return dump_reg(d, l, fe->id, &fe->reg, e);
}

const struct fd_dump_ops dev_dump_ops = { .name = "device", .type = FD_TYPES__REG, .match = match, .dump = dump };
