/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mapkind WHAT: holds one mapping of a kind that cannot be carried. Prints "none" where the kernel has no such kind. */
#include <linux/aio_abi.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>

#include "victim.h"

static void *make_sysv(void)
{
	int id = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600);
	void *p = id < 0 ? MAP_FAILED : shmat(id, NULL, 0);

	shmctl(id, IPC_RMID, NULL);
	return p;
}

static void *make_hugetlb(void)
{
	return mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE,
		    -1, 0);
}

static void *make_aio(void)
{
	aio_context_t ctx = 0;

	return syscall(SYS_io_setup, 8, &ctx) ? MAP_FAILED : (void *)ctx;
}

static void *make_packet(void)
{
	struct tpacket_req req = { .tp_block_size = 4096, .tp_block_nr = 2, .tp_frame_size = 2048, .tp_frame_nr = 4 };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	void *p;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		return MAP_FAILED;
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *what;
		void *(*make)(void);
	} kinds[] = {
		{ "sysv", make_sysv }, { "hugetlb", make_hugetlb }, { "aio", make_aio }, { "packet", make_packet }
	};
	void *p = MAP_FAILED;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (argc > 1 && !strcmp(argv[1], kinds[i].what))
			p = kinds[i].make();
	if (p == MAP_FAILED) {
		victim_say("none: %s", strerror(errno));
		return 77;
	}
	victim_ready();
	victim_wait();
	check("mapping", !madvise(p, 4096, MADV_NORMAL));
	return victim_done();
}
