/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom a descriptor is shown to, in this order; the first that says it is his own dumps it. */
#include "kind/file/dump-file.h"

const struct fd_dump_ops *const dump_fd_order[] = {
	&memfd_dump_ops, /* before "file": it looks like one */
	&tty_dump_ops,	 /* before "device" */
	&dev_dump_ops,
	&fifo_dump_ops,
	&reg_dump_ops,
	&pipe_dump_ops,
	&unix_dump_ops,
	&inet_dump_ops,
	&eventfd_dump_ops,
	&epoll_dump_ops,
	&signalfd_dump_ops,
	&timerfd_dump_ops,
	&other_dump_ops, /* last: takes and refuses what is left */
	NULL,
};
