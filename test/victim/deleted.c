/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files without the name they were opened by (E7-E10) and locks (E29): deleted MODE
 *	ghost	  deleted files, small and with holes, two descriptions and a mapping of one (carried)
 *	fifo	  a deleted FIFO with data (carried)
 *	linked	  a deleted name of a file that has another
 *	dir	  a removed directory
 *	proc	  /proc/PID of its own
 *	posix, flock, ofd, lease   a lock
 */
#include "victim.h"

#include <sys/file.h>

enum { PAGE = 4096, BIG = 64 * PAGE };

static int make(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0604);

	need(fd >= 0 && write(fd, "0123456789", 10) == 10);
	return fd;
}

static int ghosts(void)
{
	unsigned char *page = malloc(BIG), *map;
	int small, again, big, fd;
	struct stat st;

	need((small = make("small")) >= 0 && (again = open("small", O_RDONLY)) >= 0 && fchown(small, 12, 13) == 0);
	need(lseek(again, 3, SEEK_SET) == 3 && unlink("small") == 0);
	need((big = make("big")) >= 0 && unlink("big") == 0);
	victim_fill(page, PAGE, 1);
	need(pwrite(big, page, PAGE, 20 * PAGE) == PAGE && ftruncate(big, BIG) == 0);
	map = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_SHARED, big, 0);
	need(map != MAP_FAILED);
	victim_fact("small", "%d", small);
	/* A new file has the name of the old one: it must stay as it is. */
	need((fd = open("big", O_WRONLY | O_CREAT, 0600)) >= 0 && write(fd, "new", 3) == 3 && close(fd) == 0);
	victim_ready();
	victim_wait();
	check("owner and mode", fstat(small, &st) == 0 && st.st_uid == 12 && st.st_gid == 13 &&
					(st.st_mode & 07777) == 0604 && st.st_nlink == 0 && st.st_size == 10);
	check("positions", lseek(small, 0, SEEK_CUR) == 10 && lseek(again, 0, SEEK_CUR) == 3);
	check("two descriptions of one file",
	      pwrite(small, "X", 1, 3) == 1 && read(again, page, 2) == 2 && !memcmp(page, "X4", 2));
	check("large file", fstat(big, &st) == 0 && st.st_size == BIG && st.st_nlink == 0 &&
				    pread(big, page, BIG, 0) == BIG && victim_same(page + 20 * PAGE, PAGE, 1) &&
				    !page[PAGE] && !page[BIG - 1]);
	check("holes", st.st_blocks * 512 < BIG / 2);
	check("mapping",
	      victim_same(map + 20 * PAGE, PAGE, 1) && (map[0] = 'M') && pread(big, page, 1, 0) == 1 && page[0] == 'M');
	check("the new file of that name", stat("big", &st) == 0 && st.st_size == 3);
	check("no name came back", access("small", F_OK) == -1);
	return victim_done();
}

static int fifo(void)
{
	char buf[32];
	int fd, rd;

	need(mkfifo("fifo", 0600) == 0 && (fd = open("fifo", O_RDWR)) >= 0 && (rd = open("fifo", O_RDONLY)) >= 0);
	need(write(fd, "data", 4) == 4 && unlink("fifo") == 0);
	victim_ready();
	victim_wait();
	check("fifo", read(rd, buf, sizeof(buf)) == 4 && !memcmp(buf, "data", 4) && write(fd, "x", 1) == 1 &&
			      read(rd, buf, 9) == 1);
	return victim_done();
}

static void refused(const char *mode)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[32];
	int fd = make("file");

	if (!strcmp(mode, "linked")) {
		need(link("file", "other") == 0 && unlink("file") == 0);
	} else if (!strcmp(mode, "dir")) {
		need(mkdir("gone", 0700) == 0 && open("gone", O_RDONLY | O_DIRECTORY) >= 0 && rmdir("gone") == 0);
	} else if (!strcmp(mode, "proc")) {
		snprintf(path, sizeof(path), "/proc/%d/status", getpid());
		need(open(path, O_RDONLY) >= 0);
	} else if (!strcmp(mode, "posix")) {
		need(fcntl(fd, F_SETLK, &fl) == 0);
	} else if (!strcmp(mode, "ofd")) {
		need(fcntl(fd, F_OFD_SETLK, &fl) == 0);
	} else if (!strcmp(mode, "flock")) {
		need(flock(fd, LOCK_EX) == 0);
	} else if (!strcmp(mode, "lease")) {
		need(fcntl(fd, F_SETLEASE, F_WRLCK) == 0);
	} else {
		need(!"a mode");
	}
	victim_ready();
	victim_wait();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "ghost"))
		return ghosts();
	if (!strcmp(mode, "fifo"))
		return fifo();
	refused(mode);
	return victim_done();
}
