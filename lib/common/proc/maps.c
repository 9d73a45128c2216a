/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/maps.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool hex(const char **p, const char *end, char stop, uint64_t *ret)
{
	const char *s = *p;
	uint64_t v = 0;

	for (; s < end; s++) {
		unsigned c = (unsigned char)*s;
		unsigned d = c - '0' < 10 ? c - '0' : (c | 0x20) - 'a' < 6 ? (c | 0x20) - 'a' + 10 : 16;

		if (d > 15)
			break;
		if (v >> 60)
			return false;
		v = v << 4 | d;
	}
	if (s == *p || s == end || *s != stop)
		return false;
	*p = s + 1;
	*ret = v;
	return true;
}

/* A decimal number; @end may stand right behind it. */
static bool dec(const char **p, const char *end, uint64_t *ret)
{
	const char *s = *p;
	uint64_t v = 0;

	for (; s < end && (unsigned)*s - '0' < 10; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	if (s == *p)
		return false;
	*p = s;
	*ret = v;
	return true;
}

int proc_maps_line(const char *line, size_t len, struct proc_vma *ret)
{
	const char *p = line, *end = line + len;
	struct proc_vma v = { 0 };
	uint64_t major, minor;

	if (!hex(&p, end, '-', &v.start) || !hex(&p, end, ' ', &v.end) || v.start >= v.end || end - p < 5 ||
	    p[4] != ' ')
		return -EINVAL;
	v.prot = (p[0] == 'r' ? PROT_READ : 0) | (p[1] == 'w' ? PROT_WRITE : 0) | (p[2] == 'x' ? PROT_EXEC : 0);
	if (p[3] != 'p' && p[3] != 's')
		return -EINVAL;
	v.shared = p[3] == 's';
	p += 5;
	if (!hex(&p, end, ' ', &v.pgoff) || !hex(&p, end, ':', &major) || !hex(&p, end, ' ', &minor) ||
	    !dec(&p, end, &v.ino))
		return -EINVAL;
	v.dev_major = (uint32_t)major;
	v.dev_minor = (uint32_t)minor;
	while (p < end && *p == ' ')
		p++;
	v.path = p;
	v.path_len = (size_t)(end - p);
	*ret = v;
	return 0;
}

#define FL(a, b) ((unsigned)(a) << 8 | (unsigned)(b))

static uint32_t vm_flag(const char *p)
{
	switch (FL(p[0], p[1])) {
	case FL('m', 'w'):
		return PVM_MAYWRITE;
	case FL('g', 'd'):
		return PVM_GROWSDOWN;
	case FL('p', 'f'):
		return PVM_PFNMAP;
	case FL('l', 'o'):
		return PVM_LOCKED;
	case FL('l', 'f'):
		return PVM_LOCKONFAULT;
	case FL('i', 'o'):
		return PVM_IO;
	case FL('s', 'r'):
		return PVM_SEQ_READ;
	case FL('r', 'r'):
		return PVM_RAND_READ;
	case FL('d', 'c'):
		return PVM_DONTCOPY;
	case FL('n', 'r'):
		return PVM_NORESERVE;
	case FL('h', 't'):
		return PVM_HUGETLB;
	case FL('w', 'f'):
		return PVM_WIPEONFORK;
	case FL('d', 'd'):
		return PVM_DONTDUMP;
	case FL('m', 'm'):
		return PVM_MIXEDMAP;
	case FL('h', 'g'):
		return PVM_HUGEPAGE;
	case FL('n', 'h'):
		return PVM_NOHUGEPAGE;
	case FL('m', 'g'):
		return PVM_MERGEABLE;
	case FL('u', 'm'):
		return PVM_UFFD_MISSING;
	case FL('u', 'w'):
		return PVM_UFFD_WP;
	case FL('u', 'i'):
		return PVM_UFFD_MINOR;
	case FL('s', 's'):
		return PVM_SHADOW_STACK;
	case FL('d', 'p'):
		return PVM_DROPPABLE;
	case FL('s', 'l'):
		return PVM_SEALED;
	default:
		return 0;
	}
}

static bool kib(const char *p, const char *end, uint64_t *ret)
{
	while (p < end && *p == ' ')
		p++;
	if (!dec(&p, end, ret) || *ret >> 54)
		return false;
	*ret <<= 10;
	return true;
}

#define IS(s, n, k) ((n) > sizeof(k) - 1 && !memcmp(s, k, sizeof(k) - 1))

/* A line of smaps that belongs to the mapping above it. */
static bool detail(const char *s, size_t n, struct proc_vma *v)
{
	const char *end = s + n;

	if (*s == 'V' && IS(s, n, "VmFlags:")) {
		v->has_flags = true;
		for (const char *p = s + 8; end - p >= 3 && *p == ' '; p += 3)
			v->flags |= vm_flag(p + 1);
	} else if (*s == 'R' && IS(s, n, "Rss:")) {
		return kib(s + 4, end, &v->rss);
	} else if (*s == 'S' && IS(s, n, "Swap:")) {
		return kib(s + 5, end, &v->swap);
	}
	return true;
}

void proc_maps_init(struct proc_maps *m, int fd)
{
	m->fd = fd;
	m->eof = false;
	m->start = m->end = 0;
}

/*
 * The next line, without its newline; it stays in the buffer until the next call.
 * Return: 1; 0 at the end; -errno.
 */
static int peek_line(struct proc_maps *m, const char **ret, size_t *ret_len)
{
	for (;;) {
		char *s = m->buf + m->start, *nl = memchr(s, '\n', m->end - m->start);
		ssize_t n;

		if (nl) {
			*ret = s;
			*ret_len = (size_t)(nl - s);
			return 1;
		}
		if (m->eof)
			return m->start == m->end ? 0 : -EINVAL;
		memmove(m->buf, s, m->end - m->start);
		m->end -= m->start;
		m->start = 0;
		if (m->end == sizeof(m->buf))
			return -EINVAL;
		do
			n = read(m->fd, m->buf + m->end, sizeof(m->buf) - m->end);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
		m->eof = n == 0;
		m->end += (size_t)n;
	}
}

int proc_maps_next(struct proc_maps *m, struct proc_vma *ret)
{
	struct proc_vma v;
	const char *line;
	size_t len;
	int r = peek_line(m, &line, &len);

	if (r <= 0)
		return r;
	if (proc_maps_line(line, len, &v) || v.path_len >= sizeof(m->path))
		return -EINVAL;
	/* The details that follow may push the head line out of the buffer. */
	memcpy(m->path, v.path, v.path_len);
	m->path[v.path_len] = 0;
	v.path = m->path;
	for (;;) {
		m->start += len + 1;
		r = peek_line(m, &line, &len);
		if (r < 0)
			return r;
		/* Details begin with a capital letter, head lines with a lower-case digit. */
		if (!r || !len || line[0] < 'A' || line[0] > 'Z')
			break;
		if (!detail(line, len, &v))
			return -EINVAL;
	}
	*ret = v;
	return 1;
}
