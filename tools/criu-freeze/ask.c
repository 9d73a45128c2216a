/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small verbs: stop, status, cont; and a command with the tree held. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "freeze.h"
#include "hold/client.h"
#include "proc/stat.h"

int freeze_stop(const struct cr_opts *o, int img, struct cr_err *e)
{
	struct hold_req req = { .verb = HOLD_STOP };
	struct hold h = { .fd = -1 };
	int err = hold_connect(img, hold_who(o, HOLD_ST_NONE), &h, e);
	ssize_t n;

	if (err)
		return err;
	n = hold_request(&h, &req, NULL, 0, -1, NULL, 0, e);
	hold_close(&h);
	return n < 0 ? (int)n : 0;
}

static void stage_names(uint32_t bits, json_t *list, char *text, size_t size)
{
	static const char *const names[] = { "", "freeze", "collect", "parasite", "pages", "seal", "threads", "mm" };
	size_t n = 0;

	text[0] = 0;
	for (unsigned i = 1; i < HOLD_STAGES; i++) {
		if (!(bits & 1u << i))
			continue;
		json_array_append_new(list, json_string(names[i]));
		n += snprintf(text + n, size - n, "%s%s", n ? " " : "", names[i]);
	}
}

int freeze_status(const struct cr_opts *o, int img, struct cr_err *e)
{
	json_t *done = json_array(), *failed = json_array(), *j;
	char done_text[128], failed_text[128];
	struct hold_status s;
	struct hold h = { .fd = -1 };
	int err = hold_connect(img, hold_who(o, HOLD_ST_NONE), &h, e);

	if (!err) {
		err = hold_status(&h, &s, e);
		hold_close(&h);
	}
	if (err) {
		json_decref(done);
		json_decref(failed);
		return err;
	}
	stage_names(s.stages_done, done, done_text, sizeof(done_text));
	stage_names(s.stages_failed, failed, failed_text, sizeof(failed_text));
	j = json_pack("{s:i, s:i, s:I, s:b, s:b, s:o, s:o, s:I, s:I}", "holder", s.banner.holder, "root", s.banner.root,
		      "tasks", (json_int_t)s.banner.nr_tasks, "held", (int)s.held, "sealed", (int)s.sealed, "done",
		      done, "failed", failed, "clients", (json_int_t)s.clients, "lease", (json_int_t)s.lease_pid);
	if (s.seconds_left != ~0u)
		json_object_set_new(j, "seconds_left", json_integer(s.seconds_left));
	if (o->json)
		return json_print(j, e);
	json_decref(j);
	printf("holder %d %s the tree of task %d (%u threads)%s\n", s.banner.holder, s.held ? "holds" : "waits to stop",
	       s.banner.root, s.banner.nr_tasks, s.sealed ? ", sealed" : "");
	printf("stages done: %s\n", *done_text ? done_text : "none");
	if (*failed_text)
		printf("stages failed: %s\n", failed_text);
	if (s.lease_pid)
		printf("lease: process %u\n", s.lease_pid);
	if (s.seconds_left != ~0u)
		printf("thaws in %u s unless something is asked of it\n", s.seconds_left);
	return cr_err_stdout(e);
}

/* The same task as in the manifest, not a later one with its pid, and stopped. */
static bool left_stopped(pid_t pid, json_int_t starttime)
{
	_cleanup_close_ int proc = open_proc_pid(pid);
	struct proc_stat st;

	return proc >= 0 && !proc_stat_read(proc, "stat", &st) && (json_int_t)st.starttime == starttime &&
	       st.state == 'T';
}

/* @tree: rows with pid, starttime, stopped_before. Return: how many go on. */
static int wake(json_t *tree)
{
	json_t *row;
	int woken = 0;
	size_t i;

	json_array_foreach(tree, i, row)
	{
		pid_t pid = (pid_t)json_integer_value(json_object_get(row, "pid"));

		if (pid <= 0 || json_is_true(json_object_get(row, "stopped_before")) ||
		    !left_stopped(pid, json_integer_value(json_object_get(row, "starttime"))))
			continue;
		if (!kill(pid, SIGCONT))
			woken++;
	}
	return woken;
}

int freeze_cont(const struct cr_opts *o, int img, struct cr_err *e)
{
	/* A restore with -s left its record in the work directory, the current one. */
	json_t *m = NULL, *restored = json_load_file(RESTORE_RECORD_NAME, 0, NULL);
	int err = manifest_read(img, &m, e), woken;

	woken = wake(json_object_get(m, "tree")) + wake(json_object_get(restored, "left_stopped"));
	json_decref(m);
	json_decref(restored);
	if (!woken && err)
		return err;
	if (!woken) {
		cr_err_set(e, CR_E_NO_TASK, 0, "tree", "no task of it is left stopped");
		cr_err_remedy(
			e,
			"name the images directory of the dump with -D, and the work directory of a restore with -W");
		return -ESRCH;
	}
	log_info("%d tasks go on", woken);
	return 0;
}

static int run_command(char **argv)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execvp(argv[0], argv);
		fprintf(stderr, "criu-freeze: %s: %s\n", argv[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	if (pid < 0)
		return -errno;
	/* ^C is for the command: it decides, and the tree is let go afterwards. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int freeze_command(const struct cr_opts *o, int img, int *ret_code, struct cr_err *e)
{
	struct cr_opts ours = *o;
	int code, err;

	/* Whatever ends us, the tree runs. */
	ours.lease = o->lease > 0 ? o->lease : getpid();
	err = freeze_start(&ours, img, e);
	if (err)
		return err;
	code = run_command(o->words + o->rest);
	ours.tree = 0; /* the holder of the directory, or none */
	err = freeze_thaw(&ours, img, false, e);
	if (err && (e->code == CR_E_NOT_HELD || e->code == CR_E_DIR_BUSY))
		err = 0; /* the command has let it go, or ended it after a seal; another dump may have begun */
	if (code < 0)
		return cr_err_fork(e, -code, o->words[o->rest]);
	*ret_code = code;
	return err;
}
