#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Epoll: row E14.
load ../lib

@test "epoll: targets of several kinds, edges, one-shots, a closed number, nesting (E14)" {
	start_victim epoll
	dump
	restore
	[ "$(grep -c ^tfd: "/proc/$PID/fdinfo/$(fact ep)")" = 5 ]
	victim_finish
}

@test "epoll: three times in a row, from a directory that was moved" {
	start_victim epoll
	cycle 3
	victim_finish
}
