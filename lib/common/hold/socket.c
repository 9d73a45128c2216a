/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "hold/protocol.h"

int hold_socket_name(int img, bool elsewhere, char ret[HOLD_NAME_MAX])
{
	struct stat st;

	if (!elsewhere) {
		snprintf(ret, HOLD_NAME_MAX, "%s", HOLD_SOCKET);
		return 0;
	}
	if (fstat(img, &st))
		return -errno;
	snprintf(ret, HOLD_NAME_MAX, "%s-%llx-%llx", HOLD_SOCKET, (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	return 0;
}
