/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crit core: a task of a checkpoint as an ELF core file (core(5), elf(5)), for gdb.
 *
 * Layout: ELF header, program headers (PT_NOTE, then a PT_LOAD for each mapping), notes, memory from the next page on. With
 * more than 65,534 headers their number stands in a section header, as the kernel does it.
 */
#include "core.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "core.pb-c.h"
#include "mm.pb-c.h"
#include "pstree.pb-c.h"
#include "text.h"

struct core_file {
	struct segments segments;
	struct bytes notes;
	uint64_t notes_at, memory_at; /* offsets */
};

static uint64_t page_up(uint64_t v)
{
	return (v + PAGE_BYTES - 1) & -(uint64_t)PAGE_BYTES;
}

static void lay_out(struct core_file *f)
{
	bool many = f->segments.n + 1 >= PN_XNUM;

	f->notes_at = sizeof(Elf64_Ehdr) + (many ? sizeof(Elf64_Shdr) : 0) + (f->segments.n + 1) * sizeof(Elf64_Phdr);
	f->memory_at = page_up(f->notes_at + f->notes.len);
}

static int add_head(const struct core_file *f, struct bytes *b, struct cr_err *e)
{
	bool many = f->segments.n + 1 >= PN_XNUM;
	const Elf64_Ehdr head = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE },
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(head) + (many ? sizeof(Elf64_Shdr) : 0),
		.e_shoff = many ? sizeof(head) : 0,
		.e_ehsize = sizeof(head),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = many ? PN_XNUM : f->segments.n + 1,
		.e_shentsize = many ? sizeof(Elf64_Shdr) : 0,
		.e_shnum = many,
	};
	const Elf64_Shdr section = { .sh_size = many, .sh_info = f->segments.n + 1 };
	int ret = bytes_add(b, &head, sizeof(head), e);

	return ret || !many ? ret : bytes_add(b, &section, sizeof(section), e);
}

static int add_headers(const struct core_file *f, struct bytes *b, struct cr_err *e)
{
	const Elf64_Phdr note = { .p_type = PT_NOTE, .p_offset = f->notes_at, .p_filesz = f->notes.len, .p_align = 4 };
	uint64_t at = f->memory_at;
	int ret = bytes_add(b, &note, sizeof(note), e);

	for (size_t k = 0; !ret && k < f->segments.n; k++) {
		const struct segment *s = &f->segments.v[k];
		uint32_t prot = s->vma->prot;
		const Elf64_Phdr load = {
			.p_type = PT_LOAD,
			.p_flags = (prot & 1 ? PF_R : 0) | (prot & 2 ? PF_W : 0) | (prot & 4 ? PF_X : 0),
			.p_offset = at,
			.p_vaddr = s->start,
			.p_filesz = s->filled ? s->end - s->start : 0,
			.p_memsz = s->end - s->start,
			.p_align = PAGE_BYTES,
		};

		ret = bytes_add(b, &load, sizeof(load), e);
		at += load.p_filesz;
	}
	return ret;
}

/* All up to where the memory begins. */
static int make_head(const struct core_file *f, struct bytes *b, struct cr_err *e)
{
	static const char zeros[PAGE_BYTES];
	int ret = add_head(f, b, e);

	if (!ret)
		ret = add_headers(f, b, e);
	if (!ret)
		ret = bytes_add(b, f->notes.data, f->notes.len, e);
	return ret ? ret : bytes_add(b, zeros, f->memory_at - b->len, e);
}

static int write_file(struct core_task *t, const struct core_file *f, int fd, struct cr_err *e)
{
	uint64_t size = f->memory_at;
	struct bytes head = { 0 };
	struct stat st;
	bool sparse = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	int ret = make_head(f, &head, e);

	if (!ret) {
		ret = write_full(fd, head.data, head.len);
		if (ret < 0)
			cr_err_set(e, CR_E_SYSTEM, -ret, "core file", "cannot be written");
	}
	free(head.data);
	for (size_t k = 0; !ret && k < f->segments.n; k++) {
		if (!f->segments.v[k].filled)
			continue;
		size += f->segments.v[k].end - f->segments.v[k].start;
		ret = core_write(t, &f->segments.v[k], fd, sparse, e);
	}
	/* The last bytes can be a hole. */
	if (!ret && sparse && ftruncate(fd, (off_t)size) < 0)
		ret = cr_err_set(e, CR_E_SYSTEM, errno, "core file", "cannot be written");
	return ret;
}

static int make_core(struct core_task *t, const char *out, struct cr_err *e)
{
	struct core_file f = { 0 };
	struct output output = { 0 };
	int ret;

	ret = core_notes(t, &f.notes, e);
	if (!ret)
		ret = core_segments(t, &f.segments, e);
	if (!ret)
		ret = output_open(&output, out, e);
	if (!ret) {
		lay_out(&f);
		ret = write_file(t, &f, output.ob->fd, e);
	}
	if (!ret)
		ret = output_finish(&output, e);
	output_abandon(&output);
	free(f.notes.data);
	free(f.segments.v);
	return ret;
}

/* The task with this pid, or with a thread of this id. */
static int find_task(struct core_task *t, uint32_t pid, struct cr_err *e)
{
	char object[32];

	for (size_t k = 0; k < t->c->n_tasks; k++)
		for (size_t i = 0; i < t->c->tasks[k]->n_threads; i++)
			if (t->c->tasks[k]->threads[i] == pid || t->c->tasks[k]->pid == pid)
				t->tree = t->c->tasks[k];
	snprintf(object, sizeof(object), "pid %u", pid);
	if (!t->tree) {
		cr_err_set(e, CR_E_NO_TASK, 0, object, "is no task of this checkpoint");
		cr_err_remedy(e, "crit x DIR ps lists the tasks");
		return -ESRCH;
	}
	t->mm = checkpoint_one(t->c, IMG_MM, t->tree->pid);
	if (!t->mm) {
		cr_err_set(e, CR_E_UNSUPPORTED, 0, object, "has no memory: it has ended, or its image is missing");
		cr_err_remedy(e, "name a task that was alive; crit show DIR lists them");
		return -EINVAL;
	}
	t->n_vmas = checkpoint_vmas(t->c, t->tree->pid, &t->vmas);
	return 0;
}

/* Return: exit code */
static int core(const char *dir, uint32_t pid, const char *out)
{
	struct core_task t = { .pages.fd = -1 };
	struct checkpoint c;
	struct cr_err e;
	int ret;

	ret = checkpoint_open(&c, dir, &e);
	if (ret < 0)
		return crit_fail(&e);
	t.c = &c;
	ret = find_task(&t, pid, &e);
	if (!ret)
		ret = pages_open(&t.pages, c.dir, IMG_PAGEMAP, t.tree->pid, &e);
	if (ret >= 0)
		ret = make_core(&t, out, &e);
	if (ret >= 0 && t.lazy)
		fprintf(stderr, "crit: %lu pages are not in the images (lazy): they are zero in the core file\n",
			t.lazy);
	pages_close(&t.pages);
	ret = ret < 0 ? crit_fail(&e) : damages_tell(&c);
	checkpoint_close(&c);
	return ret;
}

int crit_core(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "output", required_argument, NULL, 'o' },
		{ 0 },
	};
	char name[32];
	const char *out = NULL;
	struct integer pid;
	int c;

	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (c != 'o')
			return crit_usage("core", "wrong options");
		out = optarg;
	}
	if (argc - optind != 2)
		return crit_usage("core", "needs a directory and a pid");
	if (!integer_parse(argv[optind + 1], strlen(argv[optind + 1]), &pid) || pid.negative || !pid.value ||
	    pid.value > INT32_MAX)
		return crit_usage("core", "the second argument is a pid");
	snprintf(name, sizeof(name), "core.%u", (uint32_t)pid.value);
	return core(argv[optind], (uint32_t)pid.value, out ? out : name);
}
