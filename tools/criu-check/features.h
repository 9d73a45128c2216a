/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The features that `criu check` tests. */
#ifndef CRIU_CHECK_FEATURES_H
#define CRIU_CHECK_FEATURES_H

#include "probe.h"

enum feature_category {
	FT_ASKED, /* only tested by name */
	FT_NEEDED,
	FT_EXTRA,
	FT_EXPERIMENTAL,
	FT_INFO /* always tested, never has a say */
};

struct feature {
	const char *name;
	const char *since; /* the first CRIU with this name; NULL: CRIU tests it but has no name for it */
	enum feature_category category;
	probe_fn *probe;
	const char *meaning; /* for the user, when it is missing */
	const char *remedy;
};

/* Ends with a row without a name. */
extern const struct feature features[];

#define PROBE(name) probe_fn probe_##name;
/* probe-proc.c */
PROBE(map_files)
PROBE(ns_last_pid)
PROBE(proc_stat)
PROBE(proc_timers)
PROBE(fdinfo)
PROBE(fdinfo_lock)
PROBE(mnt_id)
PROBE(timerfd)
PROBE(ns_pid)
PROBE(ipc_next_id)
PROBE(loginuid)
PROBE(apparmor_stacking)
/* probe-mem.c */
PROBE(mem_dirty_track)
PROBE(pagemap_scan)
PROBE(pagemap_scan_guard_pages)
PROBE(aio_remap)
PROBE(vdso_mremap)
PROBE(can_map_vdso)
PROBE(compat_cr)
PROBE(memfd_hugetlb)
PROBE(uffd)
PROBE(uffd_noncoop)
PROBE(vmsplice_unaligned)
/* probe-task.c */
PROBE(kcmp)
PROBE(kcmp_epoll)
PROBE(prctl)
PROBE(mm_map)
PROBE(sigqueueinfo)
PROBE(ptrace_peeksiginfo)
PROBE(seccomp_filters)
PROBE(seccomp_suspend)
PROBE(get_rseq_conf)
PROBE(breakpoints)
PROBE(clone3_set_tid)
PROBE(clone_parent_newpid)
PROBE(pidfd_store)
PROBE(timer_cr_ids)
/* probe-ns.c */
PROBE(userns)
PROBE(cgroupns)
PROBE(timens)
PROBE(openat2)
PROBE(move_mount_set_group)
PROBE(overlayfs_maps)
PROBE(autofs)
/* probe-file.c */
PROBE(fown_uids)
PROBE(pty)
PROBE(tun)
PROBE(tun_ns)
/* probe-sock.c */
PROBE(sock_diag)
PROBE(so_peek_off)
PROBE(so_get_filter)
PROBE(sk_ns)
PROBE(sk_unix_file)
PROBE(sockopt_buf_lock)
PROBE(ipv6_freebind)
PROBE(net_diag_raw)
PROBE(tcp_repair)
PROBE(tcp_window)
PROBE(tcp_half_closed)
/* probe-net.c */
PROBE(nsid)
PROBE(link_nsid)
PROBE(newifindex)
PROBE(nftables)
PROBE(network_lock_nftables)
PROBE(has_ipt_legacy)
PROBE(external_net_ns)
#undef PROBE
/* Is the LSM in use? Only then apparmor_stacking counts. */
bool apparmor_on(void);

#endif
