/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A main() for a fuzz program without libFuzzer: runs each file of the directories and files that are named. TAP. */
#include <dirent.h>
#include <errno.h>

#include "fuzz.h"

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max)
{
	return size;
}

static const char *current;

/* A sanitizer ends the program: say on which input. */
static void told(void)
{
	if (current)
		fprintf(stderr, "# in %s\n", current);
}

static void run_file(const char *path)
{
	FILE *f = fopen(path, "re");
	uint8_t *data = malloc(1 << 20);
	size_t n;

	if (!f || !data) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	current = path;
	n = fread(data, 1, 1 << 20, f);
	fclose(f);
	/* In memory of that size alone. */
	data = realloc(data, n ? n : 1);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	current = NULL;
}

static unsigned run_dir(const char *path)
{
	struct dirent **v;
	char file[4096];
	unsigned n = 0;
	int count = scandir(path, &v, NULL, alphasort);

	if (count < 0) {
		run_file(path);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		if (v[i]->d_name[0] != '.') {
			snprintf(file, sizeof(file), "%s/%s", path, v[i]->d_name);
			run_file(file);
			n++;
		}
		free(v[i]);
	}
	free(v);
	return n;
}

extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

int main(int argc, char **argv)
{
	int out = dup(STDOUT_FILENO);

	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(told);
	LLVMFuzzerInitialize(&argc, &argv);
	dprintf(out, "1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		unsigned n = run_dir(argv[i]);

		dprintf(out, "%sok %d - %s: %u inputs\n", n ? "" : "not ", i, argv[i], n);
	}
	return 0;
}
