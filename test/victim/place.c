/* SPDX-License-Identifier: GPL-2.0-or-later */
/* place: a root task with an umask, a child with another directory and umask, and one with another root (chroot). */
#include "victim.h"

static void wait_for_file(const char *path)
{
	while (access(path, F_OK)) {
		struct timespec ts = { 0, 10000000 };

		nanosleep(&ts, NULL);
	}
}

static bool mask_is(mode_t want)
{
	mode_t now = umask(want);

	return now == want;
}

static bool same_file(const char *path, const struct stat *want)
{
	struct stat st;

	return !stat(path, &st) && st.st_dev == want->st_dev && st.st_ino == want->st_ino;
}

static void in_directory(int ready)
{
	struct stat here;

	need(!chdir("sub") && !stat(".", &here));
	umask(0077);
	need(write(ready, "x", 1) == 1);
	wait_for_file("../go");
	check("child-cwd", same_file(".", &here) && !access("../sub", F_OK));
	check("child-umask", mask_is(0077));
	_exit(victim_failures);
}

static void in_root(int ready)
{
	struct stat root;
	char cwd[64];

	need(!chdir("jail") && !chroot(".") && !stat("/", &root));
	umask(0000);
	need(write(ready, "x", 1) == 1);
	wait_for_file("/go");
	check("root", same_file("/", &root) && same_file("/..", &root) && !access("/marker", F_OK));
	check("root-cwd", getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/"));
	check("root-umask", mask_is(0));
	_exit(victim_failures);
}

int main(void)
{
	int p[2], status;
	char c[2];

	need(!mkdir("sub", 0700) && !mkdir("jail", 0700) && !pipe2(p, O_CLOEXEC));
	close(open("jail/marker", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	umask(0027);
	if (!fork())
		in_directory(p[1]);
	if (!fork())
		in_root(p[1]);
	need(read(p[0], c, 1) == 1 && read(p[0], c, 1) == 1);
	close(p[0]);
	close(p[1]);
	victim_ready();
	victim_wait();
	close(open("jail/go", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	check("umask", mask_is(0027));
	while (wait(&status) > 0)
		check("child", status == 0);
	return victim_done();
}
