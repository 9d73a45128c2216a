/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `criu check` tests, in CRIU's categories. Rows with a release have CRIU's name for --feature; the others are what
 * CRIU tests without a name. The meaning is said of programs in general: doc/coverage.md tells what this version carries.
 */
#include "features.h"

#define CKPT "a kernel with CONFIG_CHECKPOINT_RESTORE=y"

/* clang-format off */
const struct feature features[] = {
	/* ---- without these nothing goes ---- */
	{ "map_files", NULL, FT_NEEDED, probe_map_files, "Mapped files that were deleted or replaced cannot be found.", CKPT ", or Linux 4.3" },
	{ "sock_diag", NULL, FT_NEEDED, probe_sock_diag, "Sockets cannot be listed, so a program that has some cannot be dumped.",
	  "a kernel with CONFIG_UNIX_DIAG, CONFIG_INET_DIAG, CONFIG_INET_UDP_DIAG, CONFIG_PACKET_DIAG and CONFIG_NETLINK_DIAG; modprobe unix_diag tcp_diag udp_diag af_packet_diag netlink_diag where they are modules" },
	{ "ns_last_pid", NULL, FT_NEEDED, probe_ns_last_pid, "Tools that choose pids without clone3 cannot restore.", CKPT },
	{ "so_peek_off", NULL, FT_NEEDED, probe_so_peek_off, "Data that waits in sockets cannot be read without taking it away.", "Linux 3.4" },
	{ "kcmp", NULL, FT_NEEDED, probe_kcmp, "What processes share (descriptions, memory, tables) cannot be told.", "a kernel with CONFIG_KCMP=y" },
	{ "prctl", NULL, FT_NEEDED, probe_prctl, "The address that a thread clears at its end is lost, so whoever joins it waits for ever.", CKPT },
	{ "fown_uids", NULL, FT_NEEDED, probe_fown_uids, "Owners of files with signal-driven I/O are lost.", CKPT },
	{ "proc_stat", NULL, FT_NEEDED, probe_proc_stat, "Where heap, arguments and environment of a program are cannot be told.", CKPT },
	{ "tcp_repair", NULL, FT_NEEDED, probe_tcp_repair, "TCP connections cannot be carried.", "Linux 3.9, and CAP_NET_ADMIN" },
	{ "fdinfo", NULL, FT_NEEDED, probe_fdinfo, "eventfd, epoll, signalfd and inotify cannot be carried.", "Linux 3.8; " CKPT },
	{ "vmsplice_unaligned", NULL, FT_NEEDED, probe_vmsplice_unaligned, "Memory cannot be handed over through pipes.", "Linux 2.6.17" },
	{ "pty", NULL, FT_NEEDED, probe_pty, "Terminals cannot be carried.", "Linux 3.8, and a devpts file system at /dev/pts" },
	{ "so_get_filter", NULL, FT_NEEDED, probe_so_get_filter, "Filters of sockets, and the devices that they are bound to, are lost.", "Linux 3.8" },
	{ "ipc_next_id", NULL, FT_NEEDED, probe_ipc_next_id, "System V semaphores, queues and segments cannot get their ids back.", CKPT },
	{ "sigqueueinfo", NULL, FT_NEEDED, probe_sigqueueinfo, "Pending signals cannot be put back as they were.", "Linux 3.9" },
	{ "ptrace_peeksiginfo", NULL, FT_NEEDED, probe_ptrace_peeksiginfo, "Pending and blocked signals cannot be read.", "Linux 3.11" },
	{ "vdso_mremap", NULL, FT_NEEDED, probe_vdso_mremap, "The vDSO cannot be put to its old address, so the clocks of a restored program would crash it.", "Linux 3.10" },

	/* ---- needed by some programs ---- */
	{ "mm_map", NULL, FT_EXTRA, probe_mm_map, "Where heap, arguments and environment are cannot be set back; ps shows a wrong command line.", "Linux 3.18; " CKPT },
	{ "seccomp_suspend", "1.7", FT_EXTRA, probe_seccomp_suspend, "Programs with seccomp filters cannot be restored, and only dumped where the filters allow it.", "Linux 4.3; " CKPT " and CONFIG_SECCOMP, and CAP_SYS_ADMIN" },
	{ "seccomp_filters", "1.8", FT_EXTRA, probe_seccomp_filters, "Programs with seccomp filters cannot be dumped.", "Linux 4.4; " CKPT " and CONFIG_SECCOMP_FILTER, and CAP_SYS_ADMIN" },
	{ "mem_dirty_track", "2.2", FT_EXTRA, probe_mem_dirty_track, "Incremental dumps (pre-dump, --track-mem) are not possible; each dump writes all memory.", "a kernel with CONFIG_MEM_SOFT_DIRTY=y" },
	{ "proc_timers", NULL, FT_EXTRA, probe_proc_timers, "POSIX timers cannot be carried.", "Linux 3.10; " CKPT " and CONFIG_POSIX_TIMERS" },
	{ "tun", "1.5", FT_EXTRA, probe_tun, "tun and tap devices cannot be carried.", "a kernel with CONFIG_TUN (modprobe tun), and /dev/net/tun" },
	{ "timerfd", "1.5", FT_EXTRA, probe_timerfd, "timerfd descriptors cannot be carried.", "Linux 3.17; " CKPT },
	{ "mnt_id", "1.5", FT_EXTRA, probe_mnt_id, "In a mount namespace it is not known through which mount a file was opened.", "Linux 3.15" },
	{ "aio_remap", "1.5", FT_EXTRA, probe_aio_remap, "Programs with asynchronous I/O (io_setup, as databases have it) cannot be carried.", "Linux 3.19 with CONFIG_AIO" },
	{ "fdinfo_lock", "1.6", FT_EXTRA, probe_fdinfo_lock, "File locks cannot be carried.", "Linux 4.1" },
	{ "clone_parent_newpid", NULL, FT_EXTRA, probe_clone_parent_newpid, "A restored tree in a new pid namespace cannot be a sibling of the tool (--restore-sibling).", "Linux 3.13, and CAP_SYS_ADMIN" },
	{ "cgroupns", "2.0", FT_EXTRA, probe_cgroupns, "Programs in a cgroup namespace cannot be carried.", "Linux 4.6 with CONFIG_CGROUPS" },
	{ "tcp_window", NULL, FT_EXTRA, probe_tcp_window, "A restored TCP connection may stall until the peer probes its window.", "Linux 4.8" },
	{ "tcp_half_closed", "2.10", FT_EXTRA, probe_tcp_half_closed, "TCP connections that one side has closed cannot be carried.", "a newer kernel" },
	{ "userns", "1.5", FT_EXTRA, probe_userns, "Programs in a user namespace cannot be carried.", "a kernel with CONFIG_USER_NS; sysctl user.max_user_namespaces" },
	{ "loginuid", "2.0", FT_EXTRA, probe_loginuid, "The login uid of the audit system is lost.", "a kernel with CONFIG_AUDIT and CONFIG_AUDITSYSCALL" },
	{ "can_map_vdso", "3.5", FT_EXTRA, probe_can_map_vdso, "A vDSO of the other word size cannot be mapped; the own one is moved instead.", "Linux 4.8; " CKPT },
	{ "uffd", "3.5", FT_EXTRA, probe_uffd, "Memory cannot be filled on demand (--lazy-pages).", "a kernel with CONFIG_USERFAULTFD" },
	{ "uffd-noncoop", "3.5", FT_EXTRA, probe_uffd_noncoop, "--lazy-pages cannot follow programs that fork or change their mappings.", "Linux 4.11 with CONFIG_USERFAULTFD, and CAP_SYS_PTRACE" },
	{ "sk_ns", "3.8", FT_EXTRA, probe_sk_ns, "Sockets of another network namespace than the program's cannot be carried.", "Linux 4.10 with CONFIG_NET_NS" },
	{ "kcmp_epoll", "3.11", FT_EXTRA, probe_kcmp_epoll, "Watched descriptors that were closed or renumbered since cannot be found in an epoll set.", "Linux 4.13 with CONFIG_KCMP" },
	{ "net_diag_raw", "3.12", FT_EXTRA, probe_net_diag_raw, "Raw sockets (ping, traceroute) cannot be carried.", "a kernel with CONFIG_INET_RAW_DIAG (modprobe raw_diag)" },
	{ "clone3_set_tid", "3.14", FT_EXTRA, probe_clone3_set_tid, "Pids cannot be chosen safely; this suite cannot restore.", "Linux 5.5, and CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE" },
	{ "timens", "3.14", FT_EXTRA, probe_timens, "CLOCK_MONOTONIC jumps at a restore on another machine or after a reboot.", "Linux 5.6 with CONFIG_TIME_NS" },
	{ "newifindex", "3.16", FT_EXTRA, probe_newifindex, "Network devices cannot get their numbers back.", "Linux 5.13" },
	{ "pidfd_store", "3.16", FT_EXTRA, probe_pidfd_store, "Reuse of a pid between incremental dumps is found by start times only.", "Linux 5.6" },
	{ "ns_pid", "3.16", FT_EXTRA, probe_ns_pid, "The pids that a process has inside of its pid namespaces cannot be read.", "Linux 4.1 with CONFIG_PID_NS" },
	{ "network_lock_nftables", "3.16", FT_EXTRA, probe_network_lock_nftables, "Connections cannot be held by nftables during a dump (--network-lock nftables).", "a kernel with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET, and CAP_NET_ADMIN" },
	{ "sockopt_buf_lock", "3.17", FT_EXTRA, probe_sockopt_buf_lock, "Whether a program has fixed the sizes of socket buffers is lost.", "Linux 5.15" },
	{ "memfd_hugetlb", "3.17", FT_EXTRA, probe_memfd_hugetlb, "Mappings of huge pages cannot be carried.", "Linux 4.14 with CONFIG_HUGETLBFS" },
	{ "move_mount_set_group", "3.17", FT_EXTRA, probe_move_mount_set_group, "Mounts that share events are restored by an older, slower way that some trees defeat.", "Linux 5.15, and CAP_SYS_ADMIN" },
	{ "openat2", "3.17", FT_EXTRA, probe_openat2, "Paths inside of a mount namespace cannot be opened without following links out of it.", "Linux 5.6" },
	{ "get_rseq_conf", "3.17", FT_EXTRA, probe_get_rseq_conf, "Programs with restartable sequences (all with glibc 2.35 and newer) cannot be carried safely.", "Linux 5.13 with CONFIG_RSEQ" },
	{ "ipv6_freebind", "3.18", FT_EXTRA, probe_ipv6_freebind, "IPv6 sockets bound to addresses that are not there yet cannot be restored.", "Linux 4.15 with CONFIG_IPV6" },
	{ "pagemap_scan", "4.0", FT_EXTRA, probe_pagemap_scan, "Looking for the pages of large programs takes longer.", "Linux 6.7 with CONFIG_PROC_PAGE_MONITOR" },
	{ "overlayfs_maps", "4.0", FT_EXTRA, probe_overlayfs_maps, "Mapped files of an overlay (in containers) show as other files than they are.", "Linux 6.8" },
	{ "timer_cr_ids", "4.2", FT_EXTRA, probe_timer_cr_ids, "POSIX timers with high ids are restored by making and deleting as many as the id says.", "Linux 6.15" },
	{ "pagemap_scan_guard_pages", "4.2", FT_EXTRA, probe_pagemap_scan_guard_pages, "Guard regions (MADV_GUARD_INSTALL) are lost: what should fault does not.", "Linux 6.15" },
	{ "apparmor_stacking", "3.16", FT_EXTRA, probe_apparmor_stacking, "AppArmor profiles of containers that have their own cannot be restored.", "Linux 4.13 with CONFIG_SECURITY_APPARMOR, and AppArmor enabled" },

	/* ---- experimental ---- */
	{ "autofs", "2.4", FT_EXPERIMENTAL, probe_autofs, "autofs mounts cannot be carried.", "a kernel with CONFIG_AUTOFS_FS" },
	{ "compat_cr", "3.0", FT_EXPERIMENTAL, probe_compat_cr, "32-bit programs cannot be carried.", "Linux 4.12 with CONFIG_IA32_EMULATION, not switched off (ia32_emulation=)" },

	/* ---- tested always, without a say ---- */
	{ "breakpoints", "4.2", FT_INFO, probe_breakpoints, "Programs are stopped at an address by other, slower means.", "a machine (or hypervisor) with debug registers" },

	/* ---- only by name ---- */
	{ "external_net_ns", "3.11", FT_ASKED, probe_external_net_ns, "", "" },
	{ "has_ipt_legacy", "3.16", FT_ASKED, probe_has_ipt_legacy, "Rules of the old iptables cannot be dumped; nftables is used instead.", "a kernel with CONFIG_IP_NF_IPTABLES_LEGACY (modprobe ip_tables)" },
	{ "link_nsid", "3.8", FT_ASKED, probe_link_nsid, "Pairs of devices between network namespaces cannot be carried.", "Linux 4.0" },
	{ "nftables", "3.16", FT_ASKED, probe_nftables, "Rules of nftables cannot be carried.", "a kernel with CONFIG_NF_TABLES" },
	{ "nsid", "3.8", FT_ASKED, probe_nsid, "Numbers of network namespaces cannot be carried.", "Linux 4.0 with CONFIG_NET_NS" },
	{ "sk_unix_file", "3.9", FT_ASKED, probe_sk_unix_file, "UNIX sockets bound by a relative path cannot be carried.", "Linux 4.11" },
	{ "tun_ns", "3.9", FT_ASKED, probe_tun_ns, "tun devices of another network namespace than the program's cannot be carried.", "a newer kernel, with CONFIG_TUN" },
	{ 0 },
};
/* clang-format on */
