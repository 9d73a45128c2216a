/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes of files and devices. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>

#include "base/fd.h"
#include "features.h"

enum probe_result probe_fown_uids(struct probe *p)
{
	enum { GETOWNER_UIDS = 17 }; /* F_GETOWNER_UIDS */
	_cleanup_close_ int fd = eventfd(0, EFD_CLOEXEC);
	uid_t uids[2];

	return fcntl(fd, GETOWNER_UIDS, uids) ? probe_failed(p, "fcntl F_GETOWNER_UIDS") : PROBE_YES;
}

/* An own terminal: is it locked, in packet mode, exclusive? */
enum probe_result probe_pty(struct probe *p)
{
	_cleanup_close_ int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int locked = 0, packet = 0, exclusive = 0;

	if (fd < 0)
		return probe_failed(p, "/dev/ptmx");
	if (ioctl(fd, TIOCGPTLCK, &locked) || ioctl(fd, TIOCGPKT, &packet) || ioctl(fd, TIOCGEXCL, &exclusive))
		return probe_failed(p, "TIOCGPTLCK, TIOCGPKT, TIOCGEXCL");
	return locked ? PROBE_YES : probe_no(p, "a new terminal does not show as locked");
}

/* In a network namespace that ends with us, and the device with it. */
static int open_tun(struct probe *p, enum probe_result *r)
{
	struct ifreq ifr = { .ifr_name = "criu-check%d", .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		*r = probe_failed(p, "/dev/net/tun");
	else if (unshare(CLONE_NEWNET))
		*r = probe_failed(p, "a new network namespace");
	else {
		/* The device belongs to the namespace in which the file was opened. */
		close(fd);
		fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		if (fd >= 0 && !ioctl(fd, TUNSETIFF, &ifr))
			return fd;
		*r = probe_failed(p, "TUNSETIFF");
	}
	fd_close(fd);
	return -1;
}

enum probe_result probe_tun(struct probe *p)
{
	struct ifreq ifr = { 0 };
	enum probe_result r;
	_cleanup_close_ int fd = open_tun(p, &r);
	int size;

	if (fd < 0)
		return r;
	if (ioctl(fd, TUNGETIFF, &ifr) || ioctl(fd, TUNGETSNDBUF, &size) || ioctl(fd, TUNGETVNETHDRSZ, &size))
		return probe_failed(p, "TUNGETIFF, TUNGETSNDBUF, TUNGETVNETHDRSZ");
	return PROBE_YES;
}

enum probe_result probe_tun_ns(struct probe *p)
{
	enum probe_result r;
	_cleanup_close_ int fd = open_tun(p, &r), ns = -1;

	if (fd < 0)
		return r;
	ns = ioctl(fd, SIOCGSKNS);
	return ns < 0 ? probe_failed(p, "SIOCGSKNS on a tun device") : PROBE_YES;
}
