/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process, and its child, that refuse to make memory executable (PR_SET_MDWE, systemd's MemoryDenyWriteExecute=). C12 */
#include "victim.h"

enum { SET_MDWE = 65, GET_MDWE = 66, REFUSE_GAIN = 1 };

static bool refuses(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED && errno == EACCES;
}

int main(void)
{
	int status = -1;
	pid_t child;

	if (prctl(SET_MDWE, REFUSE_GAIN, 0, 0, 0)) {
		victim_say("none: this kernel has no PR_SET_MDWE");
		return 0;
	}
	need(refuses());
	need((child = fork()) >= 0);
	if (!child) {
		victim_wait();
		_exit(prctl(GET_MDWE, 0, 0, 0, 0) == REFUSE_GAIN && refuses() ? 0 : 1);
	}
	victim_ready();
	victim_wait();
	check("it refuses as before", prctl(GET_MDWE, 0, 0, 0, 0) == REFUSE_GAIN && refuses());
	check("so does the child", waitpid(child, &status, 0) == child && status == 0);
	return victim_done();
}
