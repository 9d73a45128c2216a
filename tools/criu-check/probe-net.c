/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes of network namespaces and packet filters, all in a network namespace of the probe. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/fd.h"
#include "features.h"

/* ---- messages ---- */

struct msg {
	_Alignas(8) char buf[1024];
	size_t len;
	struct nlmsghdr *last;
};

static void begin(struct msg *m, uint16_t type, uint16_t flags, const void *head, size_t len)
{
	m->last = (struct nlmsghdr *)(m->buf + m->len);
	*m->last = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(len),
				      .nlmsg_type = type,
				      .nlmsg_flags = NLM_F_REQUEST | flags };
	memcpy(NLMSG_DATA(m->last), head, len);
	m->len += NLMSG_SPACE(len);
}

static void attr(struct msg *m, uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = (struct nlattr *)(m->buf + m->len);

	*a = (struct nlattr){ .nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type };
	memcpy((char *)a + NLA_HDRLEN, data, len);
	m->len += NLA_ALIGN(a->nla_len);
	m->last->nlmsg_len = (uint32_t)(m->buf + m->len - (char *)m->last);
}

static enum probe_result own_net_ns(struct probe *p)
{
	return unshare(CLONE_NEWNET) ? probe_failed(p, "a new network namespace") : PROBE_YES;
}

/* ---- namespaces ---- */

/* The number of our own namespace, as it sees itself: none yet, which is an answer. */
enum probe_result probe_nsid(struct probe *p)
{
	struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	uint32_t pid = (uint32_t)getpid();
	struct msg m = { 0 };
	int err;

	begin(&m, RTM_GETNSID, 0, &head, sizeof(head));
	attr(&m, NETNSA_PID, &pid, sizeof(pid));
	err = probe_netlink(NETLINK_ROUTE, m.buf, m.len, NULL);
	return err ? probe_error(p, "RTM_GETNSID", err) : PROBE_YES;
}

/* A change of lo that names a namespace which does not exist: a kernel that knows the attribute complains of it. */
enum probe_result probe_link_nsid(struct probe *p)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	int32_t nsid = 1000000;
	struct msg m = { 0 };
	char text[128];
	int err;

	if (own_net_ns(p) != PROBE_YES)
		return PROBE_UNKNOWN;
	begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &head, sizeof(head));
	attr(&m, IFLA_IFNAME, "criu-check", sizeof("criu-check"));
	attr(&m, IFLA_LINK_NETNSID, &nsid, sizeof(nsid));
	err = probe_netlink(NETLINK_ROUTE, m.buf, m.len, text);
	if (err == -EINVAL && strstr(text, "namespace"))
		return PROBE_YES;
	return probe_no(p, "IFLA_LINK_NETNSID is not known (%s)", *text ? text : strerror(-err));
}

/* A wrong index is refused by who knows the attribute; others leave lo as it is and say nothing. */
enum probe_result probe_newifindex(struct probe *p)
{
	enum { NEW_IFINDEX = 49 }; /* IFLA_NEW_IFINDEX */
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = 1 };
	int32_t index = -1;
	struct msg m = { 0 };
	int err;

	if (own_net_ns(p) != PROBE_YES)
		return PROBE_UNKNOWN;
	begin(&m, RTM_SETLINK, NLM_F_ACK, &head, sizeof(head));
	attr(&m, NEW_IFINDEX, &index, sizeof(index));
	err = probe_netlink(NETLINK_ROUTE, m.buf, m.len, NULL);
	if (err == -ERANGE || err == -EINVAL)
		return PROBE_YES;
	return err ? probe_error(p, "IFLA_NEW_IFINDEX", err) : probe_no(p, "IFLA_NEW_IFINDEX is not known");
}

enum probe_result probe_external_net_ns(struct probe *p)
{
	return PROBE_YES;
}

/* ---- packet filters ---- */

#define NFT(type) (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | (type))

enum probe_result probe_nftables(struct probe *p)
{
	struct nfgenmsg head = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };
	struct msg m = { 0 };
	int err;

	if (own_net_ns(p) != PROBE_YES)
		return PROBE_UNKNOWN;
	begin(&m, NFT(NFT_MSG_GETGEN), 0, &head, sizeof(head));
	err = probe_netlink(NETLINK_NETFILTER, m.buf, m.len, NULL);
	return err ? probe_error(p, "nf_tables", err) : PROBE_YES;
}

/* What the lock is made of: a table for both families, and a set of addresses and ports joined together. */
enum probe_result probe_network_lock_nftables(struct probe *p)
{
	enum { BATCH_BEGIN = 16, BATCH_END, IPADDR_PORTS = 0x1f4d /* types are for users' eyes */, KEY_LEN = 16 };
	struct nfgenmsg batch = { .nfgen_family = AF_UNSPEC, .res_id = __builtin_bswap16(NFNL_SUBSYS_NFTABLES) };
	struct nfgenmsg inet = { .nfgen_family = NFPROTO_INET };
	uint32_t type = __builtin_bswap32(IPADDR_PORTS), len = __builtin_bswap32(KEY_LEN), id = __builtin_bswap32(1);
	static const char table[] = "criu-check", set[] = "conns";
	struct msg m = { 0 };
	int err;

	if (own_net_ns(p) != PROBE_YES)
		return PROBE_UNKNOWN;
	begin(&m, BATCH_BEGIN, 0, &batch, sizeof(batch));
	begin(&m, NFT(NFT_MSG_NEWTABLE), NLM_F_CREATE, &inet, sizeof(inet));
	attr(&m, NFTA_TABLE_NAME, table, sizeof(table));
	begin(&m, NFT(NFT_MSG_NEWSET), NLM_F_CREATE | NLM_F_ACK, &inet, sizeof(inet));
	attr(&m, NFTA_SET_TABLE, table, sizeof(table));
	attr(&m, NFTA_SET_NAME, set, sizeof(set));
	attr(&m, NFTA_SET_KEY_TYPE, &type, sizeof(type));
	attr(&m, NFTA_SET_KEY_LEN, &len, sizeof(len));
	attr(&m, NFTA_SET_ID, &id, sizeof(id));
	begin(&m, BATCH_END, 0, &batch, sizeof(batch));
	err = probe_netlink(NETLINK_NETFILTER, m.buf, m.len, NULL);
	return err ? probe_error(p, "a table and a set of nftables", err) : PROBE_YES;
}

/* The file is there as long as the old iptables is in the kernel. Asking for a table would load its module. */
enum probe_result probe_has_ipt_legacy(struct probe *p)
{
	return access("/proc/net/ip_tables_names", F_OK) ? probe_failed(p, "/proc/net/ip_tables_names") : PROBE_YES;
}
