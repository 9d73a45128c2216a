/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of namespaces: mounts, names, network devices, SysV IPC, clocks. */
#include "image-valid.h"

#include <limits.h>
#include <net/if.h>
#include <string.h>

#include "ipc-sem.pb-c.h"
#include "ipc-shm.pb-c.h"
#include "ipc-var.pb-c.h"
#include "mnt.pb-c.h"
#include "netdev.pb-c.h"
#include "timens.pb-c.h"
#include "userns.pb-c.h"
#include "utsns.pb-c.h"

enum {
	UTS_MOST = 64,
	EXTENTS_MOST = 340,
	SEMS_MOST = 65536,
	SEM_CTLS = 4,
	CONF_MOST = 256,   /* positional lists: 42 names today, kernels add some */
	ADDRESS_MOST = 32, /* MAX_ADDR_LEN */
	NSEC = 1000000000,
};

static bool mnt(const void *message, char why[VALID_WHY])
{
	const MntEntry *m = message;

	if (!protobuf_c_enum_descriptor_get_value(&fstype__descriptor, (int)m->fstype))
		return img_invalid(why, "mount %u: fstype %u is not known", m->mnt_id, m->fstype);
	/* old images have them relative to the root of the namespace */
	if (m->mountpoint[0] != '/' && strncmp(m->mountpoint, "./", 2))
		return img_invalid(why, "mount %u: its mountpoint is not absolute", m->mnt_id);
	if (strlen(m->mountpoint) >= PATH_MAX || strlen(m->root) >= PATH_MAX)
		return img_invalid(why, "mount %u: a path is too long", m->mnt_id);
	return true;
}

static bool utsns(const void *message, char why[VALID_WHY])
{
	const UtsnsEntry *u = message;

	return (strlen(u->nodename) <= UTS_MOST && strlen(u->domainname) <= UTS_MOST) ||
	       img_invalid(why, "a name is longer than 64 bytes");
}

static bool timens(const void *message, char why[VALID_WHY])
{
	const TimensEntry *t = message;

	return (t->monotonic->tv_nsec < NSEC && t->boottime->tv_nsec < NSEC) ||
	       img_invalid(why, "a clock with more than a second of nanoseconds");
}

static bool extent(const void *message, char why[VALID_WHY])
{
	const UidGidExtent *x = message;

	return x->count || img_invalid(why, "an extent is empty");
}

static bool userns(const void *message, char why[VALID_WHY])
{
	const UsernsEntry *u = message;

	return (u->n_uid_map <= EXTENTS_MOST && u->n_gid_map <= EXTENTS_MOST) ||
	       img_invalid(why, "%zu and %zu extents, the kernel has 340", u->n_uid_map, u->n_gid_map);
}

static bool netdev(const void *message, char why[VALID_WHY])
{
	const NetDeviceEntry *d = message;

	if (!*d->name || strlen(d->name) >= IFNAMSIZ)
		return img_invalid(why, "device %u: name of %zu bytes", d->ifindex, strlen(d->name));
	if (d->has_address && d->address.len > ADDRESS_MOST)
		return img_invalid(why, "device %u: address of %zu bytes", d->ifindex, d->address.len);
	if (d->n_conf > CONF_MOST || d->n_conf4 > CONF_MOST || d->n_conf6 > CONF_MOST)
		return img_invalid(why, "device %u: more settings than there are", d->ifindex);
	return true;
}

static bool sysctl(const void *message, char why[VALID_WHY])
{
	const SysctlEntry *s = message;

	return !(s->has_iarg && s->sarg) || img_invalid(why, "a setting is a number and a string");
}

static bool ipc_var(const void *message, char why[VALID_WHY])
{
	const IpcVarEntry *v = message;

	return v->n_sem_ctls == SEM_CTLS || img_invalid(why, "%zu numbers in sem_ctls, not 4", v->n_sem_ctls);
}

static bool ipc_sem(const void *message, char why[VALID_WHY])
{
	const IpcSemEntry *s = message;

	return s->nsems <= SEMS_MOST || img_invalid(why, "%u semaphores in a set", s->nsems);
}

static bool ipc_shm(const void *message, char why[VALID_WHY])
{
	const IpcShmEntry *s = message;

	return s->size <= INT64_MAX || img_invalid(why, "a segment larger than 2^63 bytes");
}

const struct validator img_valid_ns[] = {
	{ &mnt_entry__descriptor, mnt },
	{ &utsns_entry__descriptor, utsns },
	{ &timens_entry__descriptor, timens },
	{ &uid_gid_extent__descriptor, extent },
	{ &userns_entry__descriptor, userns },
	{ &net_device_entry__descriptor, netdev },
	{ &sysctl_entry__descriptor, sysctl },
	{ &ipc_var_entry__descriptor, ipc_var },
	{ &ipc_sem_entry__descriptor, ipc_sem },
	{ &ipc_shm_entry__descriptor, ipc_shm },
	{ 0 },
};
