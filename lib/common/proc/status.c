/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc/status.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"

struct span {
	const char *p, *end;
};

/* A number of @base behind blanks. Return: false at the end of the line or at what is no number. */
static bool number(struct span *s, unsigned base, uint64_t *ret)
{
	uint64_t v = 0;
	unsigned digits = 0;

	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
		s->p++;
	for (; s->p < s->end; s->p++, digits++) {
		char c = *s->p;
		unsigned d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;

		if (d >= base)
			break;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*ret = v;
	return digits > 0;
}

static bool put_u64(struct span s, unsigned base, uint64_t *ret)
{
	return number(&s, base, ret);
}

static bool put_u32(struct span s, unsigned base, uint32_t *ret)
{
	uint64_t v;

	if (!number(&s, base, &v) || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool put_bool(struct span s, bool *ret)
{
	uint64_t v;

	if (!number(&s, 10, &v))
		return false;
	*ret = v;
	return true;
}

static bool ids(struct span s, uint32_t ret[4])
{
	for (int i = 0; i < 4; i++) {
		uint64_t v;

		if (!number(&s, 10, &v) || v > UINT32_MAX)
			return false;
		ret[i] = (uint32_t)v;
	}
	return true;
}

static bool nspid(struct span s, struct proc_status *st)
{
	uint64_t v;

	while (number(&s, 10, &v)) {
		if (st->nr_nspid == PROC_NSPID_MAX || v > INT32_MAX)
			return false;
		st->nspid[st->nr_nspid++] = (pid_t)v;
	}
	return true;
}

static bool sigq(struct span s, struct proc_status *st)
{
	uint64_t a, b;

	if (!number(&s, 10, &a) || s.p == s.end || *s.p++ != '/' || !number(&s, 10, &b))
		return false;
	st->sigq = (uint32_t)a;
	st->sigq_max = b > UINT32_MAX ? UINT32_MAX : (uint32_t)b;
	return true;
}

static bool has_word(struct span s, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = memmem(s.p, s.end - s.p, word, n); p; p = memmem(p + 1, s.end - p - 1, word, n))
		if ((p == s.p || p[-1] == ' ' || p[-1] == '\t') && (p + n == s.end || p[n] == ' '))
			return true;
	return false;
}

static bool name(struct span s, struct proc_status *st)
{
	size_t n = s.end - s.p;

	if (n && *s.p == '\t') {
		s.p++;
		n--;
	}
	n = n < sizeof(st->name) ? n : sizeof(st->name) - 1;
	memcpy(st->name, s.p, n);
	st->name[n] = 0;
	return true;
}

static bool state(struct span s, struct proc_status *st)
{
	if (s.end - s.p < 2)
		return false;
	st->state = s.p[1];
	return true;
}

static bool mask(struct span s, struct proc_status *st)
{
	st->has_umask = true;
	return put_u32(s, 8, &st->umask);
}

static bool rss(struct span s, struct proc_status *st)
{
	st->has_mm = true;
	return put_u64(s, 10, &st->vm_rss);
}

static bool groups(struct span s, struct proc_status *st)
{
	st->groups = s.p;
	st->groups_len = s.end - s.p;
	return true;
}

static bool features(struct span s, struct proc_status *st)
{
	st->x86_shstk = has_word(s, "shstk");
	st->x86_wrss = has_word(s, "wrss");
	return true;
}

static bool line(const char *key, size_t n, struct span v, struct proc_status *s)
{
#define IS(k) (n == sizeof(k) - 1 && !memcmp(key, k, sizeof(k) - 1))
	switch (key[0]) {
	case 'N':
		return IS("Name")	  ? name(v, s)
		       : IS("NSpid")	  ? nspid(v, s)
		       : IS("NoNewPrivs") ? put_bool(v, &s->no_new_privs)
					  : true;
	case 'U':
		return IS("Uid") ? ids(v, s->uid) : IS("Umask") ? mask(v, s) : true;
	case 'G':
		return IS("Gid") ? ids(v, s->gid) : IS("Groups") ? groups(v, s) : true;
	case 'P':
		return IS("Pid")    ? put_u32(v, 10, (uint32_t *)&s->pid)
		       : IS("PPid") ? put_u32(v, 10, (uint32_t *)&s->ppid)
				    : true;
	case 'T':
		return IS("Tgid")	   ? put_u32(v, 10, (uint32_t *)&s->tgid)
		       : IS("TracerPid")   ? put_u32(v, 10, (uint32_t *)&s->tracer)
		       : IS("Threads")	   ? put_u32(v, 10, &s->threads)
		       : IS("THP_enabled") ? put_bool(v, &s->thp_enabled)
					   : true;
	case 'K':
		return IS("Kthread") ? put_bool(v, &s->kthread) : true;
	case 'V':
		return IS("VmRSS")    ? rss(v, s)
		       : IS("VmSize") ? put_u64(v, 10, &s->vm_size)
		       : IS("VmLck")  ? put_u64(v, 10, &s->vm_lck)
		       : IS("VmPin")  ? put_u64(v, 10, &s->vm_pin)
		       : IS("VmSwap") ? put_u64(v, 10, &s->vm_swap)
				      : true;
	case 'R':
		return IS("RssAnon")	? put_u64(v, 10, &s->rss_anon)
		       : IS("RssFile")	? put_u64(v, 10, &s->rss_file)
		       : IS("RssShmem") ? put_u64(v, 10, &s->rss_shmem)
					: true;
	case 'C':
		return IS("CapInh")   ? put_u64(v, 16, &s->cap_inh)
		       : IS("CapPrm") ? put_u64(v, 16, &s->cap_prm)
		       : IS("CapEff") ? put_u64(v, 16, &s->cap_eff)
		       : IS("CapBnd") ? put_u64(v, 16, &s->cap_bnd)
		       : IS("CapAmb") ? put_u64(v, 16, &s->cap_amb)
				      : true;
	case 'S':
		return IS("State")	       ? state(v, s)
		       : IS("SigQ")	       ? sigq(v, s)
		       : IS("SigPnd")	       ? put_u64(v, 16, &s->sig_pnd)
		       : IS("ShdPnd")	       ? put_u64(v, 16, &s->shd_pnd)
		       : IS("SigBlk")	       ? put_u64(v, 16, &s->sig_blk)
		       : IS("SigIgn")	       ? put_u64(v, 16, &s->sig_ign)
		       : IS("SigCgt")	       ? put_u64(v, 16, &s->sig_cgt)
		       : IS("Seccomp")	       ? put_u32(v, 10, &s->seccomp)
		       : IS("Seccomp_filters") ? put_u32(v, 10, &s->seccomp_filters)
					       : true;
	case 'x':
		return IS("x86_Thread_features") ? features(v, s) : true;
	default:
		return true;
	}
#undef IS
}

int proc_status_parse(const char *text, size_t len, struct proc_status *ret)
{
	const char *end = text + len;
	struct proc_status s = { .groups = text };

	for (const char *p = text; p < end;) {
		const char *nl = memchr(p, '\n', end - p);
		const char *stop = nl ? nl : end;
		const char *colon = memchr(p, ':', stop - p);

		if (!colon || colon == p || !line(p, colon - p, (struct span){ colon + 1, stop }, &s))
			return -EINVAL;
		p = stop + 1;
	}
	if (!s.pid || !s.state)
		return -EINVAL;
	*ret = s;
	return 0;
}

int proc_status_read(int dirfd, const char *path, char *buf, size_t size, struct proc_status *ret)
{
	ssize_t n = read_buf_at(dirfd, path, buf, size);

	if (n < 0)
		return (int)n;
	if ((size_t)n == size - 1)
		return -EFBIG;
	return proc_status_parse(buf, n, ret);
}

ssize_t proc_status_groups(const struct proc_status *s, uint32_t *ret, size_t max)
{
	struct span v = { s->groups, s->groups + s->groups_len };
	uint64_t g;
	size_t n = 0;

	while (number(&v, 10, &g)) {
		if (n == PROC_GROUPS_MAX || g > UINT32_MAX)
			return -EINVAL;
		if (n < max)
			ret[n] = (uint32_t)g;
		n++;
	}
	return (ssize_t)n;
}
