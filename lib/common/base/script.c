/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/script.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

struct script_env {
	char action[64], dir[64], init[32];
	char **v; /* malloc'ed; the strings belong to environ and to this struct */
};

static int make_env(struct script_env *env, const char *action, int img, pid_t init)
{
	size_t n = 0, to = 0;

	while (environ[n])
		n++;
	env->v = calloc(n + 4, sizeof(char *));
	if (!env->v)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		/* Nor what the wrapper says to its tools: a tool that the script runs is not one of those. */
		if (strncmp(environ[i], "CRTOOLS_", 8) && strncmp(environ[i], "CRIU_LOG_OPEN=", 14))
			env->v[to++] = environ[i];
	snprintf(env->action, sizeof(env->action), "CRTOOLS_SCRIPT_ACTION=%s", action);
	env->v[to++] = env->action;
	if (img >= 0) {
		snprintf(env->dir, sizeof(env->dir), "CRTOOLS_IMAGE_DIR=/proc/%d/fd/%d", getpid(), img);
		env->v[to++] = env->dir;
	}
	if (init > 0) {
		snprintf(env->init, sizeof(env->init), "CRTOOLS_INIT_PID=%d", init);
		env->v[to++] = env->init;
	}
	return 0;
}

/* posix_spawn shares the memory until the exec: a fork of a large tool would copy its page tables. */
static int run_one(const char *path, char **env)
{
	char *direct[] = { (char *)path, NULL }, *by_sh[] = { (char *)"/bin/sh", (char *)path, NULL };
	int err, status;
	pid_t pid;

	err = posix_spawn(&pid, path, NULL, NULL, direct, env);
	/* A script without #! line, as execvp(3) does it. */
	if (err == ENOEXEC)
		err = posix_spawn(&pid, by_sh[0], NULL, NULL, by_sh, env);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int script_run(const struct cr_opts *o, const char *action, int img, pid_t init, struct cr_err *e)
{
	struct script_env env;
	int codes = 0, failed = 0;

	if (!o->action_script.n || o->check_only) /* nothing begins and nothing ends in a dry run */
		return 0;
	log_debug("Running %s scripts", action);
	if (make_env(&env, action, img, init))
		return cr_err_nomem(e);
	for (unsigned i = o->action_script.n; i-- > 0;) {
		const char *path = o->action_script.v[i];
		int code = run_one(path, env.v);

		if (code > 0)
			cr_err_set(e, CR_E_SCRIPT, 0, path, "it ended with exit code %d at the step %s", code, action);
		if (code < 0) {
			failed = cr_err_set(e, CR_E_SCRIPT, -code, path, "it cannot be run at the step %s", action);
			cr_err_remedy(e,
				      "name an executable file by its full path: the current directory is that of -W");
		} else {
			codes |= code;
		}
	}
	free(env.v);
	return failed ? failed : codes;
}
