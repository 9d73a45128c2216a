/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things are in a task's memory: a `syscall` instruction (vdso), libc's return from signal handlers, the
 * program's entry, the lowest part of the stack; and which signal a thread may send to itself.
 *
 * The vdso is the kernel's, the same for all: its offset is found in ours and checked in the task. A libc's restorer is
 * looked for once per file (a small table, by device, inode and offset). Nothing else is searched: megabytes of program
 * text would take longer than the whole stop; the entry of the program is used instead.
 */
#include "trace/look.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "bare/uapi.h"
#include "trace/code.h"
#include "proc/maps.h"
#include "proc/status.h"
#include "trace/remote.h"

enum { VDSO_MAX = 8192, CHUNK = 65536, OVERLAP = 16, TEXT_MAX = 8 << 20, CACHE = 32 };

int mem_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec here = { buf, len }, there = { (void *)(uintptr_t)addr, len };
	ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);

	return n < 0 ? -errno : (size_t)n == len ? 0 : -EFAULT;
}

int mem_write(pid_t pid, uint64_t addr, const void *buf, size_t len)
{
	struct iovec here = { (void *)buf, len }, there = { (void *)(uintptr_t)addr, len };
	ssize_t n = process_vm_writev(pid, &here, 1, &there, 1, 0);

	return n < 0 ? -errno : (size_t)n == len ? 0 : -EFAULT;
}

int mem_write_code(pid_t pid, uint64_t addr, const void *buf, size_t len)
{
	_cleanup_close_ int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : pwrite_full(fd, buf, len, (off_t)addr);
}

/* ---- the task's mappings ---- */

struct area {
	uint64_t start, end, offset, ino;
	uint32_t major, minor;
	char name[256];
};

static bool old_kernel_next(int fd, uint64_t addr, bool exec, struct area *a)
{
	static struct proc_maps m; /* 68 KiB; the holder has one thread */
	struct proc_vma v;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return false;
	proc_maps_init(&m, fd);
	while (proc_maps_next(&m, &v) > 0) {
		size_t n = v.path_len < sizeof(a->name) ? v.path_len : sizeof(a->name) - 1;

		if (v.end <= addr || (exec && !(v.prot & 4)))
			continue;
		*a = (struct area){ v.start, v.end, v.pgoff, v.ino, v.dev_major, v.dev_minor, "" };
		memcpy(a->name, v.path, n);
		return true;
	}
	return false;
}

/* The area that holds @addr, or the next one above; of executable ones with @exec. @fd: /proc/PID/maps. */
static bool area_next(int fd, uint64_t addr, bool exec, struct area *a)
{
	struct cr_procmap_query q = {
		.size = sizeof(q),
		.query_flags = CR_PROCMAP_QUERY_COVERING_OR_NEXT_VMA | (exec ? CR_PROCMAP_QUERY_VMA_EXECUTABLE : 0),
		.query_addr = addr,
		.vma_name_size = sizeof(a->name),
		.vma_name_addr = (uintptr_t)a->name,
	};

	a->name[0] = 0;
	if (ioctl(fd, CR_PROCMAP_QUERY, &q)) {
		if (errno == ENAMETOOLONG) { /* no libc */
			q.vma_name_size = 0;
			q.vma_name_addr = 0;
			if (ioctl(fd, CR_PROCMAP_QUERY, &q))
				return false;
		} else if (errno != ENOENT) { /* an old kernel, or it cannot now: the text tells the same */
			return old_kernel_next(fd, addr, exec, a);
		} else {
			return false;
		}
	}
	a->start = q.vma_start;
	a->end = q.vma_end;
	a->offset = q.vma_offset;
	a->ino = q.inode;
	a->major = q.dev_major;
	a->minor = q.dev_minor;
	return true;
}

/* ---- libc's restorer ---- */

static uint64_t scan_area(pid_t pid, const struct area *a)
{
	static uint8_t buf[CHUNK];
	uint64_t end = a->end - a->start > TEXT_MAX ? a->start + TEXT_MAX : a->end;

	for (uint64_t at = a->start; at < end; at += CHUNK - OVERLAP) {
		size_t len = end - at < CHUNK ? end - at : CHUNK, found;

		if (mem_read(pid, at, buf, len))
			return 0;
		found = code_find_restorer(buf, len);
		if (found < len)
			return at + found;
	}
	return 0;
}

static uint64_t restorer_in(pid_t pid, const struct area *a)
{
	static struct {
		uint64_t ino, offset, found; /* offset in the area; 0: none in there */
		uint32_t major, minor;
	} cache[CACHE];
	static unsigned used;
	uint64_t found;

	for (unsigned i = 0; i < used; i++)
		if (cache[i].ino == a->ino && cache[i].offset == a->offset && cache[i].major == a->major &&
		    cache[i].minor == a->minor)
			return cache[i].found ? a->start + cache[i].found : 0;
	found = scan_area(pid, a);
	if (used < CACHE) {
		cache[used].ino = a->ino;
		cache[used].offset = a->offset;
		cache[used].major = a->major;
		cache[used].minor = a->minor;
		cache[used++].found = found ? found - a->start : 0;
	}
	return found;
}

static bool is_libc(const char *name)
{
	const char *base = strrchr(name, '/');

	return base && (!strncmp(base, "/libc.", 6) || !strncmp(base, "/libc-", 6) || !strncmp(base, "/ld-musl", 8));
}

static uint64_t find_restorer(pid_t pid, int maps)
{
	struct area a;
	uint8_t head[9];

	for (uint64_t at = 0; area_next(maps, at, true, &a); at = a.end) {
		uint64_t found = a.ino && is_libc(a.name) ? restorer_in(pid, &a) : 0;

		/* The file may have been written over, or mapped privately and changed. */
		if (found && !mem_read(pid, found, head, sizeof(head)) && !code_find_restorer(head, sizeof(head)))
			return found;
	}
	return 0;
}

/* ---- vdso, entry, stack ---- */

static uint64_t find_syscall(pid_t pid, uint64_t vdso)
{
	static size_t offset; /* of all, by the kernel */
	const uint8_t *ours = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	uint8_t text[24];

	if (!offset && ours)
		offset = code_find_syscall(ours, VDSO_MAX / 2);
	if (!vdso || !offset || mem_read(pid, vdso + offset - 1, text, sizeof(text)))
		return 0;
	return code_find_syscall(text, sizeof(text)) == 1 ? vdso + offset : 0;
}

static int read_auxv(int proc, uint64_t *vdso, uint64_t *entry)
{
	uint64_t v[128];
	ssize_t n = read_buf_at(proc, "auxv", (char *)v, sizeof(v));

	for (ssize_t i = 0; n > 0 && i + 1 < n / 8; i += 2) {
		if (v[i] == AT_SYSINFO_EHDR)
			*vdso = v[i + 1];
		if (v[i] == AT_ENTRY)
			*entry = v[i + 1];
	}
	return n < 0 ? (int)n : 0;
}

/* A signal that is ignored by default, or by the task, and not caught: nobody notices one that goes astray. */
static uint8_t harmless_signal(uint64_t caught)
{
	static const uint8_t list[] = { 23, 28, 17 }; /* URG WINCH CHLD */

	for (unsigned i = 0; i < sizeof(list); i++)
		if (!(caught & 1ull << (list[i] - 1)))
			return list[i];
	return 0;
}

/*
 * The area of a holder that was killed: at our place, of our size (in two parts where memory may not be writable and
 * executable at once), with our code or, when the holder died before it wrote that, nothing.
 */
static uint64_t find_left(const struct remote_proc *p, int maps)
{
	uint64_t at = remote_map_hint(p), end = at + remote_map_size();
	uint8_t head[32], nothing[sizeof(head)] = { 0 };
	struct area a;

	if (!at || !area_next(maps, at, false, &a) || a.start != at || a.ino || a.name[0])
		return 0;
	if (a.end != end && (!area_next(maps, a.end, false, &a) || a.end != end || a.ino || a.name[0]))
		return 0;
	if (mem_read(p->pid, at, head, sizeof(head)) ||
	    (memcmp(head, code_vector, sizeof(head)) && memcmp(head, nothing, sizeof(head))))
		return 0;
	return at;
}

int remote_look(struct remote_proc *p, uint64_t stack)
{
	_cleanup_close_ int proc = -1, maps = -1;
	uint64_t vdso = 0;
	struct proc_status st;
	static char buf[65536];
	struct area a;
	int err;

	if (p->looked)
		return 0;
	proc = open_proc_pid(p->pid);
	if (proc < 0)
		return proc == -ENOENT ? -ESRCH : proc;
	err = proc_status_read(proc, "status", buf, sizeof(buf), &st);
	if (!err)
		err = read_auxv(proc, &vdso, &p->entry);
	if (err)
		return err;
	p->signal = harmless_signal(st.sig_cgt);
	p->seccomp = st.seccomp;
	maps = openat(proc, "maps", O_RDONLY | O_CLOEXEC);
	if (maps < 0)
		return -errno;
	p->insn = find_syscall(p->pid, vdso);
	p->restorer = p->insn ? find_restorer(p->pid, maps) : 0;
	/* The entry must still be code of a file. */
	if (!p->entry || !area_next(maps, p->entry, true, &a) || a.start > p->entry || !a.ino ||
	    a.end - p->entry < sizeof(p->old))
		p->entry = 0;
	if (stack && area_next(maps, stack, false, &a) && a.start <= stack && !strcmp(a.name, "[stack]")) {
		p->stack = a.start;
		p->stack_end = a.end;
	}
	p->left = find_left(p, maps);
	p->looked = true;
	return 0;
}
