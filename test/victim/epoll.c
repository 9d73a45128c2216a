/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Epoll (E14): targets of several kinds, edge triggered and one-shot, a target by a dup whose number was closed, one
 * number added twice, an instance in an instance, shared with a child.
 */
#include "victim.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

static void add(int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	need(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
}

/* The one event that is there, 0: none, ~0: more than one. */
static uint64_t the_event(int ep)
{
	struct epoll_event ev[4];
	int n = epoll_wait(ep, ev, 4, 0);

	return n == 1 ? ev[0].data.u64 : n == 0 ? 0 : ~0ull;
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	need(write(fd, &one, 8) == 8);
}

static void drain(int fd)
{
	uint64_t v;

	need(read(fd, &v, 8) == 8);
}

int main(void)
{
	int ep, outer, ev, p[2], edge, once, dup_fd, closed, status;
	uint64_t got;
	pid_t child;

	need((ep = epoll_create1(EPOLL_CLOEXEC)) >= 0 && (outer = epoll_create1(0)) >= 0 && pipe(p) == 0);
	need((ev = eventfd(0, 0)) >= 0 && (edge = eventfd(0, 0)) >= 0 && (once = eventfd(0, 0)) >= 0);
	add(ep, ev, EPOLLIN, 0xfeedface00000001ull);
	add(ep, p[0], EPOLLIN, 0xfeedface00000002ull);
	add(ep, edge, EPOLLIN | EPOLLET, 3);
	add(ep, once, EPOLLIN | EPOLLONESHOT, 4);
	add(outer, ep, EPOLLIN, 5);
	need((dup_fd = eventfd(0, 0)) >= 0 && (closed = dup(dup_fd)) >= 0);
	add(ep, closed, EPOLLIN, 6);
	close(closed); /* the target lives on in dup_fd */
	need((child = fork()) >= 0);
	if (!child) {
		struct epoll_event e;

		_exit(epoll_wait(outer, &e, 1, 60000) == 1 && e.data.u64 == 5 ? 0 : 1); /* waits over the dump */
	}
	victim_fact("ep", "%d", ep);
	victim_ready();
	victim_wait();

	check("nothing is ready", the_event(ep) == 0);
	signal_fd(ev);
	got = the_event(ep);
	check("eventfd", got == 0xfeedface00000001ull);
	check("the child's wait on the outer instance", waitpid(child, &status, 0) == child && status == 0);
	check("instance in an instance", the_event(outer) == 5);
	drain(ev);
	need(write(p[1], "x", 1) == 1);
	check("pipe", the_event(ep) == 0xfeedface00000002ull && the_event(ep) == 0xfeedface00000002ull &&
			      read(p[0], &got, 1) == 1);
	signal_fd(edge);
	check("edge", the_event(ep) == 3 && the_event(ep) == 0);
	signal_fd(once);
	check("one shot", the_event(ep) == 4 && the_event(ep) == 0);
	drain(once);
	signal_fd(dup_fd);
	check("a target whose number was closed", the_event(ep) == 6);
	check("close-on-exec", fcntl(ep, F_GETFD) == FD_CLOEXEC && fcntl(outer, F_GETFD) == 0);
	return victim_done();
}
