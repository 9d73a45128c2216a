/* SPDX-License-Identifier: GPL-2.0-or-later */
/* membarrier: registrations of membarrier(2); without them the expedited commands fail with EPERM. */
#include <linux/membarrier.h>

#include "victim.h"

/* linux/membarrier.h of 6.3 */
#define GET_REGISTRATIONS (1 << 9)

static int membarrier(int cmd)
{
	return (int)syscall(SYS_membarrier, cmd, 0, 0);
}

int main(void)
{
	int before;

	need(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) < 0 && errno == EPERM);
	need(!membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED));
	need(!membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED));
	before = membarrier(GET_REGISTRATIONS);
	victim_ready();
	victim_wait();
	check("expedited", !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
	check("registrations", membarrier(GET_REGISTRATIONS) == before);
	check("no-more", before < 0 || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) < 0);
	return victim_done();
}
