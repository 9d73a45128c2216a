#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Event counters: row E13.
load ../lib

@test "eventfd: value, semaphore, flags, a waiting child (E13)" {
	start_victim eventfd
	dump
	restore
	grep -qE "^eventfd-count:[[:space:]]*2a$" "/proc/$PID/fdinfo/$(fact plain)"
	victim_finish
}

@test "eventfd: three times in a row, from a directory that was moved" {
	start_victim eventfd
	cycle 3
	victim_finish
}
