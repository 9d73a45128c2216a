/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix sockets (G1, G3-G5, G7): pairs of all types with data in their queues, options, half-closed pairs, a closed
 * peer, listeners by path, relative path and abstract name with accepted connections, datagram servers; ends in a
 * child. With the argument "rights" a descriptor is in a queue (refused: G6).
 */
#include "victim.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

static int opt(int fd, int name)
{
	socklen_t len = sizeof(int);
	int v = -1;

	getsockopt(fd, SOL_SOCKET, name, &v, &len);
	return v;
}

static void set(int fd, int name, int v)
{
	need(setsockopt(fd, SOL_SOCKET, name, &v, sizeof(v)) == 0);
}

static socklen_t name(const char *text, bool abstract, struct sockaddr_un *a)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path + abstract, text);
	return offsetof(struct sockaddr_un, sun_path) + strlen(text) + 1;
}

static int bound(int type, const char *text, bool abstract)
{
	struct sockaddr_un a;
	socklen_t len = name(text, abstract, &a);
	int fd = socket(AF_UNIX, type, 0);

	need(fd >= 0 && bind(fd, (void *)&a, len) == 0);
	return fd;
}

static int connected(int type, const char *text, bool abstract)
{
	struct sockaddr_un a;
	socklen_t len = name(text, abstract, &a);
	int fd = socket(AF_UNIX, type, 0);

	if (fd < 0 || connect(fd, (void *)&a, len) < 0)
		return -1;
	return fd;
}

static bool named(int fd, const char *text, bool abstract, bool peer)
{
	struct sockaddr_un want, got = { 0 };
	socklen_t len = name(text, abstract, &want), n = sizeof(got);

	return (peer ? getpeername(fd, (void *)&got, &n) : getsockname(fd, (void *)&got, &n)) == 0 && n == len &&
	       !memcmp(got.sun_path, want.sun_path, len - offsetof(struct sockaddr_un, sun_path));
}

static bool is(int fd, const char *text)
{
	char got[64];
	ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);

	return n == (ssize_t)strlen(text) && !memcmp(got, text, n);
}

static bool talk(int a, int b)
{
	return send(a, "there", 5, 0) == 5 && is(b, "there") && send(b, "back", 4, 0) == 4 && is(a, "back");
}

static int send_rights(void)
{
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte = 70;
	struct iovec iov = { &byte, 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	int p[2], zero = 0;

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &zero, sizeof(int));
	need(sendmsg(p[0], &mh, 0) == 1);
	victim_ready();
	victim_wait();
	return victim_done();
}

int main(int argc, char **argv)
{
	int st[2], dg[2], sp[2], half[2], dead[2], deaddg[2], up[2], status;
	int ld, cd, sd, lp, lr, la, cp, sa_p, ca, sa_a, seq, seqc, seqs, dsrv, dcli, dnone;
	char path[108], big[40000];
	struct timeval tv = { 7, 0 };
	pid_t child;

	if (argc > 1 && !strcmp(argv[1], "rights"))
		return send_rights();
	signal(SIGPIPE, SIG_IGN);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, st) == 0 &&
	     socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, dg) == 0);
	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sp) == 0);
	victim_fill(big, sizeof(big), 3);
	need(write(st[0], big, sizeof(big)) == sizeof(big) && write(st[1], "other way", 9) == 9);
	need(send(dg[0], "first", 5, 0) == 5 && send(dg[0], "", 0, 0) == 0 && send(dg[0], "third", 5, 0) == 5);
	need(send(sp[1], "one", 3, 0) == 3 && send(sp[1], "two", 3, 0) == 3);
	set(st[0], SO_SNDBUF, 50000);
	set(st[0], SO_RCVBUF, 60000);
	set(st[0], SO_PASSCRED, 1);
	set(st[0], SO_PRIORITY, 3);
	set(st[1], SO_RCVLOWAT, 5);
	need(setsockopt(st[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, half) == 0 && write(half[0], "before", 6) == 6 &&
	     shutdown(half[0], SHUT_WR) == 0);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, dead) == 0 && write(dead[1], "last", 4) == 4 && close(dead[1]) == 0);
	need(socketpair(AF_UNIX, SOCK_DGRAM, 0, deaddg) == 0 && send(deaddg[1], "last", 4, 0) == 4 &&
	     close(deaddg[1]) == 0);

	need(getcwd(path, 80) && strcat(path, "/sock"));
	lp = bound(SOCK_STREAM, path, false);
	need(chmod(path, 0751) == 0 && listen(lp, 9) == 0);
	lr = bound(SOCK_STREAM, "rel", false);
	la = bound(SOCK_STREAM, path + 1, true); /* as good as any name that others do not have */
	seq = bound(SOCK_SEQPACKET, "seq", false);
	need(listen(lr, 1) == 0 && listen(la, 5) == 0 && listen(seq, 1) == 0);
	need((cp = connected(SOCK_STREAM, path, false)) >= 0 && (sa_p = accept(lp, NULL, NULL)) >= 0);
	need((ca = connected(SOCK_STREAM, path + 1, true)) >= 0 && (sa_a = accept(la, NULL, NULL)) >= 0);
	need((seqc = connected(SOCK_SEQPACKET, "seq", false)) >= 0 && (seqs = accept(seq, NULL, NULL)) >= 0);
	need(write(cp, "request", 7) == 7);
	/* A listener whose name was removed, and another one that has the name now. */
	ld = bound(SOCK_STREAM, "del", false);
	need(listen(ld, 2) == 0 && (cd = connected(SOCK_STREAM, "del", false)) >= 0 &&
	     (sd = accept(ld, NULL, NULL)) >= 0);
	need(unlink("del") == 0 && listen(bound(SOCK_STREAM, "del", false), 1) == 0);
	dsrv = bound(SOCK_DGRAM, "dsrv", false);
	need((dcli = connected(SOCK_DGRAM, "dsrv", false)) >= 0 && send(dcli, "datagram", 8, 0) == 8);
	need((dnone = socket(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, up) == 0 && (child = fork()) >= 0);
	if (!child) {
		char c;

		close(up[0]);
		_exit(read(up[1], &c, 1) == 1 && c == 'q' && write(up[1], "a", 1) == 1 ? 0 : 1);
	}
	close(up[1]);
	victim_fact("listener", "%d", lp);
	victim_fact("path", "%s", path);
	victim_ready();
	victim_wait();

	memset(big, 0, sizeof(big));
	check("stream", recv(st[1], big, sizeof(big), MSG_WAITALL) == sizeof(big) && victim_same(big, sizeof(big), 3) &&
				is(st[0], "other way"));
	check("stream goes on", talk(st[0], st[1]));
	check("datagrams", is(dg[1], "first") && is(dg[1], "") && is(dg[1], "third") && talk(dg[0], dg[1]) &&
				   (fcntl(dg[0], F_GETFL) & O_NONBLOCK));
	check("packets",
	      is(sp[0], "one") && is(sp[0], "two") && talk(sp[0], sp[1]) && fcntl(sp[0], F_GETFD) == FD_CLOEXEC);
	check("sizes of buffers", opt(st[0], SO_SNDBUF) == 100000 && opt(st[0], SO_RCVBUF) == 120000);
	check("options", opt(st[0], SO_PASSCRED) == 1 && opt(st[0], SO_PRIORITY) == 3 && opt(st[1], SO_RCVLOWAT) == 5 &&
				 opt(st[1], SO_RCVTIMEO) == 7 && opt(st[1], SO_PASSCRED) == 0);
	check("half-closed", is(half[1], "before") && is(half[1], "") && write(half[1], "y", 1) == 1 &&
				     is(half[0], "y") && write(half[0], "x", 1) == -1 && errno == EPIPE);
	check("closed peer", is(dead[0], "last") && is(dead[0], "") && write(dead[0], "x", 1) == -1 && errno == EPIPE);
	check("closed peer of datagrams", is(deaddg[0], "last") && send(deaddg[0], "x", 1, 0) == -1);
	check("accepted by path",
	      is(sa_p, "request") && talk(cp, sa_p) && named(sa_p, path, false, false) && named(cp, path, false, true));
	check("accepted by abstract name", talk(ca, sa_a) && named(sa_a, path + 1, true, false));
	check("accepted packets", talk(seqc, seqs) && named(seqs, "seq", false, false));
	check("listens", opt(lp, SO_ACCEPTCONN) == 1 && (cp = connected(SOCK_STREAM, path, false)) >= 0 &&
				 (sa_p = accept(lp, NULL, NULL)) >= 0 && talk(cp, sa_p));
	check("listens by a relative name", (cp = connected(SOCK_STREAM, "rel", false)) >= 0 &&
						    (sa_p = accept(lr, NULL, NULL)) >= 0 && talk(cp, sa_p) &&
						    named(lr, "rel", false, false));
	check("listens by an abstract name",
	      (ca = connected(SOCK_STREAM, path + 1, true)) >= 0 && accept(la, NULL, NULL) >= 0);
	check("a name that was removed",
	      talk(cd, sd) && named(ld, "del", false, false) && opt(ld, SO_ACCEPTCONN) == 1 &&
		      connected(SOCK_STREAM, "del", false) >= 0 && recv(ld, big, 1, MSG_DONTWAIT) == -1 &&
		      fcntl(ld, F_SETFL, O_NONBLOCK) == 0 && accept(ld, NULL, NULL) == -1 && errno == EAGAIN);
	check("datagram server", is(dsrv, "datagram") && send(dcli, "more", 4, 0) == 4 && is(dsrv, "more"));
	check("not connected", send(dnone, "x", 1, 0) == -1 && errno == ENOTCONN);
	check("end in the child",
	      write(up[0], "q", 1) == 1 && waitpid(child, &status, 0) == child && status == 0 && is(up[0], "a"));
	return victim_done();
}
