/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the arguments are parsed with criu's own table, to know what they mean, and handed on as they
 * are, but for what is done here. What is to differ is added behind them, where it wins.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "ns.h"

/* Is argv[i] the option, with its value in the same word or the next? Return: how many words, 0: no. */
static int option_words(char **argv, int end, int i, const char *name, const char **ret_value)
{
	size_t n = strlen(name);

	if (strncmp(argv[i], name, n) != 0)
		return 0;
	if (argv[i][n] == '=') {
		*ret_value = argv[i] + n + 1;
		return 1;
	}
	if (argv[i][n])
		return 0;
	*ret_value = i + 1 < end ? argv[i + 1] : NULL;
	return i + 1 < end ? 2 : 1;
}

/* Take all uses of the option out. Return: its last value, NULL: it is not there. */
static const char *take_out(struct ns *n, const char *name, bool *ret_there)
{
	const char *value = NULL;
	int to = 1;

	*ret_there = false;
	for (int i = 1; i < n->argc;) {
		int k = i < n->words ? option_words(n->argv, n->words, i, name, &value) : 0;

		*ret_there |= k > 0;
		if (k) {
			i += k;
			continue;
		}
		n->argv[to++] = n->argv[i++];
	}
	n->words -= n->argc - to;
	n->argc = to;
	n->argv[to] = NULL;
	return value;
}

/* The directory that this program is in, however it was called. */
static int find_criu(struct ns *n, const char *given, struct cr_err *e)
{
	char self[PATH_MAX];
	ssize_t len = given ? 0 : readlink_at(AT_FDCWD, "/proc/self/exe", self, sizeof(self));
	size_t dir;

	if (len < 0)
		return cr_err_set(e, CR_E_SYSTEM, (int)-len, "/proc/self/exe", "cannot be read");
	dir = given ? 0 : (size_t)(strrchr(self, '/') - self) + 1;
	if ((size_t)snprintf(n->criu, sizeof(n->criu), "%.*s%s", (int)dir, given ? "" : self, given ? given : "criu") >=
	    sizeof(n->criu))
		return cr_err_set(e, CR_E_USAGE, ENAMETOOLONG, "criu", "its path is too long");
	if (access(n->criu, X_OK)) {
		cr_err_set(e, CR_E_USAGE, errno, n->criu, "cannot be run");
		cr_err_remedy(e, given ? "name another program with --criu-binary"
				       : "install criu and criu-ns side by side, or name it with --criu-binary");
		return -EINVAL;
	}
	return 0;
}

int ns_parse(int argc, char **argv, struct ns *ret, struct cr_err *e)
{
	const char *given;
	bool there;

	ret->argv = calloc((size_t)argc + 1, sizeof(char *));
	if (!ret->argv)
		return cr_err_nomem(e);
	memcpy(ret->argv, argv, (size_t)argc * sizeof(char *));
	ret->argc = ret->words = argc;
	for (int i = 1; i < ret->words; i++)
		if (!strcmp(argv[i], "--"))
			ret->words = i;
	given = take_out(ret, "--criu-binary", &there);
	if (there && !given)
		return cr_err_set(e, CR_E_USAGE, 0, "command line", "--criu-binary needs a value (PATH)");
	if (cr_opts_parse(ret->argc, ret->argv, &ret->o, e))
		return -EINVAL;
	cr_log_init("criu-ns", ret->o.verbosity);
	return ret->o.help || ret->o.version ? 0 : find_criu(ret, given, e);
}

void ns_drop_pidfile(struct ns *n)
{
	bool there;

	take_out(n, "--pidfile", &there);
}

int ns_add(struct ns *n, const char *const *more, struct cr_err *e)
{
	int k = 0;
	char **v;

	while (more[k])
		k++;
	v = calloc((size_t)n->argc + (size_t)k + 1, sizeof(*v));
	if (!v)
		return cr_err_nomem(e);
	memcpy(v, n->argv, (size_t)n->words * sizeof(*v));
	for (int i = 0; i < k; i++) {
		v[n->words + i] = strdup(more[i]);
		if (!v[n->words + i])
			return cr_err_nomem(e);
	}
	memcpy(v + n->words + k, n->argv + n->words, (size_t)(n->argc - n->words) * sizeof(*v));
	free(n->argv);
	n->argv = v;
	n->argc += k;
	n->words += k;
	return 0;
}

int ns_become_criu(const struct ns *n)
{
	struct cr_err e = { 0 };

	n->argv[0] = (char *)n->criu;
	execv(n->criu, n->argv);
	cr_err_set(&e, CR_E_CANNOT_RUN, errno, n->criu, "cannot be run");
	log_failure(&e);
	return CR_REFUSED;
}
