/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parsers of fdinfo and of socket diagnostics: what the kernel writes, and what it never would. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/unix_diag.h>

#include "base/netlink.h"
#include "proc/fdinfo.h"
#include "proc/sockdiag.h"
#include "tap.h"

#define HEAD "pos:\t4\nflags:\t02100002\nmnt_id:\t27\nino:\t10953713\n"

static void test_head(void)
{
	static const char *const bad[] = {
		"",
		"pos:",
		"pos:\t\n",
		"pos:\tx\n",
		"pos:\t1\nflags:\t9\n",
		"pos:\t1\nflags:\t02\n",
		"flags:\t02\npos:\t1\n",
		"pos:\t99999999999999999999999\nflags:\t02\nmnt_id:\t1\n",
		"pos:\t1\nflags:\t77777777777777\nmnt_id:\t1\n",
		"pos:\t1 2\nflags:\t02\nmnt_id:\t1\n",
		"pos:\t1\nflags:\t02\nmnt_id:\t-1\n",
	};
	struct fdinfo f;

	ok(fdinfo_parse(HEAD, &f) == 0 && f.pos == 4 && f.flags == 02100002 && f.mnt_id == 27 && f.ino == 10953713 &&
		   !f.locked,
	   "head");
	ok(fdinfo_parse("pos:\t0\nflags:\t01\nmnt_id:\t16\n", &f) == 0 && !f.ino && f.extra && !*f.extra,
	   "without ino");
	ok(fdinfo_parse("pos:\t-4096\nflags:\t00\nmnt_id:\t16\nino:\t7\n", &f) == 0 && f.pos == -4096ull,
	   "position of /proc/PID/mem");
	ok(fdinfo_parse(HEAD "lock:\t1: FLOCK  ADVISORY  READ 127 fe:00:109 0 EOF\n", &f) == 0 && f.locked &&
		   !strncmp(f.lock, "1: FLOCK", 8),
	   "lock");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(fdinfo_parse(bad[i], &f) == -EBADMSG, "bad head %zu", i);
}

static void test_extra(void)
{
	struct fdinfo_timerfd t;
	uint64_t v;
	bool sem;

	ok(fdinfo_eventfd(HEAD "eventfd-count:               2a\neventfd-id: 1\neventfd-semaphore: 1\n", &v, &sem) ==
			   0 &&
		   v == 42 && sem,
	   "eventfd");
	ok(fdinfo_eventfd(HEAD "eventfd-count: ffffffffffffffff\n", &v, &sem) == 0 && v == ~0ull && !sem,
	   "eventfd of an old kernel");
	ok(fdinfo_eventfd(HEAD "eventfd-count: 1ffffffffffffffff\n", &v, &sem) == -EBADMSG, "eventfd out of range");
	ok(fdinfo_signalfd(HEAD "sigmask:\t0000000400000200\n", &v) == 0 && v == 0x400000200, "signalfd");
	ok(fdinfo_signalfd(HEAD, &v) == -EBADMSG, "signalfd without mask");
	ok(fdinfo_timerfd(
		   HEAD "clockid: 1\nticks: 2\nsettime flags: 03\nit_value: (4999, 572623815)\nit_interval: (3, 500)\n",
		   &t) == 0 &&
		   t.clockid == 1 && t.ticks == 2 && t.settime_flags == 3 && t.value_sec == 4999 &&
		   t.value_nsec == 572623815 && t.interval_sec == 3 && t.interval_nsec == 500,
	   "timerfd");
	ok(fdinfo_timerfd(HEAD
			  "clockid: 1\nticks: 2\nsettime flags: 00\nit_value: (1, 1000000000)\nit_interval: (0, 0)\n",
			  &t) == -EBADMSG,
	   "timerfd: nanoseconds out of range");
	ok(fdinfo_timerfd(HEAD "clockid: 1\nticks: 2\nsettime flags: 00\nit_value: (1, 2\n", &t) == -EBADMSG,
	   "timerfd: cut");
}

static void test_epoll(void)
{
	static const char text[] =
		HEAD "tfd:        4 events: c0000019 data: ffffffffffffffff  pos:0 ino:40e sdev:10\n"
		     "tfd:       11 events:       19 data:                7  pos:12 ino:72bbb9 sdev:f\n";
	const char *pos = text;
	struct fdinfo_epoll t;

	ok(fdinfo_epoll_next(&pos, &t) == 1 && t.fd == 4 && t.events == 0xc0000019 && t.data == ~0ull &&
		   t.ino == 0x40e && t.dev == 0x10,
	   "first target");
	ok(fdinfo_epoll_next(&pos, &t) == 1 && t.fd == 11 && t.events == 0x19 && t.data == 7 && t.pos == 12 &&
		   t.dev == 0xf,
	   "second target");
	ok(fdinfo_epoll_next(&pos, &t) == 0, "no third");
	pos = HEAD "tfd: 4 events: 19 data: 7\n";
	ok(fdinfo_epoll_next(&pos, &t) == -EBADMSG, "target that is cut");
	pos = HEAD "tfd: 99999999999 events: 19 data: 7 pos:0 ino:1 sdev:1\n";
	ok(fdinfo_epoll_next(&pos, &t) == -EBADMSG, "number out of range");
}

static size_t attr(uint8_t *p, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr a = { .nla_len = NLA_HDRLEN + len, .nla_type = type };

	memcpy(p, &a, sizeof(a));
	memcpy(p + NLA_HDRLEN, data, len);
	return NLA_ALIGN(a.nla_len);
}

static void test_unix(void)
{
	struct unix_diag_msg head = { .udiag_type = 1, .udiag_state = 10, .udiag_ino = 77 };
	struct unix_diag_rqlen q = { 2, 7 };
	uint8_t msg[512] = { 0 }, shutdown = 3;
	uint32_t peer = 78;
	struct diag_unix s;
	char name[200] = "/a/b";
	size_t len = sizeof(head);

	memcpy(msg, &head, sizeof(head));
	len += attr(msg + len, UNIX_DIAG_NAME, name, 5);
	len += attr(msg + len, UNIX_DIAG_PEER, &peer, 4);
	len += attr(msg + len, UNIX_DIAG_RQLEN, &q, sizeof(q));
	len += attr(msg + len, UNIX_DIAG_SHUTDOWN, &shutdown, 1);
	ok(diag_unix_parse(msg, len, &s) == 0 && s.ino == 77 && s.state == 10 && s.name_len == 5 &&
		   !strcmp(s.name, "/a/b") && s.has_peer && s.peer == 78 && s.rqueue == 2 && s.wqueue == 7 &&
		   s.shutdown == 3,
	   "unix socket");
	ok(diag_unix_parse(msg, sizeof(head) - 1, &s) == -EBADMSG, "unix: head cut");
	ok(diag_unix_parse(msg, sizeof(head) + 2, &s) == -EBADMSG, "unix: attribute cut");
	len = sizeof(head) + attr(msg + sizeof(head), UNIX_DIAG_NAME, name, 109);
	ok(diag_unix_parse(msg, len, &s) == -EBADMSG, "unix: name too long");
	len = sizeof(head) + attr(msg + sizeof(head), UNIX_DIAG_PEER, &peer, 3);
	ok(diag_unix_parse(msg, len, &s) == -EBADMSG, "unix: peer too short");
}

static void test_inet(void)
{
	struct inet_diag_msg head = { .idiag_family = AF_INET6, .idiag_state = 10, .idiag_inode = 77 };
	uint8_t msg[256] = { 0 }, shutdown = 2, only = 1;
	size_t len = sizeof(head);
	struct diag_inet s;

	head.id.idiag_sport = htons(8080);
	head.id.idiag_src[3] = htonl(1);
	head.id.idiag_if = 5;
	memcpy(msg, &head, sizeof(head));
	len += attr(msg + len, INET_DIAG_SHUTDOWN, &shutdown, 1);
	len += attr(msg + len, INET_DIAG_SKV6ONLY, &only, 1);
	ok(diag_inet_parse(msg, len, &s) == 0 && s.ino == 77 && s.family == AF_INET6 && s.state == 10 &&
		   s.port == 8080 && !s.addr[0] && s.addr[3] == htonl(1) && s.ifindex == 5 && s.shutdown == 2 &&
		   s.v6only,
	   "inet socket");
	ok(diag_inet_parse(msg, sizeof(head) - 1, &s) == -EBADMSG, "inet: head cut");
	ok(diag_inet_parse(msg, sizeof(head) + 2, &s) == -EBADMSG, "inet: attribute cut");
}

/* Any bytes: no crash (SAN=1 sees more). */
static void test_noise(void)
{
	char text[300];
	unsigned seed = 1;

	for (int round = 0; round < 20000; round++) {
		struct fdinfo_timerfd t;
		struct fdinfo_epoll target;
		struct diag_unix u;
		struct diag_inet i;
		struct fdinfo f;
		const char *pos = text;
		uint64_t v;
		bool sem;
		int max = 300;

		strcpy(text, HEAD "tfd: 4 events: 19 data: 7 pos:0 ino:1 sdev:1\nclockid: 1\nit_value: (1, "
				  "2)\neventfd-count: 3\n");
		for (int k = 0; k < 8; k++)
			text[rand_r(&seed) % (sizeof(text) - 1)] = (char)(rand_r(&seed) % 127 + 1);
		text[sizeof(text) - 1] = 0;
		fdinfo_parse(text, &f);
		fdinfo_eventfd(text, &v, &sem);
		fdinfo_signalfd(text, &v);
		fdinfo_timerfd(text, &t);
		while (max-- && fdinfo_epoll_next(&pos, &target) > 0)
			;
		for (size_t k = 0; k < sizeof(text); k++)
			text[k] = (char)(rand_r(&seed) % 16);
		diag_unix_parse(text, sizeof(text), &u);
		diag_inet_parse(text, sizeof(text), &i);
	}
	ok(true, "noise");
}

int main(void)
{
	test_head();
	test_extra();
	test_epoll();
	test_unix();
	test_inet();
	test_noise();
	return tap_done();
}
