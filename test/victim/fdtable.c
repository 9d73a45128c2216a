/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared descriptor tables (A13): a child made by clone(CLONE_FILES) and its own such child. What one opens, the others
 * have; descriptions that were shared before stay shared; a plain child has a table of its own.
 */
#include "victim.h"

static struct {
	volatile int stage[3];
	volatile int opened;
	volatile bool ok[3];
} * shared;

static pid_t clone_files(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
}

static void wait_stage(int who, int stage)
{
	for (int i = 0; i < 1000 && shared->stage[who] != stage; i++)
		usleep(5000);
}

/* The grandchild opens a file after the restore; all sharers must see it, others must not. */
static void grandchild(void)
{
	char link[64] = "", path[32];

	victim_wait();
	shared->opened = open("/dev/zero", O_RDONLY);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", shared->opened);
	shared->ok[0] = readlink(path, link, sizeof(link) - 1) > 0 && !strcmp(link, "/dev/zero");
	shared->stage[0] = 1;
	for (;;)
		pause();
}

static bool sees(int fd)
{
	char byte = 1;

	return read(fd, &byte, 1) == 1 && byte == 0;
}

int main(void)
{
	pid_t child, plain;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(shared != MAP_FAILED);
	need(open("offset.txt", O_RDWR | O_CREAT | O_TRUNC, 0600) == 3 && write(3, "0123456789", 10) == 10 &&
	     lseek(3, 2, SEEK_SET) == 2);
	need((plain = fork()) >= 0);
	if (!plain) {
		victim_wait();
		wait_stage(1, 1);
		shared->ok[2] = shared->opened > 0 && fcntl(shared->opened, F_GETFD) == -1;
		shared->stage[2] = 1;
		for (;;)
			pause();
	}
	need((child = clone_files()) >= 0);
	if (!child) {
		pid_t pid = clone_files();

		need(pid >= 0);
		if (!pid)
			grandchild();
		shared->opened = -pid;
		victim_wait();
		wait_stage(0, 1);
		shared->ok[1] = sees(shared->opened);
		shared->stage[1] = 1;
		for (;;)
			pause();
	}
	while (!shared->opened)
		usleep(1000);
	pid_t inner = -shared->opened;

	victim_ready();
	victim_wait();
	wait_stage(1, 1);
	check("grandchild opens a file", shared->ok[0]);
	check("child sees it", shared->ok[1]);
	check("we see it", sees(shared->opened));
	wait_stage(2, 1);
	check("a plain child does not", shared->ok[2]);
	check("offset", lseek(3, 0, SEEK_CUR) == 2);
	kill(inner, SIGKILL);
	kill(child, SIGKILL);
	kill(plain, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	return victim_done();
}
