/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named files (E1-E6): numbers, close-on-exec, dups, positions, append, directories, O_PATH, links, who gets SIGIO; a
 * description shared with a child.
 */
#include "victim.h"

#include <dirent.h>

enum { HIGH = 300, NOBODY = 65534 };

static int status_flags(int fd)
{
	return fcntl(fd, F_GETFL) &
	       (O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_PATH | O_DIRECTORY | O_NOATIME | O_ASYNC);
}

static void set_owner(int fd, pid_t pid)
{
	struct f_owner_ex ex = { F_OWNER_PID, pid };

	/* The kernel notes who asked. */
	need(syscall(SYS_setresuid, NOBODY, NOBODY, 0) == 0);
	need(fcntl(fd, F_SETOWN_EX, &ex) == 0);
	need(syscall(SYS_setresuid, 0, 0, 0) == 0);
	need(fcntl(fd, F_SETSIG, SIGRTMIN + 3) == 0);
}

static bool owner_is(int fd, pid_t pid)
{
	struct f_owner_ex ex = { -1, -1 };
	uid_t uids[2] = { 0 };

	return fcntl(fd, F_GETOWN_EX, &ex) == 0 && ex.type == F_OWNER_PID && ex.pid == pid &&
	       fcntl(fd, 17 /* F_GETOWNER_UIDS */, uids) == 0 && uids[0] == NOBODY && uids[1] == NOBODY &&
	       fcntl(fd, F_GETSIG) == SIGRTMIN + 3;
}

static bool is_link(int fd, const char *target)
{
	char buf[64] = "";

	return readlinkat(fd, "", buf, sizeof(buf) - 1) > 0 && !strcmp(buf, target);
}

int main(void)
{
	int data, high, append, far, sync_fd, path, link, dir, sub, status;
	char buf[16] = "";
	struct stat st;
	pid_t child;

	need((data = open("data", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640)) >= 0);
	need(write(data, "0123456789", 10) == 10 && lseek(data, 4, SEEK_SET) == 4);
	need((high = fcntl(data, F_DUPFD, HIGH)) == HIGH);
	need((append = open("append", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600)) >= 0 &&
	     write(append, "one\n", 4) == 4);
	need((far = open("far", O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0 && lseek(far, 1 << 20, SEEK_SET) == 1 << 20);
	need((sync_fd = open("data", O_RDONLY | O_SYNC | O_NONBLOCK | O_NOATIME)) >= 0);
	need((path = open("data", O_PATH)) >= 0);
	need(symlink("data", "link") == 0 && (link = open("link", O_PATH | O_NOFOLLOW)) >= 0);
	need(mkdir("sub", 0700) == 0 && close(open("sub/file", O_CREAT | O_WRONLY, 0600)) == 0);
	need((dir = open(".", O_RDONLY | O_DIRECTORY)) >= 0 && (sub = open("sub", O_PATH | O_DIRECTORY)) >= 0);
	need((child = fork()) >= 0);
	if (!child) {
		victim_wait();
		_exit(lseek(data, 3, SEEK_CUR) == 7 ? 0 : 1);
	}
	set_owner(append, child);
	victim_fact("data", "%d", data);
	victim_fact("append", "%d", append);
	victim_fact("path", "%d", path);
	victim_fact("link", "%d", link);
	victim_ready();
	victim_wait();

	check("owner of signals", owner_is(append, child));
	check("child", waitpid(child, &status, 0) == child && status == 0);
	check("offset shared by child and dup", lseek(data, 0, SEEK_CUR) == 7 && lseek(high, 0, SEEK_CUR) == 7);
	check("contents", read(high, buf, 3) == 3 && !memcmp(buf, "789", 3) && lseek(data, 0, SEEK_CUR) == 10);
	check("close-on-exec", fcntl(data, F_GETFD) == FD_CLOEXEC && fcntl(high, F_GETFD) == 0);
	check("append", status_flags(append) == (O_WRONLY | O_APPEND) && write(append, "two\n", 4) == 4 &&
				fstat(append, &st) == 0 && st.st_size == 8);
	check("position behind the end", lseek(far, 0, SEEK_CUR) == 1 << 20 && fstat(far, &st) == 0 && st.st_size == 0);
	check("flags", status_flags(sync_fd) == (O_RDONLY | O_SYNC | O_NONBLOCK | O_NOATIME));
	check("O_PATH", status_flags(path) == O_PATH && read(path, buf, 1) == -1 && errno == EBADF);
	check("O_PATH of a link", is_link(link, "data"));
	check("directory", openat(dir, "append", O_RDONLY) >= 0);
	check("O_PATH of a directory", faccessat(sub, "file", F_OK, 0) == 0);
	check("nothing else is open", close(HIGH + 1) == -1 && errno == EBADF);
	return victim_done();
}
