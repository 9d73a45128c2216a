/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocating the pages of a file is the larger half of writing it (tmpfs: 0.25 s of 0.35 s for 1 GiB, measured), and it
 * does not need the tree to stand still. The whole takes as long as before; the frozen time is what gets shorter.
 */
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "pages.h"
#include "proc/status.h"

enum { AHEAD_MIN_KIB = 8 << 10 }; /* less is written in a few milliseconds */

void ahead_begin(int img, pid_t root, struct img_writer *w)
{
	_cleanup_close_ int proc = open_proc_pid(root);
	struct proc_status st;
	struct statvfs fs;
	char text[4096];
	uint64_t bytes;
	int err;

	*w = (struct img_writer){ .fd = -1 };
	err = proc < 0 ? proc : proc_status_read(proc, "status", text, sizeof(text), &st);
	if (err || st.rss_anon < AHEAD_MIN_KIB || fstatvfs(img, &fs))
		return;
	bytes = st.rss_anon << 10;
	/* It is a guess: never the reason why a file system is full. */
	if (bytes > (uint64_t)fs.f_bavail * fs.f_frsize / 2 || img_create(img, IMG_PAGES, 1, w, NULL))
		return;
	if (fallocate(w->fd, 0, 0, (off_t)bytes) && ftruncate(w->fd, 0))
		img_abandon(w);
}
