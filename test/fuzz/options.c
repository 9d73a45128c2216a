/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options. First byte even: a command line, words ended by NUL. Odd: a configuration file, which $CRIU_CONFIG_FILE names.
 */
#include "fuzz.h"

#include "base/fd.h"
#include "base/opts.h"

int __wrap_close(int fd);
int __real_close(int fd);

static int config = -1;

/* --close N: not our own. */
int __wrap_close(int fd)
{
	return fd < 3 || fd == config ? 0 : __real_close(fd);
}

/* The text of a configuration file lives as long as a tool; here, as long as one run. */
static char *texts[256];
static unsigned nr_texts;

ssize_t __wrap_read_file_at(int dirfd, const char *path, size_t max, char **ret);
ssize_t __real_read_file_at(int dirfd, const char *path, size_t max, char **ret);

ssize_t __wrap_read_file_at(int dirfd, const char *path, size_t max, char **ret)
{
	ssize_t n = __real_read_file_at(dirfd, path, max, ret);

	if (n >= 0 && nr_texts < 256)
		texts[nr_texts++] = *ret;
	return n;
}

static void free_all(struct cr_opts *o)
{
#define FIELD_BOOL(f)
#define FIELD_FLAG(f)
#define FIELD_STR(f)
#define FIELD_INT(f)
#define FIELD_VERBOSE(f)
#define FIELD_LIST(f) free(o->f.v);
#define FIELD_LATER(f)
#define OPT(kind, field, long_name, short_name, arg, who, help) FIELD_##kind(field)
#include "base/options.def"
#undef OPT
	free(o->words);
	while (nr_texts)
		free(texts[--nr_texts]);
}

static void try_parse(int argc, char **argv)
{
	struct cr_opts o;
	struct cr_err e = { 0 };
	int err = cr_opts_parse(argc, argv, &o, &e);

	FUZZ_ASSERT(err <= 0 && (!err || e.code != CR_E_NONE));
	FUZZ_ASSERT(err || (o.rest <= o.nr_words && o.nr_words < argc));
	free_all(&o);
}

static void command_line(char *text, size_t len)
{
	enum { WORDS = 64 };
	char *argv[WORDS + 2] = { (char *)"criu" };
	int argc = 1;

	/* It may name any configuration file: none is here. */
	for (size_t i = 0; i < len; i++)
		if (text[i] == '/')
			text[i] = '_';
	for (char *s = text; s < text + len && argc < WORDS; s += strlen(s) + 1)
		argv[argc++] = s;
	setenv("CRIU_CONFIG_FILE", "", 1);
	try_parse(argc, argv);
}

static void config_file(const char *text, size_t len)
{
	char *argv[] = { (char *)"criu", (char *)"--no-default-config", NULL };
	char path[64];

	config = fuzz_file(text, len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", config);
	setenv("CRIU_CONFIG_FILE", path, 1);
	try_parse(2, argv);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_quiet("fuzz");
	setenv("HOME", "/nonexistent", 1);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint8_t which = fuzz_u8(&in);
	size_t len;
	char *text = fuzz_text(&in, &len);

	if (which & 1)
		config_file(text, len);
	else
		command_line(text, len);
	free(text);
	return 0;
}
