/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A file is carried by its name: what /proc says (d_path), as seen from our own root. The name is good when it leads to
 * the same inode again; when it does not, the file was deleted or replaced (the kernel then adds " (deleted)"), or lies
 * under another mount or outside of our root. A deleted file without any link left is carried with its contents (a
 * ghost); one with other links is refused, because a second file would then take its place.
 *
 * Files without a descriptor (mappings, exe, cwd, root) are kept until the end, one entry for each file, name and
 * flags: their build ids are read from the memory of a task that maps the file's head. Opening the file for it could
 * break a lease and wake up who watches it; only --checksum, which has to read all of a program, opens it.
 */
#include "kind/file/dump-internal.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "base/fd.h"
#include "kind/file/image-buildid.h"

#include "fdinfo.pb-c.h"

enum { GHOST_LIMIT = 1 << 20, BUILD_ID_MAX = BUILDID_WORDS * 4, NOTES_MAX = 4096 };

struct path_file {
	uint64_t dev, ino;
	uint32_t flags, id;
	int type; /* FdTypes */
	char *name;
	RegFileEntry *reg;     /* NULL: MEMFD, and .. */
	MemfdFileEntry *memfd; /* .. then this */
	bool ghost, has_sum;
	uint32_t sum; /* --checksum: of its contents */
};

struct seen_dev {
	struct seen_dev *next;
	dev_t dev;
	long magic;
};

long dump_fs_type(struct dump *d, const struct fd_look *l)
{
	const struct stat *st = &l->st;
	struct file_ids *f = d->files;
	struct seen_dev *s;
	struct statfs fs;

	/* Block devices hold file systems for files; all that is special has an anonymous device (major 0). */
	if (major(st->st_dev) != 0)
		return 0;
	for (s = f->devs; s; s = s->next)
		if (s->dev == st->st_dev)
			return s->magic;
	if (fstatfs(l->lfd, &fs) < 0)
		return 0;
	s = arena_alloc(d->arena, sizeof(*s));
	if (s) {
		*s = (struct seen_dev){ f->devs, st->st_dev, fs.f_type };
		f->devs = s;
	}
	return fs.f_type;
}

/* ---- names ---- */

/* Cut what the kernel adds to a name that is gone. Return: whether it was there. */
static bool cut_deleted(char *name)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(name);

	if (len < sizeof(mark) || strcmp(name + len - (sizeof(mark) - 1), mark) != 0)
		return false;
	name[len - (sizeof(mark) - 1)] = 0;
	return true;
}

/* "/proc/12/maps": of a task, which may not exist, or be another one, when the file is opened again. */
static bool proc_of_task(struct dump *d, const struct fd_look *l)
{
	const char *p = strstr(l->link, "/proc/");

	return p && p[6] >= '1' && p[6] <= '9' && dump_fs_type(d, l) == PROC_SUPER_MAGIC;
}

/* Is the file deleted for good? Cuts l->link to the name. Return: 1 deleted, 0 the name is good, -errno with @e. */
static int check_name(struct dump *d, const struct fd_look *l, struct cr_err *e)
{
	char *name = l->link;

	if (*name != '/')
		return dump_refuse(l, e, CR_E_FILE_HIDDEN, "the file cannot be reached from our root directory");
	if (proc_of_task(d, l))
		return dump_refuse(l, e, CR_E_PROC_FILE,
				   "entries of /proc that belong to a task are not supported yet");
	errno = 0;
	if (l->ahead ? l->ahead->name_good : look_leads_to(name, &l->st))
		return 0;
	if (l->ahead && l->st.st_nlink > 0 && look_leads_to(name, &l->st)) /* the look ahead has no room for an error */
		return 0;
	if (errno && errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ELOOP)
		return dump_failed(l, errno, "lstat of its name", e);
	if (l->st.st_nlink > 0) {
		if (strstr(name, " (deleted)"))
			return dump_refuse(l, e, CR_E_FILE_LINKED,
					   "the name is gone and the file has other names, which is not supported yet");
		return dump_refuse(
			l, e, CR_E_FILE_HIDDEN,
			"the name leads to something else: another mount covers the file, or it is not below our root");
	}
	if (!cut_deleted(name))
		return dump_refuse(l, e, CR_E_FILE_DELETED, "the file is deleted");
	if (!S_ISREG(l->st.st_mode) && !S_ISFIFO(l->st.st_mode))
		return dump_refuse(l, e, S_ISDIR(l->st.st_mode) ? CR_E_DIR_REMOVED : CR_E_FILE_DELETED,
				   "%s that was removed is not supported yet",
				   S_ISDIR(l->st.st_mode) ? "a directory" : "a special file");
	return 1;
}

static int fill_reg(struct dump *d, const struct fd_look *l, uint32_t id, RegFileEntry *reg, struct cr_err *e)
{
	reg_file_entry__init(reg);
	reg->id = id;
	reg->flags = l->flags;
	reg->pos = l->pos;
	reg->has_mode = true;
	reg->mode = l->st.st_mode;
	/* As CRIU: a file that is only written grows after the dump, and its size says nothing. */
	if (S_ISREG(l->st.st_mode) && (l->flags & O_ACCMODE) != O_WRONLY) {
		reg->has_size = true;
		reg->size = l->st.st_size;
	}
	return dump_fown(d, l, &reg->fown, e);
}

int dump_reg(struct dump *d, const struct fd_look *l, uint32_t id, RegFileEntry **ret, struct cr_err *e)
{
	RegFileEntry *reg = arena_alloc(l->scratch, sizeof(*reg));
	int err, deleted;

	if (!reg)
		return cr_err_nomem(e);
	deleted = check_name(d, l, e);
	if (deleted < 0)
		return deleted;
	err = fill_reg(d, l, id, reg, e);
	if (err < 0)
		return err;
	reg->name = arena_strdup(l->scratch, l->link);
	if (!reg->name)
		return cr_err_nomem(e);
	*ret = reg;
	if (!deleted) {
		/* Of mapped files in the end, when their build ids are known. */
		if (l->fd >= 0)
			file_need(d, &(struct file_need){
					     .path = reg->name,
					     .dev = l->st.st_dev,
					     .mode = l->st.st_mode,
					     .size = (l->flags & O_ACCMODE) == O_RDONLY ? l->st.st_size : -1,
				     });
		return 0;
	}
	return dump_ghost(d, l, id, l->fd < 0 ? 0 : GHOST_LIMIT, e);
}

int dump_reg_entry(struct dump *d, const struct fd_look *l, uint32_t *ret_id, struct cr_err *e)
{
	FileEntry fe = FILE_ENTRY__INIT;
	int ret;

	fe.type = FD_TYPES__REG;
	fe.id = dump_new_id(d);
	ret = dump_reg(d, l, fe.id, &fe.reg, e);
	if (ret < 0)
		return ret;
	*ret_id = fe.id;
	return dump_put_file(d, &fe, e);
}

/* ---- build ids ---- */

static bool read_memory(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = { buf, len }, remote = { (void *)(uintptr_t)addr, len };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

/* NT_GNU_BUILD_ID among notes. Return: its length, 0: there is none. */
static size_t find_build_id(const uint8_t *p, size_t len, uint8_t ret[BUILD_ID_MAX])
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		size_t name, desc, all;

		memcpy(&n, p, sizeof(n));
		name = ((size_t)n.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)n.n_descsz + 3) & ~(size_t)3;
		all = sizeof(n) + name + desc;
		if (all > len)
			return 0;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && !memcmp(p + sizeof(n), "GNU", 4) && n.n_descsz) {
			size_t take = n.n_descsz < BUILD_ID_MAX ? n.n_descsz : BUILD_ID_MAX;

			memcpy(ret, p + sizeof(n) + name, take);
			return take;
		}
		p += all;
		len -= all;
	}
	return 0;
}

/* The build id of the ELF file whose head task @pid has mapped at @base. Return: its length, 0: none. */
static size_t read_build_id(pid_t pid, uint64_t base, uint8_t ret[BUILD_ID_MAX])
{
	uint8_t notes[NOTES_MAX];
	Elf64_Phdr ph;
	Elf64_Ehdr eh;

	if (!read_memory(pid, base, &eh, sizeof(eh)) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_phentsize != sizeof(ph))
		return 0;
	for (unsigned i = 0; i < eh.e_phnum && i < 64; i++) {
		size_t len, got;

		if (!read_memory(pid, base + eh.e_phoff + i * sizeof(ph), &ph, sizeof(ph)))
			return 0;
		if (ph.p_type != PT_NOTE)
			continue;
		len = ph.p_filesz < sizeof(notes) ? ph.p_filesz : sizeof(notes);
		/* By file offset: the first mapping of a library holds its notes, at the same distance from its head.
		 */
		if (!read_memory(pid, base + ph.p_offset, notes, len))
			continue;
		got = find_build_id(notes, len, ret);
		if (got)
			return got;
	}
	return 0;
}

/* @link: "map_files/START-END"; only the mapping of the file's head has an ELF header at START. */
static int add_build_id(struct dump *d, struct path_file *p, const struct dump_task *t, const char *link)
{
	uint8_t id[BUILD_ID_MAX] = { 0 };
	unsigned long start;
	size_t len;

	if (!p->reg || p->reg->n_build_id || sscanf(link, "map_files/%lx-", &start) != 1)
		return 0;
	len = read_build_id(t->pid, start, id);
	if (!len)
		return 0;
	p->reg->build_id = arena_alloc(d->arena, BUILD_ID_MAX);
	if (!p->reg->build_id)
		return -ENOMEM;
	memcpy(p->reg->build_id, id, len);
	p->reg->n_build_id = (len + 3) / 4;
	return 0;
}

/* ---- files without descriptors ---- */

static struct path_file **path_slot(struct file_ids *f, const struct fd_look *l)
{
	uint64_t key = mix64(mix64(l->st.st_ino) ^ (uint64_t)l->st.st_dev);

	for (size_t at = key & (f->size_paths - 1);; at = (at + 1) & (f->size_paths - 1)) {
		struct path_file *p = f->paths[at];

		if (!p || (p->ino == l->st.st_ino && p->dev == l->st.st_dev && p->flags == l->flags &&
			   !strcmp(p->name, l->link)))
			return &f->paths[at];
	}
}

static int grow_paths(struct file_ids *f)
{
	size_t size = f->size_paths ? f->size_paths * 2 : 64;
	struct path_file **old = f->paths, **table = calloc(size, sizeof(*table));
	size_t old_size = f->size_paths;

	if (!table)
		return -ENOMEM;
	f->paths = table;
	f->size_paths = size;
	for (size_t i = 0; i < old_size; i++) {
		uint64_t at;

		if (!old[i])
			continue;
		at = mix64(mix64(old[i]->ino) ^ old[i]->dev) & (size - 1);
		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = old[i];
	}
	free(old);
	return 0;
}

/* What a mapping of a memory file names. */
static int path_memfd(struct dump *d, const struct fd_look *l, struct path_file *p, struct cr_err *e)
{
	int ret;

	p->memfd = arena_alloc(d->arena, sizeof(*p->memfd));
	if (!p->memfd)
		return cr_err_nomem(e);
	memfd_file_entry__init(p->memfd);
	p->memfd->id = p->id;
	p->memfd->flags = l->flags;
	ret = dump_fown(d, l, &p->memfd->fown, e);
	return ret < 0 ? ret : dump_memfd_inode(d, l, &p->memfd->inode_id, e);
}

static int new_path(struct dump *d, const struct fd_look *l, struct path_file **ret, struct cr_err *e)
{
	struct path_file *p = arena_alloc(d->arena, sizeof(*p));
	int err;

	if (!p)
		return cr_err_nomem(e);
	p->dev = l->st.st_dev;
	p->ino = l->st.st_ino;
	p->flags = l->flags;
	p->id = dump_new_id(d);
	p->name = arena_strdup(d->arena, l->link);
	if (!p->name)
		return cr_err_nomem(e);
	if (dump_memfd_name(l, NULL, 0)) {
		p->type = FD_TYPES__MEMFD;
		err = path_memfd(d, l, p, e);
	} else {
		p->type = FD_TYPES__REG;
		p->ghost = l->st.st_nlink == 0;
		err = dump_reg(d, l, p->id, &p->reg, e);
	}
	*ret = p;
	return err;
}

/* Read the link and look at the file, without opening it. */
static int look_path(struct dump *d, struct fd_look *l, const char *link, struct cr_err *e)
{
	ssize_t n = readlink_at(l->task->proc, link, d->files->link, DUMP_LINK);

	l->link = d->files->link;
	if (n < 0) {
		d->files->link[0] = 0;
		return dump_failed(l, -n, link, e);
	}
	l->lfd = openat(l->task->proc, link, O_PATH | O_CLOEXEC);
	if (l->lfd < 0)
		return dump_failed(l, errno, link, e);
	return fstat(l->lfd, &l->st) < 0 ? dump_failed(l, errno, "fstat", e) : 0;
}

/* --checksum: programs and libraries, which are ELF files. What cannot be read has no checksum. */
static void add_sum(struct dump *d, struct path_file *p, const struct fd_look *l)
{
	_cleanup_close_ int fd = -1;
	char self[32], magic[SELFMAG];
	uint64_t size;

	if (!d->opts->checksum || !p->reg || p->ghost || !S_ISREG(l->st.st_mode))
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", l->lfd);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && !pread_full(fd, magic, sizeof(magic), 0) && !memcmp(magic, ELFMAG, SELFMAG))
		p->has_sum = !img_sum(fd, &size, &p->sum);
}

int dump_file_id(struct dump *d, const struct dump_task *t, const char *link, uint32_t flags, uint32_t *ret_id,
		 int *ret_type, struct cr_err *e)
{
	struct fd_look l = {
		.task = t, .fd = -1, .lfd = -1, .mnt_id = -1, .flags = flags, .path = link, .scratch = d->arena
	};
	struct file_ids *f = file_ids_get(d);
	struct path_file **slot, *p = NULL;
	int ret;

	if (!f || (f->nr_paths * 2 >= f->size_paths && grow_paths(f) < 0))
		return cr_err_nomem(e);
	ret = look_path(d, &l, link, e);
	if (!ret) {
		slot = path_slot(f, &l);
		if (!*slot) {
			ret = new_path(d, &l, &p, e);
			if (!ret) {
				add_sum(d, p, &l);
				*slot = p;
				f->nr_paths++;
			}
		}
		if (!ret && add_build_id(d, *slot, t, link) < 0)
			ret = cr_err_nomem(e);
		if (!ret) {
			*ret_id = (*slot)->id;
			if (ret_type)
				*ret_type = (*slot)->type;
		}
	}
	fd_close(l.lfd);
	return ret;
}

int paths_finish(struct dump *d, struct cr_err *e)
{
	struct file_ids *f = d->files;
	int ret = 0;

	for (size_t i = 0; i < f->size_paths && !ret; i++) {
		FileEntry fe = FILE_ENTRY__INIT;
		const struct path_file *p = f->paths[i];

		if (!p)
			continue;
		fe.type = (FdTypes)p->type;
		fe.id = p->id;
		fe.reg = p->reg;
		fe.memfd = p->memfd;
		if (p->reg && !p->ghost)
			file_need(d, &(struct file_need){
					     .path = p->reg->name,
					     .dev = p->dev,
					     .mode = p->reg->mode,
					     .size = p->reg->has_size ? (int64_t)p->reg->size : -1,
					     .reg = p->reg,
					     .sum = p->has_sum ? &p->sum : NULL,
				     });
		ret = dump_put_file(d, &fe, e);
	}
	if (!ret)
		needs_finish(d);
	return ret;
}
