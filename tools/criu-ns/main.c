/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu-ns {restore | check | dump | pre-dump} [criu's options]
 *
 * A restore needs its old pids, and they may be taken here; in a new pid namespace they are free. What is restored so
 * can be dumped from the inside of its namespaces only. criu-ns runs criu there: its command line and exit codes are
 * those of CRIU's criu-ns.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "ns.h"

static const char usage[] =
	"usage: criu-ns {restore | check} [OPTION]...\n"
	"       criu-ns {dump | pre-dump} -t PID [OPTION]...\n"
	"\n"
	"  restore   run criu in a new pid and mount namespace with its own /proc\n"
	"  check     the same\n"
	"  dump      run criu in the pid and mount namespace of PID, which is a pid as seen from here\n"
	"  pre-dump  the same\n"
	"\n"
	"Options:\n"
	"      --criu-binary PATH       run this criu (default: that beside criu-ns)\n"
	"  -t, --tree PID               root of the tree to dump\n"
	"  -d, --restore-detached       do not wait for the root task\n"
	"      --pidfile FILE           write the pid of the root task, as seen from here, to FILE\n"
	"  -j, --shell-job              take the caller's terminal over for the tree\n"
	"  -h, --help                   print this help\n"
	"  -V, --version                print the version\n"
	"All other options are handed on to criu: see criu(8).";

static int action(struct ns *n, struct cr_err *e)
{
	const char *name = n->o.rest && n->o.nr_words ? n->o.words[0] : "";

	if (!strcmp(name, "restore") || !strcmp(name, "check"))
		return ns_new(n, e);
	if (!strcmp(name, "dump") || !strcmp(name, "pre-dump"))
		return ns_enter(n, e);
	if (!*name) {
		puts(usage);
		return CR_REFUSED;
	}
	cr_err_set(e, CR_E_USAGE, 0, "command line", "there is no action %s", name);
	log_failure(e);
	return NS_EXIT_ACTION;
}

int main(int argc, char **argv)
{
	static struct ns n;
	struct cr_err e = { 0 };
	int ret;

	cr_log_init("criu-ns", CR_LOG_WARN);
	ret = ns_parse(argc, argv, &n, &e);
	if (!ret && (n.o.help || n.o.version)) {
		puts(n.o.help ? usage : "criu-ns " CR_VERSION);
		ret = cr_err_stdout(&e);
	} else if (!ret) {
		ret = action(&n, &e);
	}
	if (ret >= 0)
		return ret;
	log_failure(&e);
	return CR_REFUSED;
}
