/* SPDX-License-Identifier: GPL-2.0-or-later */
/* criu-ns: criu in a new pid and mount namespace, or in those of the tree. */
#ifndef CR_NS_NS_H
#define CR_NS_NS_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/opts.h"

/* CRIU's: -251 as a status, when what has to be waited for cannot be; an action that is not known. */
enum { NS_EXIT_WAIT = 5, NS_EXIT_ACTION = 255 };

struct ns {
	struct cr_opts o;
	char **argv;	 /* for criu, without what is ours */
	int argc, words; /* words: where -- stands in argv; argc: nowhere */
	char criu[PATH_MAX];
	sigset_t old; /* what the caller had blocked */
};

/* ---- args.c ---- */
/*
 * Take --criu-binary out of the arguments, parse the others as criu will, find criu: beside this program.
 * Return: 0 or -errno with @e. argv and o live as long as the program.
 */
int ns_parse(int argc, char **argv, struct ns *ret, struct cr_err *e);
/* Take --pidfile out. */
void ns_drop_pidfile(struct ns *n);
/* Add options of ours, before --. @more: NULL-terminated. Return: 0 or -ENOMEM. */
int ns_add(struct ns *n, const char *const *more, struct cr_err *e);
/* Become criu. Returns only when that fails: the exit status, told on stderr. */
int ns_become_criu(const struct ns *n);

/* ---- wait.c ---- */
/* Signals that are handed on, and SIGCHLD, blocked. @old: for who is started. */
void ns_block(sigset_t *set, sigset_t *old);
/* Hand signals of @set on to @pid until it ends. Return: its status as of wait(2), or -errno. */
int ns_wait(pid_t pid, const sigset_t *set);
/* The exit code that CRIU's criu-ns has for a status: criu's, or the number of the signal that killed it. */
int ns_exit_code(int status);

/* ---- restore.c, init.c, enter.c: the actions. Return: exit code; -errno with @e: nothing was done. ---- */
/* restore, check: in new namespaces. */
int ns_new(struct ns *n, struct cr_err *e);
/* dump, pre-dump: in those of the tree. */
int ns_enter(struct ns *n, struct cr_err *e);

/* What the first process of the new namespace tells: that criu has ended, then that the root task has. */
struct ns_news {
	int status;    /* of criu, as of wait(2) */
	bool root_end; /* this is the second message */
};

/*
 * Be process 1 of the new namespaces: make /proc, run criu, reap until nobody is left. Does not return.
 * @pids: of the images, sorted; @root: the root task; 0: none
 * @sock: for struct ns_news; with the first one goes a pidfd of the root
 */
void ns_init(const struct ns *n, int sock, const pid_t *pids, size_t nr_pids, pid_t root) __attribute__((noreturn));

#endif
