/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit: look at images and change them. Each verb is a file of its own; this is the table of them. */
#include "crit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static const struct verb {
	const char *name, *args, *help;
	int (*run)(int argc, char *argv[]);
} verbs[] = {
	{ "core", "[-o FILE] DIR PID", "a core file of a task, for gdb", crit_core },
	{ "decode", "[-i IMAGE] [-o JSON] [--pretty] [--nopl] [--quote-large]", "image to JSON", crit_decode },
	{ "diff", "[--json] [--no-pages | --fields] DIR DIR", "what changed between two checkpoints", crit_diff },
	{ "edit",
	  "[-n] [-d PATH]... FILE [PATH=VALUE...] | [-n] DIR [--set-root-pid N] [--set-pid OLD=NEW] [--remap-address "
	  "OLD=NEW] [--rename-path OLD=NEW]...",
	  "change values of images", crit_edit },
	{ "encode", "[-i JSON] [-o IMAGE] [--lenient]", "JSON to image", crit_encode },
	{ "info", "IMAGE", "type of an image and number of its entries", crit_info },
	{ "report", "[-o FILE] DIR", "a page about a checkpoint, for a browser", crit_report },
	{ "show", "[--nopl] IMAGE | [--json] DIR", "an image for reading, or an overview of a checkpoint", crit_show },
	{ "verify", "[--json] [--quiet] DIR...", "is a checkpoint well-formed? All findings at once", crit_verify },
	{ "x", "[--json] DIR ps|fds|mems|rss|sk", "explore a checkpoint", crit_x },
};

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static void help(FILE *to)
{
	fprintf(to, "Usage: crit VERB [OPTION...] [ARGUMENT...]\n\n");
	for (size_t i = 0; i < VERBS; i++)
		fprintf(to, "  crit %s %s\n        %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	fprintf(to, "  crit --help | --version\n\nWithout -i and -o, decode and encode read stdin and write stdout. "
		    "See crit(1).\n");
}

/* A verb that prints by stdio does not see what the disk or pipe refuses. */
static int finish(int code)
{
	struct cr_err e;

	return cr_err_stdout(&e) ? crit_fail(&e) : code;
}

/* A descriptor that the caller closed must not become that of an image. What is opened here can neither be read nor written. */
static void hold_standard_fds(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			_exit(CR_SYSTEM);
}

/* A limit on the size of files is an error like a full disk, and not the end of crit. Not ignored: $EDITOR would inherit that. */
static void nothing(int sig)
{
}

int main(int argc, char *argv[])
{
	const char *name = argc > 1 ? argv[1] : "";

	hold_standard_fds();
	sigaction(SIGXFSZ, &(struct sigaction){ .sa_handler = nothing }, NULL);
	cr_log_init("crit", CR_LOG_WARN);
	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(verbs[i].name, name))
			continue;
		if (argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
			printf("Usage: crit %s %s\n        %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
			return finish(CR_OK);
		}
		return finish(verbs[i].run(argc - 1, argv + 1));
	}
	if (!strcmp(name, "--version")) {
		printf("Version: %s\n", CR_VERSION);
		return finish(CR_OK);
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		help(stdout);
		return finish(CR_OK);
	}
	if (*name)
		fprintf(stderr, "crit: there is no verb \"%s\"\n", name);
	help(stderr);
	return CR_USAGE;
}
