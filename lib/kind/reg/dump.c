/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: regular files, directories, symbolic links and all O_PATH descriptors
 *
 * Carried by name (lib/kind/file/dump-path.c). Some file systems show things as regular files that are none: message
 * queues, and the entries of /proc and the like that speak of a task.
 */
#include <fcntl.h>
#include <linux/magic.h>

#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"

#define MQUEUE_MAGIC_ 0x19800202 /* ipc/mqueue.c */

static bool match(const struct fd_look *l)
{
	if (*l->link != '/')
		return false;
	return S_ISREG(l->st.st_mode) || S_ISDIR(l->st.st_mode) || (l->flags & O_PATH);
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	switch (S_ISREG(l->st.st_mode) ? dump_fs_type(d, l) : 0) {
	case MQUEUE_MAGIC_:
		return dump_refuse(l, e, CR_E_FD_KIND, "POSIX message queues are not supported yet");
	case HUGETLBFS_MAGIC:
		return dump_refuse(l, e, CR_E_FD_KIND, "files of hugetlbfs are not supported yet");
	case SECRETMEM_MAGIC:
		return dump_refuse(l, e, CR_E_FD_KIND, "secret memory (memfd_secret) cannot be read from outside");
	default:
		return dump_reg(d, l, fe->id, &fe->reg, e);
	}
}

const struct fd_dump_ops reg_dump_ops = { .name = "file", .type = FD_TYPES__REG, .match = match, .dump = dump };
