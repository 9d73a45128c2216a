#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Timer descriptors: row E16.
load ../lib

@test "timerfd: what is left, absolute timers, ticks, a waiting child (E16)" {
	start_victim timerfd
	dump
	restore
	grep -qE "^settime flags: 03$" "/proc/$PID/fdinfo/$(fact real)"
	grep -qE "^it_interval: \(3, 500\)$" "/proc/$PID/fdinfo/$(fact mono)"
	victim_finish
}

@test "timerfd: three times in a row, from a directory that was moved" {
	start_victim timerfd
	cycle 3
	victim_finish
}
