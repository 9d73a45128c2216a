// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kinds of descriptors that can be restored. The order is that of prepare() in the main process and of last():
 * deleted files and memory files first, as others may be opened through them. Descriptions are opened by number, not by
 * kind.
 */
#include "kind/restore.h"

extern const struct fd_rst_ops reg_rst_ops, pipe_rst_ops, fifo_rst_ops, eventfd_rst_ops, epoll_rst_ops,
	signalfd_rst_ops, timerfd_rst_ops, memfd_rst_ops, unix_rst_ops, inet_rst_ops, tty_rst_ops;

const struct fd_rst_ops *const rst_fd_order[] = {
	&memfd_rst_ops,	  &reg_rst_ops,	 &pipe_rst_ops, &fifo_rst_ops, &eventfd_rst_ops, &signalfd_rst_ops,
	&timerfd_rst_ops, &unix_rst_ops, &inet_rst_ops, &tty_rst_ops,  &epoll_rst_ops,	 NULL,
};
