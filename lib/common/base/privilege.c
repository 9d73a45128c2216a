/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

/* The effective set, as capget(2) gives it: two words of 32. */
static int effective(uint64_t *ret)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

	if (syscall(SYS_capget, &head, data))
		return -errno;
	*ret = data[0].effective | (uint64_t)data[1].effective << 32;
	return 0;
}

int cr_privilege_check(const struct cr_opts *o, struct cr_err *e)
{
	uint64_t caps = 0;
	int err = effective(&caps);

	if (err)
		return cr_err_set(e, CR_E_SYSTEM, -err, "capabilities of the caller", "cannot be read (capget)");
	if (caps >> CAP_SYS_ADMIN & 1)
		return 0;
	if (!(caps >> CAP_CHECKPOINT_RESTORE & 1)) {
		cr_err_set(e, CR_E_PRIVILEGE, 0, "the caller",
			   "it has neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE");
		cr_err_remedy(e, "run as root, or give this user CAP_CHECKPOINT_RESTORE and pass --unprivileged");
		return -EPERM;
	}
	if (o->unprivileged)
		return 0;
	cr_err_set(e, CR_E_PRIVILEGE, 0, "the caller", "it has CAP_CHECKPOINT_RESTORE, but not CAP_SYS_ADMIN");
	cr_err_remedy(e,
		      "run as root, or pass --unprivileged, which carries a user's own trees without seccomp filters "
		      "and foreign ids");
	return -EPERM;
}
