/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asked last: what no kind has taken is refused here, by the name that a user knows it by. */
#include <string.h>
#include <sys/socket.h>

#include "fdinfo.pb-c.h"
#include "kind/file/dump-file.h"

/* By the link of /proc/PID/fd/N, or how it begins. */
static const struct {
	const char *link, *name;
} names[] = {
	{ "anon_inode:inotify", "file watches (inotify)" },
	{ "anon_inode:[fanotify]", "file watches (fanotify)" },
	{ "anon_inode:[pidfd]", "process descriptors (pidfd)" },
	{ "pidfd:", "process descriptors (pidfd)" },
	{ "anon_inode:[userfaultfd]", "userfaultfd descriptors" },
	{ "anon_inode:[io_uring]", "io_uring instances" },
	{ "anon_inode:[perf_event]", "performance counters (perf_event)" },
	{ "anon_inode:bpf", "BPF objects" },
	{ "anon_inode:btf", "BPF type information" },
	{ "anon_inode:[landlock-ruleset]", "Landlock rulesets" },
	{ "anon_inode:seccomp notify", "seccomp listeners" },
	{ "anon_inode:[fscontext]", "file system contexts (fsopen)" },
	{ "anon_inode:kvm", "KVM objects" },
	{ "anon_inode:dmabuf", "DMA buffers" },
	{ "anon_inode:sync_file", "GPU fences" },
	{ "net:[", "network namespace descriptors" },
	{ "mnt:[", "mount namespace descriptors" },
	{ "pid:[", "pid namespace descriptors" },
	{ "user:[", "user namespace descriptors" },
	{ "uts:[", "uts namespace descriptors" },
	{ "ipc:[", "ipc namespace descriptors" },
	{ "cgroup:[", "cgroup namespace descriptors" },
	{ "time:[", "time namespace descriptors" },
};

static const struct {
	int family;
	const char *name;
} families[] = {
	{ AF_NETLINK, "netlink sockets" },
	{ AF_PACKET, "packet sockets" },
	{ AF_VSOCK, "vsock sockets" },
	{ AF_ALG, "crypto sockets (AF_ALG)" },
	{ AF_XDP, "XDP sockets" },
	{ AF_BLUETOOTH, "Bluetooth sockets" },
	{ AF_CAN, "CAN sockets" },
	{ AF_TIPC, "TIPC sockets" },
	{ AF_RDS, "RDS sockets" },
	{ AF_SMC, "SMC sockets" },
	{ AF_KEY, "IPsec key sockets (PF_KEY)" },
	{ AF_NFC, "NFC sockets" },
};

static bool match(const struct fd_look *l)
{
	return true;
}

static const char *socket_name(const struct fd_look *l)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (families[i].family == l->family)
			return families[i].name;
	return "sockets of this family";
}

static int dump(struct dump *d, const struct fd_look *l, FileEntry *fe, struct cr_err *e)
{
	if (S_ISSOCK(l->st.st_mode))
		return dump_refuse(l, e, CR_E_FD_KIND, "%s are not supported yet", socket_name(l));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(l->link, names[i].link, strlen(names[i].link)))
			return dump_refuse(l, e, CR_E_FD_KIND, "%s are not supported yet", names[i].name);
	return dump_refuse(l, e, CR_E_FD_KIND, "descriptors of this kind (%.100s) are not supported", l->link);
}

const struct fd_dump_ops other_dump_ops = { .name = "other", .type = FD_TYPES__UND, .match = match, .dump = dump };
