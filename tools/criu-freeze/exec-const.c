/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that people write in arguments of system calls: those of calls that one makes in a task of somebody else. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "exec.h"

/* clang-format off */
#define CONSTANTS \
	C(AT_FDCWD) C(AT_EMPTY_PATH) C(AT_REMOVEDIR) C(AT_SYMLINK_FOLLOW) C(AT_SYMLINK_NOFOLLOW) \
	C(O_RDONLY) C(O_WRONLY) C(O_RDWR) C(O_CREAT) C(O_EXCL) C(O_TRUNC) C(O_APPEND) C(O_NONBLOCK) C(O_CLOEXEC) C(O_DIRECTORY) \
	C(O_NOFOLLOW) C(O_NOCTTY) C(O_NOATIME) C(O_PATH) C(O_TMPFILE) C(O_SYNC) C(O_DSYNC) C(O_DIRECT) C(O_ASYNC) \
	C(SEEK_SET) C(SEEK_CUR) C(SEEK_END) C(F_OK) C(R_OK) C(W_OK) C(X_OK) \
	C(F_DUPFD) C(F_DUPFD_CLOEXEC) C(F_GETFD) C(F_SETFD) C(F_GETFL) C(F_SETFL) C(F_GETPIPE_SZ) C(F_SETPIPE_SZ) C(FD_CLOEXEC) \
	C(PROT_NONE) C(PROT_READ) C(PROT_WRITE) C(PROT_EXEC) \
	C(MAP_SHARED) C(MAP_PRIVATE) C(MAP_ANONYMOUS) C(MAP_FIXED) C(MAP_FIXED_NOREPLACE) C(MAP_NORESERVE) C(MAP_POPULATE) \
	C(MREMAP_MAYMOVE) C(MREMAP_FIXED) C(MS_ASYNC) C(MS_SYNC) C(MS_INVALIDATE) \
	C(MADV_NORMAL) C(MADV_WILLNEED) C(MADV_DONTNEED) C(MADV_FREE) C(MADV_HUGEPAGE) C(MADV_NOHUGEPAGE) C(MADV_PAGEOUT) C(MADV_COLD) \
	C(MADV_DONTDUMP) C(MADV_DODUMP) C(MADV_DONTFORK) C(MADV_DOFORK) \
	C(SIGHUP) C(SIGINT) C(SIGQUIT) C(SIGABRT) C(SIGKILL) C(SIGUSR1) C(SIGUSR2) C(SIGPIPE) C(SIGALRM) C(SIGTERM) C(SIGCHLD) \
	C(SIGCONT) C(SIGSTOP) C(SIGTSTP) C(SIGWINCH) \
	C(RLIMIT_AS) C(RLIMIT_CORE) C(RLIMIT_CPU) C(RLIMIT_DATA) C(RLIMIT_FSIZE) C(RLIMIT_MEMLOCK) C(RLIMIT_NOFILE) C(RLIMIT_NPROC) \
	C(RLIMIT_STACK) C(PRIO_PROCESS) C(PRIO_PGRP) C(PRIO_USER) \
	C(PR_SET_NAME) C(PR_GET_NAME) C(PR_SET_DUMPABLE) C(PR_GET_DUMPABLE) C(PR_SET_PDEATHSIG) C(PR_GET_PDEATHSIG) \
	C(PR_SET_NO_NEW_PRIVS) C(PR_GET_NO_NEW_PRIVS) C(PR_SET_TIMERSLACK) C(PR_GET_TIMERSLACK) \
	C(AF_UNIX) C(AF_INET) C(AF_INET6) C(SOCK_STREAM) C(SOCK_DGRAM) C(SOCK_CLOEXEC) C(SOCK_NONBLOCK) C(SHUT_RD) C(SHUT_WR) \
	C(SHUT_RDWR) C(SOL_SOCKET) C(SO_ERROR) C(SO_KEEPALIVE) C(SO_LINGER) C(SO_RCVBUF) C(SO_SNDBUF) C(SO_TYPE) \
	C(CLOCK_REALTIME) C(CLOCK_MONOTONIC) C(CLOCK_BOOTTIME) C(CLOCK_PROCESS_CPUTIME_ID)
/* clang-format on */

static const struct constant {
	const char *name;
	uint64_t value;
} constants[] = {
#define C(name) { #name, (uint64_t)(name) },
	CONSTANTS
#undef C
};

bool exec_constant(const char *name, size_t len, uint64_t *ret)
{
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (!strncmp(constants[i].name, name, len) && !constants[i].name[len]) {
			*ret = constants[i].value;
			return true;
		}
	return false;
}
