/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory files (E20): contents with holes, position, mode and owner, seals, two descriptions, shared with a child,
 * mapped (D12); one that cannot be sealed.
 */
#include "victim.h"

enum { PAGE = 4096, SIZE = 100 * PAGE + 123 };

static unsigned char buf[SIZE];

int main(void)
{
	int fd, sealed, plain, again, empty, status;
	unsigned char *map;
	struct stat st;
	char path[32];
	pid_t child;

	need((fd = memfd_create("my memory", MFD_ALLOW_SEALING | MFD_CLOEXEC)) >= 0 && ftruncate(fd, SIZE) == 0);
	victim_fill(buf, 2 * PAGE, 1);
	need(pwrite(fd, buf, 2 * PAGE, 50 * PAGE) == 2 * PAGE && pwrite(fd, "end", 3, SIZE - 3) == 3);
	need(fchmod(fd, 0640) == 0 && fchown(fd, 12, 13) == 0 && lseek(fd, 77, SEEK_SET) == 77);
	need(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	need((again = open(path, O_RDONLY)) >= 0);
	map = mmap(NULL, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(map != MAP_FAILED);
	need((sealed = memfd_create("sealed", MFD_ALLOW_SEALING)) >= 0 && write(sealed, "for ever", 8) == 8);
	need(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	need((plain = memfd_create("plain", 0)) >= 0 && write(plain, "plain", 5) == 5 &&
	     (empty = memfd_create("", 0)) >= 0);
	need((child = fork()) >= 0);
	if (!child) {
		victim_wait();
		for (int i = 0; i < 1000 && map[0] != 'P'; i++)
			usleep(5000);
		_exit(map[0] == 'P' && (map[1] = 'C') && lseek(fd, 1, SEEK_CUR) == 78 ? 0 : 1);
	}
	victim_fact("fd", "%d", fd);
	victim_ready();
	victim_wait();

	map[0] = 'P';
	check("memory and position shared with the child",
	      waitpid(child, &status, 0) == child && status == 0 && map[1] == 'C' && lseek(fd, 0, SEEK_CUR) == 78);
	check("contents", pread(again, buf, SIZE, 0) == SIZE && buf[0] == 'P' &&
				  victim_same(buf + 50 * PAGE, 2 * PAGE, 1) && !memcmp(buf + SIZE - 3, "end", 3) &&
				  !buf[30 * PAGE]);
	check("inode", fstat(fd, &st) == 0 && st.st_size == SIZE && st.st_uid == 12 && st.st_gid == 13 &&
			       (st.st_mode & 07777) == 0640);
	check("holes", st.st_blocks * 512 < 10 * PAGE);
	check("seals",
	      fcntl(fd, F_GET_SEALS) == (F_SEAL_GROW | F_SEAL_SHRINK) && ftruncate(fd, 1) == -1 && errno == EPERM);
	check("sealed for ever",
	      fcntl(sealed, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) &&
		      write(sealed, "x", 1) == -1 && pread(sealed, buf, 99, 0) == 8 && !memcmp(buf, "for ever", 8));
	check("cannot be sealed", fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL && lseek(plain, 0, SEEK_CUR) == 5);
	check("empty", fstat(empty, &st) == 0 && st.st_size == 0);
	check("flags", fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(again, F_GETFL) & O_ACCMODE) == O_RDONLY);
	return victim_done();
}
