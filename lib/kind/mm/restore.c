/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * Memory is mapped by ordinary C code at the addresses where it belongs (MAP_FIXED_NOREPLACE), because this program is
 * small, position-independent and rarely in the way. What it is in the way of is mapped in a gap of the new layout, at
 * an address with the same place in its 2 MiB, and moved by the blob when this program's own mappings are gone.
 *
 * Contents come straight from pages-N.img (restore-pages.c). A child that is forked after its parent's memory is filled
 * has the parent's pages by copy-on-write: a private mapping that both have is kept, and only pages that differ are
 * written. So memory that was shared before the dump is shared again.
 *
 * Order: map, fill, (fork children), then advice, locks and guard pages: DONTFORK and WIPEONFORK would keep memory from
 * children, guard pages cannot be made in locked mappings, nor filled mappings be kept from merging before their
 * advice.
 */
#include "kind/mm/restore-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "kind/mm/mm.h"
#include "kind/restore-check.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

/* Kinds of mappings that nobody here can make. */
static const struct {
	uint32_t bit;
	const char *what;
} refused[] = {
	{ MM_SYSVIPC, "System V shared memory" },
	{ MM_SOCKET, "a packet socket's ring" },
	{ MM_AIORING, "an asynchronous I/O ring" },
	{ MM_SHSTK, "a shadow stack" },
};

bool mm_is_special(const VmaEntry *v)
{
	return v->status & (MM_VSYSCALL | MM_VDSO | MM_VVAR | MM_GUARD | MM_UPROBES);
}

bool mm_is_private(const VmaEntry *v)
{
	return v->status & (MM_ANON_PRIVATE | MM_FILE_PRIVATE);
}

static int check_vma(const VmaEntry *v, uint64_t last_end, bool allow_uprobes, const char *who, struct cr_err *e)
{
	char what[256];

	snprintf(what, sizeof(what), "%.150s, mapping %llx-%llx", who, (unsigned long long)v->start,
		 (unsigned long long)v->end);
	if (v->start >= v->end || v->start % MM_PAGE || v->end % MM_PAGE ||
	    (v->end > MM_TASK_END && !(v->status & MM_VSYSCALL)))
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, what, "these are no addresses of a mapping");
	if (!(v->status & MM_GUARD) && v->start < last_end)
		return cr_err_set(e, CR_E_IMG_CORRUPT, 0, what, "it overlaps the one before or is out of order");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (v->status & refused[i].bit)
			return cr_err_set(e, CR_E_VMA_KIND, 0, what, "%s is not supported yet", refused[i].what);
	if (v->flags & MAP_HUGETLB)
		return cr_err_set(e, CR_E_VMA_KIND, 0, what, "hugetlb pages are not supported yet");
	if (v->status & MM_UPROBES && !allow_uprobes) {
		cr_err_set(e, CR_E_OPTION_PAIR, 0, what,
			   "it belongs to a uprobe: the dump was made with --allow-uprobes");
		cr_err_remedy(e, "pass --allow-uprobes");
		return -EINVAL;
	}
	if (!mm_is_special(v) && !(v->status & (MM_ANON_PRIVATE | MM_FILE_PRIVATE | MM_FILE_SHARED | MM_ANON_SHARED)))
		return cr_err_set(e, CR_E_IMG_UNKNOWN, 0, what, "its status is %#x", v->status);
	return 0;
}

/* Where the dumped [vvar]...[vdso] was. */
static void dumped_vdso(const MmEntry *mm, uint64_t *start, uint64_t *vdso, uint64_t *end)
{
	*start = *vdso = *end = 0;
	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];

		if (!(v->status & (MM_VVAR | MM_VDSO)))
			continue;
		if (!*start)
			*start = v->start;
		if (v->status & MM_VDSO)
			*vdso = v->start;
		*end = v->end;
	}
}

int mm_check(struct rst *r, const MmEntry *mm, const struct mm_vdso *own, const char *who, struct cr_err *e)
{
	uint64_t last = 0, start, vdso, end, own_code = 0;
	int err;

	for (size_t i = 0; i < mm->n_vmas; i++) {
		err = rst_found(r, check_vma(mm->vmas[i], last, r->opts->allow_uprobes, who, e), e);
		if (err)
			return err;
		if (!(mm->vmas[i]->status & MM_GUARD))
			last = mm->vmas[i]->end;
	}
	dumped_vdso(mm, &start, &vdso, &end);
	for (unsigned i = 0; i < own->nr; i++)
		if (own->part[i].code)
			own_code = own->part[i].off;
	if (!vdso)
		return 0;
	if (end - start != own->len || vdso - start != own_code) {
		cr_err_set(e, CR_E_MEM_LAYOUT, 0, who,
			   "its vdso takes %lld kB, code at %lld kB; that of this kernel %lld kB, %lld kB",
			   (long long)(end - start) / 1024, (long long)(vdso - start) / 1024,
			   (long long)own->len / 1024, (long long)own_code / 1024);
		return -EINVAL;
	}
	return 0;
}

/*
 * May a child's @b hold pages that it inherited of the parent's @a? Anonymous memory where the two overlap (heaps and
 * stacks grow, mappings are split after a fork); a file's only when they are the same mapping.
 */
static bool kin(const VmaEntry *a, const VmaEntry *b)
{
	if (mm_is_special(a) || mm_is_special(b) || !mm_is_private(b) || a->flags != b->flags ||
	    (a->status & ~MM_HEAP) != (b->status & ~MM_HEAP))
		return false;
	if (b->status & MM_FILE_PRIVATE)
		return a->start == b->start && a->end == b->end && a->shmid == b->shmid && a->pgoff == b->pgoff;
	return a->start < b->end && b->start < a->end;
}

/* Calls @f for each pair of kin, or without it stops at the first that is worth it. Both lists are in order. Return: how many. */
static size_t each_kin(const MmEntry *a, const MmEntry *b, void (*f)(void *arg, size_t i, size_t j), void *arg)
{
	size_t i = 0, j = 0, n = 0;

	while (i < a->n_vmas && j < b->n_vmas) {
		const VmaEntry *x = a->vmas[i], *y = b->vmas[j];

		if (x->status & MM_GUARD || y->status & MM_GUARD)
			break; /* pseudo entries are at the end, not in order */
		if (kin(x, y)) {
			n++;
			if (f)
				f(arg, i, j);
			else if (y->prot & PROT_WRITE)
				return n;
		}
		if (x->end <= y->end)
			i++;
		if (y->end <= x->end)
			j++;
	}
	return f ? n : 0;
}

bool mm_shares(const MmEntry *parent, const MmEntry *child)
{
	return parent && child && each_kin(parent, child, NULL, NULL);
}

long mm_find(const MmEntry *mm, size_t *hint, uint64_t addr)
{
	for (; *hint < mm->n_vmas; ++*hint) {
		const VmaEntry *v = mm->vmas[*hint];

		if (v->status & MM_GUARD || v->start > addr)
			break;
		if (addr < v->end)
			return (long)*hint;
	}
	return -1;
}

/* The largest hole of the new layout, from its middle on: there is room for all that must not be in the way. */
static void find_gap(struct mm_state *s)
{
	uint64_t last = MM_HUGE, best = 0, end = 0;

	for (size_t i = 0; i <= s->mm->n_vmas; i++) {
		const VmaEntry *v = i < s->mm->n_vmas ? s->mm->vmas[i] : NULL;
		uint64_t start = v ? v->start : MM_TASK_END;

		if (v && (v->status & (MM_GUARD | MM_VSYSCALL)))
			continue;
		if (start > last && start - last > best) {
			best = start - last;
			s->gap = last + best / 2;
			end = start;
		}
		if (v && v->end > last)
			last = v->end;
	}
	s->gap_end = end;
	s->gap &= ~(MM_HUGE - 1);
}

/* Try addresses in the gap until nothing of ours is there. */
static void *map_in_gap(struct mm_state *s, uint64_t len, uint64_t align_like, int prot, int flags, int fd,
			uint64_t off)
{
	uint64_t at, step = (len + 2 * MM_HUGE) & ~(MM_HUGE - 1);
	void *p = MAP_FAILED;

	errno = ENOMEM;
	for (int tries = 0; tries < 4096 && s->gap + step <= s->gap_end; tries++) {
		at = s->gap + (align_like & (MM_HUGE - 1));
		p = mmap((void *)at, len, prot, flags | MAP_FIXED_NOREPLACE, fd, (off_t)off);
		s->gap += step;
		if (p == (void *)at || (p == MAP_FAILED && errno != EEXIST))
			break;
	}
	return p;
}

uint64_t mm_reserve(struct mm_state *s, uint64_t len, int prot, struct cr_err *e)
{
	void *p = map_in_gap(s, len, 0, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		cr_err_set(e, CR_E_MEM_LAYOUT, errno, "address space", "no room for %llu kB beside the task's mappings",
			   (unsigned long long)len / 1024);
		return 0;
	}
	return (uintptr_t)p;
}

/* The last file opened: neighbours mostly map the same one. */
struct last_file {
	int fd;
	uint64_t id;
	int flags;
};

int mm_open_flags(const VmaEntry *v)
{
	int flags = v->has_fdflags					 ? (int)v->fdflags & O_ACCMODE
		    : v->status & MM_FILE_SHARED && v->prot & PROT_WRITE ? O_RDWR
									 : O_RDONLY;

	return flags == O_WRONLY ? O_RDWR : flags;
}

static int vma_fd(struct rst *r, const VmaEntry *v, const struct mm_segs *segs, struct last_file *last,
		  struct cr_err *e)
{
	int flags = mm_open_flags(v);
	bool anon = v->status & MM_ANON_SHARED;

	if (anon || v->status & MM_MEMFD)
		for (size_t i = 0; i < segs->n; i++)
			if (segs->v[i].id == v->shmid && segs->v[i].anon == anon)
				return segs->v[i].fd;
	if (last->fd >= 0 && last->id == v->shmid && last->flags == flags)
		return last->fd;
	last->fd = fd_close(last->fd);
	last->fd = files_open_id(r, (uint32_t)v->shmid, flags, e);
	last->id = v->shmid;
	last->flags = flags;
	return last->fd;
}

static int map_one(struct rst *r, struct mm_state *s, size_t i, const struct mm_segs *segs, struct last_file *last,
		   struct cr_err *e)
{
	const VmaEntry *v = s->mm->vmas[i];
	int flags = (int)v->flags &
		    (MAP_SHARED | MAP_PRIVATE | MM_DROPPABLE | MAP_GROWSDOWN | MAP_NORESERVE | MAP_STACK | MAP_SYNC);
	bool file = v->status & (MM_FILE_PRIVATE | MM_FILE_SHARED | MM_ANON_SHARED);
	uint64_t len = v->end - v->start;
	char what[64];
	int fd = -1;
	void *p;

	if (file) {
		fd = vma_fd(r, v, segs, last, e);
		if (fd < 0)
			return fd;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	p = mmap((void *)v->start, len, (int)v->prot, flags | MAP_FIXED_NOREPLACE, fd, file ? (off_t)v->pgoff : 0);
	if (p == MAP_FAILED && errno == EEXIST)
		p = map_in_gap(s, len, v->start, (int)v->prot, flags, fd, file ? v->pgoff : 0);
	if (p != MAP_FAILED) {
		s->at[i] = (uintptr_t)p;
		return 0;
	}
	snprintf(what, sizeof(what), "mapping %llx-%llx", (unsigned long long)v->start, (unsigned long long)v->end);
	return cr_err_set(e, errno == EINVAL || errno == EEXIST || errno == EOPNOTSUPP ? CR_E_MEM_LAYOUT : CR_E_SYSTEM,
			  errno, what, "it cannot be made (mmap with protection %#x, flags %#x)", v->prot, v->flags);
}

/* A range of the parent's that the child's mapping @j keeps. */
struct piece {
	uint64_t start, end;
	size_t j;
};

struct keep {
	struct mm_state *s; /* the new one */
	const struct mm_state *old;
	struct piece *v; /* in order; each pair of neighbours in the two lists gives one at the most */
	size_t n;
};

static void keep_pair(void *arg, size_t i, size_t j)
{
	struct keep *k = arg;
	const VmaEntry *x = k->old->mm->vmas[i], *y = k->s->mm->vmas[j];
	uint64_t start = x->start > y->start ? x->start : y->start, end = x->end < y->end ? x->end : y->end;

	if (k->old->at[i] != x->start)
		return; /* the parent's stands elsewhere */
	if (x->prot != y->prot && mprotect((void *)start, end - start, (int)y->prot))
		return;
	k->v[k->n++] = (struct piece){ start, end, j };
	k->s->at[j] = y->start;
	k->s->inherited[j] = 1;
}

/* Unmap [@start, @end) together with neighbours, by one call: a range waits in @wait until one comes that does not touch it. */
static int drop(uint64_t wait[2], uint64_t start, uint64_t end, struct cr_err *e)
{
	if (start == wait[1] && start != end) {
		wait[1] = end;
		return 0;
	}
	if (start == end && end)
		return 0;
	if (wait[1] > wait[0] && munmap((void *)wait[0], wait[1] - wait[0]))
		return cr_err_set(e, CR_E_SYSTEM, errno, "address space",
				  "mappings of the parent cannot be removed (munmap)");
	wait[0] = start;
	wait[1] = end;
	return 0;
}

/* All of the parent's that is no piece. */
static int drop_rest(const struct keep *k, struct cr_err *e)
{
	const struct mm_state *old = k->old;
	uint64_t wait[2] = { 0, 0 };
	size_t p = 0;
	int err = 0;

	for (size_t i = 0; !err && i < old->mm->n_vmas; i++) {
		const VmaEntry *v = old->mm->vmas[i];
		uint64_t at = old->at[i], end = at + (v->end - v->start);
		bool in_place = at == v->start;

		if (!at)
			continue;
		for (; !err && in_place && p < k->n && k->v[p].start < end; p++) {
			err = drop(wait, at, k->v[p].start, e);
			at = k->v[p].end;
		}
		if (!err)
			err = drop(wait, at, end, e);
	}
	return err ? err : drop(wait, 0, 0, e);
}

/*
 * What mapping @j has beside its pieces [@first, @last) is fresh.
 * Return: its end; or the address where something of ours is in the way (what is below it is the mapping's).
 */
static uint64_t fill_between(const struct keep *k, size_t j, size_t first, size_t last)
{
	const VmaEntry *v = k->s->mm->vmas[j];
	int flags = (int)v->flags & (MAP_PRIVATE | MM_DROPPABLE | MAP_GROWSDOWN | MAP_NORESERVE | MAP_STACK);
	uint64_t at = v->start;

	flags |= MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	for (size_t p = first; p <= last; p++) {
		uint64_t end = p < last ? k->v[p].start : v->end;

		if (end > at && mmap((void *)at, end - at, (int)v->prot, flags, -1, 0) != (void *)at)
			return at;
		at = p < last ? k->v[p].end : end;
	}
	return v->end;
}

/* Take over what the parent left, unmap the rest. @old: the parent's state, copied by fork. */
static int inherit(struct mm_state *s, const struct mm_state *old, struct cr_err *e)
{
	_cleanup_free_ struct piece *pieces = calloc(old->mm->n_vmas + s->mm->n_vmas + 1, sizeof(*pieces));
	struct keep k = { s, old, pieces, 0 };
	int err;

	if (!pieces)
		return cr_err_nomem(e);
	each_kin(old->mm, s->mm, keep_pair, &k);
	err = drop_rest(&k, e);
	for (size_t first = 0, last; !err && first < k.n; first = last) {
		size_t j = k.v[first].j;
		const VmaEntry *v = s->mm->vmas[j];
		uint64_t done;

		for (last = first; last < k.n && k.v[last].j == j; last++)
			;
		done = fill_between(&k, j, first, last);
		if (done == v->end)
			continue;
		/* Begin it anew, elsewhere. */
		if (done > v->start)
			munmap((void *)v->start, done - v->start);
		for (size_t p = first; p < last; p++)
			if (k.v[p].start >= done)
				munmap((void *)k.v[p].start, k.v[p].end - k.v[p].start);
		log_debug("mapping %llx-%llx is not shared with the parent: no room", (unsigned long long)v->start,
			  (unsigned long long)v->end);
		s->at[j] = 0;
		s->inherited[j] = 0;
	}
	return err;
}

int mm_restore(struct rst *r, struct mm_state *s, const MmEntry *mm, pid_t pid, const struct mm_segs *segs,
	       const struct mm_vdso *vdso, pid_t inside, struct cr_err *e)
{
	struct mm_state old = *s;
	struct last_file last = { .fd = -1 };
	int err = 0;

	*s = (struct mm_state){ .mm = mm,
				.at = calloc(mm->n_vmas + 1, sizeof(*s->at)),
				.inherited = calloc(mm->n_vmas + 1, 1) };
	if (!s->at || !s->inherited)
		return cr_err_nomem(e);
	find_gap(s);
	if (old.mm)
		err = inherit(s, &old, e);
	free(old.at);
	free(old.inherited);
	for (size_t i = 0; !err && i < mm->n_vmas; i++)
		if (!s->at[i] && !mm_is_special(mm->vmas[i]))
			err = map_one(r, s, i, segs, &last, e);
	fd_close(last.fd);
	return err ? err : mm_fill(r, s, pid, vdso, inside, e);
}

static int advise(const VmaEntry *v, uint64_t at, struct cr_err *e)
{
	uint64_t len = v->end - v->start;

	for (uint64_t bits = v->has_madv ? v->madv : 0; bits; bits &= bits - 1) {
		int advice = __builtin_ctzll(bits);

		/* Mergeable pages need CONFIG_KSM; nothing is lost without. */
		if (madvise((void *)at, len, advice) && !(errno == EINVAL && advice == MADV_MERGEABLE))
			return cr_err_set(e, CR_E_MEM_LAYOUT, errno, "mapping",
					  "the advice %d of madvise(2) is refused at %llx", advice,
					  (unsigned long long)v->start);
	}
	return 0;
}

/* mlock(2), but the kernel's own: that of AddressSanitizer's library does nothing. */
static long lock_pages(uint64_t at, uint64_t len)
{
	return syscall(SYS_mlock, at, len);
}

static int lock_refused(const VmaEntry *v, int err, struct cr_err *e)
{
	cr_err_set(e, CR_E_LIMIT, err, "locked memory", "%llu kB at %llx cannot be locked (mlock)",
		   (unsigned long long)(v->end - v->start) / 1024, (unsigned long long)v->start);
	cr_err_remedy(e, "raise the limit of locked memory (ulimit -l), or run with CAP_IPC_LOCK");
	return -err;
}

int mm_finish(struct mm_state *s, struct cr_err *e)
{
	size_t hint = 0;
	int err = 0;
	long j;

	for (size_t i = 0; !err && i < s->mm->n_vmas; i++)
		if (s->at[i])
			err = advise(s->mm->vmas[i], s->at[i], e);
	for (size_t i = 0; !err && i < s->mm->n_vmas; i++) {
		const VmaEntry *v = s->mm->vmas[i];

		if (!(v->status & MM_GUARD))
			continue;
		j = mm_find(s->mm, &hint, v->start);
		if (j < 0 && hint) {
			hint = 0;
			j = mm_find(s->mm, &hint, v->start);
		}
		if (j < 0 || v->end > s->mm->vmas[j]->end || !s->at[j])
			return cr_err_set(e, CR_E_IMG_CORRUPT, 0, "guard pages", "%llx lies in no mapping",
					  (unsigned long long)v->start);
		if (madvise((void *)(s->at[j] + (v->start - s->mm->vmas[j]->start)), v->end - v->start,
			    MADV_GUARD_INSTALL))
			return cr_err_set(e, CR_E_MEM_LAYOUT, errno, "guard pages",
					  "those at %llx cannot be made; kernels before 6.13 have none",
					  (unsigned long long)v->start);
	}
	for (size_t i = 0; !err && i < s->mm->n_vmas; i++) {
		const VmaEntry *v = s->mm->vmas[i];

		if (s->at[i] && v->flags & MAP_LOCKED && lock_pages(s->at[i], v->end - v->start) && errno != EAGAIN &&
		    (errno != ENOMEM || v->prot))
			return lock_refused(v, errno, e);
	}
	return err;
}
