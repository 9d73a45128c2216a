/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Namespaces: mounts, devices, SysV IPC, user mappings; and statistics, which nothing else refers to. */
#include "verify.h"

#include <string.h>

#include "inventory.pb-c.h"
#include "ipc-msg.pb-c.h"
#include "ipc-sem.pb-c.h"
#include "ipc-shm.pb-c.h"
#include "mnt.pb-c.h"
#include "netdev.pb-c.h"
#include "stats.pb-c.h"
#include "userns.pb-c.h"

static void check_mount(struct verify *v, const struct vimage *i, long n, const MntEntry *m)
{
	bool owned = m->fstype == FSTYPE__TMPFS || m->fstype == FSTYPE__PROC || m->fstype == FSTYPE__SYSFS;

	v_expect(v, m->mountpoint[0] == '/' || !strncmp(m->mountpoint, "./", 2), i->name, n,
		 "mountpoint %s is not absolute", m->mountpoint);
	v_expect(v, m->root[0] == '/' || !owned, i->name, n, "root %s is not absolute", m->root);
	v_expect(v, protobuf_c_enum_descriptor_get_value(&fstype__descriptor, (int)m->fstype), i->name, n, "fstype %u",
		 m->fstype);
}

static bool is_root(const struct idmap *mounts, const MntEntry *m)
{
	return !idmap_has(mounts, m->parent_mnt_id) || m->parent_mnt_id == m->mnt_id;
}

/* Is there a way up to a root? Rings are left after as many steps as there are mounts. */
static bool connected(const struct vimage *i, const struct idmap *mounts, const MntEntry *m)
{
	for (size_t steps = 0; m && steps <= i->n; steps++) {
		const uint64_t *up = idmap_get(mounts, m->parent_mnt_id);

		if (is_root(mounts, m))
			return true;
		m = up ? i->entry[*up] : NULL;
	}
	return false;
}

static void check_mounts(struct verify *v, const struct vimage *i)
{
	struct idmap mounts = { 0 };
	size_t roots = 0;

	for (size_t n = 0; n < i->n; n++) {
		const MntEntry *m = i->entry[n];
		uint64_t *at;

		if (!m)
			continue;
		v_expect(v, !idmap_has(&mounts, m->mnt_id), i->name, (long)n, "mnt_id %u is not unique", m->mnt_id);
		check_mount(v, i, (long)n, m);
		at = idmap_put(&mounts, &v->arena, m->mnt_id);
		if (at)
			*at = n;
	}
	for (size_t n = 0; n < i->n; n++) {
		const MntEntry *m = i->entry[n];

		if (!m || *idmap_get(&mounts, m->mnt_id) != n)
			continue;
		roots += is_root(&mounts, m);
		v_expect(v, connected(i, &mounts, m), i->name, (long)n, "mnt_id %u is not connected to the root",
			 m->mnt_id);
	}
	v_expect(v, roots == 1, i->name, -1, "%zu mounts without a parent", roots);
}

static void check_devices(struct verify *v)
{
	const InventoryEntry *inv = v_one(v, IMG_INVENTORY, 0);
	struct walk w = v_walk(v, IMG_NETDEV);
	const struct vimage *last = NULL;
	const NetDeviceEntry *d;
	struct idmap seen = { 0 };
	char name[IMG_NAME_MAX];
	const NetnsEntry *ns;

	while ((d = v_next(&w))) {
		if (w.image != last)
			v_expect(v, v_image(v, IMG_NETNS, w.image->id), w.image->name, -1, "%s is missing",
				 img_name(IMG_NETNS, w.image->id, name));
		last = w.image;
		v_expect(v, !v_seen(v, &seen, idmap_key((uint32_t)w.image->id, d->ifindex)), w.image->name, w.entry,
			 "ifindex %u is not unique", d->ifindex);
	}
	w = v_walk(v, IMG_NETNS);
	while ((ns = v_next(&w)))
		for (size_t k = 0; k < ns->n_nsids; k++) {
			uint32_t id = ns->nsids[k]->target_ns_id;

			v_expect(v,
				 v_image(v, IMG_NETNS, id) || (inv && inv->root_ids && inv->root_ids->net_ns_id == id),
				 w.image->name, w.entry, "nsids names net ns %u, which has no image", id);
		}
}

static uint32_t ipc_id(enum img_type type, const void *m)
{
	if (type == IMG_IPCNS_SHM)
		return ((const IpcShmEntry *)m)->desc->id;
	if (type == IMG_IPCNS_MSG)
		return ((const IpcMsgEntry *)m)->desc->id;
	return ((const IpcSemEntry *)m)->desc->id;
}

static void check_ipc(struct verify *v, enum img_type type)
{
	struct walk w = v_walk(v, type);
	struct idmap seen = { 0 };
	const struct vimage *i;
	char name[IMG_NAME_MAX];
	const void *m;

	while ((m = v_next(&w)))
		v_expect(v, !v_seen(v, &seen, idmap_key((uint32_t)w.image->id, ipc_id(type, m))), w.image->name,
			 w.entry, "id %u is not unique", ipc_id(type, m));
	for (size_t n = v_images(v, type, &i); n; n--, i++)
		v_expect(v, v_image(v, IMG_IPC_VAR, i->id), i->name, -1, "%s is missing",
			 img_name(IMG_IPC_VAR, i->id, name));
}

static void check_shm(struct verify *v)
{
	struct walk w = v_walk(v, IMG_IPCNS_SHM);
	const IpcShmEntry *s;
	char name[IMG_NAME_MAX];

	while ((s = v_next(&w)))
		v_expect(v, !s->in_pagemaps || !s->size || v_image(v, IMG_PAGEMAP_SHMEM, s->desc->id), w.image->name,
			 w.entry, "no %s", img_name(IMG_PAGEMAP_SHMEM, s->desc->id, name));
}

static void check_extents(struct verify *v, const struct walk *w, UidGidExtent *const *list, size_t n)
{
	for (size_t k = 0; k < n; k++)
		v_expect(v, list[k]->count, w->image->name, w->entry, "an extent is empty");
}

static void check_users(struct verify *v)
{
	struct walk w = v_walk(v, IMG_USERNS);
	const UsernsEntry *u;

	while ((u = v_next(&w))) {
		check_extents(v, &w, u->uid_map, u->n_uid_map);
		check_extents(v, &w, u->gid_map, u->n_gid_map);
	}
}

static void check_stats(struct verify *v)
{
	const StatsEntry *dump = v_one(v, IMG_STATS_DUMP, 0), *restore = v_one(v, IMG_STATS_RESTORE, 0);

	v_expect(v, !dump || (dump->dump && !dump->restore), "stats-dump", 0, "must hold dump statistics only");
	v_expect(v, !restore || (restore->restore && !restore->dump), "stats-restore", 0,
		 "must hold restore statistics only");
}

void verify_namespaces(struct verify *v)
{
	const struct vimage *i;

	for (size_t n = v_images(v, IMG_MNTS, &i); n; n--, i++)
		check_mounts(v, i);
	check_devices(v);
	check_ipc(v, IMG_IPCNS_SHM);
	check_ipc(v, IMG_IPCNS_MSG);
	check_ipc(v, IMG_IPCNS_SEM);
	check_shm(v);
	check_users(v);
	check_stats(v);
}
