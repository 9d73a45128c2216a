/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/script.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "tap.h"

static char dir[] = "/tmp/script-test-XXXXXX";
static char paths[4][64];
static const char *list[5];

static void script(int n, const char *text, mode_t mode)
{
	int fd;

	snprintf(paths[n], sizeof(paths[n]), "%s/s%d", dir, n);
	fd = open(paths[n], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	if (fd < 0 || write_full(fd, text, strlen(text)) || fchmod(fd, mode))
		perror(paths[n]);
	close(fd);
	list[n] = paths[n];
	list[n + 1] = NULL;
}

int main(void)
{
	struct cr_opts o = { 0 };
	struct cr_err e = { 0 };
	char out[512], want[512], file[64];
	int img;

	if (!mkdtemp(dir))
		return 1;
	img = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(file, sizeof(file), "%s/out", dir);
	setenv("OUT", file, 1);
	setenv("CRTOOLS_INIT_PID", "old", 1);
	ok(script_run(&o, "pre-dump", img, 0, &e) == 0, "no scripts");
	script(0,
	       "#!/bin/sh\necho one $CRTOOLS_SCRIPT_ACTION $CRTOOLS_IMAGE_DIR ${CRTOOLS_INIT_PID-none} $# >>$OUT\nexit "
	       "1\n",
	       0700);
	/* Without a #! line: run by sh, as execvp does it. */
	script(1, "echo two >>$OUT\nexit 4\n", 0700);
	o.action_script = (struct cr_list){ list, 2 };
	ok(script_run(&o, "pre-dump", img, 0, &e) == 5 && e.code == CR_E_SCRIPT, "codes are OR-ed: %s", e.reason);
	read_buf_at(AT_FDCWD, file, out, sizeof(out));
	snprintf(want, sizeof(want), "two\none pre-dump /proc/%d/fd/%d none 0\n", getpid(), img);
	ok(!strcmp(out, want), "the last one first; action and directory in the environment: %s", out);
	unlink(file);
	ok(script_run(&o, "post-restore", img, 77, &e) == 5, "with the root's pid");
	read_buf_at(AT_FDCWD, file, out, sizeof(out));
	ok(strstr(out, " 77 0\n") != NULL, "which they see: %s", out);
	script(2, "#!/bin/sh\nkill -TERM $$\n", 0700);
	o.action_script.n = 3;
	ok(script_run(&o, "x", img, 0, &e) == (5 | 143), "ended by a signal");
	script(3, "x", 0600);
	o.action_script.n = 4;
	unlink(file);
	ok(script_run(&o, "x", img, 0, &e) < 0 && e.code == CR_E_SCRIPT && !access(file, F_OK),
	   "one that cannot run; the others do");
	for (int i = 0; i < 4; i++)
		unlink(paths[i]);
	unlink(file);
	rmdir(dir);
	return tap_done();
}
