/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System calls without libc: no errno, no thread-local storage, no cancellation. For the blobs, and for C code in a
 * process whose libc state is not its own any more (raw clones). All return what the kernel does: -errno on failure.
 */
#ifndef CR_BARE_SYS_H
#define CR_BARE_SYS_H

#include <asm/unistd.h>

#include "sys-arch.h"

#define BARE_SYS_(nr, a, b, c, d, e, f, ...) \
	bare_sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/* bare_sys(__NR_x, arguments ...): up to six; missing ones are 0. */
#define bare_sys(nr, ...) BARE_SYS_(nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* Is a result of bare_sys() an error? */
static inline int bare_failed(long ret)
{
	return (unsigned long)ret > -4096ul;
}

#endif
