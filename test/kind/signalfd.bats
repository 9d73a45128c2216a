#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Signal descriptors: row E15.
load ../lib

@test "signalfd: masks, flags, pending signals (E15)" {
	start_victim signalfd
	dump
	restore
	grep -q ^sigmask: "/proc/$PID/fdinfo/$(fact rt)"
	victim_finish
}

@test "signalfd: three times in a row, from a directory that was moved" {
	start_victim signalfd
	cycle 3
	victim_finish
}
