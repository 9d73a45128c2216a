/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * One packet there, one packet back; the holder answers every request, also those it refuses. A connection that ends
 * means that the holder is gone, and then the tree runs: nothing that was read may be mixed with what will be read, so
 * every error here ends the stage. A holder that somebody has stopped answers nothing and keeps the tree: that is told, and
 * waited for.
 *
 * Start-ahead (--wait): the holder makes its socket under another name and renames it when it listens, so a directory
 * notification tells the moment at which a connection succeeds. dnotify, not inotify: to close the latter takes a grace
 * period of the kernel (80-230 us, and milliseconds on a busy machine). A stage whose starter (--lease: the wrapper) dies
 * meanwhile gives up.
 */
#include "hold/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "proc/stat.h"

enum { PARENT_CHECK_MS = 100, OTHER_DUMP_MS = 20, SILENCE_SECONDS = 5 };

static const char *const verb_name[] = {
	[HOLD_HELLO] = "hello",	     [HOLD_WAIT] = "wait",	   [HOLD_DONE] = "done",       [HOLD_LIST] = "list",
	[HOLD_REGS] = "regs",	     [HOLD_SIGQUEUE] = "sigqueue", [HOLD_SCRATCH] = "scratch", [HOLD_CALLS] = "calls",
	[HOLD_SECCOMP] = "seccomp",  [HOLD_PARK] = "park",	   [HOLD_STATUS] = "status",   [HOLD_SEALED] = "sealed",
	[HOLD_KILL] = "kill",	     [HOLD_THAW] = "thaw",	   [HOLD_STOP] = "stop",       [HOLD_LEASE] = "lease",
	[HOLD_CALLS_MANY] = "calls", [HOLD_REGS_MANY] = "regs",	   [HOLD_OURS] = "ours",
};

static const char *verb(uint32_t v)
{
	return v < sizeof(verb_name) / sizeof(*verb_name) && verb_name[v] ? verb_name[v] : "?";
}

static enum cr_code code_of(int err)
{
	switch (err) {
	case ESRCH:
		return CR_E_TASK_GONE;
	case ESTALE:
		return CR_E_HOLDER_VOID;
	case ENOTCONN:
		return CR_E_NOT_HELD;
	case EOPNOTSUPP:
		return CR_E_UNSUPPORTED;
	case EPERM:
	case EACCES:
		return CR_E_PRIVILEGE;
	case EBUSY:
		return CR_E_DIR_BUSY;
	case EALREADY:
		return CR_E_DIR_HAS_CHECKPOINT;
	default:
		return CR_E_HOLDER;
	}
}

/* Who is at the other end. @pid: 0 when it cannot be told. */
static struct ucred peer(const struct hold *h)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	if (getsockopt(h->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		cred.pid = 0;
	return cred;
}

/* It has not answered for a while: because somebody has stopped it? Once is enough. */
static void tell_stopped(struct hold *h)
{
	pid_t pid = peer(h).pid;
	_cleanup_close_ int proc = pid > 0 ? open_proc_pid(pid) : -1;
	struct cr_err e;
	struct proc_stat st;

	if (h->told || proc < 0 || proc_stat_read(proc, "stat", &st) || (st.state != 'T' && st.state != 't'))
		return;
	h->told = true;
	cr_err_set(&e, CR_E_HOLDER_STOPPED, 0, "holder", "process %d does not answer: it is stopped", pid);
	cr_err_remedy(&e, "let it go on: kill -CONT %d; or end it, and the tree runs on: kill -KILL %d", pid, pid);
	log_failure(&e);
}

static int gone(struct cr_err *e, int err, const char *what)
{
	return cr_err_set(e, CR_E_HOLDER_VOID, err, "holder", "%s: it is gone, so the tree runs on", what);
}

static int send_request(struct hold *h, const struct hold_req *req, const void *payload, size_t len, int send_fd,
			struct cr_err *e)
{
	struct iovec iov[2] = { { (void *)req, sizeof(*req) }, { (void *)payload, len } };
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };
	ssize_t n;

	if (send_fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = ctl.space;
		msg.msg_controllen = sizeof(ctl.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &send_fd, sizeof(int));
	}
	do
		n = sendmsg(h->fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? gone(e, errno, verb(req->verb)) : 0;
}

/* The answer to @req, which was sent. Return: length of the result or -errno. */
static ssize_t receive_answer(struct hold *h, const struct hold_req *req, void *ans_buf, size_t ans_size,
			      struct cr_err *e)
{
	struct hold_ans ans;
	struct iovec iov[2] = { { &ans, sizeof(ans) }, { ans_buf, ans_size } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ans_size ? 2 : 1 };
	char object[64];
	ssize_t n;

	while ((n = recvmsg(h->fd, &msg, MSG_CMSG_CLOEXEC)) < 0 && (errno == EINTR || errno == EAGAIN))
		if (errno == EAGAIN) /* SO_RCVTIMEO */
			tell_stopped(h);
	if (n <= 0)
		return gone(e, n < 0 ? errno : 0, verb(req->verb));
	if ((size_t)n < sizeof(ans) || msg.msg_flags & MSG_TRUNC || ans.len != n - sizeof(ans) || ans.err < 0)
		return cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "%s: its answer has a wrong length, or no errno",
				  verb(req->verb));
	if (!ans.err)
		return (ssize_t)ans.len;
	ans.text[sizeof(ans.text) - 1] = 0;
	if (req->tid)
		snprintf(object, sizeof(object), "task %d", req->tid);
	else
		snprintf(object, sizeof(object), "holder");
	return cr_err_set(e, code_of(ans.err), ans.err, object, "%s: %s", verb(req->verb), ans.text);
}

ssize_t hold_request(struct hold *h, const struct hold_req *req, const void *payload, size_t len, int send_fd,
		     void *ans_buf, size_t ans_size, struct cr_err *e)
{
	int err = send_request(h, req, payload, len, send_fd, e);

	return err ? err : receive_answer(h, req, ans_buf, ans_size, e);
}

static int check_length(const struct hold_req *req, ssize_t n, size_t size, struct cr_err *e)
{
	if (n < 0)
		return (int)n;
	if ((size_t)n != size)
		return cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "%s: its answer has a wrong length",
				  verb(req->verb));
	return 0;
}

/* A request whose answer has exactly @size bytes. */
static int exact(struct hold *h, const struct hold_req *req, const void *payload, size_t len, void *ret, size_t size,
		 struct cr_err *e)
{
	return check_length(req, hold_request(h, req, payload, len, -1, ret, size, e), size, e);
}

/* ---- connecting ---- */

static int try_connect(int img, bool elsewhere)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char name[HOLD_NAME_MAX];
	int err = hold_socket_name(img, elsewhere, name);

	if (fd < 0)
		return -errno;
	if (err)
		return err;
	if (elsewhere)
		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", name);
	else
		snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", img, name);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return -errno;
	return TAKE_FD(fd);
}

/* In the images directory, or in the work directory, the current one, where the former cannot hold sockets. */
static int connect_once(int img)
{
	int fd = try_connect(img, false), other;

	if (fd != -ENOENT && fd != -ECONNREFUSED)
		return fd;
	other = try_connect(img, true);
	return other == -ENOENT ? fd : other;
}

/* Let renames in @dir pend as SIGIO, which is blocked. Return: whether they do. */
static bool watch(int dir)
{
	return !fcntl(dir, F_NOTIFY, DN_RENAME | DN_MULTISHOT);
}

/*
 * Has the process that would start the holder ended? One that we are a child of is gone when we are given to another,
 * even if nobody has waited for it yet. One that ended before we came to look is known by its number only.
 */
static bool starter_gone(pid_t starter, bool child)
{
	return getppid() != starter && (child || (kill(starter, 0) && errno == ESRCH));
}

static int cannot_connect(int err, struct cr_err *e)
{
	if (err == -ENOENT)
		return cr_err_set(e, CR_E_NOT_HELD, ENOENT, "holder", "there is none for this images directory");
	if (err == -ECONNREFUSED)
		return cr_err_set(e, CR_E_NOT_HELD, ECONNREFUSED, "holder", "it has died, so the tree runs on");
	return cr_err_set(e, err == -EACCES || err == -EPERM ? CR_E_ACCESS : CR_E_NOT_HELD, -err, "holder",
			  "cannot connect to it");
}

static int await_socket(int img, pid_t starter, const struct timespec *at_most, const sigset_t *sigio, struct cr_err *e)
{
	bool child = getppid() == starter;

	for (;;) {
		int fd = connect_once(img);

		if (fd >= 0)
			return fd;
		if (fd != -ENOENT && fd != -ECONNREFUSED)
			return cannot_connect(fd, e);
		if (starter_gone(starter, child))
			return cr_err_set(e, CR_E_NOT_HELD, 0, "holder", "the program that would start it has ended");
		sigtimedwait(sigio, NULL, at_most);
	}
}

static int connect_ahead(int img, pid_t starter, struct cr_err *e)
{
	struct timespec at_most = { 0, PARENT_CHECK_MS * 1000000 };
	_cleanup_close_ int dir = openat(img, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int work = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sigset_t sigio, old;
	int fd;

	sigemptyset(&sigio);
	sigaddset(&sigio, SIGIO);
	sigprocmask(SIG_BLOCK, &sigio, &old);
	if (!watch(dir) | !watch(work))
		at_most.tv_nsec = 1000000; /* a kernel without it */
	fd = await_socket(img, starter, &at_most, &sigio, e);
	/* Closing ends the notification; what pends is taken, since it would kill. */
	dir = fd_close(dir);
	work = fd_close(work);
	sigtimedwait(&sigio, NULL, &(struct timespec){ 0 });
	sigprocmask(SIG_SETMASK, &old, NULL);
	return fd;
}

/* It has closed the connection: it does so to other users, too. */
static int turned_away(const struct hold *h, int err, struct cr_err *e)
{
	struct ucred cred = peer(h);

	if (e->code != CR_E_HOLDER_VOID || !cred.pid || !geteuid() || geteuid() == cred.uid)
		return err;
	cr_err_set(e, CR_E_PRIVILEGE, EPERM, "holder", "process %d is of user %u, and answers that user and root alone",
		   cred.pid, cred.uid);
	cr_err_remedy(e, "run as that user, or as root");
	return -EPERM;
}

/* Say who asks; with start-ahead wait for the stage before. */
static int greet(struct hold *h, struct hold_who who, struct cr_err *e)
{
	struct hold_req hello = { .verb = HOLD_HELLO, .arg = { who.stage, (uint64_t)who.lease } };
	struct hold_req until = { .verb = HOLD_WAIT };
	const size_t size = sizeof(h->banner);
	int err;

	if (who.stage == HOLD_ST_PARASITE)
		until.arg[0] = HOLD_ST_THREADS;
	else if (who.stage == HOLD_ST_PAGES)
		until.arg[0] = HOLD_ST_MM;
	/* Both requests in one go: a stage less to be woken for, while the holder waits for all of them. */
	err = send_request(h, &hello, NULL, 0, -1, e);
	if (!err && who.starter)
		err = send_request(h, &until, NULL, 0, -1, e);
	if (!err)
		err = check_length(&hello, receive_answer(h, &hello, &h->banner, size, e), size, e);
	if (err)
		err = turned_away(h, err, e);
	if (!err && h->banner.version != HOLD_VERSION) {
		err = cr_err_set(e, CR_E_HOLDER, 0, "holder", "it speaks version %u of the protocol, this program %u",
				 h->banner.version, HOLD_VERSION);
		cr_err_remedy(e, "let the tree go with the criu-freeze that holds it (criu-freeze thaw -D DIR), then "
				 "use programs of one version");
	}
	if (!err && who.starter)
		err = check_length(&until, receive_answer(h, &until, &h->banner, size, e), size, e);
	if (!err && who.stage != HOLD_ST_NONE && !h->banner.started_ns)
		err = cr_err_set(e, CR_E_NOT_HELD, 0, "holder", "it does not hold the tree yet");
	return err;
}

static int connect_and_greet(int img, struct hold_who who, struct hold *ret, struct cr_err *e)
{
	const struct timeval silence = { .tv_sec = SILENCE_SECONDS };
	bool child = getppid() == who.starter;
	bool other;
	int err;

	for (;;) {
		struct hold h = { .stage = who.stage };

		h.fd = who.starter ? connect_ahead(img, who.starter, e) : connect_once(img);
		if (h.fd < 0)
			return who.starter ? h.fd : cannot_connect(h.fd, e);
		setsockopt(h.fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
		err = greet(&h, who, e);
		if (!err) {
			*ret = h;
			return 0;
		}
		fd_close(h.fd);
		if (e->code == CR_E_DIR_HAS_CHECKPOINT)
			cr_err_remedy(e,
				      "end the tree (criu-freeze kill -D DIR), or let it run: criu-freeze thaw -D DIR");
		else if (e->code == CR_E_DIR_BUSY)
			cr_err_remedy(e, "wait for it; if it is this one, give all its programs the same --lease");
		/*
		 * The wrapper's: another dump is in the directory, or was: its holder has ended before it said whose it is. Ours will
		 * be refused, or come when that one has ended.
		 */
		other = e->code == CR_E_DIR_BUSY || (e->code == CR_E_HOLDER_VOID && !h.banner.version);
		if (!who.starter || !other || !getenv("CRIU_LOG_OPEN"))
			return err;
		if (starter_gone(who.starter, child))
			return cr_err_set(e, CR_E_NOT_HELD, 0, "holder", "the program that would start it has ended");
		poll(NULL, 0, OTHER_DUMP_MS);
	}
}

struct hold_who hold_who(const struct cr_opts *o, enum hold_stage stage)
{
	struct hold_who who = { .stage = stage, .lease = o->lease > 0 ? o->lease : 0 };

	if (o->wait && stage != HOLD_ST_NONE)
		who.starter = who.lease ? who.lease : getppid();
	return who;
}

static bool is_transient(const struct cr_err *e)
{
	return e->err != ENOENT && e->err != ECONNREFUSED && e->code != CR_E_DIR_BUSY &&
	       e->code != CR_E_DIR_HAS_CHECKPOINT;
}

int hold_connect(int img, struct hold_who who, struct hold *ret, struct cr_err *e)
{
	int err = connect_and_greet(img, who, ret, e);
	struct cr_err again;

	/* Who comes alone is who ends the hold: one call that fails shall not leave the tree to a holder that lives. */
	if (err && !who.starter && is_transient(e) && !connect_and_greet(img, who, ret, &again))
		return 0;
	return err;
}

int hold_wait(struct hold *h, enum hold_stage what, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_WAIT, .arg = { what } };

	return exact(h, &req, NULL, 0, &h->banner, sizeof(h->banner), e);
}

int hold_hand_over(struct hold *h, enum hold_stage what, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_DONE, .arg = { what } };
	ssize_t n = hold_request(h, &req, NULL, 0, -1, NULL, 0, e);

	return n < 0 ? (int)n : 0;
}

int hold_finish(struct hold *h, int result, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_DONE, .arg = { h->stage, result < 0 ? -result : result } };
	ssize_t n = hold_request(h, &req, NULL, 0, -1, NULL, 0, e);

	hold_close(h);
	return n < 0 ? (int)n : 0;
}

void hold_await_end(struct hold *h)
{
	ssize_t n;
	char c;

	while ((n = recv(h->fd, &c, 1, 0)) > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
		if (n < 0 && errno == EAGAIN)
			tell_stopped(h);
	hold_close(h);
}

void hold_close(struct hold *h)
{
	h->fd = fd_close(h->fd);
}

/* ---- reading ---- */

ssize_t hold_list(struct hold *h, struct hold_task **ret, struct cr_err *e)
{
	enum { STEP = (HOLD_PACKET_MAX - sizeof(struct hold_ans)) / sizeof(struct hold_task) };
	_cleanup_free_ struct hold_task *v = NULL;
	size_t n = 0, cap = 0;

	for (;;) {
		struct hold_req req = { .verb = HOLD_LIST, .arg = { n } };
		size_t room = cap ? STEP : h->banner.nr_tasks + 1;
		struct hold_task *more;
		ssize_t got;

		room = room > STEP ? STEP : room;
		more = reallocarray(v, n + room, sizeof(*v));
		if (!more)
			return cr_err_nomem(e);
		v = more;
		cap = n + room;
		req.arg[1] = room;
		got = hold_request(h, &req, NULL, 0, -1, v + n, room * sizeof(*v), e);
		if (got < 0)
			return got;
		if (got % sizeof(*v))
			return cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "list: its answer has a wrong length");
		n += got / sizeof(*v);
		if (got / sizeof(*v) < room)
			break;
	}
	*ret = TAKE_PTR(v);
	return (ssize_t)n;
}

static bool regs_fit(const struct hold_regs *r, size_t len)
{
	return len >= offsetof(struct hold_regs, xsave) && r->xsave_len <= sizeof(r->xsave) &&
	       r->xsave_len <= len - offsetof(struct hold_regs, xsave);
}

int hold_regs(struct hold *h, pid_t tid, struct hold_regs *ret, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_REGS, .tid = tid };
	ssize_t n = hold_request(h, &req, NULL, 0, -1, ret, sizeof(*ret), e);

	if (n < 0)
		return (int)n;
	if (!regs_fit(ret, n))
		return cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "regs: its answer has a wrong length");
	return 0;
}

int hold_regs_many(struct hold *h, const pid_t *tids, size_t n, struct hold_regs *ret, struct cr_err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(HOLD_PACKET_MAX);

	if (!buf)
		return cr_err_nomem(e);
	for (size_t done = 0; done < n;) {
		struct hold_req req = { .verb = HOLD_REGS_MANY };
		size_t ask = n - done < HOLD_REGS_MANY_MAX ? n - done : HOLD_REGS_MANY_MAX, got = 0;
		ssize_t len = hold_request(h, &req, tids + done, ask * sizeof(*tids), -1, buf, HOLD_PACKET_MAX, e);
		const uint8_t *p = buf;

		if (len < 0)
			return (int)len;
		for (; got < ask && len >= (ssize_t)offsetof(struct hold_regs, xsave); got++) {
			struct hold_regs *r = &ret[done + got];
			size_t size;

			memcpy(r, p, offsetof(struct hold_regs, xsave));
			if (!regs_fit(r, len))
				break;
			size = offsetof(struct hold_regs, xsave) + r->xsave_len;
			memcpy(r->xsave, p + offsetof(struct hold_regs, xsave), r->xsave_len);
			p += size;
			len -= (ssize_t)size;
		}
		if (!got || len)
			return cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "regs: its answer has a wrong length");
		done += got;
	}
	return 0;
}

ssize_t hold_sigqueue(struct hold *h, pid_t tid, bool shared, siginfo_t **ret, struct cr_err *e)
{
	enum { STEP = (HOLD_PACKET_MAX - sizeof(struct hold_ans)) / sizeof(siginfo_t) };
	_cleanup_free_ siginfo_t *v = NULL;
	size_t n = 0;

	for (;;) {
		struct hold_req req = { .verb = HOLD_SIGQUEUE, .tid = tid, .arg = { shared, n } };
		size_t room = n ? STEP : 32;
		siginfo_t *more = reallocarray(v, n + room, sizeof(*v));
		ssize_t got;

		if (!more)
			return cr_err_nomem(e);
		v = more;
		req.arg[2] = room;
		got = hold_request(h, &req, NULL, 0, -1, v + n, room * sizeof(*v), e);
		if (got < 0)
			return got;
		if (got % sizeof(*v))
			return cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "sigqueue: its answer has a wrong length");
		n += got / sizeof(*v);
		if (got / sizeof(*v) < room)
			break;
	}
	*ret = TAKE_PTR(v);
	return (ssize_t)n;
}

ssize_t hold_seccomp(struct hold *h, pid_t tid, unsigned index, struct sock_filter **ret, uint32_t *flags,
		     struct cr_err *e)
{
	enum { MAX = sizeof(struct hold_filter) + 4096 * sizeof(struct sock_filter) }; /* BPF_MAXINSNS */
	struct hold_req req = { .verb = HOLD_SECCOMP, .tid = tid, .arg = { index } };
	_cleanup_free_ uint8_t *buf = malloc(MAX);
	struct sock_filter *f;
	struct hold_filter head;
	ssize_t n;

	if (!buf)
		return cr_err_nomem(e);
	n = hold_request(h, &req, NULL, 0, -1, buf, MAX, e);
	if (n < 0)
		return n;
	if ((size_t)n < sizeof(head))
		return cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "seccomp: its answer has a wrong length");
	memcpy(&head, buf, sizeof(head));
	if ((uint64_t)head.nr_insns * sizeof(*f) != n - sizeof(head))
		return cr_err_set(e, CR_E_HOLDER, EPROTO, "holder", "seccomp: its answer has a wrong length");
	f = malloc(head.nr_insns * sizeof(*f) + 1);
	if (!f)
		return cr_err_nomem(e);
	memcpy(f, buf + sizeof(head), head.nr_insns * sizeof(*f));
	*ret = f;
	if (flags)
		*flags = head.flags;
	return head.nr_insns;
}

int hold_status(struct hold *h, struct hold_status *ret, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_STATUS };

	return exact(h, &req, NULL, 0, ret, sizeof(*ret), e);
}

/* ---- calls ---- */

int hold_scratch(struct hold *h, pid_t pid, struct hold_scratch *ret, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_SCRATCH, .tid = pid };

	return exact(h, &req, NULL, 0, ret, sizeof(*ret), e);
}

ssize_t hold_ours(struct hold *h, pid_t pid, struct hold_scratch *ret, size_t max, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_OURS, .tid = pid };
	ssize_t n = hold_request(h, &req, NULL, 0, -1, ret, max * sizeof(*ret), e);

	return n < 0 ? n : n / (ssize_t)sizeof(*ret);
}

int hold_calls(struct hold *h, pid_t tid, struct hold_call *calls, size_t n, struct cr_err *e)
{
	for (size_t done = 0; done < n;) {
		struct hold_req req = { .verb = HOLD_CALLS, .tid = tid };
		size_t step = n - done < HOLD_CALLS_MAX ? n - done : HOLD_CALLS_MAX;
		size_t len = step * sizeof(*calls);
		int err = exact(h, &req, calls + done, len, calls + done, len, e);

		if (err)
			return err;
		done += step;
	}
	return 0;
}

int hold_call(struct hold *h, pid_t tid, int64_t *ret, struct cr_err *e, int64_t nr, uint64_t a0, uint64_t a1,
	      uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct hold_call c = { .nr = nr, .arg = { a0, a1, a2, a3, a4, a5 } };
	int err = hold_calls(h, tid, &c, 1, e);

	if (!err)
		*ret = c.ret;
	return err;
}

/* As many jobs as one packet takes. @ret_len: bytes in @buf. Return: how many. */
static size_t pack_jobs(const struct hold_job *jobs, size_t n, uint8_t *buf, size_t size, size_t *ret_len)
{
	size_t i, len = 0;

	for (i = 0; i < n && i < HOLD_BATCHES_MAX; i++) {
		struct hold_part head = { .tid = jobs[i].tid, .n = (uint32_t)jobs[i].n };
		size_t need = sizeof(head) + jobs[i].n * sizeof(*jobs[i].calls);

		if (jobs[i].n > HOLD_CALLS_MAX || need > size - len)
			break;
		memcpy(buf + len, &head, sizeof(head));
		memcpy(buf + len + sizeof(head), jobs[i].calls, need - sizeof(head));
		len += need;
	}
	*ret_len = len;
	return i;
}

static void unpack_jobs(struct hold_job *jobs, size_t n, const uint8_t *buf)
{
	for (size_t i = 0; i < n; i++) {
		struct hold_part head;

		memcpy(&head, buf, sizeof(head));
		jobs[i].err = head.err < 0 ? -EPROTO : -head.err;
		memcpy(jobs[i].calls, buf + sizeof(head), jobs[i].n * sizeof(*jobs[i].calls));
		buf += sizeof(head) + jobs[i].n * sizeof(*jobs[i].calls);
	}
}

int hold_calls_many(struct hold *h, struct hold_job *jobs, size_t n, struct cr_err *e)
{
	enum { SIZE = HOLD_PACKET_MAX - sizeof(struct hold_ans) };
	_cleanup_free_ uint8_t *buf = malloc(SIZE);

	if (!buf)
		return cr_err_nomem(e);
	for (size_t done = 0; done < n;) {
		struct hold_req req = { .verb = HOLD_CALLS_MANY };
		size_t len, step = pack_jobs(jobs + done, n - done, buf, SIZE, &len);
		int err;

		if (!step) { /* one job alone is too large for a packet */
			struct hold_job *j = &jobs[done++];

			j->err = hold_calls(h, j->tid, j->calls, j->n, e);
			if (j->err == -EPIPE || j->err == -ECONNRESET)
				return j->err;
			continue;
		}
		err = exact(h, &req, buf, len, buf, len, e);
		if (err)
			return err;
		unpack_jobs(jobs + done, step, buf);
		done += step;
	}
	return 0;
}
