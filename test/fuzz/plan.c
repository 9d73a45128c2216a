/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole image directory, as records: type (1 byte; from IMG_TYPES on: other files, by name), id (32 bits), length
 * (24 bits; with the top bit: so many pages of zeros, without data), data. The first byte of the input chooses what else
 * looks at it beside crit verify and criu-restore --plan.
 */
#include "mutate.h"

#include <getopt.h>

#include "core.pb-c.h"
#include "image/image.h"
#include "kind/file/restore-internal.h"
#include "restore.h"
#include "show.h"
/* criu-restore has one, too: mk/fuzz.mk. */
#define verify_files crit_verify_files
#include "verify.h"
#undef verify_files

enum { HEAD = 8, SPARSE = 0x800000 };

static const char *const others[] = { "manifest.json", "extra.json", "parent", "restore.json", "descriptors.json" };

static void put_sparse(int dir, const char *name, uint32_t pages)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return;
	if (ftruncate(fd, (off_t)pages * 4096))
		abort();
	close(fd);
}

/* @ret_pid: the id of the first core image */
static void unpack(int dir, struct fuzz_in *in, uint32_t *ret_pid)
{
	for (int k = 0; k < 256 && in->left >= HEAD; k++) {
		uint8_t type = fuzz_u8(in);
		uint32_t id = fuzz_u32(in), len = fuzz_u16(in);
		char buf[IMG_NAME_MAX];
		const char *name;

		len |= (uint32_t)fuzz_u8(in) << 16;
		name = type < IMG_TYPES ? img_name(type, id, buf)
					: others[(type - IMG_TYPES) % (sizeof(others) / sizeof(others[0]))];
		if (type == IMG_CORE && !*ret_pid)
			*ret_pid = id;
		if (len & SPARSE) {
			/* crit core writes what pages there are: that they are many is no finding. */
			put_sparse(dir, name, len & (type < IMG_TYPES && type != IMG_PAGES ? SPARSE - 1 : 0xfff));
			continue;
		}
		len = len < in->left ? len : (uint32_t)in->left;
		if (!strcmp(name, "parent")) {
			mkdirat(dir, name, 0700);
			if (len > 2) {
				int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

				fuzz_put_file(sub, img_name(in->p[0] % IMG_TYPES, in->p[1], buf), in->p + 2, len - 2);
				close(sub);
			}
		} else {
			fuzz_put_file(dir, name, in->p, len);
		}
		in->p += len;
		in->left -= len;
	}
}

static void verify(void)
{
	struct findings found = { 0 };
	struct cr_err e = { 0 };

	verify_path(fuzz_dir_path, &found, &e);
	verify_print(&found, false, stdout);
	findings_free(&found);
}

/* What lives as long as criu-restore. */
static void free_files(struct files_plan *p)
{
	if (!p)
		return;
	free(p->by_id);
	free(p->extra);
	free(p->carry);
	if (p->slots && p->nr_slots)
		munmap(p->slots, p->nr_slots * sizeof(*p->slots));
}

/* What criu-restore --plan does, and the reading of files.img. */
static void plan(int dir, bool json)
{
	static struct restore x;
	struct cr_err e = { 0 };
	uint32_t *ids;
	size_t n = 0;
	int err;

	x = (struct restore){ .me = PLAN_NONE, .timens = -1 };
	x.rst.img = dir;
	x.rst.opts = &x.opts;
	x.rst.arena = &x.arena;
	x.opts.plan = true;
	err = verify_files(dir, true, &e);
	e = (struct cr_err){ 0 };
	err = plan_load(&x.rst, &x.plan, &e);
	FUZZ_ASSERT(err <= 0 && (!err || e.code != CR_E_NONE));
	if (!err) {
		order_check(&x, &e);
		if (json)
			plan_print_json(&x.plan, &e);
		else
			plan_print(&x.plan, stdout);
		ids = arena_calloc(&x.arena, x.plan.nr + 1, sizeof(*ids));
		for (size_t i = 0; i < x.plan.nr_images; i++)
			if (x.plan.tasks[i].ids && x.plan.tasks[i].files_first == (int)i)
				ids[n++] = x.plan.tasks[i].ids->files_id;
		x.rst.files = NULL;
		files_plan_load(&x.rst, ids, n, &x.rst.files, &e);
		free_files(x.rst.files);
	}
	arena_free(&x.arena);
}

static void explore(unsigned mode)
{
	static const char *const what[] = { "ps", "fds", "mems", "rss", "sk" };
	char *argv[] = { (char *)"x", (char *)"--json", fuzz_dir_path, (char *)what[mode % 5], NULL };

	optind = 0;
	if (mode & 8) {
		crit_x(4, argv);
	} else {
		argv[1] = argv[0];
		crit_x(3, argv + 1);
	}
}

/* A task that the images tell of, if there is one. */
static void core(unsigned x_pid)
{
	char pid[16], *argv[] = { (char *)"core", (char *)"-o", (char *)"/dev/null", fuzz_dir_path, pid, NULL };

	snprintf(pid, sizeof(pid), "%u", x_pid);
	optind = 0;
	crit_core(5, argv);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_quiet("fuzz");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint8_t mode = fuzz_u8(&in), more = fuzz_u8(&in);
	int dir = fuzz_dir();
	uint32_t pid = 0;

	unpack(dir, &in, &pid);
	verify();
	plan(dir, mode & 1);
	switch (mode >> 1 & 3) {
	case 1:
		show_dir(fuzz_dir_path, more & 1);
		break;
	case 2:
		explore(more);
		break;
	case 3:
		core(pid);
		break;
	}
	fflush(stdout);
	fuzz_dir_empty();
	return 0;
}

/* Of an image: from behind its head on. */
static size_t mutate_record(uint8_t *data, size_t len, size_t max, uint8_t type, unsigned *seed)
{
	size_t head = type >= IMG_TYPES || img_table[type].head == IMG_HEAD_RAW ? 0
		      : img_table[type].head == IMG_HEAD_INVENTORY		? 4
										: 8;

	if (len < head || fuzz_rand(seed) % 16 == 0)
		head = 0;
	if (type >= IMG_TYPES || img_table[type].head == IMG_HEAD_RAW)
		return LLVMFuzzerMutate(data, len, max);
	return mutate_entries(data, len, max, head, seed);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size_t v[64], n = 0, at = 2, got;
	uint32_t len = 0;
	uint8_t *copy;

	for (; size >= HEAD && at <= size - HEAD && n < 64; at += HEAD + len) {
		len = get_u32(data + at + 4) >> 8;
		if (!(len & SPARSE) && len > size - at - HEAD)
			break;
		v[n++] = at;
		len = len & SPARSE ? 0 : len;
	}
	if (!n || fuzz_rand(&seed) % 32 == 0)
		return LLVMFuzzerMutate(data, size, max);
	at = v[fuzz_rand(&seed) % n];
	len = get_u32(data + at + 4) >> 8;
	if (len & SPARSE) {
		data[at + 5 + fuzz_rand(&seed) % 3] ^= 1 << fuzz_rand(&seed) % 8;
		return size;
	}
	switch (fuzz_rand(&seed) % 16) {
	case 0: /* without it */
		return fuzz_splice(data, size, max, at, HEAD + len, data, 0);
	case 1: /* as another */
		data[at + 1] = data[v[fuzz_rand(&seed) % n] + 1];
		return size;
	case 2:
		data[at] = (uint8_t)fuzz_rand(&seed);
		return size;
	}
	copy = malloc(len + 256 + HEAD);
	memcpy(copy, data + at, HEAD + len);
	got = mutate_record(copy + HEAD, len, len + 256, copy[0], &seed);
	copy[5] = (uint8_t)got;
	copy[6] = (uint8_t)(got >> 8);
	copy[7] = (uint8_t)(got >> 16);
	got = fuzz_splice(data, size, max, at, HEAD + len, copy, HEAD + got);
	free(copy);
	return got ? got : size;
}
