/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit edit: change values of an image, or of a whole directory. */
#include "edit.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "encode.h"
#include "show.h"

struct edits {
	struct edit *v;
	size_t n;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int apply(void *ctx, enum img_type type, unsigned long nr, struct json *entry, struct arena *a, struct cr_err *e)
{
	const struct edits *edits = ctx;
	int ret = 0;

	for (size_t k = 0; !ret && k < edits->n; k++)
		ret = edit_entry(&edits->v[k], img_descriptor(type, nr), nr, !img_table[type].rest, entry, a, e);
	return ret;
}

static int check_hits(const struct edits *edits, struct cr_err *e)
{
	char path[160];

	for (size_t k = 0; k < edits->n; k++) {
		if (edits->v[k].hits)
			continue;
		snprintf(path, sizeof(path), "%.*s", (int)edits->v[k].path_len, edits->v[k].path);
		return cr_err_set(e, CR_E_NO_MATCH, 0, path, "nothing in the image is there");
	}
	return 0;
}

/* The changed image stands in @out. Put it into the old one's place, unless nothing changed; there it survives a crash. */
static int settle(struct output *out, const char *path, bool dry, unsigned long changed, struct cr_err *e)
{
	int ret;

	ret = output_flush(out, e);
	if (!ret && changed)
		ret = edit_validate(out->ob->fd, base_name(path), e);
	if (!ret && changed)
		ret = edit_keeps(path, out->ob->fd, e);
	if (ret || dry || !changed)
		return ret;
	if (fdatasync(out->ob->fd) < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, path, "cannot be written");
	ret = output_finish(out, e);
	return ret ? ret : edit_manifest(path, e);
}

static int edit_image(const char *path, const struct edits *edits, bool dry, struct cr_err *e)
{
	struct change c = { .entry = apply, .ctx = (void *)edits };
	struct output out = { 0 }, diff = { 0 };
	_cleanup_close_ int in = -1;
	int ret;

	in = open(path, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return cr_err_set(e, CR_E_SYSTEM, errno, path, "cannot be opened");
	ret = output_open(&out, path, e);
	if (!ret && dry)
		ret = output_open(&diff, NULL, e);
	c.diff = diff.ob;
	if (!ret)
		ret = edit_stream(in, base_name(path), &c, out.ob, e);
	if (!ret)
		ret = check_hits(edits, e);
	if (!ret)
		ret = settle(&out, path, dry, c.changed, e);
	if (!ret && diff.ob)
		ret = output_finish(&diff, e);
	output_abandon(&out);
	output_abandon(&diff);
	return ret;
}

/* ---- in $EDITOR ---- */

struct whole {
	struct arena *a;
	struct json *entries, **last;
};

static int keep_magic(void *ctx, const char *name, struct cr_err *e)
{
	return 0;
}

static int keep_entry(void *ctx, const struct json *entry, struct cr_err *e)
{
	struct whole *w = ctx;
	struct json *v = tree_copy(entry, true, w->a);

	if (!v)
		return cr_err_nomem(e);
	*w->last = v;
	w->last = &v->next;
	return 0;
}

static int read_whole(const char *path, struct arena *a, struct json **ret, struct cr_err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct json *list = arena_alloc(a, sizeof(*list));
	struct whole w = { .a = a };
	const struct json_image image = { keep_magic, keep_entry, &w };
	int err;

	if (fd < 0 || !list)
		return cr_err_set(e, CR_E_SYSTEM, errno, path, "cannot be opened");
	*list = (struct json){ .kind = JSON_LIST };
	w.last = &list->child;
	err = json_read_image(fd, path, &image, e);
	*ret = list;
	return err;
}

enum { SH_CANNOT_RUN = 126 }; /* and 127: what sh(1) ends with */

/* Return: 0 or -errno with @e */
static int run_editor(const char *file, struct cr_err *e)
{
	const char *editor = getenv("VISUAL");
	struct sigaction on_int, on_quit;
	int status = -1;
	pid_t pid;

	if (!editor || !*editor)
		editor = getenv("EDITOR");
	if (!editor || !*editor)
		editor = "vi";
	pid = fork();
	if (pid < 0)
		return cr_err_fork(e, errno, editor);
	if (!pid) {
		char command[4096];

		snprintf(command, sizeof(command), "%s \"$1\"", editor);
		execl("/bin/sh", "sh", "-c", command, "sh", file, NULL);
		_exit(127);
	}
	/* What the keyboard sends is for the editor. */
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = SIG_IGN }, &on_int);
	sigaction(SIGQUIT, &(struct sigaction){ .sa_handler = SIG_IGN }, &on_quit);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &on_int, NULL);
	sigaction(SIGQUIT, &on_quit, NULL);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) >= SH_CANNOT_RUN) {
		cr_err_set(e, CR_E_CANNOT_RUN, 0, editor, "it cannot be started; nothing was changed");
		cr_err_remedy(e, "name an editor in the environment variable VISUAL or EDITOR");
		return -EINVAL;
	}
	if (WIFEXITED(status))
		cr_err_set(e, CR_E_EDITOR, 0, editor, "ended with status %d; nothing was changed", WEXITSTATUS(status));
	else
		cr_err_set(e, CR_E_EDITOR, 0, editor, "was ended by signal %d; nothing was changed", WTERMSIG(status));
	return -EINVAL;
}

/* Show what was changed, in the same form: both files are JSON. */
static int show_diff(const char *before, const char *after, const char *name, struct cr_err *e)
{
	struct json *old = NULL, *now = NULL;
	struct output out = { 0 };
	struct arena a = { 0 };
	int ret;

	ret = read_whole(before, &a, &old, e);
	if (!ret)
		ret = read_whole(after, &a, &now, e);
	if (!ret)
		ret = output_open(&out, NULL, e);
	if (!ret) {
		tree_diff(out.ob, name, "", old, now);
		ret = output_finish(&out, e);
	}
	output_abandon(&out);
	arena_free(&a);
	return ret;
}

static bool same_contents(const char *a, const char *b)
{
	FILE *x = fopen(a, "re"), *y = fopen(b, "re");
	int c = x && y ? 0 : EOF, d = 0;

	while (c != EOF && c == d) {
		c = getc(x);
		d = getc(y);
	}
	if (x)
		fclose(x);
	if (y)
		fclose(y);
	return x && y && c == d;
}

static int encode_back(const char *json, const char *path, bool dry, struct cr_err *e)
{
	struct output out;
	int ret;

	ret = output_open(&out, path, e);
	if (ret < 0)
		return ret;
	ret = encode_to(json, out.ob, e);
	if (!ret)
		ret = settle(&out, path, dry, 1, e);
	output_abandon(&out);
	return ret;
}

int edit_by_hand(const char *path, bool dry)
{
	const char *tmp = getenv("TMPDIR");
	char dir[512], before[600], after[600];
	struct cr_err e;
	bool changed;
	int ret;

	snprintf(dir, sizeof(dir), "%s/crit-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return cr_err_set(&e, CR_E_SYSTEM, errno, dir, "cannot be made"), crit_fail(&e);
	snprintf(before, sizeof(before), "%s/before.json", dir);
	snprintf(after, sizeof(after), "%s/%s.json", dir, base_name(path));
	ret = decode_file(path, before, DECODE_PRETTY);
	if (!ret)
		ret = decode_file(path, after, DECODE_PRETTY);
	if (ret)
		goto out;
	ret = run_editor(after, &e);
	changed = !same_contents(before, after);
	if (!ret && !changed) {
		fprintf(stderr, "crit: nothing was changed\n");
		goto out;
	}
	if (!ret)
		ret = encode_back(after, path, dry, &e);
	if (!ret && dry)
		ret = show_diff(before, after, base_name(path), &e);
	if (ret) {
		ret = crit_fail(&e);
		if (changed && access(after, F_OK) == 0) { /* editors can have removed it */
			fprintf(stderr, "crit: your text is kept as %s\n", after);
			unlink(before);
			return ret;
		}
	}
out:
	unlink(before);
	unlink(after);
	rmdir(dir);
	return ret;
}

/* ---- the command line ---- */

struct command {
	struct edit edits[64];
	struct dir_edit dir_edits[16];
	size_t n, n_dir;
	bool dry;
};

enum { DIR_OPTION = 1000 };

static const struct option options[] = {
	{ "dry-run", no_argument, NULL, 'n' },
	{ "delete", required_argument, NULL, 'd' },
	{ "remap-address", required_argument, NULL, DIR_OPTION },
	{ "rename-path", required_argument, NULL, DIR_OPTION + 1 },
	{ "set-root-pid", required_argument, NULL, DIR_OPTION + 2 },
	{ "set-pid", required_argument, NULL, DIR_OPTION + 3 },
	{ 0 },
};

/* Return: 0, or an exit code */
static int parse(int argc, char *argv[], struct command *c)
{
	const size_t most = sizeof(c->edits) / sizeof(c->edits[0]),
		     most_dir = sizeof(c->dir_edits) / sizeof(c->dir_edits[0]);
	struct cr_err e;
	int o;

	while ((o = getopt_long(argc, argv, "nd:", options, NULL)) != -1) {
		if (o == 'n')
			c->dry = true;
		else if (o == 'd' && c->n == most)
			return crit_usage("edit", "too many edits at once");
		else if (o == 'd' && edit_parse(optarg, true, &c->edits[c->n++], &e) < 0)
			return crit_fail(&e), CR_USAGE;
		else if (o >= DIR_OPTION && c->n_dir == most_dir)
			return crit_usage("edit", "too many edits at once");
		else if (o >= DIR_OPTION)
			c->dir_edits[c->n_dir++] = (struct dir_edit){ options[2 + o - DIR_OPTION].name, optarg };
		else if (o != 'd')
			return crit_usage("edit", "wrong options");
	}
	if (optind == argc)
		return crit_usage("edit", "needs an image, or a directory");
	for (int k = optind + 1; k < argc; k++) {
		if (c->n == most)
			return crit_usage("edit", "too many edits at once");
		if (edit_parse(argv[k], false, &c->edits[c->n++], &e) < 0)
			return crit_fail(&e), CR_USAGE;
	}
	return 0;
}

int crit_edit(int argc, char *argv[])
{
	_cleanup_free_ char *path = NULL;
	struct command c = { 0 };
	struct cr_err e;
	struct stat st;
	int ret;

	ret = parse(argc, argv, &c);
	if (ret)
		return ret;
	path = realpath(argv[optind], NULL); /* behind a link: that is what the manifest lists */
	if (!path || stat(path, &st) < 0)
		return cr_err_set(&e, CR_E_SYSTEM, errno, argv[optind], "cannot be opened"), crit_fail(&e);
	if (S_ISDIR(st.st_mode)) {
		if (c.n || !c.n_dir)
			return crit_usage(
				"edit", "a directory takes --remap-address, --rename-path, --set-pid, --set-root-pid");
		return edit_dir(argv[optind], c.dir_edits, c.n_dir, c.dry);
	}
	if (!S_ISREG(st.st_mode))
		return crit_usage("edit", "is for regular files");
	if (c.n_dir)
		return crit_usage("edit", "that option needs a directory");
	if (!c.n)
		return edit_by_hand(path, c.dry);
	ret = edit_image(path, &(struct edits){ c.edits, c.n }, c.dry, &e);
	return ret < 0 ? crit_fail(&e) : CR_OK;
}
