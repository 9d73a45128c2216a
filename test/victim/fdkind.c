/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fdkind WHAT: holds one descriptor of a kind that cannot be carried. Prints "none" where the kernel has no such kind.
 */
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "victim.h"

static int make_inotify(void)
{
	int fd = inotify_init1(IN_CLOEXEC);

	need(fd < 0 || inotify_add_watch(fd, ".", IN_CREATE) >= 0);
	return fd;
}

static int make_fanotify(void)
{
	return fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);
}

static int make_pidfd(void)
{
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static int make_namespace(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int make_bpf(void)
{
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };

	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a));
}

static int make_tun(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -1;
	return fd;
}

static int make_uring(void)
{
	struct io_uring_params p = { 0 };

	return (int)syscall(SYS_io_uring_setup, 4, &p);
}

static int make_perf(void)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE,
				     .size = sizeof(a),
				     .config = PERF_COUNT_SW_TASK_CLOCK };

	return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static int make_mqueue(void)
{
	int fd = mq_open("/criu-test-fdkind", O_RDWR | O_CREAT | O_CLOEXEC, 0600, NULL);

	mq_unlink("/criu-test-fdkind");
	return fd;
}

static int make_socket(const char *what)
{
	if (!strcmp(what, "netlink"))
		return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (!strcmp(what, "raw"))
		return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (!strcmp(what, "packet"))
		return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (!strcmp(what, "vsock"))
		return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!strcmp(what, "alg"))
		return socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 262); /* MPTCP */
}

static const struct {
	const char *what;
	int (*make)(void);
} kinds[] = {
	{ "inotify", make_inotify },	 { "fanotify", make_fanotify }, { "pidfd", make_pidfd },
	{ "namespace", make_namespace }, { "bpf", make_bpf },		{ "tun", make_tun },
	{ "uring", make_uring },	 { "perf", make_perf },		{ "mqueue", make_mqueue },
};

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool found = false;
	int fd = -1;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(what, kinds[i].what)) {
			fd = kinds[i].make();
			found = true;
		}
	if (!found)
		fd = make_socket(what);
	if (fd < 0) {
		victim_say("none: %s", strerror(errno));
		return 77;
	}
	victim_fact("fd", "%d", fd);
	victim_ready();
	victim_wait();
	check(what, fcntl(fd, F_GETFD) >= 0);
	return victim_done();
}
