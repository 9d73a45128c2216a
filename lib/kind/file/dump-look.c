/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Looking at a descriptor takes ten system calls and 15 us, nearly all of it in the kernel, where descriptors do not
 * get into each other's way. So large tables are looked at in batches by two threads, this one and a helper; ids are
 * then given out and entries written by this one alone, in the order of the numbers. While a batch is looked at, nobody
 * changes the tree of descriptions, so both threads may ask it whether a description may be known already: of inherited
 * descriptors the name is not read again for each task.
 *
 * The numbers are those of fdinfo/, not of fd/: listing such a directory makes an inode for each entry, and the texts
 * need those of fdinfo/ anyway.
 */
#include "kind/file/dump-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "proc/fdinfo.h"

/* A batch's copies are open at once: well below the usual limit of 1024. */
enum { BATCH = 256, HELPER_FROM = 64, FDINFO_FIRST = 4096, FDINFO_MAX = 64 << 20 };

/* A thread's own. */
struct half {
	const struct share *share;
	const struct look_table *table;
	int self_fd;	   /* /proc/self/fd */
	struct arena text; /* links and fdinfo texts */
	char *buf;
	size_t size;
};

/*
 * Who is free takes the next slot: where there is one processor only, the helper is late and finds nothing to do.
 * @left: slots that nobody has taken (below 0: none). Set last, when all else of a batch stands.
 */
struct looker {
	struct half half[2]; /* ours, the helper's */
	struct look_slot slots[BATCH];
	atomic_int left, done;
	pthread_t helper;
	bool has_helper;
	atomic_bool stop;
	sem_t go;
};

bool look_leads_to(const char *name, const struct stat *st)
{
	struct stat now;

	return lstat(name, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

/* The whole text of /proc/PID/fdinfo/N: that of an epoll has a line for each target. Return: length or -errno. */
static ssize_t read_fdinfo(struct half *h, int fd)
{
	char name[16];
	_cleanup_close_ int in = -1;
	size_t len = 0;

	snprintf(name, sizeof(name), "%d", fd);
	in = openat(h->table->dir, name, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(in, h->buf + len, h->size - 1 - len);
		char *more;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += n;
		/* A text is made at the first read(): short of the buffer's end it is the whole. */
		if (n == 0 || len < FDINFO_FIRST / 4)
			break;
		if (h->size - len > FDINFO_FIRST / 4)
			continue;
		if (h->size > FDINFO_MAX)
			return -EFBIG;
		more = realloc(h->buf, h->size * 2);
		if (!more)
			return -ENOMEM;
		h->buf = more;
		h->size *= 2;
	}
	h->buf[len] = 0;
	return len;
}

static int failed(struct look_slot *s, int err, const char *call)
{
	s->err = err;
	s->call = call;
	return -err;
}

/* Where it leads, whether that is right, and who gets its signals. */
static int look_link(struct half *h, struct look_slot *s)
{
	struct f_owner_ex owner = { 0 };
	struct fd_look *l = &s->look;
	char name[16];
	ssize_t n;

	snprintf(name, sizeof(name), "%d", l->lfd);
	n = readlink_at(h->self_fd, name, h->buf, h->size);
	if (n < 0)
		return failed(s, -n, "readlink");
	l->link = arena_alloc(&h->text, n + 1);
	if (!l->link)
		return failed(s, ENOMEM, "readlink");
	memcpy(l->link, h->buf, n + 1);
	if (S_ISSOCK(l->st.st_mode) && !(l->flags & O_PATH)) {
		int err = dump_getsockopt(l->lfd, SOL_SOCKET, SO_DOMAIN, &l->family);

		if (err)
			return failed(s, -err, "getsockopt(SO_DOMAIN)");
	}
	s->ahead = (struct fd_ahead){ .name_good = *l->link == '/' && look_leads_to(l->link, &l->st) };
	if (!(l->flags & O_PATH)) {
		s->ahead.sig = fcntl(l->lfd, F_GETSIG);
		s->ahead.owner_known = s->ahead.sig >= 0 && fcntl(l->lfd, F_GETOWN_EX, &owner) == 0;
		s->ahead.owner_type = owner.type;
		s->ahead.owner = owner.pid;
	}
	l->ahead = &s->ahead;
	s->more = true;
	return 0;
}

static int look_one(struct half *h, struct look_slot *s)
{
	struct fd_look *l = &s->look;
	struct fdinfo info;
	ssize_t n;

	l->lfd = syscall(SYS_pidfd_getfd, l->task->pidfd, l->fd, 0);
	if (l->lfd < 0)
		return failed(s, errno, "pidfd_getfd");
	if (fstat(l->lfd, &l->st) < 0)
		return failed(s, errno, "fstat");
	n = read_fdinfo(h, l->fd);
	if (n < 0)
		return failed(s, -n, "reading its fdinfo");
	l->fdinfo = arena_alloc(&h->text, n + 1);
	if (!l->fdinfo)
		return failed(s, ENOMEM, "reading its fdinfo");
	memcpy(l->fdinfo, h->buf, n + 1);
	if (fdinfo_parse(l->fdinfo, &info) < 0)
		return failed(s, EBADMSG, "reading its fdinfo");
	s->lock = info.lock;
	l->flags = info.flags & ~(uint32_t)O_CLOEXEC;
	l->cloexec = info.flags & O_CLOEXEC;
	l->pos = info.pos;
	l->mnt_id = info.mnt_id;
	return share_has(h->share, share_key(l)) ? 0 : look_link(h, s);
}

static void look_slots(struct looker *l, struct half *h)
{
	int i;

	while ((i = atomic_fetch_sub(&l->left, 1) - 1) >= 0) {
		look_one(h, &l->slots[i]);
		atomic_fetch_add(&l->done, 1);
	}
}

static void *help(void *arg)
{
	struct looker *l = arg;

	for (;;) {
		while (sem_wait(&l->go) < 0)
			;
		if (atomic_load(&l->stop))
			return NULL;
		look_slots(l, &l->half[1]);
	}
}

static struct looker *looker_get(struct file_ids *f)
{
	struct looker *l = f->looker;
	int self_fd;

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	self_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!l || self_fd < 0) {
		free(l);
		fd_close(self_fd);
		return NULL;
	}
	for (int i = 0; i < 2; i++) {
		l->half[i].self_fd = self_fd;
		l->half[i].share = &f->share;
		l->half[i].size = DUMP_LINK;
		l->half[i].buf = malloc(DUMP_LINK);
	}
	f->looker = l;
	return l->half[0].buf && l->half[1].buf ? l : NULL;
}

/* Return: whether there is a helper now. Without one all goes on, only slower. */
static bool start_helper(struct looker *l)
{
	pthread_attr_t attr;

	if (l->has_helper)
		return true;
	sem_init(&l->go, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	l->has_helper = pthread_create(&l->helper, &attr, help, l) == 0;
	pthread_attr_destroy(&attr);
	return l->has_helper;
}

void look_free(struct looker *l)
{
	if (!l)
		return;
	if (l->has_helper) {
		atomic_store(&l->stop, true);
		sem_post(&l->go);
		pthread_join(l->helper, NULL);
	}
	fd_close(l->half[0].self_fd);
	for (int i = 0; i < 2; i++) {
		arena_free(&l->half[i].text);
		free(l->half[i].buf);
	}
	free(l);
}

int look_more(struct file_ids *f, struct look_slot *s, struct cr_err *e)
{
	if (!s->more && look_link(&f->looker->half[0], s) < 0)
		return dump_failed(&s->look, s->err, s->call, e);
	return 0;
}

ssize_t look_next(struct file_ids *f, struct look_table *t, struct look_slot **ret)
{
	size_t n = t->n - t->next < BATCH ? t->n - t->next : BATCH;
	struct looker *l = looker_get(f);
	bool two;

	if (!l)
		return -ENOMEM;
	two = n >= HELPER_FROM && start_helper(l);
	for (size_t i = 0; i < n; i++)
		l->slots[i] = (struct look_slot){
			.look = { .task = t->task,
				  .fd = t->fds[t->next + i],
				  .lfd = -1,
				  .link = (char *)"",
				  .scratch = &f->scratch },
		};
	t->next += n;
	for (int i = 0; i < 2; i++) {
		arena_reset(&l->half[i].text);
		l->half[i].table = t;
	}
	atomic_store(&l->done, 0);
	atomic_store(&l->left, (int)n);
	if (two)
		sem_post(&l->go);
	look_slots(l, &l->half[0]);
	while (atomic_load(&l->done) < (int)n) /* the helper's last one */
		sched_yield();
	*ret = l->slots;
	return n;
}

/* A number, or -1 for "." and "..". */
static int fd_number(const char *name)
{
	char *end;
	unsigned long n;

	if (*name < '0' || *name > '9')
		return -1;
	n = strtoul(name, &end, 10);
	return *end || n > INT32_MAX ? -1 : (int)n;
}

int look_begin(const struct dump_task *t, struct look_table *ret)
{
	int fd = openat(t->proc, "fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	struct look_table table = { .task = t, .dir = fd };
	DIR *dir;
	size_t cap = 0;
	struct dirent *de;

	fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		err = -errno;
		fd_close(fd);
		fd_close(table.dir);
		return err;
	}
	while (!err && (errno = 0, de = readdir(dir))) {
		int n = fd_number(de->d_name);

		if (n < 0)
			continue;
		if (table.n == cap) {
			size_t more = cap ? cap * 2 : 64;
			int *fds = realloc(table.fds, more * sizeof(*fds));

			if (!fds) {
				err = -ENOMEM;
				break;
			}
			table.fds = fds;
			cap = more;
		}
		table.fds[table.n++] = n;
	}
	if (!err)
		err = -errno; /* of readdir(): a list that breaks off is no list */
	closedir(dir);
	if (err < 0)
		look_end(&table);
	else
		*ret = table;
	return err;
}

void look_end(struct look_table *t)
{
	t->dir = fd_close(t->dir);
	free(t->fds);
	t->fds = NULL;
}
