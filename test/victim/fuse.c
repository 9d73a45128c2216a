/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A task that serves a file system and uses it: mounts FUSE on "mnt" in its working directory (made here) and opens a
 * file there. While it is stopped, whoever looks at the file waits for it. LDFLAGS: -pthread
 */
#include "victim.h"
#include <linux/fuse.h>
#include <pthread.h>
#include <sys/mount.h>

enum { FILE_NODE = 2, BUF = 1 << 17 };

static struct fuse_attr attr(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node, .mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0444, .nlink = 1, .blksize = 4096
	};
}

/* Nothing may be remembered by the kernel: all lifetimes are 0. */
static int answer(const struct fuse_in_header *in, const void *arg, void *out, int *len)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096 };
	struct fuse_attr_out got = { .attr = attr(in->nodeid) };
	struct fuse_entry_out entry = { .nodeid = FILE_NODE, .attr = attr(FILE_NODE) };
	struct fuse_open_out opened = { .fh = 1 };

#define GIVE(x) (memcpy(out, &(x), sizeof(x)), *len = sizeof(x), 0)
	switch (in->opcode) {
	case FUSE_INIT:
		return GIVE(init);
	case FUSE_GETATTR:
		return GIVE(got);
	case FUSE_LOOKUP:
		return strcmp(arg, "file") ? -ENOENT : GIVE(entry);
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return GIVE(opened);
	case FUSE_READ:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		return 0;
	default:
		return -ENOSYS;
	}
}

static void *serve(void *arg)
{
	static char buf[BUF];
	int fd = *(int *)arg;

	for (;;) {
		struct {
			struct fuse_out_header head;
			char data[4096];
		} out = { .head = { 0 } };
		ssize_t n = read(fd, buf, sizeof(buf));
		const struct fuse_in_header *in = (const void *)buf;
		int len = 0;

		if (n < 0 && errno != EINTR && errno != ENOENT)
			return NULL;
		if (n < (ssize_t)sizeof(*in) || in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET)
			continue;
		out.head.unique = in->unique;
		out.head.error = answer(in, buf + sizeof(*in), out.data, &len);
		out.head.len = (uint32_t)sizeof(out.head) + (uint32_t)len;
		if (write(fd, &out, out.head.len) < 0 && errno != ENOENT)
			return NULL;
	}
}

int main(void)
{
	struct stat st;
	char opts[96];
	pthread_t t;
	int fd, file;

	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		victim_say("none: no /dev/fuse");
		return 0;
	}
	need(!mkdir("mnt", 0755) || errno == EEXIST);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	need(!mount("victim", "mnt", "fuse", MS_NOSUID | MS_NODEV, opts));
	need(!pthread_create(&t, NULL, serve, &fd));
	file = open("mnt/file", O_RDONLY | O_CLOEXEC);
	need(file >= 0);
	victim_fact("fd", "%d", file);
	victim_ready();
	victim_wait();
	check("the file is still served", !fstat(file, &st) && st.st_ino == FILE_NODE);
	close(file);
	check("unmounted", !umount2("mnt", MNT_DETACH));
	return victim_done();
}
